/**
 * The URL of a server: which transport, which host, which port, and who asks. As it may hold a password, no message
 * here repeats it.
 */

import type { Target } from './transport.ts';

/** What a URL says of a server. */
export interface ParsedUrl {
  readonly target: Target;
  /** `user:password@` of the URL, percent-decoded: what is not there is absent. Meant as defaults for the options. */
  readonly credentials: UrlCredentials;
}

/** The user name and password of a URL. */
export interface UrlCredentials {
  readonly username?: string;
  readonly password?: string;
}

/** Every scheme there is, with its default port. */
const DEFAULT_PORTS: Readonly<Record<Target['protocol'], number>> = { mqtt: 1883 };
const SCHEMES: string = Object.keys(DEFAULT_PORTS)
  .map((protocol) => `${protocol}://`)
  .join(', ');
const EXPECTED = `url: expected ${SCHEMES}host[:port]`;

/**
 * Takes a URL such as `mqtt://user:password@host:1883` apart.
 * @throws TypeError when it is none, has another scheme, no host, or parts that mean nothing here
 * @throws RangeError when the port is 0
 */
export function parseUrl(url: string | URL): ParsedUrl {
  const parsed = toUrl(url);
  const protocol = parsed.protocol.slice(0, -1);
  if (!isProtocol(protocol)) throw new TypeError(`${EXPECTED}, got the scheme ${parsed.protocol}`);
  if (parsed.hostname === '') throw new TypeError(`${EXPECTED}, got no host`);
  if (parsed.pathname !== '' && parsed.pathname !== '/') throw new TypeError(`${EXPECTED}, got a path`);
  if (parsed.search !== '' || parsed.hash !== '')
    throw new TypeError(`${EXPECTED}, got a query or a fragment`);
  const port = parsed.port === '' ? DEFAULT_PORTS[protocol] : Number(parsed.port);
  if (port === 0) throw new RangeError('url: expected a port of 1 to 65535, got 0');
  const username = decoded(parsed.username, 'user name');
  const password = decoded(parsed.password, 'password');
  return {
    target: { protocol, host: hostOf(parsed), port },
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

function isProtocol(protocol: string): protocol is Target['protocol'] {
  return Object.hasOwn(DEFAULT_PORTS, protocol);
}

/** The host as the network wants it: an IPv6 address without its brackets. */
function hostOf(url: URL): string {
  const host = decoded(url.hostname, 'host');
  return host.startsWith('[') ? host.slice(1, -1) : host;
}

function decoded(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError(`url: expected the ${what} in percent-encoding, got a % that stands for nothing`);
  }
}
