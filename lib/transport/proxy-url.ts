/** Parses proxy URLs. A URL may contain a password, so no error message repeats it. */

import { decodePart, hostOf } from './url.ts';

export interface ProxyServer {
  /** `http`, `https`: HTTP CONNECT over TCP or TLS. */
  readonly kind: 'http' | 'https' | 'socks5';
  /** A host name or an IP address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Percent-decoded; empty if the URL has none. */
  readonly username: string;
  readonly password: string;
}

/** The server at the far end of a tunnel. */
export interface Destination {
  /** An ASCII host name or an IP address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** The supported schemes and their default ports. */
const SCHEMES: Readonly<Record<string, Pick<ProxyServer, 'kind' | 'port'>>> = {
  'http:': { kind: 'http', port: 80 },
  'https:': { kind: 'https', port: 443 },
  'socks:': { kind: 'socks5', port: 1080 },
  'socks5:': { kind: 'socks5', port: 1080 },
  'socks5h:': { kind: 'socks5', port: 1080 },
};

/** Maximum bytes of a user name or password in SOCKS5, which encodes the length in one byte (RFC 1929). */
const MAX_SOCKS_BYTES = 255;

/**
 * Parses a proxy URL. `option` is the name for error messages.
 * @throws TypeError if it is not a URL, has another scheme, no host, or parts that proxies do not use
 * @throws RangeError if the port is 0
 */
export function parseProxyUrl(given: string | URL, option: string = 'proxy'): ProxyServer {
  const expected = `${option}: expected http, https, socks5 or socks5h://[user:password@]host[:port]`;
  const text = String(given);
  if (!URL.canParse(text)) throw new TypeError(`${expected}, got a string that is not a URL`);
  const url = new URL(text);
  const scheme = Object.hasOwn(SCHEMES, url.protocol) ? SCHEMES[url.protocol] : undefined;
  if (scheme === undefined) throw new TypeError(`${expected}, got the scheme ${url.protocol}`);
  if (url.hostname === '') throw new TypeError(`${expected}, got no host`);
  if (url.pathname !== '' && url.pathname !== '/') throw new TypeError(`${expected}, got a path`);
  if (url.search !== '' || url.hash !== '') throw new TypeError(`${expected}, got a query or fragment`);
  if (url.port === '0') throw new RangeError(`${option}: expected a port of 1 to 65535, got 0`);
  const { kind } = scheme;
  const username = decodePart(url.username, option, 'user name');
  const password = decodePart(url.password, option, 'password');
  if (kind === 'socks5') {
    for (const [what, secret] of Object.entries({ 'user name': username, password })) {
      const length = Buffer.byteLength(secret);
      if (length > MAX_SOCKS_BYTES)
        throw new TypeError(
          `${option}: expected a ${what} of at most ${MAX_SOCKS_BYTES} bytes, got ${length}`,
        );
    }
  } else if (username.includes(':')) {
    // In HTTP Basic authentication, the first colon ends the user name.
    throw new TypeError(`${option}: expected a user name without a colon, got one with a colon`);
  }
  return {
    kind,
    host: hostOf(url, option),
    port: url.port === '' ? scheme.port : Number(url.port),
    username,
    password,
  };
}
