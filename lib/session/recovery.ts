import type { StoreRange, StoreRecord } from '../store/session-store.ts';
import { StoreError } from '../errors.ts';
import { Exchange } from './exchange.ts';
import type { Journal } from './journal.ts';
import { sizeOf } from './queue.ts';
import {
  endOf,
  inspect,
  keyOf,
  MESSAGES,
  placeOf,
  PROGRESS,
  readReceived,
  readSegment,
  readSession,
  RECEIVED_KEY,
  SESSION_KEY,
  WITHDRAWN,
  type Checksum,
  type SessionFacts,
} from './records.ts';
import { Progress } from './segment.ts';
import type { Session } from './session.ts';

const NOTHING: SessionFacts = { isKnown: false, messages: 0, bytes: 0, lastPlace: 0 };
const EVERYTHING = Number.MAX_SAFE_INTEGER - 1;

/**
 * Reads what an earlier process has left in the store, in three steps: all records about the state of the session; only
 * if its totals are damaged, all messages once; and the messages from the first one on, until those that may be with the
 * server are there, and a page that waits.
 */
export class Recovery {
  readonly #session: Session;
  readonly #journal: Journal;
  readonly #checksum: Checksum;
  #step: 'state' | 'count' | 'messages' | 'done' = 'state';
  #facts: SessionFacts | undefined = undefined;
  /** By the first place of its segment. */
  readonly #progress = new Map<number, Uint8Array>();
  readonly #unreadable: StoreRecord[] = [];
  readonly #received: number[] = [];
  /** Messages that await PUBCOMP, in the order of calls. */
  readonly #released: Exchange[] = [];
  #range: StoreRange;

  constructor(session: Session, journal: Journal, checksum: Checksum) {
    this.#session = session;
    this.#journal = journal;
    this.#checksum = checksum;
    this.#range = { after: PROGRESS, before: endOf(WITHDRAWN), limit: journal.sizes.recordsPerRead };
  }

  /** The records to read next; undefined: all is there. */
  get range(): StoreRange | undefined {
    return this.#step === 'done' ? undefined : this.#range;
  }

  /**
   * The records of `range`, in order.
   * @throws StoreError if a newer version has written the session
   */
  read(records: readonly StoreRecord[]): void {
    const isLast = records.length < this.#range.limit;
    for (const one of records) this.#take(one);
    if (this.#step === 'messages') this.#journal.pageRead(isLast);
    const last = records.at(-1);
    if (!isLast && last !== undefined && this.#step !== 'messages') {
      this.#range = { ...this.#range, after: last.key };
      return;
    }
    if (this.#step === 'state' && this.#facts === undefined) this.#count();
    else if (this.#step !== 'messages') this.#open();
    else this.#next(isLast);
  }

  #take(found: StoreRecord): void {
    if (this.#step === 'state') this.#takeState(found);
    else if (this.#step === 'count') this.#takeCount(found);
    else {
      const first = placeOf(found.key);
      const progress = this.#progress.get(first);
      this.#progress.delete(first);
      for (const exchange of this.#journal.read(found, progress)) this.#restore(exchange); // fault: recovered-order
    }
  }

  #takeState({ key, value }: StoreRecord): void {
    if (key.startsWith(WITHDRAWN)) {
      this.#journal.backlog.noteWithdrawn(placeOf(key));
      return;
    }
    const state = inspect(value, this.#checksum);
    if (state === 'newer' && key === SESSION_KEY)
      throw new StoreError('the store was written by a newer version of mqtt-await: use that version');
    if (state !== 'sound') this.#unreadable.push({ key, value });
    else if (key === SESSION_KEY) this.#facts = readSession(value);
    else if (key === RECEIVED_KEY) this.#received.push(...readReceived(value));
    else this.#progress.set(placeOf(key), value);
  }

  /** The totals are not there, in a new store or a damaged one: messages are counted. */
  #count(): void {
    this.#step = 'count';
    this.#facts = NOTHING;
    const { segmentsPerRead: limit } = this.#journal.sizes;
    this.#range = { after: MESSAGES, before: keyOf(MESSAGES, EVERYTHING), limit };
  }

  #takeCount({ key, value }: StoreRecord): void {
    const messages = (inspect(value, this.#checksum) === 'sound' && readSegment(value)) || [];
    const facts = this.#facts ?? NOTHING;
    let { bytes } = facts;
    for (const { publish } of messages)
      bytes += sizeOf(new Exchange(publish.topic, publish.payload, publish.qos, false, publish.properties));
    this.#facts = {
      isKnown: false,
      messages: facts.messages + messages.length,
      bytes,
      lastPlace: placeOf(key) + Math.max(1, messages.length) - 1,
    };
  }

  #open(): void {
    this.#step = 'messages';
    this.#journal.open(this.#facts ?? NOTHING);
    for (const one of this.#unreadable) this.#journal.keepUnreadable(one);
    for (const packetId of this.#received) {
      this.#journal.restoreReceived(packetId);
      this.#session.incoming.restoreReceived(packetId); // fault: forgotten-receipt
    }
    this.#next(false);
  }

  /** Reads on while messages that may be with the server are missing, or the queue has room. */
  #next(isLast: boolean): void {
    const { backlog } = this.#journal;
    const range =
      this.#progress.size > 0 && !isLast ? backlog.beginReading(EVERYTHING) : this.#journal.nextRange();
    if (range === undefined || isLast) this.#finish();
    else this.#range = range;
  }

  #restore(exchange: Exchange): void {
    const { outgoing, packetIdentifiers, queue } = this.#session;
    const { publishOrder: place, segment } = exchange;
    const packetId = segment?.packetIdAt(place) ?? 0;
    const progress = segment?.progressAt(place) ?? Progress.Waiting;
    if (progress === Progress.Waiting || packetId === 0 || !packetIdentifiers.takeAgain(packetId)) {
      segment?.startedOver(exchange);
      queue.push(exchange);
      return;
    }
    exchange.recover(packetId);
    outgoing.begin(exchange);
    if (progress === Progress.Released) this.#released.push(exchange);
  }

  #finish(): void {
    this.#step = 'done';
    const order = (exchange: Exchange): number => exchange.segment?.releaseAt(exchange.publishOrder) ?? 0;
    for (const exchange of this.#released.toSorted((a, b) => order(a) - order(b))) {
      this.#session.outgoing.release(exchange); // fault: recovered-release
      this.#journal.restoreRelease(order(exchange));
    }
    // Their segments cannot be read.
    for (const [first, value] of this.#progress)
      this.#journal.keepUnreadable({ key: keyOf(PROGRESS, first), value });
    this.#progress.clear();
  }
}
