import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Aedes } from 'aedes';
import { createWebSocketStream, WebSocketServer } from 'ws';

/** An Aedes broker in this process: MQTT 3.1 and 3.1.1. */
export interface LocalBroker {
  readonly port: number;
  readonly url: string;
  /** The Aedes instance, to inspect it or to set hooks. */
  readonly aedes: Aedes;
  /** Destroys every connection, as a broken network would. */
  cut(): void;
  /** Closes the broker and all connections. */
  close(): Promise<void>;
}

/** Options of the broker. */
export interface AedesOptions {
  /** @default "tcp" */
  readonly over?: 'tcp' | 'ws';
}

/** Starts Aedes on a free local port. */
export async function startAedes({ over = 'tcp' }: AedesOptions = {}): Promise<LocalBroker> {
  const aedes = await Aedes.createBroker();
  const sockets = new Set<Socket>();
  const server = over === 'ws' ? webSockets(aedes) : createServer({ noDelay: true });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    if (over === 'tcp') aedes.handle(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    url: `${over === 'ws' ? 'ws' : 'mqtt'}://127.0.0.1:${port}`,
    aedes,
    cut,
    async close() {
      cut();
      await new Promise<void>((resolve) => aedes.close(resolve));
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An HTTP server that passes its WebSockets, on any path, to `aedes`. */
function webSockets(aedes: Aedes): Server {
  const server = createHttpServer({ noDelay: true });
  new WebSocketServer({ server }).on('connection', (ws, request) => {
    const stream = createWebSocketStream(ws);
    stream.on('error', () => {});
    aedes.handle(stream, request);
  });
  return server;
}
