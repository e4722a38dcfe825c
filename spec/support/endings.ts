import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach } from '@jest/globals';
import { leakGuard } from './leaks.ts';

/*
 * What a test begins ends with it, the last first.
 */

const ending: (() => unknown)[] = [];

/** Ends something with the test. */
export function atEnd(end: () => unknown): void {
  ending.push(end);
}

/** Something that ends with the test. */
export function held<T extends { destroy(): unknown }>(one: T): T {
  atEnd(() => one.destroy());
  return one;
}

/** Ends all that a test has begun, after `first`, and fails it where something is left. Once per file. */
export function endWithTest(first: () => unknown = () => {}): void {
  afterEach(async () => {
    const errors: unknown[] = [];
    for (let end: typeof first | undefined = first; end !== undefined; end = ending.pop()) {
      try {
        await end();
      } catch (error) {
        // One that cannot end must not keep the others running.
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  });
  leakGuard();
}

/** A server that listens. */
export interface Listening<S extends Server = Server> {
  readonly server: S;
  readonly port: number;
  /** Its connections of TCP, also those that are over. */
  readonly sockets: readonly Socket[];
  /** Ends it, with all connections: so does the end of the test. */
  readonly close: () => Promise<void>;
}

/** Resolves when a socket is closed, whatever it was that closed it. */
export function closing(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.once('close', resolve));
}

/** Has a server of any kind listen on a free port. */
export async function startServer<S extends Server>(server: S, host = '127.0.0.1'): Promise<Listening<S>> {
  const sockets: Socket[] = [];
  // Whoever has a socket, such as `ws`, tidies up when it hears of the end.
  const ends: Promise<unknown>[] = [];
  server.on('connection', (socket: Socket) => {
    sockets.push(socket);
    ends.push(closing(socket));
    socket.on('error', () => {});
  });
  server.listen(0, host);
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    const closed = server.listening ? new Promise((resolve) => server.close(resolve)) : undefined;
    for (const socket of sockets) socket.destroy();
    await Promise.all([closed, ...ends]);
  };
  atEnd(close);
  return { server, port: (server.address() as AddressInfo).port, sockets, close };
}

/** A server on a free port that does with each connection what it is told; by default it sends back what comes. */
export function listening(
  serve: (socket: Socket) => void = (socket) => socket.pipe(socket),
  host?: string,
): Promise<Listening> {
  return startServer(createServer({ noDelay: true }, serve), host);
}
