import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Dial } from '../../lib/transport/transport.ts';
import type { FakeClock } from './fake-clock.ts';
import { memoryDial } from './memory-network.ts';
import type { Link } from './memory-transport.ts';
import { ScriptedBroker } from './scripted-broker.ts';

/** A network in memory with a scripted broker at the end of each connection. */
export interface ScriptedNetwork {
  readonly dial: Dial;
  /** All connections so far, and their behaviour. */
  readonly connections: readonly { readonly broker: ScriptedBroker; readonly link: Link }[];
  /** Waits for the next connection. Each connection is returned once. */
  next(): Promise<ScriptedBroker>;
}

/** A network in memory on a fake clock; `options` apply to each connection. */
export function scriptedNetwork(clock: FakeClock, options: Partial<Link> = {}): ScriptedNetwork {
  const connections: { broker: ScriptedBroker; link: Link }[] = [];
  let taken = 0;
  const accept: Parameters<typeof memoryDial>[1] = (end, link) =>
    connections.push({ broker: ScriptedBroker.over(end, clock), link });
  return {
    dial: memoryDial(clock, accept, options),
    connections,
    async next() {
      const index = taken++;
      await clock.run(() => connections.length > index);
      return (connections[index] as { broker: ScriptedBroker }).broker;
    },
  };
}

/** A TCP server with a scripted broker at the end of each connection. */
export interface ScriptedServer {
  readonly port: number;
  readonly url: string;
  /** Waits for the next connection. Each connection is returned once. */
  next(): Promise<ScriptedBroker>;
  /** Closes the server and all connections. */
  close(): Promise<void>;
}

/** Listens on a free local port. */
export async function scriptedServer(): Promise<ScriptedServer> {
  const sockets: Socket[] = [];
  const accepted: ScriptedBroker[] = [];
  const waiting: ((broker: ScriptedBroker) => void)[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.push(socket);
    const broker = ScriptedBroker.on(socket);
    const waiter = waiting.shift();
    if (waiter === undefined) accepted.push(broker);
    else waiter(broker);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    next() {
      const broker = accepted.shift();
      if (broker !== undefined) return Promise.resolve(broker);
      return new Promise((resolve) => waiting.push(resolve));
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
