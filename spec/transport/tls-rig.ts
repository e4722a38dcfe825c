import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server, type TLSSocket, type TlsOptions as ServerOptions } from 'node:tls';
import { afterEach } from '@jest/globals';
import type { ConnectError } from '../../lib/errors.ts';
import type { TlsOptions } from '../../lib/transport/options.ts';
import { dialTls } from '../../lib/transport/tls.ts';
import type { Receiver, Road, Taken, Transport } from '../../lib/transport/transport.ts';
import type { Certificates } from '../support/certificates.ts';
import { leakGuard } from '../support/leaks.ts';
import { passage } from '../support/passages.ts';

/*
 * Both ends of TLS connections on this machine. All that is made here ends with the test.
 */

const ending: (() => unknown)[] = [];

export function atEnd(end: () => unknown): void {
  ending.push(end);
}

/** Ends all that a test has begun, and fails it where something is left. Once per file. */
export function endRig(): void {
  afterEach(async () => {
    for (const end of ending.splice(0).toReversed()) await end();
  });
  leakGuard();
}

/** A server on a free port, and what it has seen. */
export interface TlsServer {
  readonly server: Server;
  readonly port: number;
  /** Connections of TCP, whatever became of their handshakes. */
  readonly sockets: readonly Socket[];
  /** The server's end of the next connection. */
  accepted(): Promise<TLSSocket>;
  close(): Promise<void>;
}

export async function listen(options: ServerOptions): Promise<TlsServer> {
  const server = createServer({ allowHalfOpen: true, ...options });
  const sockets: Socket[] = [];
  server.on('connection', (socket: Socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
  });
  server.on('tlsClientError', () => {});
  server.on('secureConnection', (socket) => socket.on('error', () => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  atEnd(close);
  return {
    server,
    port: (server.address() as AddressInfo).port,
    sockets,
    accepted: async () => ((await once(server, 'secureConnection')) as [TLSSocket])[0],
    close,
  };
}

/** A server whose certificate is in order, and how to verify it. */
export async function inOrder(
  files: Certificates,
  options: ServerOptions = {},
): Promise<{ server: TlsServer; tls: TlsOptions }> {
  const server = await listen({ ...(await files.server('server')), ...options });
  return { server, tls: { caFile: files.file('ca.pem') } };
}

/** The way to a server on this machine. */
export function roadTo(port: number, tls?: TlsOptions, host = 'localhost'): Road {
  return { protocol: 'mqtts', host, port, ...(tls !== undefined && { tls }) };
}

/** A connection, which ends with the test. */
export async function dial(road: Road, tunnel?: Socket): Promise<Transport> {
  const signal = new AbortController().signal;
  const transport = await dialTls(road, signal, passage(signal), tunnel);
  atEnd(() => transport.destroy());
  return transport;
}

/** Both ends of a connection. */
export async function connected(
  server: TlsServer,
  tls: TlsOptions,
  tunnel?: Socket,
): Promise<{ transport: Transport; peer: TLSSocket; recorder: Recorder }> {
  const accepted = server.accepted();
  const transport = await dial(roadTo(server.port, tls), tunnel);
  return { transport, peer: await accepted, recorder: new Recorder() };
}

/** What an attempt fails with, or what its connection ends with where it comes about: TLS 1.3 refuses late. */
export async function failure(road: Road): Promise<ConnectError> {
  let transport: Transport;
  try {
    transport = await dial(road);
  } catch (error) {
    return error as ConnectError;
  }
  const recorder = new Recorder();
  transport.open(recorder);
  return (await recorder.gone) as ConnectError;
}

/** A receiver that keeps what it gets, and makes its memory unusable as soon as it has been read. */
export class Recorder implements Receiver {
  readonly log: string[] = [];
  readonly gone: Promise<unknown>;
  readonly pieces: Uint8Array[] = [];
  bytes = 0;
  onBytes: () => void = () => {};
  onDrained: () => void = () => {};
  #memory = new Uint8Array(0);
  #goes!: (error: unknown) => void;

  constructor() {
    this.gone = new Promise((resolve) => {
      this.#goes = resolve;
    });
  }

  space(): Uint8Array {
    this.#memory = new Uint8Array(10_000).fill(0xee);
    return this.#memory;
  }

  filled(length: number): void {
    this.#take(this.#memory.slice(0, length));
    this.#memory.fill(0xee);
  }

  chunk(bytes: Uint8Array): void {
    this.log.push('chunk');
    this.#take(bytes);
  }

  drained(): void {
    this.log.push('drained');
    this.onDrained();
  }

  closed(error?: unknown): void {
    this.log.push('closed');
    this.#goes(error);
  }

  /** Waits until so many bytes have come. */
  until(bytes: number): Promise<void> {
    return new Promise((resolve) => {
      this.onBytes = () => {
        if (this.bytes >= bytes) resolve();
      };
      this.onBytes();
    });
  }

  #take(bytes: Uint8Array): void {
    this.pieces.push(bytes);
    this.bytes += bytes.length;
    this.onBytes();
  }
}

/** Bytes that differ wherever they are cut. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i + 4 <= length; i += 4) bytes.writeUInt32LE((i * 2_654_435_761) >>> 0, i);
  return bytes;
}

/** Writes, and waits until it is told how that was taken. */
export function written(transport: Transport, bytes: Uint8Array): Promise<Taken> {
  return new Promise((resolve) => {
    let byDefault: Taken = 'at once';
    transport.write(bytes, (_, taken = byDefault) => resolve(taken));
    byDefault = 'held back';
  });
}
