import type { StoreRange } from '../store/session-store.ts';
import { Stage, type Exchange } from './exchange.ts';
import type { Queue } from './queue.ts';
import { keyOf, MESSAGES } from './records.ts';
import type { Segment } from './segment.ts';
import type { StoreSizes } from './store-sizes.ts';

/**
 * The messages that wait in the store alone, behind those of the queue. Their number costs no memory, but the calls that
 * wait for them do.
 */
export class Backlog {
  readonly #queue: Queue;
  readonly #sizes: StoreSizes;
  /** Messages that callers wait for, by place. */
  readonly #awaited = new Map<number, Exchange>();
  /** Places of messages that were withdrawn. */
  readonly #withdrawn = new Set<number>();
  /** First places of segments without messages, which the store is about to remove. */
  readonly #skipped = new Set<number>();
  #messages = 0;
  #bytes = 0;
  /** The last place that was read, or did not have to be. */
  #readTo = 0;
  /** The last place that the present reading may bring. */
  #lastPlace = 0;
  #reading: 'no' | 'yes' = 'no';
  /** Messages that were added since the present reading began. It does not include them. */
  #added = 0;
  #addedBytes = 0;

  constructor(queue: Queue, sizes: StoreSizes) {
    this.#queue = queue;
    this.#sizes = sizes;
  }

  /** Whether nothing is to be read: withdrawn messages are, to remove them from the store. */
  get isEmpty(): boolean {
    return this.#messages <= 0 && this.#withdrawn.size === 0;
  }

  /** Bytes of topic, properties and payload. */
  get bytes(): number {
    return this.#bytes;
  }

  /** An earlier process has left `messages`. They are read from the first place on. */
  start(messages: number, bytes: number): void {
    this.#messages = messages;
    this.#bytes = bytes;
    this.#readTo = 0;
    this.#queue.changeReserved(messages, bytes);
  }

  /** Whether the messages of `segment`, which has just been stored, stay in memory. */
  hasRoomFor(segment: Segment, bytes: number): boolean {
    const { messages, bytes: queued } = this.#queue;
    const { pageMessages, pageBytes } = this.#sizes;
    if (!this.isEmpty || this.#reading === 'yes') return false;
    return messages === 0 || (messages + segment.count <= pageMessages && queued + bytes <= pageBytes);
  }

  /** `segment` leaves memory: `add()` and `noteWithdrawn()` follow for its messages. */
  begin({ first }: Segment): void {
    if (this.isEmpty && this.#reading === 'no') this.#readTo = first - 1;
  }

  /** `exchange` leaves memory. It counts as queued already. */
  add(exchange: Exchange): void {
    this.#messages++;
    this.#bytes += exchange.queuedBytes;
    this.#added++;
    this.#addedBytes += exchange.queuedBytes;
    exchange.stage = Stage.Stored;
    exchange.segment = undefined;
    if (exchange.waiter !== undefined) this.#awaited.set(exchange.publishOrder, exchange);
    exchange.dropPayload();
  }

  /** The caller of a message no longer wants it. */
  withdraw(exchange: Exchange): void {
    this.#awaited.delete(exchange.publishOrder);
    this.#withdrawn.add(exchange.publishOrder);
    exchange.stage = Stage.Over;
    this.#remove(exchange.queuedBytes);
  }

  /** A message that an earlier process has withdrawn. */
  noteWithdrawn(place: number): void {
    this.#withdrawn.add(place);
  }

  /** What to read now, if the queue runs low: up to `lastPlace`, as the store may have messages behind it that do not count yet. */
  nextRange(lastPlace: number): StoreRange | undefined {
    if (this.#reading === 'yes' || this.isEmpty) return undefined;
    const { pageMessages, pageBytes } = this.#sizes;
    if (this.#queue.messages > pageMessages / 2 || this.#queue.bytes > pageBytes / 2) return undefined;
    return this.beginReading(lastPlace);
  }

  beginReading(lastPlace: number): StoreRange {
    this.#reading = 'yes';
    this.#lastPlace = lastPlace;
    this.#added = 0;
    this.#addedBytes = 0;
    return {
      after: keyOf(MESSAGES, this.#readTo),
      before: keyOf(MESSAGES, lastPlace + 1),
      limit: this.#sizes.segmentsPerRead,
    };
  }

  /** Everything up to `place` was read. */
  readUpTo(place: number): void {
    this.#readTo = place;
  }

  /** A range was read. `isLast`: there is nothing behind it. Returns the messages that are missing, and their bytes. */
  rangeRead(isLast: boolean): { readonly messages: number; readonly bytes: number } {
    this.#reading = 'no';
    // The store has lost their segments.
    if (isLast)
      for (const place of this.#withdrawn) if (place <= this.#lastPlace) this.#withdrawn.delete(place);
    if (this.isEmpty) this.#skipped.clear();
    const messages = isLast ? Math.max(0, this.#messages - this.#added) : 0;
    const bytes = messages > 0 ? Math.max(0, this.#bytes - this.#addedBytes) : 0;
    this.#messages -= messages;
    this.#bytes -= bytes;
    this.#queue.changeReserved(-messages, -bytes);
    return { messages, bytes };
  }

  /** Takes a message that was read out of the backlog. Returns the exchange that its caller waits for, if there is one. */
  take(place: number, bytes: number): Exchange | undefined {
    this.#remove(bytes);
    const exchange = this.#awaited.get(place);
    this.#awaited.delete(place);
    return exchange;
  }

  /** Whether the message at `place` was withdrawn. It no longer is: it is over. */
  takeWithdrawn(place: number): boolean {
    return this.#withdrawn.delete(place);
  }

  /** The messages of the segment that begins at `first` are over: if it is still read, it brings none. */
  skip(first: number): void {
    this.#skipped.add(first);
  }

  takeSkipped(first: number): boolean {
    return this.#skipped.delete(first);
  }

  /** Messages that callers wait for. */
  awaited(): Iterable<Exchange> {
    return this.#awaited.values();
  }

  /** Forgets everything. The store keeps it. */
  clear(): void {
    this.#queue.changeReserved(-this.#messages, -this.#bytes);
    this.#awaited.clear();
    this.#withdrawn.clear();
    this.#skipped.clear();
    this.#messages = 0;
    this.#bytes = 0;
    this.#readTo = 0;
    this.#reading = 'no';
  }

  #remove(bytes: number): void {
    this.#messages--;
    // The last message takes what is left: a message may be counted differently once it was read.
    const removed = this.#messages === 0 ? this.#bytes : bytes;
    this.#bytes -= removed;
    this.#queue.changeReserved(-1, -removed);
  }
}
