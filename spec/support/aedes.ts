import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Aedes } from 'aedes';

/** An Aedes broker in this process: MQTT 3.1 and 3.1.1. */
export interface LocalBroker {
  readonly port: number;
  readonly url: string;
  /** To look inside, or to set its hooks. */
  readonly aedes: Aedes;
  /** Destroys every connection, as a broken network would. */
  cut(): void;
  /** Ends it, with all connections. */
  close(): Promise<void>;
}

/** Starts an Aedes on a free port of this machine. */
export async function startAedes(): Promise<LocalBroker> {
  const aedes = await Aedes.createBroker();
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    aedes.handle(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    aedes,
    cut,
    async close() {
      cut();
      await new Promise<void>((resolve) => aedes.close(resolve));
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
