import type { SubscriptionRequest, UserProperties } from '../codec/packets.ts';
import type { MqttError } from '../errors.ts';

/** Waits for a SUBSCRIBE or UNSUBSCRIBE. Called at most once, and must not call into the engine. */
export interface RequestWaiter {
  /**
   * One Reason Code per entry of the request, in its order. `givenUp`: the Topic Filters that are not sent again, because
   * the connection was lost each time they were.
   */
  answered(reasonCodes: readonly number[], givenUp: ReadonlySet<string>): void;
  failed(error: MqttError): void;
}

/** One call of `subscribe()` or `unsubscribe()`, or the restoring of subscriptions. */
export class Request {
  readonly kind: 'subscribe' | 'unsubscribe';
  /** Of an `unsubscribe` only the Topic Filters count. */
  readonly entries: readonly SubscriptionRequest[];
  readonly userProperties: UserProperties | undefined;
  /** Undefined once the caller no longer waits. */
  waiter: RequestWaiter | undefined;
  /** `restore`: no call waits for it, so it has no time limit. */
  readonly purpose: 'call' | 'restore';
  /** When the acknowledgement is late, in ms; Infinity before the request was first written. Set by `Requests` alone. */
  dueAt: number = Infinity;
  /** One per entry, in its order. Set by `Requests` alone. */
  readonly parts: RequestPart[] = [];
  readonly #reasonCodes: number[];
  readonly #givenUp = new Set<string>();
  #unanswered: number;

  constructor(
    kind: 'subscribe' | 'unsubscribe',
    entries: readonly SubscriptionRequest[],
    userProperties: UserProperties | undefined,
    waiter: RequestWaiter | undefined,
    purpose: 'call' | 'restore' = 'call',
  ) {
    this.kind = kind;
    this.entries = entries;
    this.userProperties = userProperties;
    this.waiter = waiter;
    this.purpose = purpose;
    this.#reasonCodes = entries.map(() => 0);
    this.#unanswered = entries.length;
  }

  /** Sets the Reason Code of entry `index`. Returns whether that was the last one: then the request is done. */
  answer(index: number, reasonCode: number, source: AnswerSource): boolean {
    this.#reasonCodes[index] = reasonCode;
    if (source === 'quarantine') this.#givenUp.add((this.entries[index] as SubscriptionRequest).topicFilter);
    if (--this.#unanswered > 0) return false;
    const { waiter } = this;
    this.waiter = undefined;
    waiter?.answered(this.#reasonCodes, this.#givenUp);
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
  readonly entry: SubscriptionRequest;
  readonly userProperties: UserProperties | undefined;
  /** The requests that wait for its Reason Code, each with its index there. Empty once nobody waits. */
  readonly requests: Map<Request, number> = new Map();
  /** Connections that were lost right after it was sent. */
  losses = 0;
  /** `superseded`: a later part on the same Topic Filter was acknowledged first, and holds now. */
  state: 'current' | 'superseded' = 'current';

  constructor({ kind, userProperties }: Request, entry: SubscriptionRequest) {
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
  matches(request: Request, entry: SubscriptionRequest): boolean {
    if (this.kind !== request.kind || this.userProperties !== request.userProperties) return false;
    // A request that names a Topic Filter twice gets two Reason Codes.
    if (this.requests.has(request)) return false;
    return this.kind === 'unsubscribe' || sameOptions(this.entry, entry);
  }
}

function sameOptions(one: SubscriptionRequest, other: SubscriptionRequest): boolean {
  return (
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
