import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Size of a piece on a slow link, in ms of its rate. It is small, as a real link is never silent for long. */
const DRIP = 50;

/** The two sockets of one connection through the proxy. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Resets a connection. If it is already closing, it destroys it: after a reset Node would keep the handle for ever. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** A TCP proxy with the faults of real networks. Each method affects all connections. */
export class FaultProxy {
  readonly port: number;
  readonly url: string;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  /** Sockets whose other side is closed, or was never connected. */
  readonly #strays = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #bytesPerSecond = Infinity;
  #isFrozen = false;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    this.url = `mqtt://127.0.0.1:${this.port}`;
    server.on('connection', (client: Socket) =>
      this.#join(client, connect({ port: target, host: '127.0.0.1', noDelay: true })),
    );
  }

  /** Listens on a free port, and opens a connection to the local port `target` for each client. */
  static async to(target: number): Promise<FaultProxy> {
    const server = createServer({ noDelay: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FaultProxy(server, target);
  }

  /** Connections that are open on both sides. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Limits the bytes per second in each direction; `Infinity`: no limit. */
  slow(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Forwards nothing from now on, in either direction. Connections stay open; new ones are accepted. */
  freeze(): void {
    this.#isFrozen = true;
    for (const { client, server } of this.#pairs) for (const socket of [client, server]) socket.pause();
  }

  /** Forwards again, beginning with the bytes received meanwhile. */
  thaw(): void {
    this.#isFrozen = false;
    for (const { client, server } of this.#pairs) for (const socket of [client, server]) socket.resume();
  }

  /** Closes all connections in order. */
  cut(): void {
    for (const { client, server } of this.#pairs) for (const socket of [client, server]) socket.destroySoon();
  }

  /** Resets all connections: both sides get an error. */
  reset(): void {
    for (const { client, server } of this.#pairs) for (const socket of [client, server]) reset(socket);
  }

  /** Closes the broker's side of all connections, without notice to the client. Bytes of the client are discarded. */
  halfOpen(): void {
    for (const pair of this.#pairs) {
      this.#pairs.delete(pair);
      this.#strays.add(pair.client);
      pair.client.removeAllListeners('data');
      pair.client.on('data', () => {});
      pair.client.resume();
      pair.server.destroy();
    }
  }

  /** Closes the proxy and all connections. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    const sockets = [...this.#strays, ...[...this.#pairs].flatMap(({ client, server }) => [client, server])];
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket, server: Socket): void {
    const pair: Pair = { client, server };
    this.#pairs.add(pair);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('error', () => {});
      from.on('data', (bytes) => this.#forward(pair, from, to, bytes));
      // A side that closes also closes the other one, unless they were separated.
      from.on('close', (hadError) => {
        this.#strays.delete(from);
        if (!this.#pairs.delete(pair)) return;
        if (hadError) reset(to);
        else to.destroySoon();
        this.#strays.add(to);
      });
      if (this.#isFrozen) from.pause();
      else from.resume();
    }
  }

  #forward(pair: Pair, from: Socket, to: Socket, bytes: Buffer): void {
    const goOn = (): void => {
      if (!this.#isFrozen && this.#pairs.has(pair)) from.resume();
    };
    if (this.#bytesPerSecond === Infinity) {
      if (to.write(bytes)) return;
      from.pause();
      to.once('drain', goOn);
      return;
    }
    from.pause();
    const length = Math.min(bytes.length, Math.ceil((this.#bytesPerSecond * DRIP) / 1000));
    if (length < bytes.length) from.unshift(bytes.subarray(length));
    to.write(bytes.subarray(0, length));
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        goOn();
      },
      (length / this.#bytesPerSecond) * 1000,
    );
    this.#timers.add(timer);
  }
}
