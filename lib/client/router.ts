import type { QoS } from '../codec/packets.ts';
import type { Delivered } from '../engine/effects.ts';
import type { Receipt } from '../session/incoming.ts';
import { isShared } from '../topic/filters.ts';
import { Trie } from '../topic/trie.ts';
import type { ReceivedPublish } from './message.ts';
import { RetainedCopies } from './retained.ts';
import type { Subscription } from './subscription.ts';

/** Topics whose subscriptions are remembered. Beyond it they are looked up each time: a cache must not thrash. */
const REMEMBERED = 512;

const NOBODY: readonly Subscription[] = [];

/** A Topic Filter as one subscription holds it. */
export interface Holding {
  readonly subscription: Subscription;
  readonly topicFilter: string;
  /** As the application asked for it. */
  readonly qos: QoS;
}

/** Message → the subscriptions whose Topic Filter matches (4.7), each once however many of its filters do. */
export class Router {
  readonly retained: RetainedCopies;
  readonly #trie = new Trie<Holding>();
  /** How many subscriptions hold each Topic Filter: the last one out ends it at the server. */
  readonly #holders = new Map<string, number>();
  /** Each with what it still holds, by Topic Filter. */
  readonly #subscriptions = new Map<Subscription, Map<string, Holding>>();
  #remembered = new Map<string, readonly Subscription[]>();
  #lastTopic: string | undefined = undefined;
  #lastFound: readonly Subscription[] = NOBODY;

  /** `now`: ms of the client's clock. */
  constructor(now: () => number) {
    this.retained = new RetainedCopies(now);
  }

  add(subscription: Subscription): void {
    const holdings = new Map<string, Holding>();
    this.#subscriptions.set(subscription, holdings);
    this.retained.asked(subscription);
    for (const { topicFilter, qos } of subscription.entries) {
      const holding = { subscription, topicFilter, qos };
      holdings.set(topicFilter, holding);
      this.#trie.add(topicFilter, holding);
      this.#holders.set(topicFilter, (this.#holders.get(topicFilter) ?? 0) + 1);
    }
    this.#forget();
  }

  /**
   * What is held under Topic Filters of which a message can match both them and `topicFilter`. A Shared Subscription
   * overlaps with nothing: the server has its own copy for it.
   */
  overlapping(topicFilter: string): Holding[] {
    const found: Holding[] = [];
    if (isShared(topicFilter)) return found;
    this.#trie.overlapping(topicFilter, (holding) => {
      if (!isShared(holding.topicFilter)) found.push(holding);
    });
    return found;
  }

  /** Takes filters of a subscription out. Returns those that no other subscription holds. */
  remove(subscription: Subscription, topicFilters: readonly string[] = subscription.topicFilters): string[] {
    const last: string[] = [];
    const held = this.#subscriptions.get(subscription);
    for (const filter of topicFilters) {
      const holding = held?.get(filter);
      if (holding === undefined) continue;
      held?.delete(filter);
      this.#trie.remove(filter, holding);
      const left = (this.#holders.get(filter) ?? 1) - 1;
      if (left > 0) this.#holders.set(filter, left);
      else {
        this.#holders.delete(filter);
        last.push(filter);
      }
    }
    if (held?.size === 0) {
      this.#subscriptions.delete(subscription);
      this.retained.left(subscription);
    }
    this.#forget();
    return last;
  }

  /** Every subscription, each once. */
  get subscriptions(): readonly Subscription[] {
    return [...this.#subscriptions.keys()];
  }

  /** Whether `subscription` still holds a Topic Filter. */
  has(subscription: Subscription): boolean {
    return this.#subscriptions.has(subscription);
  }

  /** Subscriptions that hold `topicFilter`. */
  holdersOf(topicFilter: string): Subscription[] {
    return this.subscriptions.filter((subscription) =>
      this.#subscriptions.get(subscription)?.has(topicFilter),
    );
  }

  /** Who gets a message of `topicName`. */
  matching(topicName: string): readonly Subscription[] {
    return this.#find(topicName);
  }

  /** hot: hands a message to whom it is for. `full`: somebody is to have a turn before more is delivered. */
  deliver(
    publish: ReceivedPublish,
    topicName: string,
    receipt: Receipt | undefined,
  ): Delivered | 'to nobody' {
    const matching = topicName === this.#lastTopic ? this.#lastFound : this.#find(topicName);
    if (matching.length === 0) return 'to nobody';
    const found = publish.retain ? this.retained.of(topicName, matching) : matching;
    const payload = receipt === undefined ? publish.payload() : receipt.payload;
    if (receipt !== undefined) this.#share(receipt, found);
    let delivered: Delivered = 'delivered';
    for (const subscription of found) {
      const mine = subscription.settlesOnReceipt ? undefined : receipt;
      if (subscription.push(publish, topicName, payload, mine) === 'full') delivered = 'full';
    }
    return delivered;
  }

  /** The message is settled when every subscription that settles it has; where none does, it is settled now. */
  #share(receipt: Receipt, found: readonly Subscription[]): void {
    let copies = 0;
    for (const subscription of found) if (!subscription.settlesOnReceipt) copies++;
    if (copies === 0) receipt.waive();
    else receipt.copies = copies;
    receipt.recipients = copies;
  }

  #find(topicName: string): readonly Subscription[] {
    let found = this.#remembered.get(topicName);
    if (found === undefined) {
      const matching = new Set<Subscription>();
      this.#trie.match(topicName, ({ subscription }) => matching.add(subscription));
      found = [...matching];
      if (this.#remembered.size < REMEMBERED) this.#remembered.set(topicName, found);
    }
    this.#lastTopic = topicName;
    this.#lastFound = found;
    return found;
  }

  #forget(): void {
    this.#remembered = new Map();
    this.#lastTopic = undefined;
    this.#lastFound = NOBODY;
  }
}
