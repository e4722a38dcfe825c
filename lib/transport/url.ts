import type { Target } from './transport.ts';

/** What a URL says: where to connect to, and as whom. */
export interface ParsedUrl {
  readonly target: Target;
  /** User name and password, where the URL has them. */
  readonly credentials: { readonly username?: string; readonly password?: string };
}

const MQTT_PORT = 1_883;

/**
 * Takes `mqtt://[user[:password]@]host[:port]` apart; port 1883 where none is given. Throws a `TypeError` on anything
 * else; its message never shows user name or password.
 */
export function parseUrl(url: string | URL): ParsedUrl {
  const parsed = toUrl(url);
  if (parsed.protocol !== 'mqtt:')
    throw new TypeError(`url: expected the scheme mqtt:, got ${parsed.protocol}`);
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1');
  if (host === '') throw new TypeError('url: expected a host, as in mqtt://localhost:1883, got none');
  if ((parsed.pathname !== '' && parsed.pathname !== '/') || parsed.search !== '' || parsed.hash !== '')
    throw new TypeError('url: expected neither path nor query nor fragment in an mqtt: URL');
  return {
    target: { protocol: 'mqtt', host, port: parsed.port === '' ? MQTT_PORT : Number(parsed.port) },
    credentials: {
      ...(parsed.username !== '' && { username: decodeURIComponent(parsed.username) }),
      ...(parsed.password !== '' && { password: decodeURIComponent(parsed.password) }),
    },
  };
}

function toUrl(url: string | URL): URL {
  if (url instanceof URL) return url;
  if (typeof url === 'string' && URL.canParse(url)) return new URL(url);
  // The text itself is not shown: it may hold a password.
  throw new TypeError(`url: expected a URL such as mqtt://localhost:1883, got ${typeof url === 'string' ? 'a string that is none' : typeof url}`);
}
