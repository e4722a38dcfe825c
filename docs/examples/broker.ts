/**
 * Brokers for the examples. Aedes runs in this process and supports MQTT 3.1 and 3.1.1. Mosquitto, if it is
 * installed, supports 5.0 as well.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { Aedes } from 'aedes';
import { createWebSocketStream, WebSocketServer } from 'ws';

export interface Broker extends AsyncDisposable {
  readonly url: string;
  /** Stops the broker and closes all its connections. */
  stop(): Promise<void>;
}

export interface LocalBroker extends Broker {
  /** Destroys every Network Connection, as a broken network would. */
  cut(): void;
}

/** How clients connect to a local broker. */
export interface Ways {
  /** @default "mqtt" */
  readonly protocol?: 'mqtt' | 'mqtts' | 'ws' | 'wss' | 'mqtt+unix';
  /** For `mqtts` and `wss`: see `tls.createServer()`. */
  readonly tls?: TlsOptions;
  /** For `mqtt+unix`: the path of the socket. */
  readonly path?: string;
  /** For `ws` and `wss`: whether to accept a request; otherwise it is answered with 401. @default all */
  readonly admits?: (request: IncomingMessage) => boolean;
  /** Whether a user may connect. @default all */
  readonly knows?: (clientId: string, username: string, password: string) => boolean;
}

/** Starts an Aedes broker on a free local port. */
export async function startBroker(ways: Ways = {}): Promise<LocalBroker> {
  const { protocol = 'mqtt', knows = () => true } = ways;
  const aedes = await Aedes.createBroker({
    authenticate: ({ id }, username, password, done) =>
      done(null, knows(id, username ?? '', password?.toString() ?? '')),
  });
  const sockets = new Set<Socket>();
  const server = serverOf(ways, (stream) => aedes.handle(stream));
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(ways.path ?? { port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const stop = async (): Promise<void> => {
    await new Promise<void>((resolve) => aedes.close(resolve));
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  const where = ways.path ?? `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `${protocol}://${where}`,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Creates the server that passes each connection to `serve`. */
function serverOf({ protocol, tls, admits = () => true }: Ways, serve: (stream: Duplex) => void): Server {
  switch (protocol) {
    case 'mqtts':
      return createTlsServer({ ...tls }, serve);
    case 'ws':
    case 'wss': {
      const server = protocol === 'ws' ? createHttpServer() : createHttpsServer({ ...tls });
      const sockets = new WebSocketServer({
        server,
        handleProtocols: (offered) => (offered.has('mqtt') ? 'mqtt' : false),
        verifyClient: ({ req }: { req: IncomingMessage }) => admits(req),
      });
      sockets.on('connection', (socket) => serve(createWebSocketStream(socket).on('error', () => {})));
      return server;
    }
    default:
      return createServer(serve);
  }
}

/** Starts a Mosquitto broker on a free local port. Returns undefined if Mosquitto is not installed. */
export async function startMosquitto(): Promise<Broker | undefined> {
  const port = await freePort();
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/local/sbin`;
  const mosquitto = spawn('mosquitto', ['-p', String(port)], {
    stdio: 'ignore',
    env: { ...process.env, PATH: path },
  });
  const started = await Promise.race([once(mosquitto, 'spawn'), once(mosquitto, 'error')]).catch(
    () => undefined,
  );
  if (started === undefined || mosquitto.pid === undefined) return undefined;
  await listening(port);
  const stop = async (): Promise<void> => {
    mosquitto.kill();
    if (mosquitto.exitCode === null && mosquitto.signalCode === null) await once(mosquitto, 'exit');
  };
  return { url: `mqtt://127.0.0.1:${port}`, stop, [Symbol.asyncDispose]: stop };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until a server listens on `port`. */
async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const socket = connect(port, '127.0.0.1');
    const up = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (up) return;
    await sleep(20);
  }
  throw new Error(`no server listens on port ${port}`);
}
