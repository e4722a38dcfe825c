import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** How a proxy answers who asks for a tunnel: an answer of its own is followed by the end of the connection. */
export type Answer =
  | 'a tunnel'
  | 'silence'
  | { readonly status: number }
  | { readonly bytes: string | Uint8Array };

/** Common to all proxies of the specs. */
export interface ProxyOptions {
  /** Who may pass. @default anybody */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** Addresses of names that nobody but the proxy knows. */
  readonly names?: Readonly<Record<string, string>>;
}

/** The connections of a proxy, from its clients and to their servers. */
export class Tunnels {
  readonly #names: Readonly<Record<string, string>>;
  readonly #sockets = new Set<Socket>();
  #open = 0;

  constructor(names: Readonly<Record<string, string>> = {}) {
    this.#names = names;
  }

  /** Tunnels that are up. */
  get open(): number {
    return this.#open;
  }

  /** Connections of any kind. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** A socket that ends with the proxy, whatever becomes of it. */
  hold<T extends Socket>(socket: T): T {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    return socket;
  }

  /** A connection to a server. Rejects with the error of the network. */
  async reach(host: string, port: number): Promise<Socket> {
    const socket = this.hold(connect({ host: this.#names[host] ?? host, port, noDelay: true }));
    await once(socket, 'connect');
    return socket;
  }

  /** From now on what comes on one side goes out on the other, and both end together. */
  join(client: Socket, server: Socket): void {
    this.#open++;
    client.pipe(server).pipe(client);
    client.once('close', () => {
      this.#open--;
      server.destroy();
    });
    server.once('close', () => client.destroy());
    if (client.destroyed) server.destroy();
  }

  /** Breaks all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
