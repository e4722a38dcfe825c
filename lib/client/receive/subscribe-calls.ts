import { encode } from '../../codec/codec.ts';
import type { ProtocolVersion, QoS, SubscriptionRequest, UserProperties } from '../../codec/packets.ts';
import { reasonCodeName } from '../../codec/reason-codes.ts';
import {
  ClosedError,
  messageOf,
  SubscribeError,
  UnsubscribeError,
  type FilterResult,
  type MqttError,
} from '../../errors.ts';
import { Request } from '../../session/request.ts';
import { hasWildcard, isShared, topicFilterError } from '../../topic/filters.ts';
import type { BufferLimits, Overflow } from './message-buffer.ts';
import {
  checkCall,
  checkCallWith,
  onAbort,
  withCancellation,
  type CallOptions,
} from '../runtime/cancellation.ts';
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
} from '../config/validate.ts';
import type { Driver } from '../runtime/driver.ts';
import type { Router } from './router.ts';
import { ClientSubscription, type SubscriptionParts } from './client-subscription.ts';
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

/** The server's answer to a SUBSCRIBE or UNSUBSCRIBE. */
interface Answer {
  readonly results: readonly FilterResult[];
  /** Topic Filters that are not sent again, since the connection was lost each time they were sent. */
  readonly givenUp: ReadonlySet<string>;
}

/** The result of `unsubscribe()`. */
export interface UnsubscribeResult {
  /** For each Topic Filter 0, or 0x11 = there was no such subscription (5.0, 3.11.3). */
  readonly reasonCodes: readonly number[];
}

type FilterFlags = Omit<FilterOptions, 'topicFilter'>;

const FLAG_CHECKS: Checks<FilterFlags> = {
  qos: choice(0, 1, 2),
  noLocal: boolean,
  retainAsPublished: boolean,
  retainHandling: choice(0, 1, 2),
};
const FILTER_CHECKS: Checks<FilterOptions> = { topicFilter: string, ...FLAG_CHECKS };
const BUFFER_CHECKS: Checks<BufferLimits> = { messages: integerIn(1), bytes: integerIn(1) };
const CHECKS: Checks<Omit<SubscribeOptions, keyof CallOptions>> = {
  ...FLAG_CHECKS,
  ack: choice('processed', 'received', 'manual'),
  buffer: (name, value) => checkObject(name, value, BUFFER_CHECKS),
  overflow: choice('drop-oldest', 'drop-newest', 'latest-per-topic', 'pause'),
  partial: boolean,
  properties(name, value) {
    const properties = checkKeys(name, value, ['userProperties']) as SubscribeOptions['properties'];
    const subscriptions = [{ topicFilter: '#', qos: 0 as const }];
    checkEncodable(() => encode({ type: 'subscribe', packetId: 1, subscriptions, properties }, 5));
    return properties;
  },
};
const ONLY_5 = ['noLocal', 'retainAsPublished', 'retainHandling', 'properties'];
const MIB = 1_048_576;

interface SubscribeParts extends Omit<SubscriptionParts, 'unsubscribe'> {
  readonly driver: Driver;
  readonly router: Router;
  readonly version: ProtocolVersion;
}

/** Implements `subscribe()` and `unsubscribe()`. */
export class SubscribeCalls {
  readonly #driver: Driver;
  readonly #router: Router;
  readonly #parts: SubscriptionParts;
  readonly #version: ProtocolVersion;

  constructor(parts: SubscribeParts) {
    const { clock, counters, drain, driver, logger, overflowReports, persistent, pressure } = parts;
    const unsubscribe = (subscription: ClientSubscription): Promise<void> => this.end(subscription);
    this.#driver = driver;
    this.#router = parts.router;
    this.#version = parts.version;
    this.#parts = {
      clock,
      counters,
      drain,
      driver,
      logger,
      overflowReports,
      persistent,
      pressure,
      unsubscribe,
    };
  }

  /** Resolves on SUBACK. Without a connection, it waits for one. `made` gets the subscription before that. */
  async subscribe(
    topicFilter: string | readonly (string | FilterOptions)[],
    given: SubscribeOptions,
    made: (subscription: ClientSubscription) => void,
  ): Promise<ClientSubscription> {
    const options = checkCallWith('subscribe', given, CHECKS);
    const entries = this.#entries(topicFilter, options);
    const { ack = 'processed', overflow = 'drop-oldest', partial = false } = options;
    const { messages = 10_000, bytes = 64 * MIB } = options.buffer ?? {};
    const intake = { ack, buffer: { messages, bytes }, overflow };
    const subscription = new ClientSubscription(entries, intake, this.#parts);
    // Before SUBSCRIBE is written: messages may arrive before SUBACK [MQTT-3.8.4-1].
    this.#router.add(subscription);
    made(subscription);
    const wasOver = this.#isOver;
    try {
      this.#granted(subscription, await this.#send('subscribe', this.#raised(entries), options), partial);
    } catch (error) {
      // Nobody has processed the messages that arrived before the failure: a persistent session sends them again.
      const unsettled = this.#parts.persistent ? 'abandon' : 'acknowledge';
      // Loops end without an error when the client is disconnected, before SUBACK as well as after it.
      const isEnd = error instanceof ClosedError && error.cause === undefined && !wasOver;
      subscription.end(unsettled, isEnd ? undefined : error);
      this.#unsubscribeUnused(this.#router.remove(subscription), subscription);
      throw error;
    }
    const { signal } = options;
    if (signal !== undefined) this.#stopOnAbort(subscription, signal);
    return subscription;
  }

  /** Ends subscriptions by Topic Filter, including those that share them. */
  async unsubscribe(
    topicFilter: string | readonly string[],
    options: CallOptions,
  ): Promise<UnsubscribeResult> {
    checkCall('unsubscribe', options);
    const topicFilters = listOf(topicFilter);
    for (const filter of topicFilters) checkFilter(filter);
    for (const filter of topicFilters)
      for (const holder of this.#router.holdersOf(filter)) {
        this.#router.remove(holder, [filter]);
        if (!this.#router.has(holder)) holder.end();
      }
    const results = await this.#unsubscribe(topicFilters, options);
    return { reasonCodes: results.map(({ reasonCode }) => reasonCode) };
  }

  /** `subscription.unsubscribe()`: the last holder of a filter unsubscribes it at the server. */
  async end(subscription: ClientSubscription): Promise<void> {
    const last = this.#router.remove(subscription);
    if (last.length === 0) return;
    try {
      await this.#unsubscribe(last, {});
    } catch (error) {
      // A session that ends with the client ends its subscriptions too.
      if (this.#parts.persistent || !(error instanceof ClosedError)) throw error;
    }
  }

  /** The server refuses filters that it granted before: loops of their subscriptions throw a `SubscribeError`. */
  refused(results: readonly FilterResult[], givenUp: ReadonlySet<string>): void {
    const error = subscribeError({ results, givenUp });
    const refused = new Set(results.map((result) => result.topicFilter));
    for (const { topicFilter } of results)
      for (const holder of this.#router.holdersOf(topicFilter)) {
        const granted = this.#router.remove(holder).filter((filter) => !refused.has(filter));
        holder.endAfterBuffer(error);
        this.#unsubscribeUnused(granted, holder);
      }
  }

  /** The client has ended. Loops end, or throw `error` after the messages that wait. */
  endAll(error: MqttError | undefined): void {
    for (const subscription of this.#router.subscriptions) {
      this.#router.remove(subscription);
      for (const filter of subscription.topicFilters) this.#driver.forget(filter);
      if (error === undefined) subscription.end('abandon');
      else subscription.endAfterBuffer(error);
    }
  }

  #send(
    kind: 'subscribe' | 'unsubscribe',
    entries: readonly SubscriptionRequest[],
    options: CallOptions & Pick<SubscribeOptions, 'properties'>,
  ): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      const request = new Request(kind, entries, options.properties?.userProperties, {
        answered: (reasonCodes, givenUp) => {
          done();
          const results = entries.map(({ topicFilter }, i) => ({
            topicFilter,
            reasonCode: reasonCodes[i] ?? 0x80,
          }));
          resolve({ results, givenUp });
        },
        failed: (error) => (done(), reject(error)),
      });
      const done = withCancellation(options, this.#parts.clock, kind, (reason) => {
        this.#driver.withdrawRequest(request);
        reject(reason);
      });
      this.#driver.request(request);
    });
  }

  /** Unsubscribes at the server. */
  async #unsubscribe(
    topicFilters: readonly string[],
    options: CallOptions,
  ): Promise<readonly FilterResult[]> {
    for (const filter of topicFilters) this.#driver.forget(filter);
    const entries = topicFilters.map((topicFilter) => ({ topicFilter, qos: 0 as const }));
    const answer = await this.#send('unsubscribe', entries, options);
    const { results } = answer;
    if (results.some(isRefused))
      throw new UnsubscribeError(`could not unsubscribe: ${reasonsOf(answer)}`, results);
    return results;
  }

  #stopOnAbort(subscription: ClientSubscription, signal: AbortSignal): void {
    const unlisten = onAbort(signal, () => {
      subscription
        .finish({ reason: signal.reason })
        .catch((error: unknown) => this.#notUnsubscribed(subscription, error));
    });
    subscription.onEnd(unlisten);
  }

  #granted(subscription: ClientSubscription, answer: Answer, partial: boolean): void {
    const { results } = answer;
    subscription.grant(results.map(({ reasonCode }) => reasonCode));
    this.#router.retained.granted(subscription);
    const refused = results.filter(isRefused);
    if (refused.length === 0) return;
    this.#router.remove(
      subscription,
      refused.map((result) => result.topicFilter),
    );
    if (!partial || refused.length === results.length) throw subscribeError(answer);
  }

  /** No subscription holds these filters any more: unsubscribes them at the server. */
  #unsubscribeUnused(topicFilters: readonly string[], subscription: ClientSubscription): void {
    if (topicFilters.length === 0 || this.#isOver || this.#driver.state === 'offline') return;
    this.#unsubscribe(topicFilters, {}).catch((error: unknown) => this.#notUnsubscribed(subscription, error));
  }

  get #isOver(): boolean {
    const { state } = this.#driver;
    return state === 'closed' || state === 'disconnecting';
  }

  #notUnsubscribed({ topicFilters }: ClientSubscription, error: unknown): void {
    // When the client has ended, its subscriptions have ended too.
    if (!(error instanceof ClosedError))
      this.#parts.logger.warn(
        `could not unsubscribe ${topicFilters.length} Topic Filters: ${messageOf(error)}`,
      );
  }

  #entries(
    topicFilter: string | readonly (string | FilterOptions)[],
    options: SubscribeOptions,
  ): SubscriptionRequest[] {
    this.#checkVersion(options);
    const entries = listOf(topicFilter).map((one) => this.#entry(one, options));
    if (new Set(entries.map((entry) => entry.topicFilter)).size < entries.length)
      throw new TypeError('topicFilter: expected each Topic Filter once');
    return entries;
  }

  #entry(given: string | FilterOptions, options: FilterFlags): SubscriptionRequest {
    const own =
      typeof given === 'string'
        ? { topicFilter: given }
        : checkObject<FilterOptions>('topicFilter', given, FILTER_CHECKS, '');
    const topicFilter = this.#checkFilter(own.topicFilter);
    this.#checkVersion(own);
    const flags: FilterFlags = { ...options, ...own };
    const { qos = 0, noLocal = false, retainAsPublished = false, retainHandling = 0 } = flags;
    if (this.#version < 5) return { topicFilter, qos };
    // [MQTT-3.8.3-4]
    if (noLocal && isShared(topicFilter))
      throw new TypeError('noLocal: expected false with a shared subscription [MQTT-3.8.3-4], got true');
    return { topicFilter, qos, noLocal, retainAsPublished, retainHandling };
  }

  /** Refuses options that this version does not have. */
  #checkVersion(options: object): void {
    const key = this.#version < 5 ? ONLY_5.find((one) => one in options) : undefined;
    if (key !== undefined) throw new TypeError(`${key}: expected none, as only MQTT 5.0 has it`);
  }

  /**
   * `entries` as they are sent. When Topic Filters overlap, a server may send one copy, with the QoS of any of them: so the
   * highest QoS is requested. A repeated filter replaces the earlier request [MQTT-3.8.4-3], which must not lower its QoS
   * for others.
   */
  #raised(entries: readonly SubscriptionRequest[]): SubscriptionRequest[] {
    let overlaps = 0;
    const raised = entries.map((entry) => {
      let { qos } = entry;
      this.#router.overlapping(entry.topicFilter, (other) => {
        if (other.topicFilter !== entry.topicFilter) overlaps++;
        if (other.qos > qos) qos = other.qos;
      });
      return { ...entry, qos };
    });
    if (overlaps > 0)
      this.#parts.logger.warn(
        'Topic Filters overlap: the server decides how many copies of a message it sends',
      );
    return raised;
  }

  /** Checks a Topic Filter, also against what the server supports. */
  #checkFilter(value: unknown): string {
    const topicFilter = checkFilter(value);
    const negotiated = this.#driver.negotiated;
    if (negotiated === undefined) return topicFilter;
    const refuse = (reasonCode: number): never => {
      throw subscribeError({ results: [{ topicFilter, reasonCode }], givenUp: new Set() });
    };
    if (!negotiated.wildcardSubscriptionAvailable && hasWildcard(topicFilter)) refuse(0xa2);
    if (!negotiated.sharedSubscriptionAvailable && isShared(topicFilter)) refuse(0x9e);
    return topicFilter;
  }
}

function checkFilter(value: unknown): string {
  const topicFilter = string('topicFilter', value);
  const wrong = topicFilterError(topicFilter);
  if (wrong !== undefined) throw new TypeError(`topicFilter: ${wrong}`);
  return topicFilter;
}

/** One or several, at least one. */
function listOf<T>(topicFilter: string | readonly T[]): (string | T)[] {
  const list: unknown = typeof topicFilter === 'string' ? [topicFilter] : topicFilter;
  if (!Array.isArray(list)) throw wrongType('topicFilter', 'a string or an array', list);
  if (list.length === 0) throw new TypeError('topicFilter: expected at least one, got none');
  return [...(list as T[])];
}

function isRefused({ reasonCode }: FilterResult): boolean {
  return reasonCode >= 0x80;
}

function subscribeError(answer: Answer): SubscribeError {
  return new SubscribeError(`could not subscribe: ${reasonsOf(answer)}`, answer.results);
}

/** How many refusals an error text names. `results` has all of them. */
const NAMED = 10;

function reasonsOf({ results, givenUp }: Answer): string {
  const refused = results.filter(isRefused);
  const named = refused
    .filter((_, i) => i < NAMED)
    .map(({ topicFilter, reasonCode }) =>
      givenUp.has(topicFilter)
        ? `${topicFilter}: the connection was lost each time it was requested`
        : `${topicFilter}: ${reasonCodeName(reasonCode)} (0x${reasonCode.toString(16)})`,
    );
  if (refused.length > NAMED) named.push(`and ${refused.length - NAMED} others`);
  return named.join(', ');
}
