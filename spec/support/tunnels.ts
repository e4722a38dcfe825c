import { once } from 'node:events';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';

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

/** What proxies of all kinds have in common. */
export abstract class Proxy {
  readonly port: number;
  /** Without credentials. */
  readonly url: string;
  /** Sent with the answer that there is a tunnel, in the same piece. */
  head: string | Uint8Array = '';
  answer: Answer = 'a tunnel';
  readonly tunnels: Tunnels;
  /** Who may pass. */
  readonly credentials: ProxyOptions['credentials'];
  readonly #server: Server;
  readonly #scheme: string;

  /** `server` listens already. */
  constructor(server: Server, scheme: string, { credentials, names }: ProxyOptions) {
    this.#server = server;
    this.#scheme = scheme;
    this.credentials = credentials;
    this.tunnels = new Tunnels(names);
    this.port = (server.address() as AddressInfo).port;
    this.url = `${scheme}://127.0.0.1:${this.port}`;
    server.on('connection', (socket: Socket) => this.tunnels.hold(socket));
  }

  /** The URL with a user name and password in it. */
  urlFor(username: string, password: string): string {
    const user = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`;
    return `${this.#scheme}://${user}@127.0.0.1:${this.port}`;
  }

  /** Breaks all connections. */
  cut(): void {
    this.tunnels.cut();
  }

  /** Ends it, with all connections. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }
}
