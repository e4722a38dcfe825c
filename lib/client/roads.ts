/** The options that say which way to go: checked and copied. */

import { isIP } from 'node:net';
import type {
  Headers,
  Pem,
  ProxyOptions,
  SocketOptions,
  TlsOptions,
  WebSocketOptions,
} from '../transport/options.ts';
import { parseProxyUrl } from '../transport/proxy-url.ts';
import type { Dial, Road } from '../transport/transport.ts';
import { flag, integer, oneOf, record, string, wrongType } from './checks.ts';

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

const TLS_KEYS: readonly (keyof TlsOptions)[] = [
  'ca',
  'caFile',
  'cert',
  'certFile',
  'key',
  'keyFile',
  'pfx',
  'pfxFile',
  'passphrase',
  'rejectUnauthorized',
  'verifyHostname',
  'minVersion',
  'maxVersion',
  'ciphers',
  'alpn',
  'servername',
  'secureContext',
  'pskCallback',
];

/** What a secure context has in it already. */
const IN_CONTEXT: readonly (keyof TlsOptions)[] = [
  'ca',
  'caFile',
  'cert',
  'certFile',
  'key',
  'keyFile',
  'pfx',
  'pfxFile',
  'passphrase',
  'minVersion',
  'maxVersion',
  'ciphers',
];
/** Bytes that `ws` can count to. */
const LARGEST_MESSAGE = 2_147_483_647;
const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

/** ms that systems can wait before they ask: 15 bits of seconds. */
const LONGEST_IDLE = 32_767_000;

/** Checks what concerns the way, and copies it. */
export function toRoad(given: RoadOptions): RoadSettings {
  const { tls, ws, proxy, localAddress, localPort, family, noDelay, tcpKeepAlive } = given;
  if (localAddress !== undefined) {
    const own = isIP(string('localAddress', localAddress));
    if (own === 0)
      throw new TypeError('localAddress: expected an address of IPv4 or IPv6, got a string that is none');
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

/** A `Dial` of the application's own. */
export function toTransport(transport: Dial): Dial {
  if (typeof transport !== 'function') throw wrongType('transport', 'a function', transport);
  return transport;
}

/** What there is to warn of. */
export function warnings({ tls }: RoadSettings): readonly string[] {
  if (tls?.rejectUnauthorized === false)
    return ['tls.rejectUnauthorized is off: anybody can pretend to be the server'];
  if (tls?.verifyHostname === false)
    return [
      'tls.verifyHostname is off: whoever has a certificate of a known authority can pretend to be the server',
    ];
  return [];
}

function toTls(name: string, given: TlsOptions): TlsOptions {
  const tls = record(name, given, TLS_KEYS) as TlsOptions;
  checkClientSide(name, tls);
  checkServerSide(name, tls);
  const { minVersion, maxVersion, ciphers, secureContext } = tls;
  if (ciphers !== undefined) string(`${name}.ciphers`, ciphers);
  for (const key of ['minVersion', 'maxVersion'] as const)
    if (tls[key] !== undefined) oneOf(`${name}.${key}`, tls[key], VERSIONS);
  if (minVersion !== undefined && maxVersion !== undefined && minVersion > maxVersion)
    throw new RangeError(
      `${name}.minVersion: expected ${maxVersion}, which is maxVersion, or less, got ${minVersion}`,
    );
  for (const entry of listOf(tls.alpn)) {
    const length = Buffer.byteLength(string(`${name}.alpn`, entry));
    if (length === 0 || length > 255)
      throw new RangeError(`${name}.alpn: expected names of 1 to 255 bytes, got one of ${length}`);
  }
  if (secureContext !== undefined) {
    if (typeof secureContext !== 'object' || (secureContext as unknown) === null)
      throw wrongType(`${name}.secureContext`, 'a secure context', secureContext);
    const twice = IN_CONTEXT.find((key) => tls[key] !== undefined);
    if (twice !== undefined)
      throw new TypeError(`${name}.${twice}: expected none beside secureContext, which has one of its own`);
  }
  return {
    ...tls,
    ...(tls.ca !== undefined && { ca: listOf(tls.ca) }),
    ...(tls.caFile !== undefined && { caFile: listOf(tls.caFile) }),
    ...(tls.alpn !== undefined && { alpn: listOf(tls.alpn) }),
  };
}

/** By what a client shows who it is. */
function checkClientSide(name: string, tls: TlsOptions): void {
  const { pfx, passphrase, pskCallback } = tls;
  for (const key of ['cert', 'key'] as const) if (tls[key] !== undefined) pem(`${name}.${key}`, tls[key]);
  for (const key of ['certFile', 'keyFile', 'pfxFile'] as const)
    if (tls[key] !== undefined) string(`${name}.${key}`, tls[key]);
  for (const key of ['cert', 'key', 'pfx'] as const)
    if (tls[key] !== undefined && tls[`${key}File`] !== undefined)
      throw new TypeError(`${name}: expected ${key} or ${key}File, got both`);
  if (pfx !== undefined && !(pfx instanceof Uint8Array)) throw wrongType(`${name}.pfx`, 'bytes', pfx);
  const hasCert = tls.cert !== undefined || tls.certFile !== undefined;
  const hasKey = tls.key !== undefined || tls.keyFile !== undefined;
  const hasPfx = pfx !== undefined || tls.pfxFile !== undefined;
  if (hasCert && !hasKey)
    throw new TypeError(`${name}: expected the key of the certificate as well (key or keyFile), got none`);
  if (hasKey && !hasCert)
    throw new TypeError(`${name}: expected the certificate of the key as well (cert or certFile), got none`);
  if (hasPfx && hasCert) throw new TypeError(`${name}: expected a certificate and key, or a pfx, got both`);
  if (passphrase !== undefined) {
    if (typeof passphrase !== 'function' && typeof passphrase !== 'string')
      throw wrongType(`${name}.passphrase`, 'a string or a function', passphrase);
    // Whoever adds a `secureContext` is told about that first.
    if (!hasKey && !hasPfx && tls.secureContext === undefined)
      throw new TypeError(`${name}.passphrase: expected a key or pfx that it opens as well, got none`);
  }
  if (pskCallback !== undefined && typeof pskCallback !== 'function')
    throw wrongType(`${name}.pskCallback`, 'a function', pskCallback);
}

/** By what a server is verified. */
function checkServerSide(name: string, tls: TlsOptions): void {
  const { rejectUnauthorized, verifyHostname, servername } = tls;
  for (const key of ['ca', 'caFile'] as const)
    // Nobody at all could be verified: a variable that is empty is the likely reason.
    if (tls[key] !== undefined && listOf<Pem>(tls[key]).length === 0)
      throw new TypeError(`${name}.${key}: expected one authority or more, got an empty array`);
  for (const entry of listOf(tls.ca)) pem(`${name}.ca`, entry);
  for (const entry of listOf(tls.caFile)) string(`${name}.caFile`, entry);
  if (servername !== undefined && string(`${name}.servername`, servername) === '')
    throw new TypeError(`${name}.servername: expected a name, got an empty string`);
  if (rejectUnauthorized !== undefined) flag(`${name}.rejectUnauthorized`, rejectUnauthorized);
  if (verifyHostname === undefined) return;
  if (typeof verifyHostname !== 'function') flag(`${name}.verifyHostname`, verifyHostname);
  else if (rejectUnauthorized === false)
    throw new TypeError(
      `${name}.verifyHostname: expected no function beside rejectUnauthorized: false, which asks nobody`,
    );
}

function toWebSocket(given: WebSocketOptions): WebSocketOptions {
  const ws = record('ws', given, ['path', 'headers', 'maxPayload', 'perMessageDeflate']) as WebSocketOptions;
  if (ws.path !== undefined) {
    if (!string('ws.path', ws.path).startsWith('/'))
      throw new TypeError('ws.path: expected a path that begins with /, got one that does not');
    if (ws.path.includes('#')) throw new TypeError('ws.path: expected a path, got one with a fragment');
  }
  if (ws.maxPayload !== undefined) integer('ws.maxPayload', ws.maxPayload, 1, LARGEST_MESSAGE);
  if (ws.perMessageDeflate !== undefined) flag('ws.perMessageDeflate', ws.perMessageDeflate);
  const { headers } = ws;
  if (headers === undefined) return { ...ws };
  if (typeof headers !== 'function') return { ...ws, headers: toUpgradeHeaders(headers) };
  // What it returns is as likely to be wrong as what is given at once.
  return { ...ws, headers: async (...asked) => toUpgradeHeaders(await headers(...asked)) };
}

/** What makes an HTTP request one for a WebSocket, and where it ends: not the application's to say. */
const OURS = /^(?:connection|upgrade|content-length|transfer-encoding|expect|te|trailer|sec-websocket-.*)$/i;

function toUpgradeHeaders(given: Headers): Headers {
  const headers = toHeaders('ws.headers', given);
  const ours = Object.keys(headers).find((field) => OURS.test(field));
  if (ours !== undefined)
    throw new TypeError(`ws.headers.${ours}: expected none, as it is the WebSocket's own`);
  return headers;
}

/** Header fields, as the application gave them or as its function returned them. */
export function toHeaders(name: string, given: Headers): Headers {
  // A Map or a `Headers` of fetch() has no fields of its own, and would pass for empty.
  if (typeof given !== 'object' || (given as unknown) === null || Symbol.iterator in given)
    throw wrongType(name, 'an object', given);
  for (const [field, value] of Object.entries(given)) {
    if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(field))
      throw new TypeError(`${name}: expected names of header fields, got one that is none`);
    // A line break in a value would be the beginning of another field.
    if (/[^\t\x20-\x7e\x80-\xff]/.test(string(`${name}.${field}`, value)))
      throw new TypeError(
        `${name}.${field}: expected the value of a header field, got one with control characters`,
      );
  }
  return { ...given };
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

function pem(name: string, value: unknown): void {
  if (typeof value !== 'string' && !(value instanceof Uint8Array))
    throw wrongType(name, 'PEM as text or bytes', value);
}

function listOf<T extends string | Pem>(given: T | readonly T[] | undefined): readonly T[] {
  if (given === undefined) return [];
  return Array.isArray(given) ? [...(given as readonly T[])] : [given as T];
}
