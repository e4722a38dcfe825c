import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket, type TlsOptions as ServerOptions } from 'node:tls';
import type { ConnectError } from '../../lib/errors.ts';
import type { TlsOptions } from '../../lib/transport/options.ts';
import { dialTls } from '../../lib/transport/tls.ts';
import type { DialOptions, Flushed, Transport } from '../../lib/transport/transport.ts';
import type { Certificates } from '../support/certificates.ts';
import { held, type Listening, startServer } from '../support/endings.ts';
import { dialContext } from '../support/dial-contexts.ts';
import { Recorder } from '../support/receivers.ts';

/*
 * Both ends of TLS connections on this machine. All that is made here ends with the test.
 */

/** A server on a free port. */
export interface TlsServer extends Listening<Server> {
  /** The server's end of the next connection. */
  accepted(): Promise<TLSSocket>;
}

export async function listen(options: ServerOptions): Promise<TlsServer> {
  const server = createServer({ allowHalfOpen: true, ...options });
  server.on('tlsClientError', () => {});
  server.on('secureConnection', (socket) => socket.on('error', () => {}));
  return {
    ...(await startServer(server)),
    accepted: async () => ((await once(server, 'secureConnection')) as [TLSSocket])[0],
  };
}

/** A server with a valid certificate, and the options to verify it. */
export async function inOrder(
  files: Certificates,
  options: ServerOptions = {},
): Promise<{ server: TlsServer; tls: TlsOptions }> {
  const server = await listen({ ...(await files.server('server')), ...options });
  return { server, tls: { caFile: files.file('ca.pem') } };
}

/** The options to connect to a server on this machine. */
export function serverAt(port: number, tls?: TlsOptions, host = 'localhost'): DialOptions {
  return { protocol: 'mqtts', host, port, ...(tls !== undefined && { tls }) };
}

/** A connection, which ends with the test. */
export async function dial(dialOptions: DialOptions, tunnel?: Socket): Promise<Transport> {
  return held(await dialTls(dialOptions, dialContext(), tunnel));
}

/** Both ends of a connection. */
export async function connected(
  server: TlsServer,
  tls: TlsOptions,
  tunnel?: Socket,
): Promise<{ transport: Transport; peer: TLSSocket; recorder: Recorder }> {
  const accepted = server.accepted();
  const transport = await dial(serverAt(server.port, tls), tunnel);
  return { transport, peer: await accepted, recorder: new Recorder() };
}

/** The error of an attempt, or of its connection: in TLS 1.3 a server refuses after the handshake. */
export async function failure(dialOptions: DialOptions): Promise<ConnectError> {
  let transport: Transport;
  try {
    transport = await dial(dialOptions);
  } catch (error) {
    return error as ConnectError;
  }
  const recorder = new Recorder();
  transport.open(recorder);
  return (await recorder.gone) as ConnectError;
}

/** Writes, and waits until the bytes are given back. */
export function written(transport: Transport, bytes: Uint8Array): Promise<Flushed> {
  return new Promise((resolve) => {
    let byDefault: Flushed = 'at-once';
    transport.write(bytes, (_, taken = byDefault) => resolve(taken));
    byDefault = 'later';
  });
}
