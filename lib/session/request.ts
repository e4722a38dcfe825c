import type { QoS, SubscriptionRequest, UserProperties } from '../codec/packets.ts';
import type { FilterResult, MqttError } from '../errors.ts';

/** One Topic Filter to subscribe to, for servers that have Subscription Identifiers (5.0) and for others. */
export interface SubscriptionEntry extends SubscriptionRequest {
  /** The Subscription Identifier (3.8.2.1.2), where the server has them; undefined = none. */
  readonly identifier?: number | undefined;
  /** The QoS where the server has none. @default qos */
  readonly qosWithoutIdentifier?: QoS | undefined;
}

/** Waits for a SUBSCRIBE or UNSUBSCRIBE. Called at most once, and must not call into the engine. */
export interface RequestWaiter {
  /**
   * One result per entry of the request, in its order. `givenUp`: the Topic Filters that are not sent again, because the
   * connection was lost each time they were.
   */
  answered(results: readonly FilterResult[], givenUp: ReadonlySet<string>): void;
  failed(error: MqttError): void;
}

/** One call of `subscribe()` or `unsubscribe()`, or the restoring of subscriptions. */
export class Request {
  readonly kind: 'subscribe' | 'unsubscribe';
  /** Of an `unsubscribe` only the Topic Filters count. */
  readonly entries: readonly SubscriptionEntry[];
  readonly userProperties: UserProperties | undefined;
  /** Undefined once the caller no longer waits. */
  waiter: RequestWaiter | undefined;
  /** `restore`: no call waits for it, so it has no time limit. */
  readonly purpose: 'call' | 'restore';
  /** When the acknowledgement is late, in ms; Infinity before the request was first written. Set by `Requests` alone. */
  dueAt: number = Infinity;
  /** One per entry, in its order. Set by `Requests` alone. */
  readonly parts: RequestPart[] = [];
  readonly #results: FilterResult[];
  readonly #givenUp = new Set<string>();
  #unanswered: number;

  constructor(
    kind: 'subscribe' | 'unsubscribe',
    entries: readonly SubscriptionEntry[],
    userProperties: UserProperties | undefined,
    waiter: RequestWaiter | undefined,
    purpose: 'call' | 'restore' = 'call',
  ) {
    this.kind = kind;
    this.entries = entries;
    this.userProperties = userProperties;
    this.waiter = waiter;
    this.purpose = purpose;
    this.#results = entries.map(({ topicFilter }) => ({ topicFilter, reasonCode: 0x80 }));
    this.#unanswered = entries.length;
  }

  /** Sets the result of entry `index`. Returns whether that was the last one: then the request is done. */
  answer(index: number, result: FilterResult, source: AnswerSource): boolean {
    this.#results[index] = result;
    if (source === 'quarantine') this.#givenUp.add(result.topicFilter);
    if (--this.#unanswered > 0) return false;
    const { waiter } = this;
    this.waiter = undefined;
    waiter?.answered(this.#results, this.#givenUp);
    return true;
  }

  fail(error: MqttError): void {
    const { waiter } = this;
    this.waiter = undefined;
    waiter?.failed(error);
  }
}

/** Where a Reason Code comes from. `quarantine`: the entry is not sent again, as it costs the connection each time. */
export type AnswerSource = 'server' | 'quarantine';

/** After so many losses right after it was sent, a part or a message is suspect: see `Quarantine`. */
export const SUSPECT = 2;

/** One Topic Filter of a packet, for every request that asks for exactly this. */
export class RequestPart {
  readonly kind: 'subscribe' | 'unsubscribe';
  readonly entry: SubscriptionEntry;
  readonly userProperties: UserProperties | undefined;
  /** The requests that wait for its Reason Code, each with its index there. Empty once nobody waits. */
  readonly requests: Map<Request, number> = new Map();
  /** Connections that were lost right after it was sent. */
  losses = 0;
  /** `superseded`: a later part on the same Topic Filter was acknowledged first, and holds now. */
  state: 'current' | 'superseded' = 'current';

  constructor({ kind, userProperties }: Request, entry: SubscriptionEntry) {
    this.kind = kind;
    this.entry = entry;
    this.userProperties = userProperties;
  }

  get isAwaited(): boolean {
    return this.requests.size > 0;
  }

  get isSuspect(): boolean {
    return this.losses >= SUSPECT;
  }

  /** Whether it restores a subscription, even if calls wait for it as well. */
  get restores(): boolean {
    for (const { purpose } of this.requests.keys()) if (purpose === 'restore') return true;
    return false;
  }

  /** Whether `entry` of `request` asks for the same. */
  matches(request: Request, entry: SubscriptionEntry): boolean {
    if (this.kind !== request.kind || this.userProperties !== request.userProperties) return false;
    // A request that names a Topic Filter twice gets two Reason Codes.
    if (this.requests.has(request)) return false;
    return this.kind === 'unsubscribe' || sameOptions(this.entry, entry);
  }
}

function sameOptions(one: SubscriptionEntry, other: SubscriptionEntry): boolean {
  return (
    one.identifier === other.identifier &&
    one.qosWithoutIdentifier === other.qosWithoutIdentifier &&
    one.qos === other.qos &&
    one.noLocal === other.noLocal &&
    one.retainAsPublished === other.retainAsPublished &&
    one.retainHandling === other.retainHandling
  );
}

/** A SUBSCRIBE or UNSUBSCRIBE on the wire. */
export interface RequestPacket {
  readonly kind: 'subscribe' | 'unsubscribe';
  readonly packetId: number;
  /** One per Topic Filter, in the order of the Reason Codes. */
  readonly parts: readonly RequestPart[];
  /** In ms. */
  readonly writtenAt: number;
}
