import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Proxy, type ProxyOptions } from './tunnels.ts';

/** One CONNECT request. */
export interface AskedOfSocks {
  /** The type of the address. */
  readonly form: 'ipv4' | 'name' | 'ipv6';
  readonly host: string;
  readonly port: number;
}

/** A SOCKS5 proxy (RFC 1928, 1929) on a free local port. `status` of an answer is the reply code. */
export class SocksProxy extends Proxy {
  /** All requests, successful or not. */
  readonly asked: AskedOfSocks[] = [];
  /** User names and passwords received. */
  readonly shown: string[] = [];

  private constructor(server: Server, options: ProxyOptions) {
    super(server, 'socks5', options);
    server.on('connection', (socket: Socket) => {
      // A client that closed during the handshake gets no answer.
      this.#serve(socket).catch(() => socket.destroy());
    });
  }

  static async start(options: ProxyOptions = {}): Promise<SocksProxy> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new SocksProxy(server, options);
  }

  async #serve(socket: Socket): Promise<void> {
    const [, count = 0] = await take(socket, 2);
    const methods = [...(await take(socket, count))];
    const { answer } = this;
    if (typeof answer === 'object' && 'bytes' in answer) {
      socket.end(answer.bytes);
      return;
    }
    const method = this.credentials === undefined ? 0 : 2;
    if (!methods.includes(method)) {
      socket.end(Buffer.of(5, 0xff));
      return;
    }
    socket.write(Buffer.of(5, method));
    if (method === 2 && !(await this.#mayPass(socket))) return;
    const asked = await request(socket);
    this.asked.push(asked);
    if (answer === 'silence') {
      socket.resume();
      return;
    }
    if (answer !== 'a tunnel') {
      socket.end(reply(answer.status));
      return;
    }
    try {
      const server = await this.tunnels.reach(asked.host, asked.port);
      socket.write(Buffer.concat([reply(0), Buffer.from(this.head)]));
      this.tunnels.join(socket, server);
    } catch {
      socket.end(reply(5));
    }
  }

  async #mayPass(socket: Socket): Promise<boolean> {
    const [, length = 0] = await take(socket, 2);
    const username = (await take(socket, length)).toString();
    const password = await text(socket);
    this.shown.push(`${username}:${password}`);
    const isRight = username === this.credentials?.username && password === this.credentials.password;
    if (isRight) socket.write(Buffer.of(1, 0));
    else socket.end(Buffer.of(1, 1));
    return isRight;
  }
}

async function request(socket: Socket): Promise<AskedOfSocks> {
  const [, , , type] = await take(socket, 4);
  if (type === 1)
    return { form: 'ipv4', host: (await take(socket, 4)).join('.'), port: await portOf(socket) };
  if (type === 3) return { form: 'name', host: await text(socket), port: await portOf(socket) };
  const groups = (await take(socket, 16)).toString('hex').match(/.{4}/g) as string[];
  const { hostname } = new URL(`http://[${groups.join(':')}]`);
  return { form: 'ipv6', host: hostname.slice(1, -1), port: await portOf(socket) };
}

/** Reads a field whose first byte is its length. */
async function text(socket: Socket): Promise<string> {
  const [length = 0] = await take(socket, 1);
  return (await take(socket, length)).toString();
}

const portOf = async (socket: Socket): Promise<number> => (await take(socket, 2)).readUInt16BE();

const reply = (code: number): Buffer => Buffer.of(5, code, 0, 1, 127, 0, 0, 1, 0, 0);

/** Reads exactly `length` bytes and leaves the rest. Rejects if the stream ends before. */
async function take(socket: Socket, length: number): Promise<Buffer> {
  if (length === 0) return Buffer.alloc(0);
  for (;;) {
    const bytes = socket.read(length) as Buffer | null;
    if (bytes?.length === length) return bytes;
    if (socket.readableEnded || socket.destroyed) throw new Error('the client closed the connection');
    await new Promise<void>((resolve) => {
      const go = (): void => {
        socket.off('readable', go);
        socket.off('close', go);
        resolve();
      };
      socket.on('readable', go);
      socket.on('close', go);
    });
  }
}
