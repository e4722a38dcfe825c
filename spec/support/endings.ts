import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach } from '@jest/globals';
import { leakGuard } from './leaks.ts';

/*
 * Closes everything that a test opened, last first.
 */

const ending: (() => unknown)[] = [];

/** Calls `end` when the test ends. */
export function atEnd(end: () => unknown): void {
  ending.push(end);
}

/** Destroys `one` when the test ends. */
export function held<T extends { destroy(): unknown }>(one: T): T {
  atEnd(() => one.destroy());
  return one;
}

/** What each test calls at its end before it closes what it opened. Undefined until the hook is registered. */
let firsts: Set<() => unknown> | undefined;

/**
 * Closes everything that a test opened, after `first`, and fails the test on leaks. Call it once per file, outside of
 * `describe`. The files that an `all.spec.ts` imports share its hook.
 */
export function endWithTest(first: () => unknown = () => {}): void {
  if (firsts === undefined) {
    firsts = new Set();
    afterEach(endAll);
    leakGuard();
  }
  firsts.add(first);
}

async function endAll(): Promise<void> {
  const errors: unknown[] = [];
  // The last one is called first.
  ending.push(...(firsts ?? []));
  for (let end = ending.pop(); end !== undefined; end = ending.pop()) {
    try {
      await end();
    } catch (error) {
      // An error must not prevent the other calls.
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/** A listening server. */
export interface Listening<S extends Server = Server> {
  readonly server: S;
  readonly port: number;
  /** Its TCP connections, including closed ones. */
  readonly sockets: readonly Socket[];
  /** Closes the server and all connections. The end of the test does that, too. */
  readonly close: () => Promise<void>;
}

/** Resolves when a socket is closed, for any reason. */
export function closing(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.once('close', resolve));
}

/** Lets any server listen on a free port. */
export async function startServer<S extends Server>(server: S, host = '127.0.0.1'): Promise<Listening<S>> {
  const sockets: Socket[] = [];
  // Users of a socket, such as `ws`, clean up on its `close` event.
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

/** A server on a free port that calls `serve` for each connection; by default it echoes. */
export function listening(
  serve: (socket: Socket) => void = (socket) => socket.pipe(socket),
  host?: string,
): Promise<Listening> {
  return startServer(createServer({ noDelay: true }, serve), host);
}
