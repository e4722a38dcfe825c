/** The options that say which way to go: checked and copied. */

import { isIP } from 'node:net';
import type { ProxyOptions, SocketOptions, TlsOptions, WebSocketOptions } from '../../transport/options.ts';
import { parseProxyUrl } from '../../transport/proxy-url.ts';
import type { Dial, Protocol, DialOptions, DialTarget, Transport } from '../../transport/transport.ts';
import { boolean, integer, oneOf, checkKeys, string, wrongType } from './validate.ts';
import { toTls } from './tls-options.ts';
import { toHeaders, toWebSocket } from './websocket-options.ts';

/** Options of the way to the server. */
export interface NetworkOptions extends SocketOptions {
  /** For `mqtts:` and `wss:`. @default the server is verified by the authorities that the system knows */
  readonly tls?: TlsOptions | undefined;
  /** For `ws:` and `wss:`. */
  readonly ws?: WebSocketOptions | undefined;
  /**
   * A proxy, with a URL alone or more; `"environment"`: the one that `https_proxy` or `all_proxy` names, unless
   * `no_proxy` excepts the server, which takes the package `proxy-from-env`. It is asked for every attempt, as for
   * `https://host:port`: MQTT takes tunnels, whatever is over it, and `http_proxy` is for what does not. There is none
   * for Unix sockets. @default none
   */
  readonly proxy?: string | URL | ProxyOptions | undefined;
  /** Opens Network Connections in place of the transports here. */
  readonly transport?: Dial | undefined;
}

/** What the options come to: what is added to a target to make a road of it. */
export type NetworkSettings = Omit<DialOptions, 'protocol' | 'host' | 'port' | 'path'>;

export const NETWORK_KEYS: readonly (keyof NetworkOptions)[] = [
  'tls',
  'ws',
  'proxy',
  'transport',
  'localAddress',
  'localPort',
  'family',
  'noDelay',
  'tcpKeepAlive',
];

/** ms that systems can wait before they ask: 15 bits of seconds. */
const LONGEST_IDLE = 32_767_000;

/** Checks what concerns the way, and copies it. */
export function toNetworkSettings(given: NetworkOptions): NetworkSettings {
  const { tls, ws, proxy, localAddress, localPort, family, noDelay, tcpKeepAlive } = given;
  if (localAddress !== undefined) toLocalAddress(localAddress, family);
  return {
    ...(tls !== undefined && { tls: toTls('tls', tls) }),
    ...(ws !== undefined && { ws: toWebSocket(ws) }),
    ...(proxy !== undefined && { proxy: toProxy(proxy) }),
    ...(localAddress !== undefined && { localAddress }),
    ...(localPort !== undefined && { localPort: integer('localPort', localPort, 1, 65_535) }),
    ...(family !== undefined && { family: oneOf('family', family, [4, 6]) }),
    ...(noDelay !== undefined && { noDelay: boolean('noDelay', noDelay) }),
    ...(tcpKeepAlive !== undefined && {
      tcpKeepAlive: integer('tcpKeepAlive', tcpKeepAlive, 0, LONGEST_IDLE),
    }),
  };
}

/** An address of this machine, of `family` where that is given. */
export function toLocalAddress(localAddress: string, family?: 4 | 6): string {
  const own = isIP(string('localAddress', localAddress));
  if (own === 0)
    throw new TypeError('localAddress: expected an address of IPv4 or IPv6, got a string that is none');
  if (family !== undefined && oneOf('family', family, [4, 6]) !== own)
    throw new TypeError(`family: expected ${own} as localAddress has it, or none, got ${family}`);
  return localAddress;
}

export function localAddressOf({ localAddress }: NetworkSettings): Pick<DialTarget, 'localAddress'> {
  return localAddress === undefined ? {} : { localAddress };
}

/** What a transport has to have, or using it would take the process down. */
const METHODS = ['open', 'write', 'pause', 'resume', 'end', 'destroy'] as const;

/** A `Dial` of the application's own. What it comes to is checked, as a stream is easily taken for a transport. */
export function toTransport(dial: Dial): Dial {
  if (typeof dial !== 'function') throw wrongType('transport', 'a function', dial);
  return async (target, signal) => {
    const transport = (await dial(target, signal)) as Partial<Transport> | null | undefined;
    if (METHODS.every((method) => typeof transport?.[method] === 'function')) return transport as Transport;
    // Nobody else has it to close it.
    if (typeof transport?.destroy === 'function') transport.destroy();
    throw wrongType('transport', 'a Transport, such as transportOver() makes of a stream', transport);
  };
}

/** Ways of our own, which a transport of the application's own takes the place of. */
const OURS: readonly (keyof NetworkOptions)[] = [
  'tls',
  'proxy',
  'localPort',
  'family',
  'noDelay',
  'tcpKeepAlive',
];

/** Throws where an option would mean nothing on any of the ways there are. `any`: what is asked for. */
export function checkUse(given: NetworkOptions, protocols: readonly (Protocol | 'any')[]): void {
  const { tls, ws, proxy, transport } = given;
  const goesOver = (...some: readonly (Protocol | 'any')[]): boolean =>
    protocols.some((protocol) => protocol === 'any' || some.includes(protocol));
  if (transport !== undefined) {
    const idle = OURS.find((key) => given[key] !== undefined);
    if (idle !== undefined)
      throw new TypeError(`${idle}: expected none beside transport, which takes the place of that`);
    const { path: _, ...rest } = ws ?? {};
    const [key] = Object.entries(rest).find(([, value]) => value !== undefined) ?? [];
    if (key !== undefined)
      throw new TypeError(`ws.${key}: expected none beside transport, which takes the place of that`);
  }
  // What was meant to be secure must not go out in the clear.
  if (tls !== undefined && !goesOver('mqtts', 'wss'))
    throw new TypeError(`tls: expected a URL that begins with mqtts: or wss:, got ${protocols[0]}:`);
  if (ws !== undefined && !goesOver('ws', 'wss'))
    throw new TypeError(`ws: expected a URL that begins with ws: or wss:, got ${protocols[0]}:`);
  if (goesOver('mqtt', 'mqtts', 'ws', 'wss')) return;
  const { localAddress, localPort, family, noDelay, tcpKeepAlive } = given;
  // What the environment says is for whom it may concern.
  const over = {
    localAddress,
    localPort,
    family,
    noDelay,
    tcpKeepAlive,
    ...(proxy !== 'environment' && { proxy }),
  };
  for (const [key, value] of Object.entries(over))
    if (value !== undefined)
      throw new TypeError(`${key}: expected none with mqtt+unix:, which has no such thing`);
}

/** What there is to warn of. */
export function warnings({ tls, proxy }: NetworkSettings): readonly string[] {
  const ofProxy = typeof proxy === 'object' ? proxy.tls : undefined;
  return [...insecure('tls', 'server', tls), ...insecure('proxy.tls', 'proxy', ofProxy)];
}

function insecure(name: string, who: string, tls: TlsOptions | undefined): string[] {
  if (tls?.rejectUnauthorized === false)
    return [`${name}.rejectUnauthorized is off: anybody can pretend to be the ${who}`];
  if (tls?.verifyHostname !== false) return [];
  return [
    `${name}.verifyHostname is off: whoever has a certificate of a known authority can pretend to be the ${who}`,
  ];
}

function toProxy(given: NonNullable<NetworkOptions['proxy']>): NonNullable<NetworkSettings['proxy']> {
  if (given === 'environment') return given;
  const isBare = typeof given === 'string' || isUrl(given);
  if (!isBare && typeof given !== 'object')
    throw wrongType('proxy', 'a URL, "environment" or an object', given);
  const options = isBare
    ? { url: given }
    : (checkKeys('proxy', given, ['url', 'headers', 'tls']) as unknown as ProxyOptions);
  const { headers, tls } = options;
  const url: unknown = isUrl(options.url) ? options.url.href : options.url;
  if (typeof url !== 'string') throw wrongType('proxy.url', 'a URL', url);
  const { kind } = parseProxyUrl(url);
  if (headers !== undefined && kind === 'socks5')
    throw new TypeError('proxy.headers: expected none with SOCKS, which has no header fields');
  if (tls !== undefined && kind !== 'https')
    throw new TypeError('proxy.tls: expected none with a proxy that is not reached by TLS (https:)');
  return {
    url: new URL(url),
    ...(headers !== undefined && { headers: toHeaders('proxy.headers', headers) }),
    ...(tls !== undefined && { tls: toTls('proxy.tls', tls) }),
  };
}

function isUrl(value: unknown): value is URL {
  return typeof value === 'object' && value !== null && 'href' in value && typeof value.href === 'string';
}
