import type { AckProperties } from '../codec/packets.ts';
import type { FilterResult } from '../errors.ts';
import { RequestPart, type AnswerSource, type Request, type RequestPacket } from './request.ts';
import { RequestQueue } from './request-queue.ts';

/** SUBSCRIBE and UNSUBSCRIBE that wait or are unacknowledged. Parts that ask for the same are sent once. */
export class Requests {
  readonly queue: RequestQueue = new RequestQueue();
  /** In the order of sending. */
  readonly #sent = new Map<number, RequestPacket>();
  /** Parts on the wire, by Topic Filter, in the order of sending. */
  readonly #onWire = new Map<string, RequestPart[]>();
  /** All that are not done, in the order of the calls. */
  readonly #open = new Set<Request>();
  /** Those of them that were written and have a time limit, by that. */
  readonly #timed = new Set<Request>();

  add(request: Request): void {
    this.#open.add(request);
    request.entries.forEach((entry, index) => {
      const last = this.queue.last(entry.topicFilter);
      const part = last?.matches(request, entry) === true ? last : new RequestPart(request, entry);
      join(request, part, index);
      this.queue.add(part);
    });
  }

  /**
   * Puts `request`, which restores subscriptions, before all others. If a SUBSCRIBE already waits for one of its Topic
   * Filters, that one is newer and serves both.
   */
  addFirst(request: Request): void {
    this.#open.add(request);
    const waiting = this.queue.all();
    const subscribes = waiting.filter(({ kind }) => kind === 'subscribe');
    const known = new Map(subscribes.map((part) => [part.entry.topicFilter, part]));
    const first = request.entries.flatMap((entry, index) => {
      const part = known.get(entry.topicFilter);
      const joined = part ?? new RequestPart(request, entry);
      join(request, joined, index);
      return part === undefined ? [joined] : [];
    });
    this.queue.replaceAll([...first, ...waiting]);
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
      for (const request of part.requests.keys()) {
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

  /** Whether anybody waits for the acknowledgement of a packet on the wire. */
  get isAwaited(): boolean {
    for (const packet of this.#sent.values()) if (isAwaited(packet)) return true;
    return false;
  }

  /** Packets on the wire for whose acknowledgement somebody waits. */
  onWire(): RequestPacket[] {
    return [...this.#sent.values()].filter(isAwaited);
  }

  /** The acknowledgement came: the packet is over. */
  end(packet: RequestPacket): void {
    this.#sent.delete(packet.packetId);
  }

  /**
   * Ends one `part` of a packet that is over. Returns whether that decides what holds on its Topic Filter now:
   * acknowledgements may come in another order than that in which the packets were processed.
   */
  endPart(part: RequestPart, outcome: 'granted' | 'refused'): boolean {
    const { topicFilter } = part.entry;
    const line = this.#onWire.get(topicFilter) ?? [];
    const place = line.indexOf(part);
    const earlier = line.filter((_, i) => i < place);
    if (place >= 0) line.splice(place, 1);
    if (line.length === 0) this.#onWire.delete(topicFilter);
    if (outcome === 'refused' || part.state === 'superseded') return false;
    for (const one of earlier) one.state = 'superseded';
    return true;
  }

  /** Gives every request of `part` its Reason Code, and the properties of the acknowledgement if there are any. */
  answer(
    part: RequestPart,
    reasonCode: number,
    source: AnswerSource = 'server',
    properties: AckProperties = {},
  ): void {
    const { topicFilter } = part.entry;
    const hasProperties = Object.keys(properties).length > 0;
    const result: FilterResult = { topicFilter, reasonCode, ...(hasProperties && { properties }) };
    const waiting = [...part.requests];
    part.requests.clear();
    for (const [request, index] of waiting) if (request.answer(index, result, source)) this.#done(request);
  }

  /** When the first acknowledgement is late; Infinity = never. */
  get nextDue(): number {
    if (this.#timed.size > 0) for (const { dueAt } of this.#timed) return dueAt;
    return Infinity;
  }

  /** No request that was written is late before `dueAt`. */
  postpone(dueAt: number): void {
    for (const request of this.#timed) request.dueAt = dueAt;
  }

  takeLate(now: number): Request[] {
    const late: Request[] = [];
    for (const request of this.#timed) {
      if (request.dueAt > now) break;
      late.push(request);
      this.withdraw(request);
    }
    return late;
  }

  /** The caller of `request` no longer waits. Packets that were sent stay on the wire. */
  withdraw(request: Request): void {
    for (const part of request.parts) {
      part.requests.delete(request);
      if (!part.isAwaited) this.queue.delete(part);
    }
    this.#done(request);
  }

  /** The connection ended: unacknowledged parts wait again, before newer ones. Returns the freed Packet Identifiers. */
  connectionLost(): number[] {
    const packetIds = [...this.#sent.keys()];
    const unanswered = [...this.#sent.values()]
      .flatMap(({ parts }) => parts)
      .filter((part) => part.isAwaited);
    for (const part of unanswered) part.state = 'current';
    this.#sent.clear();
    this.#onWire.clear();
    if (unanswered.length > 0) this.queue.replaceAll([...unanswered, ...this.queue.all()]);
    return packetIds;
  }

  /** Removes and returns all requests, in the order of the calls. */
  takeAll(): Request[] {
    const all = [...this.#open];
    for (const request of all) this.withdraw(request);
    return all;
  }

  #done(request: Request): void {
    this.#open.delete(request);
    this.#timed.delete(request);
  }
}

function join(request: Request, part: RequestPart, index: number): void {
  part.requests.set(request, index);
  request.parts.push(part);
}

function isAwaited({ parts }: RequestPacket): boolean {
  return parts.some((part) => part.isAwaited);
}
