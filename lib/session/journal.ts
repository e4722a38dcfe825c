import type { Text } from '../codec/text.ts';
import type { StoreChange, StoreRange, StoreRecord } from '../store/session-store.ts';
import { Backlog } from './backlog.ts';
import { Exchange, Stage, type PublishWaiter } from './exchange.ts';
import { sizeOf } from './queue.ts';
import {
  unreadableKeyOf,
  inspect,
  keyOf,
  MESSAGES,
  payloadIn,
  placeOf,
  PROGRESS,
  progressRecord,
  readProgress,
  readSegment,
  SegmentWriter,
  SESSION_KEY,
  sessionRecord,
  WITHDRAWN,
  type Checksum,
  type SessionFacts,
  type StoredMessage,
  type WrittenSegment,
} from './records.ts';
import { Receipts } from './receipts.ts';
import { Progress, Segment, type SegmentMessage, type SegmentOwner } from './segment.ts';
import type { Session } from './session.ts';
import { STORE_SIZES, type StoreSizes } from './store-sizes.ts';

/** What the journal needs from the platform. */
export interface JournalPorts {
  readonly text: Text;
  readonly checksum: Checksum;
  /** What to add to a time of the engine for the wall-clock time, in ms. */
  readonly toWallClock: () => number;
  /** Makes the waiter of a message that no call waits for. */
  readonly unattended: (topicName: string) => PublishWaiter;
  /** Default: `STORE_SIZES`. */
  readonly storeSizes?: StoreSizes | undefined;
}

/** How soon a commit has to be made. `later`: nothing waits for it, so it can wait for more. */
export type Demand = 'none' | 'later' | 'now';

/** Changes of the store that are made together, or not at all. */
export interface Commit {
  readonly changes: readonly StoreChange[];
  /** Whether a packet or a call waits for it. */
  readonly sync: boolean;
}

/** One segment of the commit that is under way. */
interface Storing {
  readonly segment: Segment;
  readonly written: WrittenSegment;
  readonly exchanges: readonly Exchange[];
  readonly bytes: number;
}

/**
 * What the store has to be told about the session, and the messages that wait for it. One commit is under way at a time;
 * what changes meanwhile is the next one.
 *
 * Every commit is a state that the session had. So a crash loses the latest changes at most, and never one of them alone.
 */
export class Journal implements SegmentOwner {
  readonly backlog: Backlog;
  readonly sizes: StoreSizes;
  readonly #session: Session;
  readonly #ports: JournalPorts;
  readonly #writer: SegmentWriter;
  #state: 'closed' | 'open' | 'discarded' = 'closed';
  /** Messages for the next commit. */
  #waiting: Exchange[] = [];
  /** Those of the present commit; undefined: none is under way. */
  #underway: readonly Storing[] | undefined = undefined;
  readonly #changed = new Set<Segment>();
  /** Changes of records that belong to no segment. */
  #others: StoreChange[] = [];
  readonly #receipts = new Receipts();
  #sessionRecord: 'stored' | 'stale' = 'stored';
  #urgency: 'none' | 'now' | 'sync' = 'none';
  #messages = 0;
  #bytes = 0;
  #lastPlace = 0;
  #lastRelease = 0;
  #knowledge: 'known' | 'unknown' = 'unknown';
  /** Records that could not be read. */
  unreadable = 0;

  constructor(session: Session, ports: JournalPorts) {
    this.#session = session;
    this.#ports = ports;
    this.sizes = ports.storeSizes ?? STORE_SIZES;
    this.#writer = new SegmentWriter(ports.text, ports.checksum, this.sizes);
    this.backlog = new Backlog(session.queue, this.sizes);
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Whether the session in the store is to be removed. */
  get isDiscarded(): boolean {
    return this.#state === 'discarded';
  }

  /** How soon the next commit has to be made. */
  get demand(): Demand {
    if (this.#waiting.length > 0 || this.#others.length > 0 || this.#urgency !== 'none') return 'now';
    if (this.#changed.size === 0 && this.#sessionRecord === 'stored') return 'none';
    return this.#changed.size < this.sizes.segmentsPerCommit ? 'later' : 'now';
  }

  /** Messages in the store that are not over, those of the present commit included. */
  get messages(): number {
    return this.#messages;
  }

  /** Their bytes: topic, properties and payload. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes of messages that are not in the store yet. */
  get unstoredBytes(): number {
    let bytes = 0;
    for (const exchange of this.#waiting) bytes += exchange.queuedBytes;
    for (const part of this.#underway ?? []) bytes += part.bytes;
    return bytes;
  }

  /** Whether this store knows all Packet Identifiers under which the server may hold QoS 2 messages of this session. */
  get isKnown(): boolean {
    return this.#knowledge === 'known';
  }

  // --- what happens in the session -----------------------------------------------------------------------------

  /** `exchange` is stored with the next commit. */
  add(exchange: Exchange): void {
    exchange.stage = Stage.Storing;
    this.#session.queue.reserve(exchange);
    this.#waiting.push(exchange); // fault: early-stored
  }

  /** The caller of a message that waits in the store, or for it, no longer wants it. */
  withdraw(exchange: Exchange): void {
    if (exchange.stage === Stage.Stored) {
      this.backlog.withdraw(exchange);
      // fault: withdrawn-record
      this.#others.push({
        type: 'put',
        key: keyOf(WITHDRAWN, exchange.publishOrder),
        value: new Uint8Array(0),
      });
      this.ended(exchange, Progress.Waiting);
      return;
    }
    // With a Packet Identifier it waits for the record of that, and no longer counts as queued.
    if (exchange.packetId === 0) this.#session.queue.changeReserved(-1, -exchange.queuedBytes);
    exchange.stage = Stage.Over;
    exchange.leaveStore();
    exchange.dropPayload();
  }

  /**
   * Gives up a message that is not in the store yet, to make room: the oldest of those that wait for the next commit. Its
   * waiter is still to be told.
   */
  dropOldest(): Exchange | undefined {
    const oldest = this.#waiting.find(({ stage }) => stage === Stage.Storing);
    if (oldest !== undefined) this.withdraw(oldest);
    return oldest;
  }

  /** The next commit has to be made before something can be sent. */
  hurry(): void {
    this.#urgency = 'sync';
  }

  /** The next commit does not wait for more, but nothing waits for it. */
  #commitSoon(): void {
    if (this.#urgency === 'none') this.#urgency = 'now';
  }

  /** PUBREC was received for a stored message. Returns its place in the order of the PUBRECs. */
  released(exchange: Exchange): number {
    exchange.segment?.released(exchange, ++this.#lastRelease); // fault: release-record
    this.hurry();
    return this.#lastRelease;
  }

  /** PUBREC is about to be sent for a QoS 2 message of the server. Returns whether a record of it has to be written first. */
  received(packetId: number): boolean {
    return this.#receipts.add(packetId) && this.#answerWaits();
  }

  /** PUBCOMP is about to be sent. Returns whether the store has to know first. */
  completed(packetId: number): boolean {
    return this.#receipts.end(packetId) && this.#answerWaits();
  }

  #answerWaits(): true {
    this.hurry();
    return true;
  }

  /** The server has no session: it begins now. */
  sessionBegun(): void {
    this.#receipts.endAll();
    if (this.#knowledge === 'unknown') this.#sessionRecord = 'stale';
    this.#knowledge = 'known';
    if (this.#receipts.isStale || this.#sessionRecord === 'stale') this.#commitSoon();
  }

  changed(segment: Segment): void {
    this.#changed.add(segment);
  }

  ended({ queuedBytes }: SegmentMessage, progress: Progress): void {
    this.#messages--;
    this.#bytes -= queuedBytes;
    this.#sessionRecord = 'stale';
    // Nobody was given it: its caller has withdrawn it, or it has expired. The next process must not send it.
    if (progress === Progress.Waiting) this.#commitSoon();
  }

  // --- commits -------------------------------------------------------------------------------------------------

  /** The changes since the last commit, unless one is under way or nothing has changed. */
  takeCommit(): Commit | undefined {
    if (this.#state !== 'open' || this.#underway !== undefined) return undefined;
    if (this.#session.outgoing.orphanedIds.size > 0 && this.isKnown) {
      this.#knowledge = 'unknown';
      this.#sessionRecord = 'stale';
    }
    const changes: StoreChange[] = [];
    const storing = this.#store(changes);
    for (const segment of this.#changed) this.#writeProgress(segment, changes);
    this.#changed.clear();
    changes.push(...this.#others);
    this.#others = [];
    this.#writeSession(changes);
    const sync = storing.length > 0 || this.#urgency === 'sync'; // fault: lazy-commit
    this.#urgency = 'none';
    if (changes.length === 0) return undefined;
    this.#underway = storing;
    return { changes, sync };
  }

  /** The present commit was made: its messages may be sent from now on. */
  committed(): void {
    const storing = this.#underway ?? [];
    this.#underway = undefined;
    this.#receipts.committed();
    for (const part of storing) this.#stored(part);
  }

  #store(changes: StoreChange[]): Storing[] {
    const exchanges = this.#waiting.filter(({ stage }) => stage === Stage.Storing);
    this.#waiting = [];
    const storing: Storing[] = [];
    for (let from = 0; from < exchanges.length;) {
      const written = this.#writer.write(exchanges, from, this.#ports.toWallClock());
      const count = written.ends.length;
      const segment = new Segment(this.#lastPlace + 1, count, this);
      const part: Exchange[] = [];
      let bytes = 0;
      for (let i = from; i < from + count; i++) {
        const exchange = exchanges[i] as Exchange;
        part.push(exchange);
        exchange.publishOrder = ++this.#lastPlace;
        exchange.segment = segment;
        bytes += exchange.queuedBytes;
      }
      this.#messages += count;
      this.#bytes += bytes;
      this.#sessionRecord = 'stale';
      changes.push({ type: 'put', key: keyOf(MESSAGES, segment.first), value: written.value });
      storing.push({ segment, written, exchanges: part, bytes });
      from += count;
    }
    return storing;
  }

  /** Writes the progress of a segment, or removes it with its last message. */
  #writeProgress(segment: Segment, changes: StoreChange[]): void {
    const key = keyOf(PROGRESS, segment.first);
    if (segment.live > 0) {
      changes.push({ type: 'put', key, value: progressRecord(segment, this.#ports.checksum) }); // fault: progress-record
      segment.inStore = 'progress';
      return;
    }
    changes.push({ type: 'delete', key: keyOf(MESSAGES, segment.first) });
    if (segment.inStore === 'progress') changes.push({ type: 'delete', key });
  }

  #writeSession(changes: StoreChange[]): void {
    const { checksum } = this.#ports;
    const change = this.#receipts.takeChange(checksum);
    if (change !== undefined) changes.push(change);
    if (this.#sessionRecord === 'stored') return;
    this.#sessionRecord = 'stored';
    const facts = {
      isKnown: this.isKnown,
      messages: this.#messages,
      bytes: this.#bytes,
      lastPlace: this.#lastPlace,
    };
    changes.push({ type: 'put', key: SESSION_KEY, value: sessionRecord(facts, checksum) });
  }

  #stored({ segment, written, exchanges, bytes }: Storing): void {
    const { queue } = this.#session;
    const staysInMemory = this.backlog.hasRoomFor(segment, bytes);
    // Without its segment in memory, each message that was withdrawn meanwhile has a record of its own.
    if (!staysInMemory && segment.live > 0) {
      this.#changed.delete(segment);
      this.backlog.begin(segment);
    } else if (!staysInMemory) this.backlog.skip(segment.first);
    for (const [i, exchange] of exchanges.entries()) {
      if (exchange.stage === Stage.Over) {
        if (!staysInMemory && segment.live > 0) this.#noteWithdrawn(exchange.publishOrder); // fault: withdrawn-meanwhile
        continue;
      }
      if (exchange.waiter?.stored() !== 'waits') {
        exchange.waiter = undefined;
        // Its caller gets the memory of the payload back.
        if (staysInMemory) exchange.usePayload(payloadIn(written, i));
      }
      if (staysInMemory) {
        exchange.waiter ??= this.#ports.unattended(exchange.topicName);
        queue.changeReserved(-1, -exchange.queuedBytes);
        queue.push(exchange);
      } else this.backlog.add(exchange);
    }
  }

  #noteWithdrawn(place: number): void {
    this.backlog.noteWithdrawn(place);
    this.#others.push({ type: 'put', key: keyOf(WITHDRAWN, place), value: new Uint8Array(0) });
  }

  // --- reading -------------------------------------------------------------------------------------------------

  /** The records to read now: the queue runs low, and messages wait in the store alone. */
  nextRange(): StoreRange | undefined {
    if (this.#state !== 'open') return undefined;
    const first = this.#underway?.[0]?.segment.first;
    return this.backlog.nextRange(first === undefined ? this.#lastPlace : first - 1);
  }

  /** The records of `nextRange()`. They go into the queue. */
  rangeRead(range: StoreRange, records: readonly StoreRecord[]): void {
    // fault: page-order
    for (const one of records) for (const exchange of this.read(one)) this.#session.queue.push(exchange);
    this.pageRead(records.length < range.limit);
  }

  /** `isLast`: there was nothing behind the records that were read. Messages that should have been there are not counted any more. */
  pageRead(isLast: boolean): void {
    const missing = this.backlog.rangeRead(isLast);
    if (missing.messages === 0) return;
    this.#messages -= missing.messages;
    this.#bytes -= missing.bytes;
    this.#sessionRecord = 'stale';
  }

  /**
   * Reads one segment and, if it has one, the record of its progress. Returns its messages that are not over; none if the
   * record cannot be read and is kept under another key.
   */
  read({ key, value }: StoreRecord, progress?: Uint8Array): Exchange[] {
    const first = placeOf(key);
    const messages = inspect(value, this.#ports.checksum) === 'sound' ? readSegment(value) : undefined; // fault: unchecked-record
    this.backlog.readUpTo(first + (messages?.length ?? 1) - 1); // fault: read-to
    if (this.backlog.takeSkipped(first)) return []; // fault: skipped-segment
    if (messages === undefined || messages.length === 0) {
      this.keepUnreadable({ key, value });
      return [];
    }
    const segment = new Segment(first, messages.length, this);
    if (progress !== undefined) {
      segment.inStore = 'progress';
      if (!readProgress(progress, segment))
        this.keepUnreadable({ key: keyOf(PROGRESS, first), value: progress });
    }
    const exchanges: Exchange[] = [];
    messages.forEach((message, i) => {
      const place = first + i;
      if (this.backlog.takeWithdrawn(place)) {
        this.#others.push({ type: 'delete', key: keyOf(WITHDRAWN, place) });
        segment.restore(place, Progress.Over, 0, 0);
        this.#changed.add(segment);
      } else if (segment.progressAt(place) !== Progress.Over)
        exchanges.push(this.#toExchange(message, place, segment));
    });
    return exchanges;
  }

  #toExchange({ publish, calledAt }: StoredMessage, place: number, segment: Segment): Exchange {
    const { topic, payload, qos, retain } = publish;
    const properties = Object.keys(publish.properties).length === 0 ? undefined : publish.properties;
    const read = new Exchange(topic, payload, qos, retain, properties);
    read.queuedBytes = sizeOf(read); // fault: recovered-bytes
    const exchange = this.backlog.take(place, read.queuedBytes) ?? read;
    exchange.usePayload(payload);
    exchange.calledAt = calledAt - this.#ports.toWallClock(); // fault: stored-time
    exchange.publishOrder = place;
    exchange.segment = segment;
    exchange.waiter ??= this.#ports.unattended(topic);
    return exchange;
  }

  /** Keeps a record that cannot be read where it is in nobody's way. */
  keepUnreadable({ key, value }: StoreRecord): void {
    this.unreadable++;
    this.#others.push({ type: 'put', key: unreadableKeyOf(key), value }, { type: 'delete', key });
  }

  // --- opening and closing -------------------------------------------------------------------------------------

  /** The store is open. `recovered()` follows. */
  open(facts: SessionFacts): void {
    this.#state = 'open';
    this.#messages = facts.messages;
    this.#bytes = facts.bytes;
    this.#lastPlace = facts.lastPlace;
    this.#knowledge = facts.isKnown ? 'known' : 'unknown';
    this.backlog.start(facts.messages, facts.bytes);
  }

  /** Takes over a message that an earlier process has received up to PUBREC. */
  restoreReceived(packetId: number): void {
    this.#receipts.restore(packetId);
  }

  /** Takes over the highest place in the order of the PUBRECs. */
  restoreRelease(release: number): void {
    if (release > this.#lastRelease) this.#lastRelease = release;
  }

  /** Nothing is kept: no commit follows, and the records are removed. */
  discard(): void {
    if (this.#state === 'open') this.#state = 'discarded';
  }

  /**
   * The store is closed, or has failed. Returns the messages that it does not have, in call order. Everything else is in the
   * store, and leaves memory.
   */
  close(): Exchange[] {
    const left = this.takeUnstored();
    this.#state = 'closed';
    this.#changed.clear();
    this.#others = [];
    this.#receipts.clear();
    this.#sessionRecord = 'stored';
    this.#urgency = 'none';
    this.#messages = 0;
    this.#bytes = 0;
    this.#lastRelease = 0;
    this.unreadable = 0;
    this.backlog.clear();
    return left;
  }

  /** Takes all messages that are not in the store, in call order. */
  takeUnstored(): Exchange[] {
    const unstored = [...(this.#underway ?? []).flatMap(({ exchanges }) => exchanges), ...this.#waiting];
    this.#underway = undefined;
    this.#waiting = [];
    const left = unstored.filter(({ stage }) => stage === Stage.Storing);
    for (const exchange of left) {
      exchange.segment = undefined;
      this.#session.queue.changeReserved(-1, -exchange.queuedBytes);
    }
    return left;
  }
}
