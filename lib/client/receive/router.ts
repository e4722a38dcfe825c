import { isFull, isUnclaimed, type Delivery } from '../../engine/delivery.ts';
import type { FilterResult } from '../../errors.ts';
import { isGroup } from '../../topic/filters.ts';
import { Trie } from '../../topic/trie.ts';
import type { FilterEntry } from './filter-entry.ts';
import { FilterHolders } from './filter-holders.ts';
import type { ReceivedMessage } from './received-message.ts';
import { RetainedCopies } from './retained-copies.ts';
import type { ClientSubscription } from './client-subscription.ts';
import { SubscriptionIdentifiers, type FilterEnd } from './subscription-identifiers.ts';

/** How many topics are cached. Others are looked up each time, so that the cache does not thrash. */
const CACHED_TOPICS = 512;
/** After so many misses in a row, the full cache is asked only for one topic in `SAMPLE`, until it has one. */
const MOST_MISSES = 64;
const SAMPLE = 16;

const NONE: readonly ClientSubscription[] = [];

/**
 * Finds the subscriptions that get a message: those of its Subscription Identifiers, or those that match its Topic Name
 * (4.7). Each gets it once, even if several of its filters match.
 */
export class Router {
  readonly retained: RetainedCopies;
  readonly #identifiers: SubscriptionIdentifiers | undefined;
  /** Exact filters are found by their text. They are in a tree only for {@link overlapping}. */
  readonly #exact = new Trie<FilterHolders>();
  /** Filters with wildcards, and shared ones. */
  readonly #patterns = new Trie<FilterHolders>();
  readonly #holdings = new Map<string, FilterHolders>();
  /** Each with the Topic Filters that it holds. */
  readonly #subscriptions = new Map<ClientSubscription, Set<string>>();
  /** How many of them the server made by itself. */
  #local = 0;
  readonly #cache = new Map<string, readonly ClientSubscription[]>();
  /** Misses in a row while the cache is full. */
  #misses = 0;
  #lastTopic: string | undefined = undefined;
  #lastFound: readonly ClientSubscription[] = NONE;
  /** The matches of one Topic Name, while they are looked up. */
  readonly #matches: FilterHolders[] = [];
  readonly #collect = (holding: FilterHolders): void => void this.#matches.push(holding);

  /** `now`: ms of the client's clock. `firstIdentifier`: a Subscription Identifier; undefined: the version has none. */
  constructor(now: () => number, firstIdentifier?: number) {
    const filters = {
      get: (topicFilter: string) => this.#holdings.get(topicFilter),
      match: (topicName: string, visit: (holding: FilterHolders) => void) => this.#match(topicName, visit),
      hasLocal: () => this.#local > 0,
    };
    if (firstIdentifier !== undefined)
      this.#identifiers = new SubscriptionIdentifiers(firstIdentifier, filters);
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
    for (const entry of subscription.entries) {
      const holding = this.#holdingOf(entry);
      holding.add(subscription, entry);
      filters.add(entry.topicFilter);
      if (entry.madeBy === 'server') this.#local++;
      else if (holding.identifier === undefined) this.#identifiers?.assign(holding);
    }
    if (this.#identifiers !== undefined && filters.size > 1) this.#noteContests(subscription);
    this.#clearCache();
  }

  /**
   * Visits the Topic Filters that overlap with `topicFilter`: a message can match both. A group overlaps with none, since
   * the server sends a separate copy for it.
   */
  overlapping(topicFilter: string, visit: (holding: FilterHolders) => void): void {
    if (isGroup(topicFilter)) return;
    const patterns = this.#holdings.get(topicFilter)?.patterns ?? [topicFilter];
    for (const pattern of patterns) {
      this.#exact.overlapping(pattern, visit);
      this.#patterns.overlapping(pattern, (holding) => {
        if (!holding.isGroup) visit(holding);
      });
    }
  }

  /** Removes filters of a subscription. Returns those that no other subscription has requested. */
  remove(
    subscription: ClientSubscription,
    topicFilters: readonly string[] = subscription.topicFilters,
    end: FilterEnd = 'over',
  ): string[] {
    const last: string[] = [];
    const held = this.#subscriptions.get(subscription);
    for (const filter of topicFilters) {
      const holding = this.#holdings.get(filter);
      if (holding === undefined || held?.delete(filter) !== true) continue;
      const wasRequested = holding.grantedTo(subscription) !== undefined;
      if (!wasRequested) this.#local--;
      if (end === 'over' && held.size > 0 && holding.isContestedBy(subscription))
        holding.survivors.push(subscription);
      holding.remove(subscription);
      if (wasRequested && !holding.isRequested) {
        last.push(filter);
        this.#identifiers?.ended(holding, end);
      }
      if (!holding.isHeld) this.#drop(holding);
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

  holdersOf(topicFilter: string): readonly ClientSubscription[] {
    return this.#holdings.get(topicFilter)?.holders ?? NONE;
  }

  /** What is known of a Topic Filter that any subscription holds. */
  get(topicFilter: string): FilterHolders | undefined {
    return this.#holdings.get(topicFilter);
  }

  /** The server has granted filters of `subscription`. */
  granted(subscription: ClientSubscription, results: readonly FilterResult[]): void {
    for (const { topicFilter, reasonCode } of results)
      if (reasonCode < 0x80) this.#holdings.get(topicFilter)?.grant(subscription, reasonCode);
    this.retained.granted(subscription);
    this.#identifiers?.changed();
  }

  /** The server has granted these filters again, after it had lost the session. */
  grantedAgain(topicFilters: readonly string[]): void {
    for (const topicFilter of topicFilters) {
      const holding = this.#holdings.get(topicFilter);
      if (holding !== undefined) holding.phase = 'granted';
    }
    this.#identifiers?.changed();
  }

  /** The server has no session: it sends retained messages to all subscriptions again. */
  restored(): void {
    for (const subscription of this.#subscriptions.keys()) this.retained.restored(subscription);
  }

  /** The server may not have the subscriptions: they are requested again. */
  requestedAgain(): void {
    for (const holding of this.#holdings.values()) holding.phase = 'requested'; // fault: requested-again
    this.#identifiers?.changed();
  }

  /** Nothing more arrives for filters that have ended, or it is for the next one who subscribes. */
  forgetFormer(): void {
    this.#identifiers?.forgetFormer();
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

  /**
   * hot: hands a message to the subscriptions that get it. `unmatched`: there are none. `over`: those that it was sent for
   * have ended.
   */
  deliver(message: ReceivedMessage): Delivery | 'unmatched' | 'over' {
    const { topic } = message;
    const identifiers = message.properties.subscriptionIdentifiers;
    if (identifiers !== undefined && this.#identifiers !== undefined) {
      const recipients = this.#identifiers.recipients(identifiers, topic);
      if (typeof recipients !== 'string')
        return this.#deliverTo(
          message,
          message.retain ? this.retained.of(message, this.matching(topic), recipients) : recipients,
        );
      if (recipients !== 'unknown') return recipients;
    }
    const matching = topic === this.#lastTopic ? this.#lastFound : this.matching(topic);
    if (matching.length === 0) return 'unmatched';
    return this.#deliverTo(message, message.retain ? this.retained.of(message, matching) : matching);
  }

  #deliverTo(message: ReceivedMessage, found: readonly ClientSubscription[]): Delivery {
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

  #holdingOf(entry: FilterEntry): FilterHolders {
    const known = this.#holdings.get(entry.topicFilter);
    if (known !== undefined) return known;
    const holding = new FilterHolders(entry);
    this.#holdings.set(entry.topicFilter, holding);
    for (const pattern of holding.patterns) this.#trieOf(holding).add(pattern, holding);
    return holding;
  }

  /** Notes which filters of `subscription` overlap: a copy of the same message may arrive for each of them. */
  #noteContests(subscription: ClientSubscription): void {
    for (const { topicFilter } of subscription.entries) {
      const holding = this.#holdings.get(topicFilter);
      this.overlapping(topicFilter, (other) => {
        if (other !== holding && other.has(subscription)) holding?.contest(subscription);
      });
    }
  }

  #drop(holding: FilterHolders): void {
    this.#holdings.delete(holding.topicFilter);
    for (const pattern of holding.patterns) this.#trieOf(holding).remove(pattern, holding);
  }

  #trieOf(holding: FilterHolders): Trie<FilterHolders> {
    return holding.isExact ? this.#exact : this.#patterns;
  }

  #clearCache(): void {
    if (this.#cache.size > 0) this.#cache.clear();
    this.#misses = 0;
    this.#lastTopic = undefined;
    this.#lastFound = NONE;
    this.#identifiers?.changed();
  }
}
