import type { ProtocolVersion } from '../../codec/packets.ts';
import { reasonCodeName } from '../../codec/reason-codes.ts';
import {
  ClosedError,
  messageOf,
  shown,
  SubscribeError,
  UnsubscribeError,
  type FilterResult,
  type MqttError,
} from '../../errors.ts';
import { Request, type SubscriptionEntry } from '../../session/request.ts';
import { hasWildcard, isShared } from '../../topic/filters.ts';
import { quoted } from '../../topic/names.ts';
import { onAbort, withCancellation } from '../runtime/cancellation.ts';
import type { Driver } from '../runtime/driver.ts';
import type { FilterEntry } from './filter-entry.ts';
import type { Router } from './router.ts';
import { ClientSubscription, type SubscriptionParts } from './client-subscription.ts';
import {
  checkFilter,
  checkSubscribe,
  checkUnsubscribe,
  listOf,
  toEntries,
  type FilterOptions,
  type SubscribeOptions,
  type UnsubscribeOptions,
} from './subscribe-options.ts';

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
  /** The same, with the reason string and the User Properties of UNSUBACK if it had any (5.0). */
  readonly results: readonly FilterResult[];
}

const MIB = 1_048_576;
const NOTHING: Answer = { results: [], givenUp: new Set() };

interface SubscribeParts extends SubscriptionParts {
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
  readonly #end = (subscription: ClientSubscription): Promise<void> => this.end(subscription);

  constructor(parts: SubscribeParts) {
    this.#driver = parts.driver;
    this.#router = parts.router;
    this.#version = parts.version;
    this.#parts = parts;
  }

  /** Resolves on SUBACK. Without a connection, it waits for one. `made` gets the subscription before that. */
  async subscribe(
    topicFilter: string | FilterOptions | readonly (string | FilterOptions)[],
    given: SubscribeOptions,
    made: (subscription: ClientSubscription) => void,
  ): Promise<ClientSubscription> {
    const options = checkSubscribe(given, this.#version);
    const entries = toEntries(topicFilter, options, this.#version);
    for (const entry of entries) this.#check(entry);
    const { ack = 'processed', overflow = 'drop-oldest', partial = false } = options;
    const { messages = 10_000, bytes = 64 * MIB } = options.buffer ?? {};
    const intake = { ack, buffer: { messages, bytes }, overflow };
    const subscription = new ClientSubscription(entries, intake, this.#parts, this.#end);
    // Before SUBSCRIBE is written: messages may arrive before SUBACK [MQTT-3.8.4-1].
    this.#router.add(subscription);
    made(subscription);
    const wasOver = this.#isOver;
    try {
      this.#granted(subscription, await this.#subscribe(entries, options), partial);
    } catch (error) {
      // Nobody has processed the messages that arrived before the failure: a persistent session sends them again.
      const unsettled = this.#parts.persistent ? 'abandon' : 'acknowledge';
      // Loops end without an error when the client is disconnected, before SUBACK as well as after it.
      const isEnd = error instanceof ClosedError && error.cause === undefined && !wasOver;
      subscription.end(unsettled, isEnd ? undefined : error);
      const last = this.#router.remove(subscription, subscription.topicFilters, 'failed');
      this.#unsubscribeUnused(last, subscription);
      throw error;
    }
    const { signal } = options;
    if (signal !== undefined) this.#stopOnAbort(subscription, signal);
    return subscription;
  }

  /** Ends subscriptions by Topic Filter, including those that share them. */
  async unsubscribe(
    topicFilter: string | readonly string[],
    given: UnsubscribeOptions,
  ): Promise<UnsubscribeResult> {
    const options = checkUnsubscribe(given, this.#version);
    const topicFilters = listOf(topicFilter);
    for (const filter of topicFilters) checkFilter(filter);
    const local = topicFilters.map((filter) =>
      this.#router.get(filter)?.isRequested === false ? 0 : undefined,
    );
    for (const filter of topicFilters)
      for (const holder of this.#router.holdersOf(filter)) {
        this.#router.remove(holder, [filter]);
        if (!this.#router.has(holder)) holder.end();
      }
    const requested = topicFilters.filter((_, i) => local[i] === undefined);
    const results = merged(topicFilters, local, await this.#unsubscribe(requested, options));
    return { reasonCodes: results.map(({ reasonCode }) => reasonCode), results };
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
      for (const holder of this.#router.get(topicFilter)?.requesters ?? []) {
        const last = this.#router.remove(holder, holder.topicFilters, 'failed');
        const granted = last.filter((filter) => !refused.has(filter));
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
    // A persistent session goes on, and what arrives on the next connection is for who subscribes then.
    this.#router.forgetFormer();
  }

  #send(
    kind: 'subscribe' | 'unsubscribe',
    entries: readonly SubscriptionEntry[],
    options: UnsubscribeOptions,
  ): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      const request = new Request(kind, entries, options.properties?.userProperties, {
        answered: (results, givenUp) => (done(), resolve({ results, givenUp })),
        failed: (error) => (done(), reject(error)),
      });
      const done = withCancellation(options, this.#parts.clock, kind, (reason) => {
        this.#driver.withdrawRequest(request);
        reject(reason);
      });
      this.#driver.request(request);
    });
  }

  /** Requests what the server has not subscribed by itself. */
  async #subscribe(entries: readonly FilterEntry[], options: UnsubscribeOptions): Promise<Answer> {
    const requested = entries.filter(({ madeBy }) => madeBy !== 'server');
    const local = entries.map(({ madeBy, qos }) => (madeBy === 'server' ? qos : undefined));
    if (requested.length === 0 && this.#isOver) throw new ClosedError('the client is closed');
    const answer =
      requested.length === 0 ? NOTHING : await this.#send('subscribe', this.#requests(requested), options);
    const topicFilters = entries.map(({ topicFilter }) => topicFilter);
    return { ...answer, results: merged(topicFilters, local, answer.results) };
  }

  /** Unsubscribes at the server. */
  async #unsubscribe(
    topicFilters: readonly string[],
    options: UnsubscribeOptions,
  ): Promise<readonly FilterResult[]> {
    if (topicFilters.length === 0) return [];
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
    subscription.grant(results);
    this.#router.granted(subscription, results);
    const refused = results.filter(isRefused);
    if (refused.length === 0) return;
    this.#router.remove(
      subscription,
      refused.map((result) => result.topicFilter),
      'failed',
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

  /**
   * `entries` as they are sent. A repeated filter replaces the earlier request [MQTT-3.8.4-3], which must not lower its QoS
   * for others. Without Subscription Identifiers, a server may send one copy for overlapping Topic Filters, with the QoS of
   * any of them: so the highest QoS is requested then.
   */
  #requests(entries: readonly FilterEntry[]): SubscriptionEntry[] {
    let overlaps = 0;
    const requests = entries.map((asked) => {
      const { deliveredAs: _, madeBy: __, ...entry } = asked;
      const holding = this.#router.get(entry.topicFilter);
      const qos = holding?.qos ?? entry.qos;
      let qosWithoutIdentifier = qos;
      this.#router.overlapping(entry.topicFilter, (other) => {
        if (other !== holding) overlaps++;
        if (other.qos > qosWithoutIdentifier) qosWithoutIdentifier = other.qos;
      });
      return { ...entry, qos, identifier: holding?.identifier, qosWithoutIdentifier };
    });
    const isExact =
      this.#version === 5 && this.#driver.negotiated?.subscriptionIdentifiersAvailable !== false;
    if (overlaps > 0 && !isExact)
      this.#parts.logger.warn(
        'Topic Filters overlap: the server decides how many copies of a message it sends',
      );
    return requests;
  }

  /** Refuses a Topic Filter that the server does not support, or that other subscriptions have with another `deliveredAs`. */
  #check({ topicFilter, deliveredAs, madeBy }: FilterEntry): void {
    const known = this.#router.get(topicFilter);
    if (known !== undefined && known.deliveredAs !== deliveredAs)
      throw new TypeError(
        `deliveredAs: expected ${shownFilter(known.deliveredAs)}, as other subscriptions to this Topic Filter have, got ${shownFilter(deliveredAs)}`,
      );
    const negotiated = this.#driver.negotiated;
    if (negotiated === undefined || madeBy === 'server') return;
    const refuse = (reasonCode: number): never => {
      throw subscribeError({ results: [{ topicFilter, reasonCode }], givenUp: new Set() });
    };
    if (!negotiated.wildcardSubscriptionAvailable && hasWildcard(topicFilter)) refuse(0xa2);
    if (!negotiated.sharedSubscriptionAvailable && isShared(topicFilter)) refuse(0x9e);
  }
}

/** Results for `topicFilters`: `local` has the codes of those that were not sent, `sent` the results of the others, in order. */
function merged(
  topicFilters: readonly string[],
  local: readonly (number | undefined)[],
  sent: readonly FilterResult[],
): readonly FilterResult[] {
  let next = 0;
  return topicFilters.map((topicFilter, i) => {
    const reasonCode = local[i];
    return reasonCode === undefined ? (sent[next++] as FilterResult) : { topicFilter, reasonCode };
  });
}

function shownFilter(topicFilter: string | undefined): string {
  return topicFilter === undefined ? 'none' : quoted(topicFilter);
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
    .map(({ topicFilter, reasonCode, properties }) =>
      givenUp.has(topicFilter)
        ? `${topicFilter}: the connection was lost each time it was requested`
        : `${topicFilter}: ${reasonCodeName(reasonCode)} (0x${reasonCode.toString(16)})${reasonSuffix(properties?.reasonString)}`,
    );
  if (refused.length > NAMED) named.push(`and ${refused.length - NAMED} others`);
  return named.join(', ');
}

function reasonSuffix(reason: string | undefined): string {
  return reason === undefined ? '' : `: ${shown(reason)}`;
}
