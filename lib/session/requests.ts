import type { SubscriptionRequest, UserProperties } from '../codec/packets.ts';
import type { Text } from '../codec/text.ts';
import type { MqttError } from '../errors.ts';

/** Who waits for a SUBSCRIBE or UNSUBSCRIBE. Called at most once, and must not call into the engine. */
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
  /** For `unsubscribe` only the Topic Filter of each counts. */
  readonly entries: readonly SubscriptionRequest[];
  readonly userProperties: UserProperties | undefined;
  /** Undefined once nobody waits any more. */
  waiter: RequestWaiter | undefined;
  /** `restore`: no call waits for it, so it has no time limit. */
  readonly purpose: 'call' | 'restore';
  /** When the answer is late, in ms; Infinity before it was first written. Kept by `Requests` alone. */
  dueAt: number = Infinity;
  /** One per entry, in its order. Kept by `Requests` alone. */
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

  /** Entry `index` has its answer. Returns whether that was the last one: then the request is done. */
  answer(index: number, reasonCode: number, by: 'the server' | 'giving up'): boolean {
    this.#reasonCodes[index] = reasonCode;
    if (by === 'giving up') this.#givenUp.add((this.entries[index] as SubscriptionRequest).topicFilter);
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

/** After so many losses right after it was sent, a part is suspect, and so is a message: see `Quarantine`. */
export const SUSPECT = 2;

/** One Topic Filter of a packet, for every request that asks for just that. */
export class RequestPart {
  readonly kind: 'subscribe' | 'unsubscribe';
  readonly entry: SubscriptionRequest;
  readonly userProperties: UserProperties | undefined;
  /** The requests that wait for its answer, each with its index there. Empty once nobody does. */
  readonly sharers: Map<Request, number> = new Map();
  /** Connections that were lost right after it was sent. */
  losses = 0;
  /** `outdated`: a later one of the same Topic Filter was answered first, and says what holds now. */
  standing: 'current' | 'outdated' = 'current';

  constructor({ kind, userProperties }: Request, entry: SubscriptionRequest) {
    this.kind = kind;
    this.entry = entry;
    this.userProperties = userProperties;
  }

  get isSuspect(): boolean {
    return this.losses >= SUSPECT;
  }

  /** Whether it restores a subscription, even if others have asked for it as well. */
  get restores(): boolean {
    for (const { purpose } of this.sharers.keys()) if (purpose === 'restore') return true;
    return false;
  }

  /** Whether `request` asks for the same with its `entry`. */
  suits(request: Request, entry: SubscriptionRequest): boolean {
    if (this.kind !== request.kind || this.userProperties !== request.userProperties) return false;
    // A request that names a Topic Filter twice has two answers to get.
    if (this.sharers.has(request)) return false;
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
  /** One per Topic Filter, in the order of the codes of the answer. */
  readonly parts: readonly RequestPart[];
  /** In ms. */
  readonly writtenAt: number;
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
/** Suspects are sent in so many groups, one after the other, until the one that is lost is a single part. */
const GROUPS = 16;

/**
 * SUBSCRIBE and UNSUBSCRIBE that wait or are unanswered. What has not left yet and asks for the same is sent once. The
 * server processes packets in their order, so those on one Topic Filter need not wait for each other's answers: they
 * only have to leave in the order of the calls.
 */
export class Requests {
  /** In the order of the calls. */
  #waiting = new Set<RequestPart>();
  /** The last one waiting of each Topic Filter. */
  readonly #last = new Map<string, RequestPart>();
  /** Those waiting that are suspect. */
  readonly #suspects = new Set<RequestPart>();
  /** In the order of sending. */
  readonly #sent = new Map<number, RequestPacket>();
  /** What is on the wire, by Topic Filter, in the order of sending. */
  readonly #onWire = new Map<string, RequestPart[]>();
  /** All that are not done, in the order of the calls. */
  readonly #open = new Set<Request>();
  /** Those of them that were written, in the order in which they are late. */
  readonly #timed = new Set<Request>();

  get waiting(): number {
    return this.#waiting.size;
  }

  add(request: Request): void {
    this.#open.add(request);
    request.entries.forEach((entry, index) => {
      const last = this.#last.get(entry.topicFilter);
      const part = last?.suits(request, entry) === true ? last : new RequestPart(request, entry);
      this.#join(request, part, index);
      this.#wait(part);
    });
  }

  /**
   * Puts `request`, which restores subscriptions, before all others. Where a SUBSCRIBE waits for one of its Topic
   * Filters already, that is the newer wish, and its answer is for both.
   */
  addFirst(request: Request): void {
    this.#open.add(request);
    const waiting = [...this.#waiting];
    const asked = new Map(
      waiting.filter(({ kind }) => kind === 'subscribe').map((part) => [part.entry.topicFilter, part]),
    );
    const first = request.entries.flatMap((entry, index) => {
      const known = asked.get(entry.topicFilter);
      const part = known ?? new RequestPart(request, entry);
      this.#join(request, part, index);
      return known === undefined ? [part] : [];
    });
    this.#line([...first, ...waiting]);
  }

  /** Topic Filters that are being restored and wait to be sent. */
  restoring(): Set<string> {
    const filters = new Set<string>();
    for (const part of this.#waiting) if (part.restores) filters.add(part.entry.topicFilter);
    return filters;
  }

  /**
   * Takes what can go now, as packets in their order, `most` of them: each of one kind and one set of User Properties,
   * within `limits`. What is suspect waits, and what is behind it on the same Topic Filter.
   */
  takePackets(limits: RequestLimits, most: number, text: Pick<Text, 'byteLength'>): RequestPart[][] {
    const packets: PacketDraft[] = [];
    const open = new Map<unknown, PacketDraft>();
    /** Where the last part of each Topic Filter is; Infinity: it is held back. */
    const places = new Map<string, number>();
    for (const part of this.#waiting) {
      const { topicFilter } = part.entry;
      const place = places.get(topicFilter) ?? -1;
      if (part.isSuspect || place === Infinity) {
        places.set(topicFilter, Infinity);
        continue;
      }
      const size = text.byteLength(topicFilter) + PART_OVERHEAD;
      const key = part.userProperties ?? part.kind;
      let draft = open.get(key);
      if (draft === undefined || draft.place <= place || !draft.hasRoom(part, size, limits)) {
        if (packets.length === most) break;
        draft = new PacketDraft(packets.length, part, text);
        packets.push(draft);
        open.set(key, draft);
      }
      draft.add(part, size);
      places.set(topicFilter, draft.place);
      this.#leaveLine(part);
    }
    return packets.map(({ parts }) => parts);
  }

  get hasSuspects(): boolean {
    return this.#suspects.size > 0;
  }

  /** Whether the answer to anything on the wire is waited for. */
  get isAwaited(): boolean {
    for (const { parts } of this.#sent.values()) if (parts.some(isWanted)) return true;
    return false;
  }

  /**
   * Takes one packet of suspects: a sixteenth of those that were lost as often as the first of them. So the one that is
   * to blame is alone after few losses, and none of the others is in the end.
   */
  takeSuspects(limits: RequestLimits, text: Pick<Text, 'byteLength'>): RequestPart[] {
    const [first] = this.#suspects;
    if (first === undefined) return [];
    let equals = 0;
    for (const { losses } of this.#suspects) if (losses === first.losses) equals++;
    const most = Math.ceil(equals / GROUPS);
    const draft = new PacketDraft(0, first, text);
    const filters = new Set<string>();
    for (const part of this.#suspects) {
      const { topicFilter } = part.entry;
      const size = text.byteLength(topicFilter) + PART_OVERHEAD;
      const differs = part.losses !== first.losses || part.userProperties !== first.userProperties;
      if (differs || filters.has(topicFilter) || draft.parts.length === most) break;
      if (draft.parts.length > 0 && !draft.hasRoom(part, size, limits)) break;
      draft.add(part, size);
      filters.add(topicFilter);
      this.#leaveLine(part);
    }
    return draft.parts;
  }

  /** Nothing speaks against the suspects any more. */
  clearSuspects(): void {
    for (const part of this.#suspects) part.losses = 0;
    this.#suspects.clear();
  }

  /** Removes and returns the waiting parts of SUBSCRIBEs whose Topic Filter `test` says yes to. */
  takeSubscriptions(test: (topicFilter: string) => boolean): RequestPart[] {
    const taken = [...this.#waiting].filter(
      ({ kind, entry }) => kind === 'subscribe' && test(entry.topicFilter),
    );
    for (const part of taken) this.#leaveLine(part);
    return taken;
  }

  /** `parts` were written as one packet. A request is late `timeout` ms after the first of it was. */
  sent(packetId: number, parts: readonly RequestPart[], now: number, timeout: number): RequestPacket {
    const { kind } = parts[0] as RequestPart;
    const packet = { kind, packetId, parts, writtenAt: now };
    this.#sent.set(packetId, packet);
    for (const part of parts) {
      const line = this.#onWire.get(part.entry.topicFilter);
      if (line === undefined) this.#onWire.set(part.entry.topicFilter, [part]);
      else line.push(part);
      for (const request of part.sharers.keys()) {
        if (request.purpose === 'restore' || request.dueAt < Infinity) continue;
        request.dueAt = now + timeout;
        this.#timed.add(request);
      }
    }
    return packet;
  }

  get(packetId: number): RequestPacket | undefined {
    return this.#sent.get(packetId);
  }

  /** Packets on the wire whose answer is waited for. */
  onWire(): RequestPacket[] {
    return [...this.#sent.values()].filter(({ parts }) => parts.some(isWanted));
  }

  /** The answer came: the packet is over. */
  end(packet: RequestPacket): void {
    this.#sent.delete(packet.packetId);
  }

  /**
   * `part` of a packet that is over was done by the server, or refused. Returns whether that changes what holds now:
   * answers may come in another order than that in which the packets were processed.
   */
  concludes(part: RequestPart, as: 'done' | 'refused'): boolean {
    const { topicFilter } = part.entry;
    const line = this.#onWire.get(topicFilter) ?? [];
    const place = line.indexOf(part);
    const earlier = line.filter((_, i) => i < place);
    if (place >= 0) line.splice(place, 1);
    if (line.length === 0) this.#onWire.delete(topicFilter);
    if (as === 'refused' || part.standing === 'outdated') return false;
    for (const one of earlier) one.standing = 'outdated';
    return true;
  }

  /** All who share `part` have their answer. */
  answer(part: RequestPart, reasonCode: number, by: 'the server' | 'giving up' = 'the server'): void {
    const sharers = [...part.sharers];
    part.sharers.clear();
    for (const [request, index] of sharers) if (request.answer(index, reasonCode, by)) this.#done(request);
  }

  /** When the first answer is late. */
  get nextDue(): number {
    if (this.#timed.size > 0) for (const { dueAt } of this.#timed) return dueAt;
    return Infinity;
  }

  /** The requests that were written are not late before `dueAt`. */
  postpone(dueAt: number): void {
    for (const request of this.#timed) request.dueAt = dueAt;
  }

  /** Gives up waiting for the requests that are late. */
  takeLate(now: number): Request[] {
    const late: Request[] = [];
    for (const request of this.#timed) {
      if (request.dueAt > now) break;
      late.push(request);
      this.withdraw(request);
    }
    return late;
  }

  /** Nobody waits for `request`. What is on the wire stays there, and its answer is for nobody. */
  withdraw(request: Request): void {
    for (const part of request.parts) {
      part.sharers.delete(request);
      if (part.sharers.size === 0) this.#leaveLine(part);
    }
    this.#done(request);
  }

  /** The connection ended: unanswered parts wait again, before newer ones. Returns the identifiers set free. */
  connectionLost(): number[] {
    const packetIds = [...this.#sent.keys()];
    const unanswered = [...this.#sent.values()].flatMap(({ parts }) => parts).filter(isWanted);
    for (const part of unanswered) part.standing = 'current';
    this.#sent.clear();
    this.#onWire.clear();
    if (unanswered.length > 0) this.#line([...unanswered, ...this.#waiting]);
    return packetIds;
  }

  /** Removes and returns all requests, in the order of the calls. */
  takeAll(): Request[] {
    const all = [...this.#open];
    for (const request of all) this.withdraw(request);
    return all;
  }

  #join(request: Request, part: RequestPart, index: number): void {
    part.sharers.set(request, index);
    request.parts.push(part);
  }

  #wait(part: RequestPart): void {
    this.#waiting.add(part);
    this.#last.set(part.entry.topicFilter, part);
    if (part.isSuspect) this.#suspects.add(part);
  }

  /** `parts` are what waits, in this order. */
  #line(parts: readonly RequestPart[]): void {
    this.#waiting = new Set();
    this.#last.clear();
    this.#suspects.clear();
    for (const part of parts) this.#wait(part);
  }

  #leaveLine(part: RequestPart): void {
    const { topicFilter } = part.entry;
    this.#waiting.delete(part);
    this.#suspects.delete(part);
    if (this.#last.get(topicFilter) === part) this.#last.delete(topicFilter);
  }

  #done(request: Request): void {
    this.#open.delete(request);
    this.#timed.delete(request);
  }
}

/** A packet that is being put together. */
class PacketDraft {
  readonly place: number;
  readonly parts: RequestPart[] = [];
  #bytes: number;

  constructor(place: number, { userProperties }: RequestPart, text: Pick<Text, 'byteLength'>) {
    this.place = place;
    this.#bytes = PACKET_OVERHEAD + sizeOf(userProperties, text);
  }

  /** Whether `part` can follow those that are here already. */
  hasRoom({ kind }: RequestPart, size: number, { filters, bytes }: RequestLimits): boolean {
    if (kind !== this.parts[0]?.kind || (filters > 0 && this.parts.length >= filters)) return false;
    return bytes === 0 || this.#bytes + size <= bytes;
  }

  add(part: RequestPart, size: number): void {
    this.parts.push(part);
    this.#bytes += size;
  }
}

function isWanted({ sharers }: RequestPart): boolean {
  return sharers.size > 0;
}

/** Bytes of User Properties: each is an identifier and two strings behind their lengths. */
function sizeOf(userProperties: UserProperties | undefined, text: Pick<Text, 'byteLength'>): number {
  let bytes = 0;
  for (const [name, value] of userProperties ?? [])
    bytes += 5 + text.byteLength(name) + text.byteLength(value);
  return bytes;
}
