/** The options of how to reach the server: checked and copied. */

import { isIP } from 'node:net';
import type { ProxyOptions, TlsOptions } from '../../transport/options.ts';
import { parseProxyUrl } from '../../transport/proxy-url.ts';
import type { Dial, Protocol, DialOptions, Transport } from '../../transport/transport.ts';
import { callable, checkObject, oneOf, string, wrongType, type Checks } from './validate.ts';
import { toTls } from './tls-options.ts';
import { toHeaders } from './websocket-options.ts';

/** The network options without those of the target. What was not given is absent. */
export type NetworkSettings = Omit<DialOptions, 'protocol' | 'host' | 'port' | 'path'>;

/** A local address, of `family` if that is given. */
export function toLocalAddress(value: unknown, family?: 4 | 6): string {
  const localAddress = string('localAddress', value);
  const own = isIP(localAddress);
  if (own === 0) throw wrongType('localAddress', 'an IPv4 or IPv6 address', value);
  if (family !== undefined && oneOf('family', family, [4, 6]) !== own)
    throw new TypeError(`family: expected ${own}, the family of localAddress, got ${family}`);
  return localAddress;
}

/** Methods without which a transport would crash the client. */
const METHODS = ['open', 'write', 'pause', 'resume', 'end', 'destroy'] as const;

/** A `Dial` of the application. Its result is checked, as a stream is easily mistaken for a transport. */
export function toTransport(name: string, value: unknown): Dial {
  const dial = callable<Dial>(name, value);
  return async (target, signal) => {
    const transport = (await dial(target, signal)) as Partial<Transport> | null | undefined;
    if (METHODS.every((method) => typeof transport?.[method] === 'function')) return transport as Transport;
    // Nothing else has a reference to close it.
    if (typeof transport?.destroy === 'function') transport.destroy();
    throw wrongType(name, 'a Transport, such as transportOver(stream) returns', transport);
  };
}

/** Refuses options that have no effect with any of the servers. `any`: a URL that a function returns later. */
export function checkNetworkUse(
  network: NetworkSettings,
  transport: Dial | undefined,
  protocols: readonly (Protocol | 'any')[],
): void {
  const { tls, ws, proxy, localAddress, family } = network;
  const includes = (...some: readonly Protocol[]): boolean =>
    protocols.some((protocol) => protocol === 'any' || some.includes(protocol));
  if (localAddress !== undefined) toLocalAddress(localAddress, family);
  if (transport !== undefined) checkBesideTransport(network);
  // With the wrong scheme, data that is meant to be encrypted would be sent in the clear.
  if (tls !== undefined && !includes('mqtts', 'wss'))
    throw new TypeError(`tls: expected a URL that begins with mqtts: or wss:, got ${protocols[0]}:`);
  if (ws !== undefined && !includes('ws', 'wss'))
    throw new TypeError(`ws: expected a URL that begins with ws: or wss:, got ${protocols[0]}:`);
  if (includes('mqtt', 'mqtts', 'ws', 'wss')) return;
  // The proxy of the environment may be meant for other clients.
  const unused = Object.keys(network).find((key) => key !== 'proxy' || proxy !== 'environment');
  if (unused !== undefined)
    throw new TypeError(`${unused}: expected none with mqtt+unix:, as it has no effect on Unix sockets`);
}

/** A transport of the application gets the local address and the path, and nothing else. */
function checkBesideTransport({ ws = {}, ...network }: NetworkSettings): void {
  const given = [...Object.keys(network), ...Object.keys(ws).map((key) => `ws.${key}`)];
  const replaced = given.find((key) => key !== 'localAddress' && key !== 'ws.path');
  if (replaced !== undefined)
    throw new TypeError(`${replaced}: expected none with transport, which replaces it`);
}

export function warnings({ tls, proxy }: NetworkSettings): readonly string[] {
  const ofProxy = typeof proxy === 'object' ? proxy.tls : undefined;
  return [...insecure('tls', 'server', tls), ...insecure('proxy.tls', 'proxy', ofProxy)];
}

function insecure(name: string, peer: string, tls: TlsOptions | undefined): string[] {
  if (tls?.rejectUnauthorized === false)
    return [`${name}.rejectUnauthorized is off: anyone can pretend to be the ${peer}`];
  if (tls?.verifyHostname !== false) return [];
  return [
    `${name}.verifyHostname is off: anyone with a certificate of a trusted authority can pretend to be the ${peer}`,
  ];
}

const PROXY_CHECKS: Checks<ProxyOptions> = {
  url(name, value) {
    const url: unknown = isUrl(value) ? value.href : value;
    if (typeof url !== 'string') throw wrongType(name, 'a URL', url);
    parseProxyUrl(url);
    return new URL(url);
  },
  headers: toHeaders,
  tls: toTls,
};

export function toProxy(name: string, value: unknown): ProxyOptions | 'environment' {
  if (value === 'environment') return value;
  const isBare = typeof value === 'string' || isUrl(value);
  if (!isBare && typeof value !== 'object') throw wrongType(name, 'a URL, "environment" or an object', value);
  const { url = PROXY_CHECKS.url(`${name}.url`, undefined), ...proxy } = checkObject<ProxyOptions>(
    name,
    isBare ? { url: value } : value,
    PROXY_CHECKS,
  );
  const { kind } = parseProxyUrl(String(url));
  if (proxy.headers !== undefined && kind === 'socks5')
    throw new TypeError(`${name}.headers: expected none with SOCKS, which has no header fields`);
  if (proxy.tls !== undefined && kind !== 'https')
    throw new TypeError(`${name}.tls: expected none, as the URL of the proxy does not begin with https:`);
  return { url, ...proxy };
}

function isUrl(value: unknown): value is URL {
  return typeof value === 'object' && value !== null && 'href' in value && typeof value.href === 'string';
}
