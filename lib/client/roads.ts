/** The options that say which way to go: checked and copied. */

import { isIP } from 'node:net';
import type { ProxyOptions, SocketOptions, TlsOptions, WebSocketOptions } from '../transport/options.ts';
import { parseProxyUrl } from '../transport/proxy-url.ts';
import type { Dial, Road } from '../transport/transport.ts';
import { flag, integer, oneOf, record, string, wrongType } from './checks.ts';
import { toTls } from './tls-options.ts';
import { toHeaders, toWebSocket } from './websocket-options.ts';

/** Options of the way to the server. */
export interface RoadOptions extends SocketOptions {
  /** For `mqtts:` and `wss:`. @default the server is verified by the authorities that the system knows */
  readonly tls?: TlsOptions;
  /** For `ws:` and `wss:`. */
  readonly ws?: WebSocketOptions;
  /**
   * A proxy, with a URL alone or more; `"environment"`: the one that `https_proxy` or `all_proxy` names, unless
   * `no_proxy` excepts the server, which takes the package `proxy-from-env`. It is asked for every attempt, as for
   * `https://host:port`: MQTT takes tunnels, whatever is over it, and `http_proxy` is for what does not. There is none
   * for Unix sockets. @default none
   */
  readonly proxy?: string | URL | ProxyOptions;
  /** Opens Network Connections in place of the transports here. */
  readonly transport?: Dial;
}

/** What the options come to: what is added to a target to make a road of it. */
export type RoadSettings = Omit<Road, 'protocol' | 'host' | 'port' | 'path'>;

export const ROAD_KEYS: readonly (keyof RoadOptions)[] = [
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
export function toRoad(given: RoadOptions): RoadSettings {
  const { tls, ws, proxy, localAddress, localPort, family, noDelay, tcpKeepAlive } = given;
  if (localAddress !== undefined) {
    const own = isIP(toLocalAddress(localAddress));
    if (family !== undefined && oneOf('family', family, [4, 6]) !== own)
      throw new TypeError(`family: expected ${own} as localAddress has it, or none, got ${family}`);
  }
  return {
    ...(tls !== undefined && { tls: toTls('tls', tls) }),
    ...(ws !== undefined && { ws: toWebSocket(ws) }),
    ...(proxy !== undefined && { proxy: toProxy(proxy) }),
    ...(localAddress !== undefined && { localAddress }),
    ...(localPort !== undefined && { localPort: integer('localPort', localPort, 1, 65_535) }),
    ...(family !== undefined && { family: oneOf('family', family, [4, 6]) }),
    ...(noDelay !== undefined && { noDelay: flag('noDelay', noDelay) }),
    ...(tcpKeepAlive !== undefined && {
      tcpKeepAlive: integer('tcpKeepAlive', tcpKeepAlive, 0, LONGEST_IDLE),
    }),
  };
}

/** An address of this machine. */
export function toLocalAddress(localAddress: string): string {
  if (isIP(string('localAddress', localAddress)) === 0)
    throw new TypeError('localAddress: expected an address of IPv4 or IPv6, got a string that is none');
  return localAddress;
}

/** A `Dial` of the application's own. */
export function toTransport(transport: Dial): Dial {
  if (typeof transport !== 'function') throw wrongType('transport', 'a function', transport);
  return transport;
}

/** What there is to warn of. */
export function warnings({ tls, proxy }: RoadSettings): readonly string[] {
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

function toProxy(given: NonNullable<RoadOptions['proxy']>): NonNullable<RoadSettings['proxy']> {
  if (given === 'environment') return given;
  const isBare = typeof given === 'string' || isUrl(given);
  if (!isBare && typeof given !== 'object')
    throw wrongType('proxy', 'a URL, "environment" or an object', given);
  const options = isBare
    ? { url: given }
    : (record('proxy', given, ['url', 'headers', 'tls']) as unknown as ProxyOptions);
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
