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
 * Who takes part in a spec of tunnels: all of it ends with the test.
 */

/** A proxy by HTTP CONNECT; with `tls`, one that is reached by TLS. */
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

/** A road to a port of this machine. */
export const roadTo = (port: number, rest: Partial<DialOptions> = {}): DialOptions => ({
  protocol: 'mqtt',
  host: '127.0.0.1',
  port,
  ...rest,
});

/** A socket to a port of this machine, as the transports here have them. */
export async function socketTo(port: number): Promise<Socket> {
  return held(await openSocket(roadTo(port), new AbortController().signal));
}

/** Reads so many bytes, as text. The socket is paused before and after. */
export async function read(socket: Socket, length: number): Promise<string> {
  let text = '';
  const take = (bytes: Buffer): void => void (text += bytes.toString());
  socket.on('data', take).resume();
  while (text.length < length) await once(socket, 'data');
  socket.pause().off('data', take);
  return text;
}

/** What a promise rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}

/** All that an error has to tell: its message, stack, causes and properties, hidden ones too. */
export const everythingOf = (error: unknown): string =>
  inspect(error, { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null });
