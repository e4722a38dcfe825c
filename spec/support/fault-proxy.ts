import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** What a slow link lets through at once, in ms of its rate: a real one drips, and is never silent for long. */
const DRIP = 50;

/** One connection through the proxy, cut in two. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Breaks a connection. One that is already being closed cannot be reset any more: Node would keep its handle for ever. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** Real TCP between a client and a broker, with the faults of real networks. What it does, it does to all connections. */
export class FaultProxy {
  readonly port: number;
  readonly url: string;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  /** Halves whose other half is gone, and sockets that never had one. */
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

  /** Listens on a free port, and connects to `target` on this machine whenever somebody connects. */
  static async to(target: number): Promise<FaultProxy> {
    const server = createServer({ noDelay: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FaultProxy(server, target);
  }

  /** Connections that are up on both sides. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** From now on lets so many bytes per second through, each way; `Infinity`: as many as come. */
  slow(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** From now on lets nothing through, either way. Connections stay up, and new ones come about. */
  freeze(): void {
    this.#isFrozen = true;
    for (const { client, server } of this.#pairs) for (const socket of [client, server]) socket.pause();
  }

  /** Lets through again, beginning with what has come meanwhile. */
  thaw(): void {
    this.#isFrozen = false;
    for (const { client, server } of this.#pairs) for (const socket of [client, server]) socket.resume();
  }

  /** Closes all connections, in order. */
  cut(): void {
    for (const { client, server } of this.#pairs) for (const socket of [client, server]) socket.destroySoon();
  }

  /** Breaks all connections: both sides get an error. */
  reset(): void {
    for (const { client, server } of this.#pairs) for (const socket of [client, server]) reset(socket);
  }

  /** The broker's side of all connections is gone, and the client's side is not told: what it sends vanishes. */
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

  /** Ends it, with all connections. */
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
      // Whatever ends on one side ends on the other, as long as the two belong together.
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
