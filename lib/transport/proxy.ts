/** Tunnels through a proxy: which one, how it is reached, and who holds the socket meanwhile. */

import { isIP, type Socket } from 'node:net';
import { domainToASCII } from 'node:url';
import { messageOf } from '../errors.ts';
import type * as ProxyFromEnv from 'proxy-from-env';
import { requestTunnel } from './http-proxy.ts';
import type { ProxyOptions, TlsOptions } from './options.ts';
import { loadPackage } from './packages.ts';
import { parseProxyUrl, type ProxyServer } from './proxy-url.ts';
import { negotiateTunnel } from './socks-proxy.ts';
import { openSocket } from './tcp.ts';
import type { DialContext, DialOptions } from './transport.ts';

/** One object for all: what is prepared for it is prepared once. */
const DEFAULTS: TlsOptions = Object.freeze({});

/** Where `https_proxy` is looked for, in this order. */
const VARIABLES = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'] as const;

/**
 * A socket to the server of a road through its proxy. It is paused, as one of `openSocket()` is. Undefined for Unix
 * sockets, and where the environment names no proxy for this server.
 *
 * Whatever goes wrong is told as that of the proxy. What is told holds nothing of what the proxy was sent, nor
 * of its answer beyond the status and the words with it: either may be a password.
 */
export async function openTunnel(
  dialOptions: DialOptions,
  signal: AbortSignal,
  context: DialContext,
): Promise<Socket | undefined> {
  const { proxy, protocol } = dialOptions;
  if (proxy === undefined || protocol === 'mqtt+unix') return undefined;
  const options = proxy === 'environment' ? await named(dialOptions) : proxy;
  if (options === undefined) return undefined;
  const server = parseProxyUrl(options.url, proxy === 'environment' ? 'proxy of the environment' : 'proxy');
  const destination = { host: nameOf(dialOptions.host), port: dialOptions.port };
  const socket = await reach(server, options, dialOptions, signal, context);
  return during(socket, signal, () =>
    server.kind === 'socks5'
      ? negotiateTunnel(socket, server, destination)
      : requestTunnel(socket, server, destination, options.headers),
  );
}

/** What the environment names. `https_proxy` is for what goes through tunnels, and MQTT does, whatever is over it. */
async function named({ host, port }: DialOptions): Promise<ProxyOptions | undefined> {
  const { getProxyForUrl } = (await loadPackage(
    'proxy-from-env',
    'proxy: "environment"',
  )) as typeof ProxyFromEnv;
  const url = getProxyForUrl(`https://${isIP(host) === 6 ? `[${host}]` : host}:${port}`);
  if (url === '') return undefined;
  // Without a scheme it would be the one that was asked with; everywhere else such a proxy is one without TLS.
  const isBare = VARIABLES.some((variable) => url === `https://${process.env[variable]}`);
  return { url: isBare ? url.replace('https', 'http') : url };
}

/** A connection to the proxy itself: what holds for sockets of the road holds for it. */
async function reach(
  { kind, host, port }: ProxyServer,
  { tls = DEFAULTS }: ProxyOptions,
  dialOptions: DialOptions,
  signal: AbortSignal,
  context: DialContext,
): Promise<Socket> {
  try {
    if (kind !== 'https') return await openSocket({ ...dialOptions, protocol: 'mqtt', host, port }, signal);
    const { openTls } = await import('./tls.ts');
    // It is the way to the server that has come to this phase, not the way to the proxy.
    const ahead: DialContext = { ...context, onPhase() {} };
    return await openTls({ ...dialOptions, protocol: 'mqtts', host, port, tls }, signal, ahead);
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new Error(`proxy: ${messageOf(cause)}`, { cause });
  }
}

/** A socket while it is asked for a tunnel: it goes with the attempt, or where there is none. */
async function during(socket: Socket, signal: AbortSignal, ask: () => Promise<void>): Promise<Socket> {
  const abort = (): void => void socket.destroy();
  signal.addEventListener('abort', abort);
  try {
    signal.throwIfAborted();
    await ask();
    signal.throwIfAborted();
    return socket;
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** The host as a proxy takes it: an address, or a name in ASCII. */
function nameOf(host: string): string {
  if (isIP(host) !== 0) return host;
  // Where one of these stands, what is behind it would be cut off, or be taken for something else.
  const name = /[\s/\\?#@:%]/.test(host) ? '' : domainToASCII(host);
  if (name === '') throw new Error('proxy: expected a server with a name or an address, got neither');
  return name;
}
