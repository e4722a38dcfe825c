import type { QoS } from '../../codec/packets.ts';
import { deliveredFilters, hasWildcard, isGroup, isShared, matchesFilter } from '../../topic/filters.ts';
import type { ClientSubscription } from './client-subscription.ts';
import type { FilterEntry } from './filter-entry.ts';

/** How one subscription holds a Topic Filter. */
interface Hold {
  /** `none`: the server made the subscription. */
  readonly requested: QoS | 'none';
  /** At most what was requested. As requested before SUBACK. */
  granted: QoS;
}

/** A Topic Filter and the subscriptions that hold it. */
export class FilterHolders {
  readonly topicFilter: string;
  readonly deliveredAs: string | undefined;
  /** Whether it matches one Topic Name only: its own text. */
  readonly isExact: boolean;
  /** Whether each message goes to one client of a group. */
  readonly isGroup: boolean;
  /** The Subscription Identifier, as long as it is requested from a server that may have them (5.0). */
  identifier: number | undefined = undefined;
  /** `granted`: the server has it. `requested`: it may not have it yet, or have lost it. */
  phase: 'requested' | 'granted' = 'requested';
  /** Subscriptions that held it, and go on with other filters that overlap with it. */
  readonly survivors: ClientSubscription[] = [];
  /** The filters that it has in a {@link Trie}. */
  readonly patterns: readonly string[];
  /** Those that Topic Names match. */
  readonly #delivered: readonly string[];
  readonly #holders = new Map<ClientSubscription, Hold>();
  /** The holders that have another filter which overlaps with it. */
  readonly #contested = new Set<ClientSubscription>();
  /** How many holders requested each QoS. */
  readonly #requested: [number, number, number] = [0, 0, 0];
  /** The holders, as long as they do not change. */
  #list: readonly ClientSubscription[] | undefined = undefined;

  constructor({ topicFilter, deliveredAs }: FilterEntry) {
    this.topicFilter = topicFilter;
    this.deliveredAs = deliveredAs;
    this.isGroup = isGroup(topicFilter);
    this.#delivered = deliveredAs === undefined ? deliveredFilters(topicFilter) : [deliveredAs];
    this.patterns = isShared(topicFilter) && deliveredAs === undefined ? [topicFilter] : this.#delivered;
    this.isExact =
      this.#delivered.length === 1 && this.#delivered[0] === topicFilter && !hasWildcard(topicFilter);
  }

  /** Whether anybody holds it. */
  get isHeld(): boolean {
    return this.#holders.size > 0;
  }

  /** Whether it was requested from the server. When the last one who did ends, it is unsubscribed from. */
  get isRequested(): boolean {
    const [zero, one, two] = this.#requested;
    return zero + one + two > 0;
  }

  get holders(): readonly ClientSubscription[] {
    return (this.#list ??= [...this.#holders.keys()]);
  }

  /** The holders that requested it. */
  get requesters(): readonly ClientSubscription[] {
    return this.holders.filter((one) => this.grantedTo(one) !== undefined);
  }

  /** The holders for which the server made the subscription. */
  get locals(): readonly ClientSubscription[] {
    return this.holders.filter((one) => this.grantedTo(one) === undefined);
  }

  has(subscription: ClientSubscription): boolean {
    return this.#holders.has(subscription);
  }

  /** The QoS that was granted to `subscription`, or requested for it; undefined if it did not request it. */
  grantedTo(subscription: ClientSubscription): QoS | undefined {
    const hold = this.#holders.get(subscription);
    return hold === undefined || hold.requested === 'none' ? undefined : hold.granted;
  }

  /** SUBACK has granted it to `subscription`. */
  grant(subscription: ClientSubscription, qos: number): void {
    this.phase = 'granted';
    const hold = this.#holders.get(subscription);
    if (hold !== undefined && qos < hold.granted) hold.granted = qos as QoS; // fault: granted-less
  }

  /** hot: whether a holder has another filter which overlaps with it. */
  get isContested(): boolean {
    return this.#contested.size > 0;
  }

  isContestedBy(subscription: ClientSubscription): boolean {
    return this.#contested.has(subscription);
  }

  contest(subscription: ClientSubscription): void {
    this.#contested.add(subscription);
  }

  /** The highest QoS that a holder requested. */
  get qos(): QoS {
    if (this.#requested[2] > 0) return 2;
    return this.#requested[1] > 0 ? 1 : 0;
  }

  /** hot */
  matches(topicName: string): boolean {
    for (const filter of this.#delivered) if (matchesFilter(filter, topicName)) return true;
    return false;
  }

  add(subscription: ClientSubscription, { qos, madeBy }: FilterEntry): void {
    const requested = madeBy === 'server' ? 'none' : qos;
    this.#holders.set(subscription, { requested, granted: qos });
    this.#list = undefined;
    if (requested !== 'none') this.#requested[requested]++;
  }

  remove(subscription: ClientSubscription): void {
    const hold = this.#holders.get(subscription);
    if (hold === undefined) return;
    this.#holders.delete(subscription);
    this.#contested.delete(subscription);
    this.#list = undefined;
    if (hold.requested !== 'none') this.#requested[hold.requested]--;
  }
}
