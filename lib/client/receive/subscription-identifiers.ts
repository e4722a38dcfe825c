import { VARINT_MAX } from '../../codec/varint.ts';
import type { ClientSubscription } from './client-subscription.ts';
import type { FilterHolders } from './filter-holders.ts';

/** Identifiers of three bytes. */
const THREE_BYTES = 16_384;
const FOUR_BYTES = 2_097_152;

/** How many filters that have ended are remembered with their identifiers. */
const REMEMBERED = 1_000;

/**
 * The first Subscription Identifier of a client. In a persistent session messages may wait that carry identifiers of an
 * earlier process: they must not be taken for those of this one. `random`: in [0, 1).
 */
export function firstIdentifier(persistent: boolean, random: () => number): number {
  return persistent ? THREE_BYTES + Math.floor(random() * (FOUR_BYTES - THREE_BYTES)) : 1;
}

/** How a Topic Filter ended. `over`: with its subscriptions; `failed`: its call failed or it was refused. */
export type FilterEnd = 'over' | 'failed';

interface FormerFilter {
  readonly holding: FilterHolders;
  readonly end: FilterEnd;
}

/** What the Topic Filters of a client are asked. */
interface Filters {
  get(topicFilter: string): FilterHolders | undefined;
  /** Visits every Topic Filter that matches. */
  match(topicName: string, visit: (holding: FilterHolders) => void): void;
  /** Whether the server has subscriptions for the client that it made by itself, and that carry no identifier. */
  hasLocal(): boolean;
}

/**
 * The subscriptions that get a message. `unknown`: its identifiers do not say, so its Topic Name has to; `unmatched`: none
 * has it any more, and another may want it; `over`: the subscriptions that it was sent for have ended.
 */
export type Recipients = readonly ClientSubscription[] | 'unknown' | 'unmatched' | 'over';

/**
 * Subscription Identifiers (5.0): each Topic Filter that is requested has one, and a message carries those of the filters
 * for which the server sent it. For overlapping filters, a server sends one copy with all identifiers, or one copy for each
 * filter [MQTT-3.3.4-2 to -5].
 */
export class SubscriptionIdentifiers {
  readonly #filters: Filters;
  readonly #holdings = new Map<number, FilterHolders>();
  /** Filters that have ended. Messages that were sent for them may still arrive [MQTT-3.10.4-2]. */
  readonly #former = new Map<number, FormerFilter>();
  #next: number;
  #lastIdentifiers: readonly number[] | undefined = undefined;
  #lastTopic: string | undefined = undefined;
  #lastFound: Recipients = 'unknown';

  /** `first`: the first identifier. */
  constructor(first: number, filters: Filters) {
    this.#next = first;
    this.#filters = filters;
  }

  /** Gives `holding` an identifier, which it keeps until it ends. */
  assign(holding: FilterHolders): void {
    while (this.#holdings.has(this.#next)) this.#advance();
    holding.identifier = this.#next;
    this.#former.delete(this.#next);
    this.#holdings.set(this.#next, holding);
    this.#advance();
  }

  /** No subscription requests `holding` any more. */
  ended(holding: FilterHolders, end: FilterEnd): void {
    const { identifier } = holding;
    if (identifier === undefined) return;
    holding.identifier = undefined;
    this.#holdings.delete(identifier);
    this.#former.set(identifier, { holding, end }); // fault: former
    const [oldest] = this.#former.keys();
    if (this.#former.size > REMEMBERED && oldest !== undefined) this.#former.delete(oldest);
  }

  /** The server sends no more messages for filters that have ended, or they are of the next one who subscribes. */
  forgetFormer(): void {
    this.#former.clear();
    this.changed();
  }

  /** What is known of the filters has changed. */
  changed(): void {
    this.#lastIdentifiers = undefined; // fault: identified-change
  }

  /** hot: who gets a message with these identifiers. */
  recipients(identifiers: readonly number[], topicName: string): Recipients {
    // fault: identified-memo
    if (identifiers === this.#lastIdentifiers && topicName === this.#lastTopic) return this.#lastFound;
    this.#lastIdentifiers = identifiers;
    this.#lastTopic = topicName;
    this.#lastFound = this.#find(identifiers, topicName);
    return this.#lastFound;
  }

  #find(identifiers: readonly number[], topicName: string): Recipients {
    if (identifiers.length === 1 && !this.#filters.hasLocal()) {
      const holding = this.#holdings.get(identifiers[0] as number);
      // An identifier of an earlier process may equal one of this process.
      // fault: contested
      if (holding?.isContested === false && holding.matches(topicName)) return holding.holders;
    }
    return this.#findAmong(identifiers, topicName);
  }

  #findAmong(identifiers: readonly number[], topicName: string): Recipients {
    const matching: FilterHolders[] = [];
    this.#filters.match(topicName, (holding) => matching.push(holding));
    const found = new Set<ClientSubscription>();
    const ended: FormerFilter[] = [];
    for (const identifier of identifiers) {
      const former = this.#former.get(identifier);
      // The same filter may have been subscribed to again.
      const again = former && this.#filters.get(former.holding.topicFilter);
      const holding = this.#holdings.get(identifier) ?? again;
      // MQTT-3.3.4-3 to -5: tolerated, as the session may be older than this process.
      if ((holding ?? former?.holding)?.matches(topicName) !== true) return 'unknown';
      if (former !== undefined) {
        if (holding === undefined) ended.push(former);
        // Copies for their other filters may have been left to this one.
        // fault: survivors
        for (const one of former.holding.survivors)
          if (matching.some((other) => other.has(one))) found.add(one);
      }
      for (const one of holding?.holders ?? [])
        if (identifiers.length > 1 || !isLeftToOther(one, holding as FilterHolders, matching)) found.add(one);
    }
    // A server that sends one copy sends none for a subscription that it made by itself.
    for (const holding of matching) for (const one of holding.locals) found.add(one);
    if (found.size > 0 || ended.length < identifiers.length) return [...found];
    return ended.some(({ end }) => end === 'failed') ? 'unmatched' : 'over';
  }

  #advance(): void {
    this.#next = this.#next === VARINT_MAX ? 1 : this.#next + 1;
  }
}

/**
 * Whether `subscription`, which holds several filters that match, gets the message with the copy for another one: that
 * with the highest QoS, and of these with the lowest identifier. A server that sends a single copy puts all identifiers
 * into it [MQTT-3.3.4-4], so that copy is sent.
 */
function isLeftToOther(
  subscription: ClientSubscription,
  holding: FilterHolders,
  matching: readonly FilterHolders[],
): boolean {
  const { identifier } = holding;
  const qos = holding.grantedTo(subscription);
  if (!holding.isContestedBy(subscription) || qos === undefined || identifier === undefined) return false;
  return matching.some((other) => {
    const granted = other.grantedTo(subscription);
    if (other === holding || other.isGroup || granted === undefined || other.identifier === undefined)
      return false;
    if (other.phase === 'requested') return false; // fault: left-to-requested
    return granted > qos || (granted === qos && other.identifier < identifier); // fault: left-to-lower
  });
}
