import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach } from '@jest/globals';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import type { AttemptContext } from '../../lib/transport/options.ts';
import { openSocket } from '../../lib/transport/tcp.ts';
import type { Passage, Receiver, Road, Transport } from '../../lib/transport/transport.ts';
import { dialWebSocket } from '../../lib/transport/websocket.ts';
import { leakGuard } from '../support/leaks.ts';
import { passage } from '../support/passages.ts';

/*
 * Both ends of a WebSocket: servers of `ws`, servers of which a spec says every byte, and whoever listens to a transport.
 */

const ending: (() => unknown)[] = [];

/** Ends something with the test. */
export function atEnd(end: () => unknown): void {
  ending.push(end);
}

/** Ends all that a test has started, and fails it where something is left. Once per file. */
export function endAll(): void {
  afterEach(async () => {
    await Promise.all(ending.splice(0).map((end) => end()));
  });
  leakGuard();
}

/** Resolves when a socket is closed, whatever it was that closed it. */
export function closing(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.once('close', resolve));
}

async function listen(server: Server): Promise<number> {
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => {});
    const closed = closing(socket);
    atEnd(() => {
      socket.destroy();
      return closed;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

/** The end of the server of a WebSocket. */
export interface Accepted {
  readonly ws: WebSocket;
  readonly request: IncomingMessage;
}

/** A server of WebSockets. */
export async function webSocketServer(
  options: ServerOptions = {},
): Promise<{ readonly port: number; readonly accepted: () => Promise<Accepted> }> {
  const http = createHttpServer();
  const server = new WebSocketServer({ server: http, ...options });
  const waiting: ((one: Accepted) => void)[] = [];
  const there: Accepted[] = [];
  server.on('connection', (ws, request) => {
    ws.on('error', () => {});
    const next = waiting.shift();
    if (next === undefined) there.push({ ws, request });
    else next({ ws, request });
  });
  const accepted = (): Promise<Accepted> => {
    const one = there.shift();
    return one === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(one);
  };
  return { port: await listen(http), accepted };
}

/** A server that answers the head of an HTTP request as `answer` wants to. */
export async function rawServer(answer: (socket: Socket, head: string) => void): Promise<number> {
  return listen(
    createServer((socket) => {
      socket.once('data', (head) => answer(socket, head.toString('latin1')));
    }),
  );
}

/** The head of a response that makes a WebSocket of a request, with fields added or in place of the usual ones. */
export function switching(head: string, fields: Readonly<Record<string, string>> = {}): string {
  const key = /^sec-websocket-key: (.*)\r$/im.exec(head)?.[1] ?? '';
  const all = {
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Accept': createHash('sha1')
      .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64'),
    'Sec-WebSocket-Protocol': 'mqtt',
    ...fields,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === '' ? [] : `${name}: ${value}\r\n`));
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`;
}

/** A frame as a server sends it: `opcode` 0 goes on with a message, 1 is text, 2 binary, 8 the close. */
export function frame(opcode: number, payload: Uint8Array | string, isLast = true): Buffer {
  const bytes = Buffer.from(payload);
  const first = (isLast ? 0x80 : 0) | opcode;
  if (bytes.length < 126) return Buffer.concat([Buffer.from([first, bytes.length]), bytes]);
  return Buffer.concat([Buffer.from([first, 126, bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

/** A frame of a client, unmasked, and what comes behind it. */
export function unmasked(bytes: Buffer): {
  readonly opcode: number;
  readonly payload: Buffer;
  readonly rest: Buffer;
} {
  const opcode = (bytes[0] ?? 0) & 0x0f;
  const length = (bytes[1] ?? 0) & 0x7f;
  const mask = bytes.subarray(2, 6);
  const payload = Buffer.from(bytes.subarray(6, 6 + length)).map((byte, i) => byte ^ (mask[i % 4] ?? 0));
  return { opcode, payload: Buffer.from(payload), rest: bytes.subarray(6 + length) };
}

/** What a road is, and what an attempt on it is asked with. */
export interface Dialling extends Partial<Omit<Road, 'port'>> {
  readonly signal?: AbortSignal;
  readonly protocolVersion?: number;
  readonly context?: Partial<AttemptContext>;
}

/** Connects to a port of this machine, and dials over that. */
export async function dialled(
  port: number,
  { signal = new AbortController().signal, protocolVersion = 4, context = {}, ...road }: Dialling = {},
): Promise<{ readonly transport: Transport; readonly legs: readonly string[]; readonly stream: Socket }> {
  const stream = await openSocket({ protocol: 'ws', host: '127.0.0.1', port }, signal);
  atEnd(() => stream.destroy());
  const one = { ...passage(signal), protocolVersion, ...context };
  const dial: Passage = one;
  const transport = await dialWebSocket(
    { protocol: 'ws', host: '127.0.0.1', port, path: '/mqtt', ...road },
    signal,
    dial,
    stream,
  );
  atEnd(() => transport.destroy());
  return { transport, legs: one.legs, stream };
}

/** A transport that nobody has opened yet, and the other end. */
export async function connected(
  options: ServerOptions = {},
  road: Dialling = {},
): Promise<{ readonly transport: Transport; readonly stream: Socket } & Accepted> {
  const { port, accepted } = await webSocketServer(options);
  const { transport, stream } = await dialled(port, road);
  return { transport, stream, ...(await accepted()) };
}

/** A transport, and the bare socket of a server that has sent `fields` in the head of its response. */
export async function rawlyConnected(
  behind: Uint8Array = new Uint8Array(0),
  road: Dialling = {},
): Promise<{ readonly transport: Transport; readonly peer: Socket }> {
  let peer: Socket | undefined;
  const port = await rawServer((socket, head) => {
    peer = socket;
    socket.write(Buffer.concat([Buffer.from(switching(head)), behind]));
  });
  const { transport } = await dialled(port, road);
  return { transport, peer: peer! };
}

/** A receiver that keeps all it gets, and says what happened in which order. */
export class Recorder implements Receiver {
  readonly log: string[] = [];
  readonly chunks: Uint8Array[] = [];
  readonly gone: Promise<unknown>;
  bytes = 0;
  onBytes: () => void = () => {};
  onDrained: () => void = () => {};
  #goes!: (error: unknown) => void;

  constructor() {
    this.gone = new Promise((resolve) => (this.#goes = resolve));
  }

  space(): Uint8Array {
    throw new Error('expected chunks, got a read into memory of ours');
  }

  filled(): void {}

  chunk(bytes: Uint8Array): void {
    this.chunks.push(bytes);
    this.bytes += bytes.length;
    this.onBytes();
  }

  drained(): void {
    this.log.push('drained');
    this.onDrained();
  }

  closed(error?: unknown): void {
    this.log.push('closed');
    this.#goes(error);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
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
}

// A local name: looking up a global is slow in the context of a spec.
const { imul } = Math;

/** Bytes that differ wherever they are cut. */
export function pattern(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export function hashOf(pieces: Iterable<Uint8Array>): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}

/** Writes until the network takes no more; says how often each piece was given back. */
export function pressUp(transport: Transport): Map<Uint8Array, number> {
  const given = new Map<Uint8Array, number>();
  for (let i = 0; i < 400 && transport.heldBack < 1_000_000; i++) {
    const piece = pattern(65_536, i);
    given.set(piece, 0);
    transport.write(piece, (bytes) => given.set(bytes, (given.get(bytes) ?? Number.NaN) + 1));
  }
  if (transport.heldBack === 0) throw new Error('expected a network that is full, got none');
  return given;
}
