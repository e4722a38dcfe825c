import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, STATUS_CODES, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Socket } from 'node:net';
import { Proxy, type ProxyOptions } from './tunnels.ts';

export interface HttpProxyOptions extends ProxyOptions {
  /** With these options, clients use TLS to the proxy. */
  readonly tls?: { readonly key: string | Buffer; readonly cert: string | Buffer };
}

/** One CONNECT request. */
export interface Asked {
  /** `host:port`, as received. */
  readonly authority: string;
  readonly headers: IncomingHttpHeaders;
}

/** An HTTP proxy for CONNECT tunnels, on a free local port. */
export class HttpProxy extends Proxy {
  /** All requests, successful or not. */
  readonly asked: Asked[] = [];

  private constructor(server: Server, options: HttpProxyOptions) {
    super(server, options.tls === undefined ? 'http' : 'https', options);
    server.on('connect', ({ url = '', headers }, socket: Socket, head: Uint8Array) => {
      this.asked.push({ authority: url, headers });
      // HTTP servers leave a connection open after the other side has ended.
      this.tunnels.hold(socket).on('end', () => socket.end());
      void this.#connect(url, headers['proxy-authorization'], socket, head);
    });
  }

  static async start(options: HttpProxyOptions = {}): Promise<HttpProxy> {
    const server = options.tls === undefined ? createServer() : createSecureServer(options.tls);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new HttpProxy(server, options);
  }

  async #connect(
    authority: string,
    authorization: string | undefined,
    socket: Socket,
    head: Uint8Array,
  ): Promise<void> {
    if (this.answer === 'silence') {
      socket.resume();
      return;
    }
    if (typeof this.answer === 'object') {
      socket.end('bytes' in this.answer ? this.answer.bytes : statusLine(this.answer.status));
      return;
    }
    if (this.credentials !== undefined) {
      const { username, password } = this.credentials;
      const token = Buffer.from(`${username}:${password}`).toString('base64');
      if (authorization !== `Basic ${token}`) {
        socket.end(statusLine(407));
        return;
      }
    }
    const { hostname, port } = new URL(`tunnel://${authority}`);
    try {
      const server = await this.tunnels.reach(hostname.replaceAll(/[[\]]/g, ''), Number(port));
      socket.write(Buffer.concat([Buffer.from(statusLine(200)), Buffer.from(this.head)]));
      server.write(head);
      this.tunnels.join(socket, server);
    } catch {
      socket.end(statusLine(502));
    }
  }
}

const statusLine = (status: number): string => `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n\r\n`;
