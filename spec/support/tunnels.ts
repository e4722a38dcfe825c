import { once } from 'node:events';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';

/** How a proxy answers a request for a tunnel. After a custom answer it closes the connection. */
export type Answer =
  | 'a tunnel'
  | 'silence'
  | { readonly status: number }
  | { readonly bytes: string | Uint8Array };

/** Options of all proxies in specs. */
export interface ProxyOptions {
  /** Accepted credentials. @default all clients are accepted */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** Addresses of names that only the proxy knows. */
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

  /** Number of open tunnels. */
  get open(): number {
    return this.#open;
  }

  /** Number of open connections of any kind. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Registers a socket, which is closed with the proxy. */
  hold<T extends Socket>(socket: T): T {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    return socket;
  }

  /** Connects to a server. Rejects with the network error. */
  async reach(host: string, port: number): Promise<Socket> {
    const socket = this.hold(connect({ host: this.#names[host] ?? host, port, noDelay: true }));
    await once(socket, 'connect');
    return socket;
  }

  /** Forwards bytes between both sides, and closes both together. */
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

  /** Closes all connections at once. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** The common part of all proxies. */
export abstract class Proxy {
  readonly port: number;
  /** The URL without credentials. */
  readonly url: string;
  /** Bytes sent in one piece with the answer that accepts a tunnel. */
  head: string | Uint8Array = '';
  answer: Answer = 'a tunnel';
  readonly tunnels: Tunnels;
  /** Accepted credentials. */
  readonly credentials: ProxyOptions['credentials'];
  readonly #server: Server;
  readonly #scheme: string;

  /** `server` must be listening. */
  constructor(server: Server, scheme: string, { credentials, names }: ProxyOptions) {
    this.#server = server;
    this.#scheme = scheme;
    this.credentials = credentials;
    this.tunnels = new Tunnels(names);
    this.port = (server.address() as AddressInfo).port;
    this.url = `${scheme}://127.0.0.1:${this.port}`;
    server.on('connection', (socket: Socket) => this.tunnels.hold(socket));
  }

  /** The URL with user name and password. */
  urlFor(username: string, password: string): string {
    const user = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`;
    return `${this.#scheme}://${user}@127.0.0.1:${this.port}`;
  }

  /** Closes all connections at once. */
  cut(): void {
    this.tunnels.cut();
  }

  /** Closes the proxy and all connections. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }
}
