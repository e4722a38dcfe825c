import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { ServerChoice } from '../../engine/options.ts';
import type { AttemptContext } from '../../transport/options.ts';
import type { DialTarget } from '../../transport/transport.ts';
import { DEFAULT_PORTS, parseUrl, type ParsedUrl } from '../../transport/url.ts';
import { string } from './validate.ts';

/** The URL of a server, or a function that is asked for it once per attempt: for URLs that are signed. */
export type ServerUrl = string | URL | ((context: AttemptContext) => string | URL | Promise<string | URL>);

/** Where a server is: known, or asked for. */
export type Endpoint = ParsedUrl | ((context: AttemptContext) => Promise<ParsedUrl>);

/** What `connect()` was told over the URL. */
export type EndpointOverrides = Partial<Pick<DialTarget, 'host' | 'port' | 'localAddress'>>;

/** What says which servers there are. */
export interface EndpointSettings {
  readonly endpoints: readonly Endpoint[];
  readonly serverOrder: 'listed' | 'shuffled';
  readonly followServerReference: boolean;
}

/** Characters that a name may have (RFC 1035, 2.3.4). */
const LONGEST_NAME = 253;

/** References of one CONNACK or DISCONNECT that are heeded. */
const MOST_REFERENCES = 8;

/** `url`, as it is known now or will be when it is asked for. Throws like `parseUrl()`. */
export function toEndpoint(url: ServerUrl, path: string | undefined): Endpoint {
  if (typeof url !== 'function') return parseUrl(url, path);
  return async (context) => parseUrl(await url(context), path);
}

/** The name of a host, or an address without brackets: nothing else of a URL. */
export function toHost(host: string): string {
  if (isIP(string('host', host)) === 0 && !/^[^\s:/?#@[\]]+$/.test(host))
    throw new TypeError('host: expected a name or an address alone, got a string that is none');
  return host;
}

/** `endpoint`, unless it turns out to be one without TLS: what was meant to be secure must not go out in the clear. */
export function onlySecure(endpoint: Endpoint): Endpoint {
  if (typeof endpoint !== 'function') return endpoint;
  return async (context) => {
    const found = await endpoint(context);
    const { protocol } = found.target;
    if (protocol === 'mqtts' || protocol === 'wss') return found;
    throw new TypeError(`tls: expected a URL that begins with mqtts: or wss:, got ${protocol}:`);
  };
}

/** By what one server is told from another. A query is not of it: it may be a signature. */
export function nameOf({ protocol, host, port, path = '' }: DialTarget): string {
  return `${protocol}://${host}:${port}${path.split('?', 1)[0]}`;
}

/** Which server an attempt goes to, and which one next. */
export class Endpoints {
  readonly #configuration: { readonly settings: EndpointSettings };
  readonly #random: () => number;
  /** The servers of this attempt that were not tried yet. */
  #left: Endpoint[] = [];
  #current: Endpoint | undefined = undefined;
  /** What it was when it was looked up last. */
  #resolved: ParsedUrl | undefined = undefined;
  /** What the next attempt begins with. */
  #temporary: readonly Endpoint[] = [];
  /** What all attempts begin with from now on. */
  #permanent: readonly Endpoint[] = [];
  /** A reference is followed once per attempt, or two servers could refer to each other for ever. */
  #state: 'trying' | 'following' | 'connected' = 'trying';
  #overrides: EndpointOverrides = {};

  constructor(configuration: { readonly settings: EndpointSettings }, random: () => number) {
    this.#configuration = configuration;
    this.#random = random;
  }

  /** Goes to a server. Returns how many are left beside it. */
  select(which: ServerChoice): number {
    if (which === 'first') this.#begin();
    if (which !== 'same') this.#current = this.#left.shift();
    return this.#left.length;
  }

  /** What is known of the server that was chosen. */
  async resolve(context: AttemptContext): Promise<ParsedUrl> {
    const endpoint = this.#current as Endpoint;
    const { target, credentials } = typeof endpoint === 'function' ? await endpoint(context) : endpoint;
    const { localAddress } = this.#overrides;
    const found = { target: { ...target, ...(localAddress !== undefined && { localAddress }) }, credentials };
    // Where it took so long that its attempt is over, it is another server's turn.
    if (!context.signal.aborted) this.#resolved = found;
    return found;
  }

  /**
   * The present server names others (4.11). They come next within this attempt, or first in the next one; for good, also
   * first in all later ones. Returns how many more there are now: none where they are not to be followed, or one was
   * already, or they are those that come next anyway.
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

  /** The server has accepted: if it refers to another one later, that is followed. */
  connected(): void {
    this.#state = 'connected';
  }

  /** What `connect()` says is over the URL, for this and later attempts. Another host or port is the only server then. */
  override(over: EndpointOverrides): void {
    const { host, port, localAddress } = over;
    const [first, ...rest] = this.#configuration.settings.endpoints;
    if ((host !== undefined || port !== undefined) && isUnix(first))
      throw new TypeError('connect: expected neither host nor port with mqtt+unix:, which has a path');
    if (localAddress !== undefined && isUnix(first) && rest.every(isUnix))
      throw new TypeError('connect: expected no localAddress with mqtt+unix:, which has no such thing');
    if (host !== undefined || port !== undefined) this.#forget();
    this.#overrides = { ...this.#overrides, ...over };
  }

  /** What `configure()` says of them is the last word: over what `connect()` said, or a server has. */
  reconfigured(changes: Readonly<Partial<Record<'servers' | 'localAddress', unknown>>>): void {
    const { localAddress, ...pinned } = this.#overrides;
    const kept = 'localAddress' in changes || localAddress === undefined ? {} : { localAddress };
    if ('servers' in changes) this.#forget();
    this.#overrides = { ...('servers' in changes ? {} : pinned), ...kept };
  }

  /** No server has referred to another one. */
  #forget(): void {
    this.#permanent = [];
    this.#temporary = [];
  }

  #begin(): void {
    const { endpoints, serverOrder, followServerReference } = this.#configuration.settings;
    // It may have been switched off since.
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

/** `endpoints`, and those behind them that are not among them: a server that is down would have two shares of the time. */
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

/** A name or an address, IPv6 in brackets, and a port or none. */
const REFERENCE = /^(\[[\da-f:.]+\]|[^\s:/?#@[\]]+)(?::(\d{1,5}))?$/i;

/**
 * The servers that a Server Reference names, with spaces between them. Its format is a recommendation only: what is
 * none of this is passed over.
 */
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

/** Each order is as likely as the others. */
function shuffle<T>(list: T[], random: () => number): void {
  for (let last = list.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [list[other], list[last]] = [list[last] as T, list[other] as T];
  }
}
