import type { QoS } from '../../codec/packets.ts';
import { isFull, isUnclaimed, type Delivery } from '../../engine/delivery.ts';
import { hasWildcard, isShared } from '../../topic/filters.ts';
import { Trie } from '../../topic/trie.ts';
import type { ReceivedMessage } from './received-message.ts';
import { RetainedCopies } from './retained-copies.ts';
import type { ClientSubscription } from './client-subscription.ts';

/** How many topics are cached. Others are looked up each time, so that the cache does not thrash. */
const CACHED_TOPICS = 512;
/** After so many misses in a row, the full cache is asked only for one topic in `SAMPLE`, until it has one. */
const MOST_MISSES = 64;
const SAMPLE = 16;

const NONE: readonly ClientSubscription[] = [];

/** A Topic Filter and the subscriptions that hold it. */
export class FilterHolders {
  readonly topicFilter: string;
  /** Whether it matches one Topic Name only: its own text. */
  readonly isExact: boolean;
  /** Each with the QoS that was requested for it. */
  readonly #holders = new Map<ClientSubscription, QoS>();
  /** How many holders requested each QoS. */
  readonly #requested: [number, number, number] = [0, 0, 0];
  /** The holders, as long as they do not change. */
  #list: readonly ClientSubscription[] | undefined = undefined;

  constructor(topicFilter: string) {
    this.topicFilter = topicFilter;
    this.isExact = !hasWildcard(topicFilter) && !isShared(topicFilter);
  }

  /** How many subscriptions hold it. When the last one ends, it is unsubscribed from. */
  get size(): number {
    return this.#holders.size;
  }

  get holders(): readonly ClientSubscription[] {
    return (this.#list ??= [...this.#holders.keys()]);
  }

  /** The highest QoS that a holder requested. */
  get qos(): QoS {
    if (this.#requested[2] > 0) return 2;
    return this.#requested[1] > 0 ? 1 : 0;
  }

  add(subscription: ClientSubscription, qos: QoS): void {
    this.#holders.set(subscription, qos);
    this.#list = undefined;
    this.#requested[qos]++;
  }

  remove(subscription: ClientSubscription): void {
    const qos = this.#holders.get(subscription);
    if (qos === undefined) return;
    this.#holders.delete(subscription);
    this.#list = undefined;
    this.#requested[qos]--;
  }
}

/** Finds the subscriptions that match a Topic Name (4.7): each once, even if several of its filters match. */
export class Router {
  readonly retained: RetainedCopies;
  /** Exact filters are found by their text. They are in a tree only for {@link overlapping}. */
  readonly #exact = new Trie<FilterHolders>();
  /** Filters with wildcards, and shared ones. */
  readonly #patterns = new Trie<FilterHolders>();
  readonly #holdings = new Map<string, FilterHolders>();
  /** Each with the Topic Filters that it holds. */
  readonly #subscriptions = new Map<ClientSubscription, Set<string>>();
  readonly #cache = new Map<string, readonly ClientSubscription[]>();
  /** Misses in a row while the cache is full. */
  #misses = 0;
  #lastTopic: string | undefined = undefined;
  #lastFound: readonly ClientSubscription[] = NONE;
  /** The matches of one Topic Name, while they are looked up. */
  readonly #matches: FilterHolders[] = [];
  readonly #collect = (holding: FilterHolders): void => void this.#matches.push(holding);

  /** `now`: ms of the client's clock. */
  constructor(now: () => number) {
    this.retained = new RetainedCopies(now, (topicName, counts) => {
      let held = 0;
      this.#match(topicName, ({ holders }) => {
        for (const holder of holders) if (counts(holder)) held++;
      });
      return held;
    });
  }

  add(subscription: ClientSubscription): void {
    const filters = new Set<string>();
    this.#subscriptions.set(subscription, filters);
    this.retained.requested(subscription);
    for (const { topicFilter, qos } of subscription.entries) {
      let holding = this.#holdings.get(topicFilter);
      if (holding === undefined) {
        holding = new FilterHolders(topicFilter);
        this.#holdings.set(topicFilter, holding);
        this.#trieOf(holding).add(topicFilter, holding);
      }
      holding.add(subscription, qos);
      filters.add(topicFilter);
    }
    this.#clearCache();
  }

  /**
   * Visits the Topic Filters that overlap with `topicFilter`: a message can match both. A Shared Subscription overlaps with
   * none, since the server sends a separate copy for it.
   */
  overlapping(topicFilter: string, visit: (holding: FilterHolders) => void): void {
    if (isShared(topicFilter)) return;
    this.#exact.overlapping(topicFilter, visit);
    this.#patterns.overlapping(topicFilter, (holding) => {
      if (!isShared(holding.topicFilter)) visit(holding);
    });
  }

  /** Removes filters of a subscription. Returns those that no other subscription holds. */
  remove(
    subscription: ClientSubscription,
    topicFilters: readonly string[] = subscription.topicFilters,
  ): string[] {
    const last: string[] = [];
    const held = this.#subscriptions.get(subscription);
    for (const filter of topicFilters) {
      const holding = this.#holdings.get(filter);
      if (holding === undefined || held?.delete(filter) !== true) continue;
      holding.remove(subscription);
      if (holding.size > 0) continue;
      this.#holdings.delete(filter);
      this.#trieOf(holding).remove(filter, holding);
      last.push(filter);
    }
    if (held?.size === 0) {
      this.#subscriptions.delete(subscription);
      this.retained.removed(subscription);
    }
    this.#clearCache();
    return last;
  }

  get subscriptions(): readonly ClientSubscription[] {
    return [...this.#subscriptions.keys()];
  }

  /** An iterator over all subscriptions, which may change meanwhile. */
  all(): IterableIterator<ClientSubscription> {
    return this.#subscriptions.keys();
  }

  /** Whether `subscription` still holds a Topic Filter. */
  has(subscription: ClientSubscription): boolean {
    return this.#subscriptions.has(subscription);
  }

  holdersOf(topicFilter: string): ClientSubscription[] {
    return [...(this.#holdings.get(topicFilter)?.holders ?? NONE)];
  }

  /** The server has no session: it sends retained messages to all subscriptions again. */
  restored(): void {
    for (const subscription of this.#subscriptions.keys()) this.retained.restored(subscription);
  }

  matching(topicName: string): readonly ClientSubscription[] {
    let found = this.#cached(topicName);
    if (found === undefined) {
      found = this.#find(topicName);
      if (this.#cache.size < CACHED_TOPICS) this.#cache.set(topicName, found);
      else this.#misses++;
    }
    this.#lastTopic = topicName;
    this.#lastFound = found;
    return found;
  }

  #cached(topicName: string): readonly ClientSubscription[] | undefined {
    if (this.#misses > MOST_MISSES && this.#misses % SAMPLE !== 0) return undefined;
    const found = this.#cache.get(topicName);
    if (found !== undefined) this.#misses = 0;
    return found;
  }

  /** hot: hands a message to the subscriptions that match; `unmatched`: there are none. */
  deliver(message: ReceivedMessage): Delivery | 'unmatched' {
    const { topic } = message;
    const matching = topic === this.#lastTopic ? this.#lastFound : this.matching(topic);
    if (matching.length === 0) return 'unmatched';
    const found = message.retain ? this.retained.of(message, matching) : matching;
    return found.length === 1
      ? (found[0] as ClientSubscription).push(message)
      : this.#deliverCopies(message, found);
  }

  /** Each subscription gets a copy. The message is settled when every subscription that took it has settled it. */
  #deliverCopies(message: ReceivedMessage, found: readonly ClientSubscription[]): Delivery {
    const { receipt } = message;
    let [taken, full] = [0, 0];
    for (const subscription of found) {
      const copy = subscription === found[0] ? message : message.copyFor(receipt);
      const delivery = subscription.push(copy);
      if (!isUnclaimed(delivery)) taken++;
      if (isFull(delivery)) full++;
    }
    if (receipt !== undefined && taken > 0) receipt.copies = taken; // fault: copies
    const result = taken > 0 ? 'taken' : 'acknowledge';
    return full > 0 ? `${result}-full` : result;
  }

  /** hot: with many topics, most are not cached. The usual case of one matching filter allocates nothing. */
  #find(topicName: string): readonly ClientSubscription[] {
    const matches = this.#matches;
    this.#match(topicName, this.#collect);
    if (matches.length <= 1) return matches.pop()?.holders ?? NONE;
    const found = new Set(matches.flatMap(({ holders }) => holders));
    matches.length = 0;
    return [...found];
  }

  /** Visits every Topic Filter that matches. */
  #match(topicName: string, visit: (holding: FilterHolders) => void): void {
    if (!this.#exact.isEmpty) {
      const holding = this.#holdings.get(topicName);
      if (holding?.isExact === true) visit(holding);
    }
    if (!this.#patterns.isEmpty) this.#patterns.match(topicName, visit);
  }

  #trieOf(holding: FilterHolders): Trie<FilterHolders> {
    return holding.isExact ? this.#exact : this.#patterns;
  }

  #clearCache(): void {
    if (this.#cache.size > 0) this.#cache.clear();
    this.#misses = 0;
    this.#lastTopic = undefined;
    this.#lastFound = NONE;
  }
}
