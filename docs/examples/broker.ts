/**
 * Brokers for the examples. Aedes runs in this process and speaks MQTT 3.1 and 3.1.1; Mosquitto, where it is
 * installed, speaks 5.0 as well.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Aedes } from 'aedes';

export interface Broker extends AsyncDisposable {
  readonly url: string;
  /** Ends it, with every connection to it. */
  stop(): Promise<void>;
}

export interface LocalBroker extends Broker {
  /** Destroys every Network Connection, as a broken network would. */
  cut(): void;
}

/** An Aedes broker on a free port of this machine. */
export async function startBroker(): Promise<LocalBroker> {
  const aedes = await Aedes.createBroker();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    aedes.handle(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = async (): Promise<void> => {
    await new Promise<void>((resolve) => aedes.close(resolve));
    await new Promise((resolve) => server.close(resolve));
  };
  return {
    url: `mqtt://127.0.0.1:${port}`,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** A Mosquitto broker on a free port of this machine, or undefined where Mosquitto is not installed. */
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

/** Waits until somebody listens on `port`. */
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
  throw new Error(`nobody listens on port ${port}`);
}
