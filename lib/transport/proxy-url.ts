/**
 * The URL of a proxy: which kind it is, where it is, and who asks. As it may hold a password, no message here repeats it.
 */

/** What a URL says of a proxy. */
export interface ProxyServer {
  /** `http`, `https`: HTTP CONNECT, over TCP or TLS. */
  readonly kind: 'http' | 'https' | 'socks5';
  /** A name or an address, an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** Percent-decoded; empty where the URL has none. */
  readonly username: string;
  readonly password: string;
}

/** Where a tunnel leads to. */
export interface Destination {
  /** A name in ASCII or an address, an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Every scheme there is, with its default port. */
const SCHEMES: Readonly<Record<string, Pick<ProxyServer, 'kind' | 'port'>>> = {
  'http:': { kind: 'http', port: 80 },
  'https:': { kind: 'https', port: 443 },
  'socks:': { kind: 'socks5', port: 1080 },
  'socks5:': { kind: 'socks5', port: 1080 },
  'socks5h:': { kind: 'socks5', port: 1080 },
};

/** Bytes of a user name or password: SOCKS5 says their length in one (RFC 1929). */
const LONGEST_IN_SOCKS = 255;

/**
 * Takes the URL of a proxy apart. `name` is what the messages call it.
 * @throws TypeError when it is none, has another scheme, no host, or parts that mean nothing here
 * @throws RangeError when the port is 0
 */
export function parseProxyUrl(given: string | URL, name: string = 'proxy'): ProxyServer {
  const expected = `${name}: expected http, https, socks5 or socks5h://[user:password@]host[:port]`;
  const text = String(given);
  if (!URL.canParse(text)) throw new TypeError(`${expected}, got what is not a URL`);
  const url = new URL(text);
  const scheme = Object.hasOwn(SCHEMES, url.protocol) ? SCHEMES[url.protocol] : undefined;
  if (scheme === undefined) throw new TypeError(`${expected}, got the scheme ${url.protocol}`);
  if (url.hostname === '') throw new TypeError(`${expected}, got no host`);
  if (url.pathname !== '' && url.pathname !== '/') throw new TypeError(`${expected}, got a path`);
  if (url.search !== '' || url.hash !== '') throw new TypeError(`${expected}, got a query or fragment`);
  if (url.port === '0') throw new RangeError(`${name}: expected a port of 1 to 65535, got 0`);
  const { kind } = scheme;
  const username = decoded(url.username, `${name}: expected the user name`);
  const password = decoded(url.password, `${name}: expected the password`);
  if (kind === 'socks5') {
    for (const [what, secret] of Object.entries({ 'user name': username, password })) {
      const length = Buffer.byteLength(secret);
      if (length > LONGEST_IN_SOCKS)
        throw new TypeError(
          `${name}: expected a ${what} of at most ${LONGEST_IN_SOCKS} bytes, got ${length}`,
        );
    }
  } else if (username.includes(':')) {
    // HTTP has one text for both: the name ends at the first colon.
    throw new TypeError(`${name}: expected a user name without a colon, got one with it`);
  }
  const host = decoded(url.hostname, `${name}: expected the host`);
  return {
    kind,
    host: host.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? scheme.port : Number(url.port),
    username,
    password,
  };
}

function decoded(text: string, expected: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError(`${expected} in percent-encoding, got a % that stands for nothing`);
  }
}
