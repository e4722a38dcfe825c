import type { SubscriptionRequest, UserProperties } from '../codec/packets.ts';
import type { Text } from '../codec/text.ts';
import type { MqttError } from '../errors.ts';

/** Who waits for a SUBSCRIBE or UNSUBSCRIBE. Called at most once, and must not call into the engine. */
export interface RequestWaiter {
  /** One Reason Code per entry of the request, in its order. */
  answered(reasonCodes: readonly number[]): void;
  failed(error: MqttError): void;
}

/** One call of `subscribe()` or `unsubscribe()`, or the restoring of subscriptions. */
export class Request {
  readonly kind: 'subscribe' | 'unsubscribe';
  /** For `unsubscribe` only the Topic Filter of each counts. */
  readonly entries: readonly SubscriptionRequest[];
  readonly userProperties: UserProperties | undefined;
  /** Undefined once nobody waits any more. */
  waiter: RequestWaiter | undefined;
  readonly #reasonCodes: number[];
  #unanswered: number;

  constructor(
    kind: 'subscribe' | 'unsubscribe',
    entries: readonly SubscriptionRequest[],
    userProperties: UserProperties | undefined,
    waiter: RequestWaiter | undefined,
  ) {
    this.kind = kind;
    this.entries = entries;
    this.userProperties = userProperties;
    this.waiter = waiter;
    this.#reasonCodes = entries.map(() => 0);
    this.#unanswered = entries.length;
  }

  /** The server answered entry `index`. With the last one the request is done. */
  answer(index: number, reasonCode: number): void {
    this.#reasonCodes[index] = reasonCode;
    if (--this.#unanswered > 0) return;
    const { waiter } = this;
    this.waiter = undefined;
    waiter?.answered(this.#reasonCodes);
  }

  fail(error: MqttError): void {
    const { waiter } = this;
    this.waiter = undefined;
    waiter?.failed(error);
  }
}

/** One Topic Filter of a request: what is sent, answered and, on a new connection, sent again on its own. */
export interface Part {
  readonly request: Request;
  readonly index: number;
  readonly entry: SubscriptionRequest;
}

/** A SUBSCRIBE or UNSUBSCRIBE on the wire. */
export interface RequestPacket {
  readonly kind: 'subscribe' | 'unsubscribe';
  readonly packetId: number;
  /** How many Topic Filters were sent, and so how many codes the answer has. */
  readonly filters: number;
  /** What is still waited for. */
  parts: readonly Part[];
  /** When the answer is late. */
  dueAt: number;
}

/** How much one packet may hold; 0 = no limit. */
export interface RequestLimits {
  readonly filters: number;
  readonly bytes: number;
}

/** A bound on the bytes of a packet without its parts: header, Packet Identifier, Property Length. */
const PACKET_OVERHEAD = 16;
/** The length prefix of a Topic Filter and its Subscription Options. */
const PART_OVERHEAD = 3;

/**
 * SUBSCRIBE and UNSUBSCRIBE that wait or are unanswered. Those of one turn share packets; those on the same Topic
 * Filter take turns, as an answer would otherwise not tell what holds now.
 */
export class Requests {
  #waiting: Part[] = [];
  readonly #sent = new Map<number, RequestPacket>();
  readonly #busy = new Set<string>();

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Packets on the wire whose answer is waited for. */
  get unanswered(): number {
    let unanswered = 0;
    for (const packet of this.#sent.values()) if (packet.parts.length > 0) unanswered++;
    return unanswered;
  }

  /** Requests of the application, oldest first: each once. */
  get open(): Set<Request> {
    const parts = [...this.#sent.values()].flatMap((packet) => packet.parts).concat(this.#waiting);
    return new Set(parts.map((part) => part.request));
  }

  add(request: Request): void {
    request.entries.forEach((entry, index) => this.#waiting.push({ request, index, entry }));
  }

  /** Puts `request` before all others. */
  addFirst(request: Request): void {
    this.#waiting.unshift(...request.entries.map((entry, index) => ({ request, index, entry })));
  }

  /** Topic Filters for which a SUBSCRIBE is waiting to be sent. */
  awaiting(): Set<string> {
    return new Set(
      this.#waiting.filter((p) => p.request.kind === 'subscribe').map((p) => p.entry.topicFilter),
    );
  }

  /**
   * Takes the parts of the next packet: of one kind, of one set of User Properties, within `limits`, none on a
   * Topic Filter that is on the wire or has an earlier part still waiting. Empty where nothing can be sent now.
   */
  nextParts(limits: RequestLimits, text: Pick<Text, 'byteLength'>): Part[] {
    const taken: Part[] = [];
    const left: Part[] = [];
    const held = new Set<string>();
    let bytes = PACKET_OVERHEAD;
    for (const part of this.#waiting) {
      const { topicFilter } = part.entry;
      const first = taken[0]?.request;
      const size = text.byteLength(topicFilter) + PART_OVERHEAD;
      const fits =
        !this.#busy.has(topicFilter) &&
        !held.has(topicFilter) &&
        (first === undefined ||
          (first.kind === part.request.kind &&
            first.userProperties === part.request.userProperties &&
            (limits.filters === 0 || taken.length < limits.filters) &&
            (limits.bytes === 0 || bytes + size <= limits.bytes)));
      held.add(topicFilter);
      if (fits) {
        if (taken.length === 0) bytes += sizeOf(part.request.userProperties, text);
        taken.push(part);
        bytes += size;
      } else left.push(part);
    }
    this.#waiting = left;
    return taken;
  }

  /** Removes and returns the waiting parts of SUBSCRIBEs whose Topic Filter `test` says yes to. */
  takeSubscriptions(test: (topicFilter: string) => boolean): Part[] {
    const meant = ({ request, entry }: Part): boolean =>
      request.kind === 'subscribe' && test(entry.topicFilter);
    const taken = this.#waiting.filter(meant);
    if (taken.length > 0) this.#waiting = this.#waiting.filter((part) => !meant(part));
    return taken;
  }

  sent(packetId: number, parts: readonly Part[], dueAt: number): void {
    const kind = (parts[0] as Part).request.kind;
    this.#sent.set(packetId, { kind, packetId, filters: parts.length, parts, dueAt });
    for (const part of parts) this.#busy.add(part.entry.topicFilter);
  }

  get(packetId: number): RequestPacket | undefined {
    return this.#sent.get(packetId);
  }

  /** The answer came: the packet is over, its filters are free. */
  end(packet: RequestPacket): void {
    this.#sent.delete(packet.packetId);
    for (const part of packet.parts) this.#busy.delete(part.entry.topicFilter);
  }

  /** When the first answer is late. Packets are sent with one time limit, so the oldest is due first. */
  get nextDue(): number {
    for (const packet of this.#sent.values()) if (packet.parts.length > 0) return packet.dueAt;
    return Infinity;
  }

  /** The answers that are waited for are not late before `dueAt`. */
  postpone(dueAt: number): void {
    for (const packet of this.#sent.values()) packet.dueAt = dueAt;
  }

  /**
   * Gives up waiting for the packets that are due. Their Packet Identifiers stay taken until the connection ends or
   * the answer comes after all; their filters are free for new requests.
   */
  takeLate(now: number): Set<Request> {
    const late = new Set<Request>();
    for (const packet of this.#sent.values()) {
      if (packet.dueAt > now) continue;
      for (const part of packet.parts) {
        late.add(part.request);
        this.#busy.delete(part.entry.topicFilter);
      }
      packet.parts = [];
    }
    this.#waiting = this.#waiting.filter((part) => !late.has(part.request));
    return late;
  }

  /** Removes a request whose caller gave up. What is on the wire stays there, and its answer is for nobody. */
  withdraw(request: Request): void {
    this.#waiting = this.#waiting.filter((part) => part.request !== request);
  }

  /** The connection ended: unanswered parts wait again, before newer ones. Returns the identifiers set free. */
  connectionLost(): number[] {
    const packetIds = [...this.#sent.keys()];
    const unanswered = [...this.#sent.values()].flatMap((packet) => packet.parts);
    this.#waiting = [...unanswered.filter((part) => part.request.waiter !== undefined), ...this.#waiting];
    this.#sent.clear();
    this.#busy.clear();
    return packetIds;
  }

  /** Removes and returns all requests. */
  takeAll(): Set<Request> {
    const all = this.open;
    this.#waiting = [];
    for (const packet of this.#sent.values()) packet.parts = [];
    this.#busy.clear();
    return all;
  }
}

/** Bytes of User Properties: each is an identifier and two strings behind their lengths. */
function sizeOf(userProperties: UserProperties | undefined, text: Pick<Text, 'byteLength'>): number {
  let bytes = 0;
  for (const [name, value] of userProperties ?? [])
    bytes += 5 + text.byteLength(name) + text.byteLength(value);
  return bytes;
}
