import type { Connection } from '../connection/connection.ts';
import { Stage, type Exchange } from '../session/exchange.ts';
import type { Answers } from '../session/incoming.ts';
import type { Journal } from '../session/journal.ts';
import { Progress } from '../session/segment.ts';
import type { Session } from '../session/session.ts';
import { AckWriter, writePubcomp, writePubrel } from './ack-writer.ts';

/** Items that wait for a commit: those of the one under way, and those of the next. */
class Awaiting<T> {
  #next: T[] = [];
  #underway: T[] = [];

  get length(): number {
    return this.#next.length + this.#underway.length;
  }

  add(item: T): void {
    this.#next.push(item);
  }

  /** The next commit was begun. */
  begun(): void {
    this.#underway = this.#next;
    this.#next = [];
  }

  /** The commit was made: its items need not wait any more. */
  takeDone(): readonly T[] {
    const done = this.#underway;
    this.#underway = [];
    return done;
  }

  takeAll(): readonly T[] {
    const all = [...this.#underway, ...this.#next];
    this.#underway = [];
    this.#next = [];
    return all;
  }
}

/** PUBREC or PUBCOMP that may be sent once its record is in the store. */
interface Answer {
  readonly type: 'pubrec' | 'pubcomp';
  readonly packetId: number;
  readonly reasonCode: number;
}

/** PUBREC that was received, and its place in the order of the PUBRECs. */
interface Release {
  readonly exchange: Exchange;
  readonly place: number;
}

/**
 * Holds packets back until the store has what a restarted process would have to know:
 *
 *   PUBLISH   a QoS 2 message has its Packet Identifier. Messages behind it wait, too, to keep the order
 *   PUBREL    PUBREC was received
 *   PUBREC    the message of the server is processed
 *   PUBCOMP   the server may use its Packet Identifier again
 */
export class StoreGate implements Answers {
  readonly #session: Session;
  readonly #journal: Journal;
  readonly #writer = new AckWriter();
  readonly #departing = new Awaiting<Exchange>();
  readonly #releases = new Awaiting<Release>();
  readonly #answers = new Awaiting<Answer>();

  constructor(session: Session, journal: Journal) {
    this.#session = session;
    this.#journal = journal;
  }

  /** Messages that have their place in the window, and wait for the store. */
  get departing(): number {
    return this.#departing.length;
  }

  /** Whether `exchange`, which has its Packet Identifier, has to wait before it is written. */
  holds({ qos, segment }: Exchange): boolean {
    return this.#departing.length > 0 || (qos === 2 && segment !== undefined); // fault: early-publish
  }

  /** `exchange` is written when the store knows its Packet Identifier. */
  depart(exchange: Exchange): void {
    exchange.stage = Stage.Storing;
    exchange.segment?.published(exchange);
    if (exchange.qos === 2) this.#journal.hurry();
    this.#departing.add(exchange);
  }

  /** PUBREC was received. Returns whether PUBREL has to wait. */
  holdsRelease(exchange: Exchange): boolean {
    const { segment, publishOrder } = exchange;
    if (segment === undefined || exchange.stage !== Stage.Published) return false; // fault: early-pubrel
    // The server has answered again before the store had the first PUBREC.
    if (segment.progressAt(publishOrder) === Progress.Released) return true;
    this.#releases.add({ exchange, place: this.#journal.released(exchange) });
    return true;
  }

  // --- answers to messages of the server -----------------------------------------------------------------------

  set connection(connection: Connection | undefined) {
    this.#writer.connection = connection;
  }

  puback(packetId: number, reasonCode: number): void {
    this.#writer.puback(packetId, reasonCode);
  }

  /** PUBREC is sent in the order of receipt [MQTT-4.6.0-3], so it also waits for those before it. */
  pubrec(packetId: number, reasonCode: number): 'written' | 'waits' {
    const isUnrecorded = reasonCode < 0x80 && this.#journal.received(packetId); // fault: early-pubrec
    if (!isUnrecorded && this.#answers.length === 0) return this.#writer.pubrec(packetId, reasonCode);
    this.#answers.add({ type: 'pubrec', packetId, reasonCode });
    return 'waits';
  }

  /** PUBREL has ended the message with `packetId`, or no message has it. */
  completed(connection: Connection, packetId: number, reasonCode: number): void {
    if (this.#journal.completed(packetId)) this.#answers.add({ type: 'pubcomp', packetId, reasonCode }); // fault: early-pubcomp
    else writePubcomp(connection, packetId, reasonCode);
  }

  // --- commits -------------------------------------------------------------------------------------------------

  /** A commit was begun with all that waits. */
  begun(): void {
    this.#departing.begun();
    this.#releases.begun();
    this.#answers.begun();
  }

  /** The commit was made. Sends what had waited for it but for messages: see `takeDeparting()`. */
  committed(connection: Connection | undefined, now: number, pubrels: 'to be sent again' | 'sent'): void {
    for (const release of this.#releases.takeDone()) this.#release(release, connection, now, pubrels);
    for (const { type, packetId, reasonCode } of this.#answers.takeDone()) {
      if (connection === undefined) continue;
      if (type === 'pubcomp') writePubcomp(connection, packetId, reasonCode);
      else {
        this.#writer.pubrec(packetId, reasonCode);
        if (reasonCode >= 0x80) this.#session.incoming.refused(packetId);
      }
    }
  }

  /** Messages that may be written now, in order. */
  takeDeparting(): readonly Exchange[] {
    return this.#departing.takeDone().filter(({ stage }) => stage === Stage.Storing);
  }

  /** The connection ended: its answers are void, and messages that were not written wait in the queue again. */
  connectionLost(): void {
    this.#answers.takeAll(); // fault: stale-answers
    const departing = this.#departing.takeAll().filter(({ stage }) => stage === Stage.Storing);
    for (const exchange of departing) {
      this.#session.packetIdentifiers.free(exchange.packetId);
      exchange.startOver();
    }
    this.#session.queue.putBack(departing); // fault: departing
  }

  /** The store is closed. */
  clear(): void {
    this.connectionLost();
    this.#releases.takeAll();
  }

  #release(
    { exchange, place }: Release,
    connection: Connection | undefined,
    now: number,
    pubrels: 'to be sent again' | 'sent',
  ): void {
    const { segment, publishOrder } = exchange;
    if (exchange.stage !== Stage.Published || segment === undefined) return;
    // The PUBLISH was sent again since, on another connection: the PUBREC of that counts.
    if (segment.progressAt(publishOrder) !== Progress.Released) return;
    if (segment.releaseAt(publishOrder) !== place) return; // fault: repeated-pubrec
    const { outgoing } = this.#session;
    outgoing.release(exchange);
    // Without a connection, or before the PUBRELs of a resumed session were sent, it goes out with those.
    if (connection === undefined || pubrels === 'to be sent again') return;
    const isHere = exchange.connectionNumber === connection.connectionNumber;
    outgoing.written(exchange, connection.connectionNumber, now);
    if (!isHere) connection.quota.take();
    writePubrel(connection, exchange.packetId, 0);
  }
}
