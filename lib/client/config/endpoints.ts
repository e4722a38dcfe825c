import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { ServerChoice } from '../../engine/options.ts';
import type { AttemptContext } from '../../transport/options.ts';
import type { DialTarget } from '../../transport/transport.ts';
import { DEFAULT_PORTS, parseUrl, type ParsedUrl } from '../../transport/url.ts';
import { string, wrongType } from './validate.ts';

/** The URL of a server, or a function that returns it and is called once per attempt: for signed URLs. */
export type ServerUrl = string | URL | ((context: AttemptContext) => string | URL | Promise<string | URL>);

/** A server: its parsed URL, or a function that returns it. */
export type Endpoint = ParsedUrl | ((context: AttemptContext) => Promise<ParsedUrl>);

/** What `connect()` overrides in the URL. */
export type EndpointOverrides = Partial<Pick<DialTarget, 'host' | 'port' | 'localAddress'>>;

export interface EndpointSettings {
  readonly endpoints: readonly Endpoint[];
  readonly serverOrder: 'listed' | 'shuffled';
  readonly followServerReference: boolean;
}

/** Characters of a host name (RFC 1035, 2.3.4). */
const LONGEST_NAME = 253;

/** Servers that one CONNACK or DISCONNECT may name; more are ignored. */
const MOST_REFERENCES = 8;

/** Parses a URL, or the result of the function once it is called. Throws like `parseUrl()`. */
export function toEndpoint(url: ServerUrl, path: string | undefined): Endpoint {
  if (typeof url !== 'function') return parseUrl(url, path);
  return async (context) => parseUrl(await url(context), path);
}

export function toHost(name: string, value: unknown): string {
  const host = string(name, value);
  if (isIP(host) === 0 && !/^[^\s:/?#@[\]]+$/.test(host))
    throw wrongType(name, 'a host name or an IP address', host);
  return host;
}

/** Refuses a URL without TLS once it is known: data that is meant to be encrypted must not be sent in the clear. */
export function onlySecure(endpoint: Endpoint): Endpoint {
  if (typeof endpoint !== 'function') return endpoint;
  return async (context) => {
    const found = await endpoint(context);
    const { protocol } = found.target;
    if (protocol === 'mqtts' || protocol === 'wss') return found;
    throw new TypeError(`tls: expected a URL that begins with mqtts: or wss:, got ${protocol}:`);
  };
}

/** Identifies a server, without the query of its URL, which may be a signature. */
export function nameOf({ protocol, host, port, path = '' }: DialTarget): string {
  return `${protocol}://${host}:${port}${path.split('?', 1)[0]}`;
}

/** Selects the servers that an attempt tries. */
export class Endpoints {
  readonly #configuration: { readonly settings: EndpointSettings };
  readonly #random: () => number;
  /** The servers that this attempt has not tried yet. */
  #left: Endpoint[] = [];
  #current: Endpoint | undefined = undefined;
  /** The last result for a current server. */
  #resolved: ParsedUrl | undefined = undefined;
  /** Servers that only the next attempt begins with. */
  #temporary: readonly Endpoint[] = [];
  /** Servers that all later attempts begin with. */
  #permanent: readonly Endpoint[] = [];
  /** An attempt follows one reference, as two servers may refer to each other for ever. */
  #state: 'trying' | 'following' | 'connected' = 'trying';
  #overrides: EndpointOverrides = {};

  constructor(configuration: { readonly settings: EndpointSettings }, random: () => number) {
    this.#configuration = configuration;
    this.#random = random;
  }

  /** Makes a server the current one. Returns the number of servers left after it. */
  select(which: ServerChoice): number {
    if (which === 'first') this.#begin();
    if (which !== 'same') this.#current = this.#left.shift();
    return this.#left.length;
  }

  /** The target and credentials of the current server. */
  async resolve(context: AttemptContext): Promise<ParsedUrl> {
    const endpoint = this.#current as Endpoint;
    const { target, credentials } = typeof endpoint === 'function' ? await endpoint(context) : endpoint;
    const { localAddress } = this.#overrides;
    const found = { target: { ...target, ...(localAddress !== undefined && { localAddress }) }, credentials };
    // After its attempt is over, another server is the current one.
    if (!context.signal.aborted) this.#resolved = found;
    return found;
  }

  /**
   * The current server names others (4.11). They come next in this attempt, or first in the next one; `for good` puts
   * them first in all later ones, too. Returns how many servers this adds: 0 if they must not be followed, or are in the
   * list already.
   */
  redirect(serverReference: string, lasting: 'for now' | 'for good'): number {
    const { followServerReference } = this.#configuration.settings;
    if (!followServerReference || this.#state === 'following' || this.#resolved === undefined) return 0;
    const endpoints = referencesIn(serverReference, this.#resolved);
    if (endpoints.length === 0) return 0;
    if (lasting === 'for good') this.#permanent = endpoints;
    if (this.#state === 'connected') {
      this.#temporary = endpoints;
    } else {
      const before = this.#left.length;
      this.#left = inFront(endpoints, this.#left);
      this.#state = 'following';
      return this.#left.length - before;
    }
    return endpoints.length;
  }

  /** The server has accepted the connection: a reference that comes later is followed. */
  connected(): void {
    this.#state = 'connected';
  }

  /** Applies the options of `connect()` to this and later attempts. With a host or port, there is only one server. */
  override(over: EndpointOverrides): void {
    const { host, port, localAddress } = over;
    const [first, ...rest] = this.#configuration.settings.endpoints;
    if ((host !== undefined || port !== undefined) && isUnix(first))
      throw new TypeError(
        'connect: expected neither host nor port with mqtt+unix:, which has a path instead',
      );
    if (localAddress !== undefined && isUnix(first) && rest.every(isUnix))
      throw new TypeError('localAddress: expected none with mqtt+unix:, as it has no effect on Unix sockets');
    if (host !== undefined || port !== undefined) this.#forget();
    this.#overrides = { ...this.#overrides, ...over };
  }

  /** `servers` and `localAddress` of `configure()` cancel those of `connect()` and of servers. */
  reconfigured(changes: Readonly<Partial<Record<'servers' | 'localAddress', unknown>>>): void {
    const { localAddress, ...pinned } = this.#overrides;
    const kept = 'localAddress' in changes || localAddress === undefined ? {} : { localAddress };
    if ('servers' in changes) this.#forget();
    this.#overrides = { ...('servers' in changes ? {} : pinned), ...kept };
  }

  /** Forgets all Server References. */
  #forget(): void {
    this.#permanent = [];
    this.#temporary = [];
  }

  #begin(): void {
    const { endpoints, serverOrder, followServerReference } = this.#configuration.settings;
    // `configure()` may have switched it off.
    if (!followServerReference) this.#forget();
    const { host, port } = this.#overrides;
    const pinned = { ...(host !== undefined && { host }), ...(port !== undefined && { port }) };
    const [first] = endpoints as readonly [Endpoint, ...Endpoint[]];
    const listed = Object.keys(pinned).length > 0 ? [at(first, pinned)] : [...endpoints];
    if (serverOrder === 'shuffled') shuffle(listed, this.#random);
    this.#state = this.#temporary.length > 0 ? 'following' : 'trying';
    this.#left = inFront(this.#temporary.length > 0 ? this.#temporary : this.#permanent, listed);
    this.#temporary = [];
  }
}

/** `endpoints` and then the rest of `behind`. Each once: a server that is down must not take the time of two. */
function inFront(endpoints: readonly Endpoint[], behind: readonly Endpoint[]): Endpoint[] {
  return [
    ...endpoints,
    ...behind.filter((one) => !endpoints.some((endpoint) => isDeepStrictEqual(endpoint, one))),
  ];
}

function isUnix(endpoint: Endpoint | undefined): boolean {
  return typeof endpoint === 'object' && endpoint.target.protocol === 'mqtt+unix';
}

/** `endpoint` with another host or port. */
function at(endpoint: Endpoint, over: Pick<EndpointOverrides, 'host' | 'port'>): Endpoint {
  const moved = (found: ParsedUrl): ParsedUrl => {
    if (isUnix(found)) throw new TypeError('expected no mqtt+unix: with the host or port of connect()');
    return { ...found, target: { ...found.target, ...over } };
  };
  return typeof endpoint === 'function' ? async (context) => moved(await endpoint(context)) : moved(endpoint);
}

/** A name or an address, IPv6 in brackets, and an optional port. */
const REFERENCE = /^(\[[\da-f:.]+\]|[^\s:/?#@[\]]+)(?::(\d{1,5}))?$/i;

/** The servers of a Server Reference, separated by spaces. Its format is only a recommendation: others are ignored. */
function referencesIn(serverReference: string, from: ParsedUrl): ParsedUrl[] {
  const { protocol } = from.target;
  if (protocol === 'mqtt+unix') return [];
  return serverReference.split(' ', MOST_REFERENCES).flatMap((reference) => {
    const [, name, digits] = REFERENCE.exec(reference) ?? [];
    const port = digits === undefined ? DEFAULT_PORTS[protocol] : Number(digits);
    if (name === undefined || name.length > LONGEST_NAME || port < 1 || port > 65_535) return [];
    const host = name.replace(/^\[(.*)\]$/, '$1');
    return [{ ...from, target: { ...from.target, host, port } }];
  });
}

/** Every order is equally likely. */
function shuffle<T>(list: T[], random: () => number): void {
  for (let last = list.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [list[other], list[last]] = [list[last] as T, list[other] as T];
  }
}
