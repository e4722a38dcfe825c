/** Opens tunnels through a proxy. */

import { isIP, type Socket } from 'node:net';
import { domainToASCII } from 'node:url';
import type * as ProxyFromEnv from 'proxy-from-env';
import { messageOf } from '../errors.ts';
import { requestTunnel } from './http-proxy.ts';
import type { ProxyOptions, TlsOptions } from './options.ts';
import { loadPackage } from '../packages.ts';
import { parseProxyUrl, type ProxyServer } from './proxy-url.ts';
import { negotiateTunnel } from './socks-proxy.ts';
import { openSocket } from './tcp.ts';
import type { DialContext, DialOptions } from './transport.ts';
import { authorityOf } from './url.ts';

/** The variables that `getProxyForUrl()` reads for an `https:` URL, in its order. */
const VARIABLES = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'] as const;

/**
 * Opens a socket to the server through its proxy. It is paused, as one of `openSocket()`. Returns undefined for Unix
 * sockets and if the environment names no proxy for this server.
 *
 * Error messages begin with `proxy:` or mention the proxy. They contain nothing that was sent to the proxy, and of its
 * answer only the status and its text: anything else could be or repeat a password.
 */
export async function openTunnel(
  dialOptions: DialOptions,
  context: DialContext,
): Promise<Socket | undefined> {
  const { proxy, protocol } = dialOptions;
  if (proxy === undefined || protocol === 'mqtt+unix') return undefined;
  const options = proxy === 'environment' ? await environmentProxy(dialOptions) : proxy;
  if (options === undefined) return undefined;
  const server = parseProxyUrl(options.url, proxy === 'environment' ? 'proxy of the environment' : 'proxy');
  const destination = { host: destinationHost(dialOptions.host), port: dialOptions.port };
  const socket = await connectToProxy(server, options.tls, dialOptions, context);
  await destroyOnFailure(socket, context.signal, () =>
    server.kind === 'socks5'
      ? negotiateTunnel(socket, server, destination)
      : requestTunnel(socket, server, destination, options.headers),
  );
  return socket;
}

/** The proxy for this server in the environment: that of `https_proxy`, which is for connections through tunnels. */
async function environmentProxy({ host, port }: DialOptions): Promise<ProxyOptions | undefined> {
  const { getProxyForUrl } = (await loadPackage(
    'proxy-from-env',
    'proxy: "environment"',
  )) as typeof ProxyFromEnv;
  const url = getProxyForUrl(`https://${authorityOf(host, port)}`);
  if (url === '') return undefined;
  // The package adds the scheme of the server URL to a variable without one. By convention it means a proxy without TLS.
  const hasNoScheme = VARIABLES.some((variable) => url === `https://${process.env[variable]}`);
  return { url: hasNoScheme ? url.replace('https', 'http') : url };
}

/** Connects to the proxy itself, with the TCP options of the server. */
async function connectToProxy(
  { kind, host, port }: ProxyServer,
  tls: TlsOptions | undefined,
  dialOptions: DialOptions,
  context: DialContext,
): Promise<Socket> {
  const { signal } = context;
  const { tls: _, ...rest } = dialOptions;
  try {
    if (kind !== 'https') return await openSocket({ ...rest, protocol: 'mqtt', host, port }, signal);
    const { openTls } = await import('./tls.ts');
    // TLS to the proxy is part of the phase `dial`; the phase `tls` is for TLS to the server.
    return await openTls(
      { ...rest, protocol: 'mqtts', host, port, ...(tls !== undefined && { tls }) },
      { ...context, onPhase() {} },
    );
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new Error(`proxy: ${messageOf(cause)}`, { cause });
  }
}

/** Runs `handshake`. Destroys `socket` if that fails, or as soon as `signal` aborts. */
async function destroyOnFailure(
  socket: Socket,
  signal: AbortSignal,
  handshake: () => Promise<void>,
): Promise<void> {
  const onAbort = (): void => void socket.destroy();
  signal.addEventListener('abort', onAbort);
  try {
    signal.throwIfAborted();
    await handshake();
    signal.throwIfAborted();
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** The host for a proxy: an IP address or an ASCII name. */
function destinationHost(host: string): string {
  if (isIP(host) !== 0) return host;
  // At one of these characters, `domainToASCII()` would cut the name off or decode it.
  const name = /[\s/\\?#@:%]/.test(host) ? '' : domainToASCII(host);
  if (name === '') throw new Error('proxy: expected the host of the server to be a name or an IP address');
  return name;
}
