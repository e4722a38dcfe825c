/** The arguments of `subscribe()` and `unsubscribe()`: what users give, its checks, and what it becomes. */

import { encode } from '../../codec/codec.ts';
import type { ProtocolVersion, QoS, UserProperties } from '../../codec/packets.ts';
import { isShared, topicFilterError } from '../../topic/filters.ts';
import {
  boolean,
  checkEncodable,
  checkKeys,
  checkObject,
  choice,
  integerIn,
  string,
  wrongType,
  type Checks,
  type Given,
} from '../config/validate.ts';
import { checkCallWith, type CallOptions } from '../runtime/cancellation.ts';
import type { FilterEntry } from './filter-entry.ts';
import type { BufferLimits, Overflow } from './message-buffer.ts';
import type { AckMode } from './subscription.ts';

/** Subscription Options (3.8.3.1) of one Topic Filter, if those of one call differ. */
export interface FilterOptions {
  readonly topicFilter: string;
  /** The highest QoS that the server may use for its messages. @default that of the call */
  readonly qos?: QoS | undefined;
  /** Excludes messages that this client published (5.0). @default false */
  readonly noLocal?: boolean | undefined;
  /** Messages keep the RETAIN flag that they were published with (5.0). @default false */
  readonly retainAsPublished?: boolean | undefined;
  /** Retained messages: 0 = send, 1 = send for a new subscription only, 2 = do not send (5.0). @default 0 */
  readonly retainHandling?: 0 | 1 | 2 | undefined;
  /**
   * The ShareName of a Shared Subscription (4.8.2): each message goes to one of the clients that subscribe with it. The
   * filter becomes `$share/<share>/<topicFilter>`. At least one character, without `/`, `+` and `#`. @default none
   */
  readonly share?: string | undefined;
  /**
   * The filter that the Topic Names of arriving messages match, on a server that delivers under other names than it was
   * asked for. The prefixes `$queue/`, `$exclusive/` and `$delayed/<seconds>/` of EMQX need none. The same for all
   * subscriptions to a filter. @default the filter, without `$share/<share>/`
   */
  readonly deliveredAs?: string | undefined;
  /**
   * Takes messages for which the server has made the subscription itself: neither SUBSCRIBE nor UNSUBSCRIBE is sent for
   * the filter, and it is not restored. @default false
   */
  readonly local?: boolean | undefined;
}

/**
 * Options of `subscribe()`. The signal also ends the Subscription later: aborting calls `stop()`, and loops throw the
 * reason.
 */
export interface SubscribeOptions extends CallOptions, Omit<FilterOptions, 'topicFilter'> {
  /**
   * When a QoS 1 or 2 message is acknowledged. `processed`: when the loop asks for the next message. `received`: when it
   * arrives. `manual`: when `message.ack()` is called. @default "processed"
   */
  readonly ack?: AckMode | undefined;
  /**
   * Limits for waiting messages that need no acknowledgement: QoS 0, and all messages with `ack: "received"`. Bytes are
   * those of topic, properties and payload. @default 10000 messages, 64 MiB
   */
  readonly buffer?:
    | { readonly messages?: number | undefined; readonly bytes?: number | undefined }
    | undefined;
  /**
   * What is dropped when the buffer is full. `pause` drops nothing: the client stops reading from the network, for all
   * subscriptions, until half of the buffer is free. @default "drop-oldest"
   */
  readonly overflow?: Overflow | undefined;
  /** Whether the subscription continues with the granted filters when the server refuses others. @default false */
  readonly partial?: boolean | undefined;
  /** Properties of SUBSCRIBE (5.0, 3.8.2.1). */
  readonly properties?: { readonly userProperties?: UserProperties | undefined } | undefined;
}

/** Options of `unsubscribe()`. */
export interface UnsubscribeOptions extends CallOptions {
  /** Properties of UNSUBSCRIBE (5.0, 3.10.2.1). */
  readonly properties?: { readonly userProperties?: UserProperties | undefined } | undefined;
}

type CallFlags = Omit<SubscribeOptions, keyof CallOptions>;
type FilterFlags = Omit<FilterOptions, 'topicFilter'>;

const FLAG_CHECKS: Checks<FilterFlags> = {
  qos: choice(0, 1, 2),
  noLocal: boolean,
  retainAsPublished: boolean,
  retainHandling: choice(0, 1, 2),
  share: checkShareName,
  deliveredAs: checkDeliveredAs,
  local: boolean,
};
const FILTER_CHECKS: Checks<FilterOptions> = { topicFilter: string, ...FLAG_CHECKS };
const BUFFER_CHECKS: Checks<BufferLimits> = { messages: integerIn(1), bytes: integerIn(1) };
const CHECKS: Checks<CallFlags> = {
  ...FLAG_CHECKS,
  ack: choice('processed', 'received', 'manual'),
  buffer: (name, value) => checkObject(name, value, BUFFER_CHECKS),
  overflow: choice('drop-oldest', 'drop-newest', 'latest-per-topic', 'pause'),
  partial: boolean,
  properties: toProperties,
};
const ONLY_5 = ['noLocal', 'retainAsPublished', 'retainHandling', 'properties'];

/** The options of a `subscribe()` call, checked. */
export function checkSubscribe(
  given: SubscribeOptions,
  version: ProtocolVersion,
): CallOptions & Given<CallFlags> {
  const options = checkCallWith('subscribe', given, CHECKS);
  checkVersion(options, version);
  return options;
}

/** The options of an `unsubscribe()` call, checked. */
export function checkUnsubscribe(
  given: UnsubscribeOptions,
  version: ProtocolVersion,
): CallOptions & Given<Pick<UnsubscribeOptions, 'properties'>> {
  const options = checkCallWith<Pick<UnsubscribeOptions, 'properties'>>('unsubscribe', given, {
    properties: toProperties,
  });
  checkVersion(options, version);
  return options;
}

/** The properties of SUBSCRIBE and of UNSUBSCRIBE that users may give. */
function toProperties(name: string, value: unknown): UnsubscribeOptions['properties'] {
  const properties = checkKeys(name, value, ['userProperties']) as UnsubscribeOptions['properties'];
  checkEncodable(() => encode({ type: 'unsubscribe', packetId: 1, topicFilters: ['#'], properties }, 5));
  return properties;
}

/** The Topic Filters of a `subscribe()` call with their options. `options`: of the call, checked. */
export function toEntries(
  topicFilter: string | FilterOptions | readonly (string | FilterOptions)[],
  options: Given<CallFlags>,
  version: ProtocolVersion,
): FilterEntry[] {
  const list = isOne(topicFilter) ? [topicFilter] : topicFilter;
  const entries = listOf<string | FilterOptions>(list).map((one) => toEntry(one, options, version));
  if (new Set(entries.map((entry) => entry.topicFilter)).size < entries.length)
    throw new TypeError('topicFilter: expected each Topic Filter once');
  return entries;
}

function isOne(value: unknown): value is FilterOptions {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function toEntry(given: string | FilterOptions, options: FilterFlags, version: ProtocolVersion): FilterEntry {
  const own: Given<FilterOptions> =
    typeof given === 'string'
      ? { topicFilter: given }
      : checkObject<FilterOptions>('topicFilter', given, FILTER_CHECKS, '');
  checkVersion(own, version);
  const flags: FilterFlags = { ...options, ...own };
  const { qos = 0, noLocal = false, retainAsPublished = false, retainHandling = 0 } = flags;
  const { deliveredAs, local = false } = flags;
  const topicFilter = sharedFilter(own.topicFilter, flags.share);
  const entry = {
    topicFilter,
    qos,
    ...(deliveredAs !== undefined && { deliveredAs }),
    ...(local && { madeBy: 'server' as const }),
  };
  if (version < 5) return entry;
  // [MQTT-3.8.3-4]
  if (noLocal && isShared(topicFilter))
    throw new TypeError('noLocal: expected false with a shared subscription [MQTT-3.8.3-4], got true');
  return { ...entry, noLocal, retainAsPublished, retainHandling };
}

function sharedFilter(value: unknown, share: string | undefined): string {
  const topicFilter = checkFilter(value);
  if (share === undefined) return topicFilter;
  if (isShared(topicFilter))
    throw new TypeError('share: expected none, as the Topic Filter begins with $share/ already');
  return checkFilter(`$share/${share}/${topicFilter}`);
}

/** [MQTT-4.8.2-1, -2] */
function checkShareName(name: string, value: unknown): string {
  const share = string(name, value);
  if (/^[^/+#]+$/.test(share)) return share;
  throw new TypeError(`${name}: expected a ShareName of at least one character and without /, + and #`);
}

function checkDeliveredAs(name: string, value: unknown): string {
  const filter = string(name, value);
  const wrong = topicFilterError(filter);
  if (wrong !== undefined) throw new TypeError(`${name}: ${wrong}`);
  if (isShared(filter))
    throw new TypeError(
      `${name}: expected a filter that Topic Names match, so none that begins with $share/`,
    );
  return filter;
}

/** Refuses options that this version does not have. */
function checkVersion(options: object, version: ProtocolVersion): void {
  const key = version < 5 ? ONLY_5.find((one) => one in options) : undefined;
  if (key !== undefined) throw new TypeError(`${key}: expected none, as only MQTT 5.0 has it`);
}

/** A legal Topic Filter. */
export function checkFilter(value: unknown): string {
  const topicFilter = string('topicFilter', value);
  const wrong = topicFilterError(topicFilter);
  if (wrong !== undefined) throw new TypeError(`topicFilter: ${wrong}`);
  return topicFilter;
}

/** One or several, at least one. */
export function listOf<T>(topicFilter: string | readonly T[]): (string | T)[] {
  const list: unknown = typeof topicFilter === 'string' ? [topicFilter] : topicFilter;
  if (!Array.isArray(list)) throw wrongType('topicFilter', 'a string or an array', list);
  if (list.length === 0) throw new TypeError('topicFilter: expected at least one, got none');
  return [...(list as T[])];
}
