import { once } from 'node:events';
import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import { openSocket } from '../../lib/transport/tcp.ts';
import type { DialOptions } from '../../lib/transport/transport.ts';
import { atEnd, held } from './endings.ts';
import { HttpProxy, type HttpProxyOptions } from './http-proxy.ts';
import { SocksProxy } from './socks-proxy.ts';
import type { ProxyOptions } from './tunnels.ts';

/*
 * Participants of specs about tunnels. All are closed when the test ends.
 */

/** An HTTP CONNECT proxy; with `tls`, clients use TLS to the proxy. */
export async function httpProxy(options: HttpProxyOptions = {}): Promise<HttpProxy> {
  const proxy = await HttpProxy.start(options);
  atEnd(() => proxy.close());
  return proxy;
}

export async function socksProxy(options: ProxyOptions = {}): Promise<SocksProxy> {
  const proxy = await SocksProxy.start(options);
  atEnd(() => proxy.close());
  return proxy;
}

/** The options to connect to a port of this machine. */
export const serverAt = (port: number, rest: Partial<DialOptions> = {}): DialOptions => ({
  protocol: 'mqtt',
  host: '127.0.0.1',
  port,
  ...rest,
});

/** A socket to a local port, as the transports create them. */
export async function socketTo(port: number): Promise<Socket> {
  return held(await openSocket(serverAt(port), new AbortController().signal));
}

/** Reads a number of bytes, as text. The socket is paused before and after. */
export async function read(socket: Socket, length: number): Promise<string> {
  let text = '';
  const take = (bytes: Buffer): void => void (text += bytes.toString());
  socket.on('data', take).resume();
  while (text.length < length) await once(socket, 'data');
  socket.pause().off('data', take);
  return text;
}

/** The error with which a promise rejects. */
export async function errorOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}

/** All text of an error: message, stack, causes and properties, including hidden ones. */
export const everythingOf = (error: unknown): string =>
  inspect(error, { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null });
