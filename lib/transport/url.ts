/** Parses server URLs. A URL may contain a password or a signature, so no error message repeats it. */

import type { DialTarget, Protocol } from './transport.ts';

/** The parts of a server URL. */
export interface ParsedUrl {
  readonly target: DialTarget;
  /** Defaults for the options `username` and `password`. */
  readonly credentials: UrlCredentials;
}

/** `user:password@` of a URL, percent-decoded; absent parts are omitted. */
export interface UrlCredentials {
  readonly username?: string;
  readonly password?: string;
}

/** The supported schemes and their default ports. */
export const DEFAULT_PORTS: Readonly<Record<Protocol, number>> = {
  mqtt: 1883,
  mqtts: 8883,
  ws: 80,
  wss: 443,
  'mqtt+unix': 0,
};
const EXPECTED = 'url: expected mqtt://, mqtts://, ws://, wss://host[:port], or mqtt+unix:///path';

/** The path of a WebSocket URL that has none. */
const DEFAULT_PATH = '/mqtt';

/**
 * Parses a URL such as `mqtt://user:password@host:1883`. `defaultPath` is used for a WebSocket URL without a path.
 * @throws TypeError if it is not a URL, has another scheme, no host, or parts that its scheme does not use
 * @throws RangeError if the port is 0
 */
export function parseUrl(url: string | URL, defaultPath: string = DEFAULT_PATH): ParsedUrl {
  const parsed = toUrl(url);
  const protocol = parsed.protocol.replace(/:$/, '');
  if (!isProtocol(protocol)) throw new TypeError(`${EXPECTED}, got the scheme ${parsed.protocol}`);
  if (parsed.hash !== '') throw new TypeError(`${EXPECTED}, got a fragment`);
  if (protocol === 'mqtt+unix') return { target: unixTarget(parsed), credentials: {} };
  if (parsed.hostname === '') throw new TypeError(`${EXPECTED}, got no host`);
  const port = parsed.port === '' ? DEFAULT_PORTS[protocol] : Number(parsed.port);
  if (port === 0) throw new RangeError('url: expected a port of 1 to 65535, got 0');
  const username = decodePart(parsed.username, 'url', 'user name');
  const password = decodePart(parsed.password, 'url', 'password');
  return {
    target: { protocol, host: hostOf(parsed, 'url'), port, ...pathOf(parsed, protocol, defaultPath) },
    credentials: { ...(username !== '' && { username }), ...(password !== '' && { password }) },
  };
}

function toUrl(url: string | URL): URL {
  const given: unknown = url;
  const text = typeof given === 'object' && given !== null && 'href' in given ? given.href : given;
  if (typeof text !== 'string')
    throw new TypeError(`${EXPECTED}, got ${given === null ? 'null' : typeof given}`);
  if (!URL.canParse(text)) throw new TypeError(`${EXPECTED}, got a string that is not a URL`);
  return new URL(text);
}

function isProtocol(protocol: string): protocol is Protocol {
  return Object.hasOwn(DEFAULT_PORTS, protocol);
}

/** Parses `mqtt+unix:///run/mosquitto.sock`. */
function unixTarget(url: URL): DialTarget {
  if (url.host !== '') throw new TypeError(`${EXPECTED}, got a host: a Unix socket takes three slashes`);
  if (url.search !== '') throw new TypeError(`${EXPECTED}, got a query`);
  const path = decodePart(url.pathname, 'url', 'path');
  if (path === '' || path === '/') throw new TypeError(`${EXPECTED}, got no path`);
  // The system would ignore everything from the zero byte on.
  if (path.includes('\0')) throw new TypeError(`${EXPECTED}, got a path with a zero byte`);
  return { protocol: 'mqtt+unix', host: '', port: 0, path };
}

/** Only WebSocket URLs may have a path or a query. */
function pathOf(url: URL, protocol: Protocol, defaultPath: string): { path?: string } {
  const hasPath = url.pathname !== '' && url.pathname !== '/';
  if (protocol === 'ws' || protocol === 'wss')
    return { path: `${hasPath ? url.pathname : defaultPath}${url.search}` };
  if (hasPath) throw new TypeError(`${EXPECTED}, got a path`);
  if (url.search !== '') throw new TypeError(`${EXPECTED}, got a query`);
  return {};
}

/** The host of `url`, an IPv6 address without brackets. `option` is the name for error messages. */
export function hostOf(url: URL, option: string): string {
  return decodePart(url.hostname, option, 'host').replace(/^\[(.*)\]$/, '$1');
}

/**
 * Percent-decodes a part of the URL in `option`.
 * @throws TypeError that names the part and does not repeat it
 */
export function decodePart(text: string, option: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError(`${option}: expected the ${part} in percent-encoding, got an invalid % sequence`);
  }
}

/** `host:port` as in a URL: an IPv6 address in brackets. */
export function authorityOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
