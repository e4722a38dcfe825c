/** From the options of an application to what the parts of a client need. */

import { isDeepStrictEqual } from 'node:util';
import type { EngineOptions } from '../../engine/options.ts';
import type { StoreSizes } from '../../session/store-sizes.ts';
import type { OpenTransport } from '../../transport/transport.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ClientOptions, ConfigurableOptions } from './client-options.ts';
import { anyClientId, toClientId, toIdentity } from './connect-fields.ts';
import {
  checkConnect,
  fixedCredentials,
  known,
  toConnectInputs,
  type AskConnectInputs,
} from './connect-inputs.ts';
import { onlySecure, toEndpoint, type Endpoint, type ServerUrl } from './endpoints.ts';
import { checkNetworkUse, type NetworkSettings } from './network-options.ts';
import { toReconnection } from './reconnect-options.ts';
import { CONFIGURABLE, checkOptions, isPersistent, networkSection, type CheckedOptions } from './schema.ts';
import { checkKeys } from './validate.ts';

/** What a client needs from the machine, so that specs can replace it. @internal */
export interface Platform {
  readonly clock: Clock;
  /** The time in ms since 1970. */
  readonly wallClock: () => number;
  readonly dial: OpenTransport;
  /** In [0, 1). */
  readonly random: () => number;
  /** How much of a stored session is read, written and kept in memory together. */
  readonly storeSizes?: StoreSizes;
}

/** What the parts of a client need of its options. */
export interface Settings<UserData> extends Pick<
  CheckedOptions<UserData>,
  | 'authentication'
  | 'followServerReference'
  | 'logger'
  | 'serverOrder'
  | 'store'
  | 'transport'
  | 'unmatched'
  | 'userData'
> {
  readonly endpoints: readonly Endpoint[];
  readonly network: NetworkSettings;
  readonly engine: EngineOptions & { keepAlive: number };
  readonly connectInputs: AskConnectInputs;
  /** Whether `connect()` keeps trying if its options do not say so. */
  readonly retryInitial: boolean;
}

/** Checks everything; throws `TypeError` or `RangeError`. Fills in the defaults. `options` is copied. */
export function toSettings<UserData>(
  url: ServerUrl,
  options: ClientOptions<UserData>,
  random: () => number,
): Settings<UserData> {
  const checked = checkOptions(options);
  const network = networkSection(checked);
  const endpoints = toEndpoints(url, checked, network);
  const engine = toEngineOptions(checked, endpoints, random);
  checkIdentities(checked, engine, endpoints);
  const {
    authentication,
    followServerReference,
    logger,
    reconnect,
    serverOrder,
    store,
    transport,
    unmatched,
    userData,
  } = checked;
  return {
    endpoints,
    serverOrder,
    followServerReference,
    network,
    transport,
    engine,
    authentication,
    connectInputs: toConnectInputs(checked, engine),
    retryInitial: reconnect !== false && reconnect.retryInitial,
    unmatched,
    logger,
    store,
    userData,
  };
}

/** The server of the URL and the others, each once. */
function toEndpoints(
  url: ServerUrl,
  { servers, transport }: CheckedOptions,
  network: NetworkSettings,
): readonly Endpoint[] {
  const endpoints = [url, ...servers].map((one) => toEndpoint(one, network.ws?.path));
  const protocols = endpoints.map((endpoint) =>
    typeof endpoint === 'function' ? 'any' : endpoint.target.protocol,
  );
  checkNetworkUse(network, transport, protocols);
  // If no known URL can use `tls`, every URL that a function returns has to.
  const isSecure = protocols.some((protocol) => protocol === 'mqtts' || protocol === 'wss');
  const all =
    network.tls === undefined || isSecure ? endpoints : endpoints.map((endpoint) => onlySecure(endpoint));
  if (all.length === 1) return all;
  return all.filter((endpoint, i) => all.findIndex((other) => isDeepStrictEqual(endpoint, other)) === i);
}

/** Named one by one, the options of all engines have one hidden class. */
function toEngineOptions(
  checked: CheckedOptions,
  endpoints: readonly Endpoint[],
  random: () => number,
): EngineOptions {
  const { protocolVersion, cleanStart, maxQueued, maxQueuedBytes } = checked;
  const clientId = known(checked.clientId);
  // On 5.0 the server assigns one if an empty one was given, or if the session may last.
  const isAssigned = cleanStart !== true || (protocolVersion === 5 && clientId === '');
  return {
    protocolVersion,
    clientId: clientId || (isAssigned ? '' : anyClientId(random)),
    cleanStart,
    sessionExpiryInterval: checked.sessionExpiryInterval,
    persistent: isPersistent(checked),
    keepAlive: checked.keepAlive,
    pingTimeout: checked.pingTimeout,
    will: known(checked.will),
    properties: known(checked.properties) ?? {},
    credentialsVary:
      checked.credentials !== undefined ||
      checked.authentication !== undefined ||
      credentialsDiffer(endpoints),
    connectTimeout: checked.connectTimeout,
    reconnect: toReconnection(checked.reconnect, checked.logger),
    maxInflight: checked.maxInflight,
    queueLimits: { messages: maxQueued, bytes: maxQueuedBytes },
    onQueueFull: checked.onQueueFull,
    queueQos0Offline: checked.queueQos0Offline,
    onSessionLost: checked.onSessionLost,
    storeQos0: checked.storeQos0,
    messageRetry: checked.messageRetry,
    ackTimeout: checked.ackTimeout,
    requestTimeout: checked.requestTimeout,
    maxFiltersPerPacket: checked.maxFiltersPerPacket,
    resubscribe: checked.resubscribe,
    topicAlias: checked.topicAlias,
    receiveMaximum: checked.receiveMaximum,
    receiveBuffer: checked.receiveBuffer,
    ackStallTimeout: checked.ackStallTimeout,
    maximumPacketSize: checked.maximumPacketSize,
  };
}

/** Whether the URLs may have different credentials. */
function credentialsDiffer([first, ...others]: readonly Endpoint[]): boolean {
  if (typeof first !== 'object') return true;
  return others.some(
    (endpoint) =>
      typeof endpoint === 'function' || !isDeepStrictEqual(endpoint.credentials, first.credentials),
  );
}

/** Errors in CONNECT must be reported now, not by the first attempt to connect. */
function checkIdentities(
  checked: CheckedOptions,
  engine: EngineOptions,
  endpoints: readonly Endpoint[],
): void {
  const { protocolVersion, cleanStart, clientId = '' } = checked;
  if (checked.store !== undefined && (typeof clientId === 'function' || clientId === ''))
    throw new TypeError(
      'clientId: expected a text that is not empty, as the store keeps the session under it',
    );
  const ownId = typeof clientId === 'function' ? '' : toClientId(clientId, cleanStart, protocolVersion);
  for (const endpoint of endpoints) {
    const fromUrl = typeof endpoint === 'function' ? {} : endpoint.credentials;
    const identity = toIdentity(fixedCredentials(checked, fromUrl), protocolVersion);
    checkConnect(engine, { ...identity, ...(ownId !== '' && { clientId: ownId }) });
  }
}

/** The options of a client and its settings, as `configure()` changes them. */
export class Configuration<UserData> {
  readonly #url: ServerUrl;
  readonly #random: () => number;
  #options: ClientOptions<UserData>;
  #settings: Settings<UserData>;

  constructor(url: ServerUrl, options: ClientOptions<UserData>, random: () => number) {
    this.#url = url;
    this.#random = random;
    this.#settings = toSettings(url, options, random);
    this.#options = { ...options };
  }

  get settings(): Settings<UserData> {
    return this.#settings;
  }

  /** A copy of the present options, as they were given. */
  get options(): ClientOptions<UserData> {
    return this.#options;
  }

  /** Checks like the constructor, and changes nothing if anything is wrong. */
  change(changes: ConfigurableOptions<UserData>): void {
    checkKeys('configure', changes, CONFIGURABLE);
    const logger = changes.logger === null ? undefined : (changes.logger ?? this.#options.logger);
    const options = { ...this.#options, ...changes, logger };
    const next = toSettings(this.#url, options, this.#random);
    // The engine keeps one object for life. `connect()` may have changed the Keep Alive in it.
    const { engine } = this.#settings;
    const keepAlive = 'keepAlive' in changes ? next.engine.keepAlive : engine.keepAlive;
    Object.assign(engine, next.engine, { clientId: engine.clientId, keepAlive });
    this.#settings = { ...next, engine };
    this.#options = options;
  }
}
