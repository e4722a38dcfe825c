/**
 * The URL of a server: which transport, which host, which port, and who asks. As it may hold a password or a signature,
 * no message here repeats it.
 */

import type { Protocol, DialTarget } from './transport.ts';

/** What a URL says of a server. */
export interface ParsedUrl {
  readonly target: DialTarget;
  /** `user:password@` of the URL, percent-decoded: what is not there is absent. Meant as defaults for the options. */
  readonly credentials: UrlCredentials;
}

/** The user name and password of a URL. */
export interface UrlCredentials {
  readonly username?: string;
  readonly password?: string;
}

/** Every scheme there is, with its default port. */
export const DEFAULT_PORTS: Readonly<Record<Protocol, number>> = {
  mqtt: 1883,
  mqtts: 8883,
  ws: 80,
  wss: 443,
  'mqtt+unix': 0,
};
const SCHEMES: string = Object.keys(DEFAULT_PORTS)
  .filter((protocol) => protocol !== 'mqtt+unix')
  .map((protocol) => `${protocol}://`)
  .join(', ');
const EXPECTED = `url: expected ${SCHEMES}host[:port], or mqtt+unix:///path`;

/** Where MQTT over WebSocket is, unless the URL says so. */
export const DEFAULT_PATH = '/mqtt';

/**
 * Takes a URL such as `mqtt://user:password@host:1883` apart. `path` is that of a WebSocket whose URL has none.
 * @throws TypeError when it is none, has another scheme, no host, or parts that mean nothing here
 * @throws RangeError when the port is 0
 */
export function parseUrl(url: string | URL, path: string = DEFAULT_PATH): ParsedUrl {
  const parsed = toUrl(url);
  const protocol = parsed.protocol.replace(/:$/, '');
  if (!isProtocol(protocol)) throw new TypeError(`${EXPECTED}, got the scheme ${parsed.protocol}`);
  if (parsed.hash !== '') throw new TypeError(`${EXPECTED}, got a fragment`);
  if (protocol === 'mqtt+unix') return { target: unixTarget(parsed), credentials: {} };
  if (parsed.hostname === '') throw new TypeError(`${EXPECTED}, got no host`);
  const port = parsed.port === '' ? DEFAULT_PORTS[protocol] : Number(parsed.port);
  if (port === 0) throw new RangeError('url: expected a port of 1 to 65535, got 0');
  const username = decoded(parsed.username, 'user name');
  const password = decoded(parsed.password, 'password');
  return {
    target: { protocol, host: hostOf(parsed), port, ...pathOf(parsed, protocol, path) },
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

/** `mqtt+unix:///run/mosquitto.sock` */
function unixTarget(url: URL): DialTarget {
  if (url.host !== '') throw new TypeError(`${EXPECTED}, got a host: a Unix socket takes three slashes`);
  if (url.search !== '') throw new TypeError(`${EXPECTED}, got a query`);
  const path = decoded(url.pathname, 'path');
  if (path === '' || path === '/') throw new TypeError(`${EXPECTED}, got no path`);
  // The system would take what is before it for the path.
  if (path.includes('\0')) throw new TypeError(`${EXPECTED}, got a path with a zero byte`);
  return { protocol: 'mqtt+unix', host: '', port: 0, path };
}

/** Only a WebSocket has a path. */
function pathOf(url: URL, protocol: Protocol, byDefault: string): { path?: string } {
  const has = url.pathname !== '' && url.pathname !== '/';
  if (protocol === 'ws' || protocol === 'wss')
    return { path: `${has ? url.pathname : byDefault}${url.search}` };
  if (has) throw new TypeError(`${EXPECTED}, got a path`);
  if (url.search !== '') throw new TypeError(`${EXPECTED}, got a query`);
  return {};
}

/** The host as the network wants it: an IPv6 address without its brackets. */
function hostOf(url: URL): string {
  const host = decoded(url.hostname, 'host');
  return host.replace(/^\[(.*)\]$/, '$1');
}

function decoded(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError(`url: expected the ${what} in percent-encoding, got a % that stands for nothing`);
  }
}
