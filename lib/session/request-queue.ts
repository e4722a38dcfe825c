import type { UserProperties } from '../codec/packets.ts';
import type { Text } from '../codec/text.ts';
import type { RequestPart } from './request.ts';

/** How much one packet may hold; 0 = no limit. */
export interface RequestLimits {
  readonly filters: number;
  readonly bytes: number;
  /**
   * `one per filter`: a SUBSCRIBE carries the Subscription Identifier of its Topic Filter, which holds for the whole packet.
   * @default "none"
   */
  readonly identifiers?: 'one per filter' | 'none' | undefined;
}

/** Bytes of a packet without its parts, at most: header, Packet Identifier, Property Length, Subscription Identifier. */
const PACKET_OVERHEAD = 16;
/** The length prefix of a Topic Filter and its Subscription Options. */
const PART_OVERHEAD = 3;
/** Suspects are sent in so many groups, one after the other, until the one that is lost is a single part. */
const GROUPS = 16;

/**
 * Parts of SUBSCRIBE and UNSUBSCRIBE that wait to be sent, in the order of the calls. The server processes packets in
 * their order, so parts on one Topic Filter only have to leave in the order of the calls: they need not wait for each
 * other's Reason Codes.
 */
export class RequestQueue {
  #parts = new Set<RequestPart>();
  /** The last part on each Topic Filter. */
  readonly #last = new Map<string, RequestPart>();
  readonly #suspects = new Set<RequestPart>();

  get size(): number {
    return this.#parts.size;
  }

  get hasSuspects(): boolean {
    return this.#suspects.size > 0;
  }

  /** Every part, in its order. */
  all(): RequestPart[] {
    return [...this.#parts];
  }

  last(topicFilter: string): RequestPart | undefined {
    return this.#last.get(topicFilter);
  }

  add(part: RequestPart): void {
    this.#parts.add(part);
    this.#last.set(part.entry.topicFilter, part);
    if (part.isSuspect) this.#suspects.add(part);
  }

  delete(part: RequestPart): void {
    const { topicFilter } = part.entry;
    this.#parts.delete(part);
    this.#suspects.delete(part);
    if (this.#last.get(topicFilter) === part) this.#last.delete(topicFilter);
  }

  /** `parts` wait in place of all others, in this order. */
  replaceAll(parts: readonly RequestPart[]): void {
    this.#parts = new Set();
    this.#last.clear();
    this.#suspects.clear();
    for (const part of parts) this.add(part);
  }

  /** Topic Filters that are being restored. */
  restoring(): Set<string> {
    const filters = new Set<string>();
    for (const part of this.#parts) if (part.restores) filters.add(part.entry.topicFilter);
    return filters;
  }

  /**
   * Takes what can go now, as up to `most` packets in their order: each of one kind and one set of User Properties,
   * within `limits`. Suspect parts stay, and so do the parts behind them on the same Topic Filter.
   */
  takePackets(limits: RequestLimits, most: number, text: Pick<Text, 'byteLength'>): RequestPart[][] {
    const packets: PacketDraft[] = [];
    const open = new Map<unknown, PacketDraft>();
    /** In which packet the last part on each Topic Filter is; Infinity: it stays. */
    const places = new Map<string, number>();
    for (const part of this.#parts) {
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
      this.delete(part);
    }
    return packets.map(({ parts }) => parts);
  }

  /**
   * Takes one packet of suspects, or as many as have to have an identifier each, up to `mostPackets`: a sixteenth of those
   * that were lost as often as the first of them. So the one that costs the connection is alone after few losses, and none
   * of the others is.
   */
  takeSuspects(limits: RequestLimits, mostPackets: number, text: Pick<Text, 'byteLength'>): RequestPart[][] {
    const [first] = this.#suspects;
    if (first === undefined || mostPackets === 0) return [];
    let equals = 0;
    for (const { losses } of this.#suspects) if (losses === first.losses) equals++;
    const most = Math.ceil(equals / GROUPS);
    let draft = new PacketDraft(0, first, text);
    const packets = [draft.parts];
    const filters = new Set<string>();
    for (const part of this.#suspects) {
      const { topicFilter } = part.entry;
      const size = text.byteLength(topicFilter) + PART_OVERHEAD;
      const differs = part.losses !== first.losses || part.userProperties !== first.userProperties;
      if (differs || filters.has(topicFilter) || filters.size === most) break;
      if (draft.parts.length > 0 && !draft.hasRoom(part, size, limits)) {
        if (!isIdentified(part, limits) || packets.length === mostPackets) break;
        draft = new PacketDraft(packets.length, part, text);
        packets.push(draft.parts);
      }
      draft.add(part, size);
      filters.add(topicFilter);
      this.delete(part);
    }
    return packets;
  }

  /** A connection was lost without them: nothing is suspect any more. */
  clearSuspects(): void {
    for (const part of this.#suspects) part.losses = 0;
    this.#suspects.clear();
  }

  /** Removes and returns the parts of SUBSCRIBEs whose Topic Filter passes `test`. */
  takeSubscriptions(test: (topicFilter: string) => boolean): RequestPart[] {
    const taken = this.all().filter(({ kind, entry }) => kind === 'subscribe' && test(entry.topicFilter));
    for (const part of taken) this.delete(part);
    return taken;
  }
}

class PacketDraft {
  readonly place: number;
  readonly parts: RequestPart[] = [];
  #bytes: number;

  constructor(place: number, { userProperties }: RequestPart, text: Pick<Text, 'byteLength'>) {
    this.place = place;
    this.#bytes = PACKET_OVERHEAD + sizeOf(userProperties, text);
  }

  /** Whether `part` can follow the parts that are here already. */
  hasRoom(part: RequestPart, size: number, limits: RequestLimits): boolean {
    const { filters, bytes } = limits;
    const [first] = this.parts;
    if (part.kind !== first?.kind || (filters > 0 && this.parts.length >= filters)) return false;
    if (isIdentified(first, limits) || isIdentified(part, limits)) return false;
    return bytes === 0 || this.#bytes + size <= bytes;
  }

  add(part: RequestPart, size: number): void {
    this.parts.push(part);
    this.#bytes += size;
  }
}

/** Whether a part has a packet of its own, with its Subscription Identifier. */
function isIdentified({ kind, entry }: RequestPart, { identifiers }: RequestLimits): boolean {
  return identifiers === 'one per filter' && kind === 'subscribe' && entry.identifier !== undefined;
}

/** Bytes of User Properties: each is an identifier and two strings behind their lengths. */
function sizeOf(userProperties: UserProperties | undefined, text: Pick<Text, 'byteLength'>): number {
  let bytes = 0;
  for (const [name, value] of userProperties ?? [])
    bytes += 5 + text.byteLength(name) + text.byteLength(value);
  return bytes;
}
