import type { PublishPacket, QoS } from '../../lib/codec/packets.ts';
import { Arrivals } from './arrivals.ts';
import { tagOf } from './payloads.ts';
import type { MemoryStore } from '../support/memory-store.ts';
import type { Order, Wire } from './wire.ts';

/** Client options that the rules depend on. */
export interface Rules {
  /** Whether the session outlives a connection. */
  readonly isPersistent: boolean;
  /** ms after which an unprocessed message may be acknowledged nevertheless; Infinity: never. */
  readonly patience: number;
  /** Whether the client repeats messages on a live connection. */
  readonly retries: boolean;
  readonly onSessionLost: 'resend' | 'reject';
  /** Whether new messages replace old ones in the queue, even kept ones. */
  readonly dropsOldest: boolean;
}

/** What a rejection says about the message. */
interface Fate {
  readonly name?: string;
  readonly delivery?: string;
  readonly kept?: boolean;
}

/** One call of `publish()`, and the outcome of its message. */
export interface Publication {
  readonly tag: number;
  readonly qos: QoS;
  readonly size: number;
  /** The newest connection at the time of the call, and when the promise settled. */
  readonly calledAfter: number;
  /** Whether there was a connection and no QoS 0 message before it, so that QoS 0 waits for the network only. */
  readonly goesAtOnce: boolean;
  endedAfter: number;
  /** The connections on which the server received it. */
  readonly seenOn: number[];
  /** Session of the server → how often it accepted the message as a new one. */
  readonly taken: Map<number, number>;
  /** The last acknowledgement that the client received. */
  answer:
    | {
        readonly reasonCode: number;
        readonly over: { readonly lostInput: boolean } | undefined;
        mark: number;
      }
    | undefined;
  /** `gone`: its process was killed before. */
  outcome: 'pending' | 'resolved' | 'rejected' | 'gone';
  fate: Fate;
  readonly until: 'acknowledged' | 'stored';
  /** When it expires, in ms. */
  readonly expiresAt: number;
  /** Commits that were begun at the time of the call, and when it settled. */
  calledMark: number;
  endedMark: number;
  /** A killed process has left it in the store. */
  isOwed: boolean;
  /** The application has asked for it to be forgotten, or agreed to that. */
  mayBeForgotten: boolean;
  /** Neither the client nor the server can know what happened. */
  isExcused: boolean;
}

/** What an application asks of a message besides its QoS. */
export interface Wishes {
  readonly until?: 'acknowledged' | 'stored';
  /** In seconds. */
  readonly expiry?: number;
}

/** The reason of aborted calls. */
export const GIVEN_UP: Error = new Error('given up');

/**
 * The promises of the client as far as they are visible from outside. The model knows requests and observations, and
 * nothing of the implementation. It collects violations; a run with a violation has failed.
 */
export class Model {
  readonly rules: Rules;
  readonly order: Order;
  readonly publications: Publication[] = [];
  readonly arrivals: Arrivals;
  readonly complaints: string[] = [];
  /** The current session of the server; 0 = none. */
  session = 0;
  /** Commits that were begun when it began. */
  sessionMark = 0;
  sessionsLost = 0;
  connection = 0;
  connectionsLost = 0;
  /** The last connection that ended with output that the server never received, and the time of that. */
  #lossy = { connection: 0, at: 0 };
  #lastQos0 = 0;
  /** Whether the network has output that the server has not received. */
  owes: () => boolean = () => false;
  /** Whether the client has stopped reading. */
  isReadingStopped: () => boolean = () => false;

  /** The store of the client. */
  store: MemoryStore | undefined;
  /** Whether the client may have given a message up that was alone on the wire at several losses. */
  hasGivenUp = false;
  now: () => number = () => 0;

  constructor(rules: Rules, order: Order) {
    this.rules = rules;
    this.order = order;
    this.arrivals = new Arrivals(this);
  }

  broken(what: string): void {
    this.complaints.push(what);
  }

  // --- the store -----------------------------------------------------------------------------------------------

  get hasStore(): boolean {
    return this.store !== undefined;
  }

  /** Commits that were begun: what happens now is in the next one. */
  get mark(): number {
    return this.store?.counts.begun ?? 0;
  }

  /** Whether the store has what happened at the time of `mark`. */
  isMade(mark: number): boolean {
    return this.store !== undefined && this.store.counts.made > mark;
  }

  isSynced(mark: number): boolean {
    return this.store !== undefined && this.store.counts.synced > mark;
  }

  /** The memory of the client is gone. `survives`: whether the store has what happened at the time of a mark. */
  forgotten(survives: (mark: number) => boolean): void {
    this.#lossy = { connection: this.connection, at: this.order.next() };
    for (const one of this.publications) {
      const { answer, outcome, until } = one;
      const isWanted = outcome === 'pending' || (outcome === 'resolved' && until === 'stored');
      if (isWanted && one.qos > 0 && answer === undefined && survives(one.calledMark)) one.isOwed = true;
      if (!survives(one.calledMark)) one.calledMark = Infinity;
      if (answer !== undefined && !survives(answer.mark))
        one.answer = { reasonCode: answer.reasonCode, over: { lostInput: true }, mark: Infinity };
      // The message was withdrawn in memory only.
      if (outcome === 'rejected' && one.fate.kept === false && !survives(one.endedMark)) one.fate = {};
      if (!survives(one.endedMark)) one.endedMark = Infinity;
    }
  }

  /** The process is gone with all its calls. */
  crashed(): void {
    this.arrivals.crashes++;
    for (const one of this.publications) if (one.outcome === 'pending') one.outcome = 'gone';
  }

  // --- connections ---------------------------------------------------------------------------------------------

  connectionBegan(connection: number, session: number): void {
    this.connection = connection;
    if (session !== this.session) this.sessionMark = this.mark;
    this.session = session;
  }

  connectionEnded(connection: number, wire: Wire): void {
    this.connectionsLost++;
    if (wire.lostOutput) this.#lossy = { connection, at: this.order.next() };
  }

  sessionLost(tags: readonly number[]): void {
    this.session = 0;
    this.sessionsLost++;
    this.arrivals.lost(tags);
    if (this.rules.onSessionLost === 'resend') return;
    for (const one of this.publications)
      if (one.qos === 2 && (one.seenOn.length > 0 || this.mayBeUnseen(one.tag))) one.mayBeForgotten = true;
  }

  /** Whether output that was written after `at` may have been lost. */
  lostOutputSince(at: number): boolean {
    return this.#lossy.at > at;
  }

  /** Whether the client may have written the message without the server receiving it. */
  mayBeUnseen(tag: number): boolean {
    return this.#lossy.connection > 0 && this.#lossy.connection >= this.#of(tag).calledAfter;
  }

  // --- published messages --------------------------------------------------------------------------------------

  called(
    qos: QoS,
    size: number,
    goesAtOnce: boolean,
    { until = 'acknowledged', expiry = Infinity }: Wishes,
  ): Publication {
    const publication: Publication = {
      tag: this.publications.length + 1,
      qos,
      size,
      calledAfter: this.connection,
      goesAtOnce,
      endedAfter: 0,
      seenOn: [],
      taken: new Map(),
      answer: undefined,
      outcome: 'pending',
      fate: {},
      mayBeForgotten: false,
      isExcused: false,
      until,
      expiresAt: this.now() + expiry * 1_000,
      calledMark: this.mark,
      endedMark: Infinity,
      isOwed: false,
    };
    this.publications.push(publication);
    return publication;
  }

  /** The server has received a PUBLISH. Returns its message if it can be determined. */
  arrived(publish: PublishPacket, connection: number, written: number): number | undefined {
    const tag = tagOf('p', publish.payload, (one) => this.publications[one - 1]?.size ?? 0);
    const publication = tag === undefined ? undefined : this.publications[tag - 1];
    if (tag === undefined || publication === undefined) {
      this.broken(`a payload arrived spoiled: ${Buffer.from(publish.payload).toString('latin1', 0, 40)}`);
      return undefined;
    }
    const { qos, seenOn, outcome, fate, answer } = publication;
    if (publish.qos !== qos) this.broken(`p${tag} has QoS ${publish.qos}, not ${qos}`);
    if (qos === 0) {
      if (seenOn.length > 0) this.broken(`p${tag} (QoS 0) arrived twice`);
      if (tag < this.#lastQos0) this.broken(`p${tag} (QoS 0) arrived after p${this.#lastQos0}`);
      this.#lastQos0 = tag;
    }
    if (answer !== undefined && !publish.duplicate && answer.over?.lostInput !== true)
      this.broken(`p${tag} again as a new message, though it was acknowledged`);
    if (outcome === 'rejected' && fate.kept === false)
      if (fate.delivery === 'not-sent' || connection > publication.endedAfter)
        this.broken(`p${tag} arrived, though it was said to be ${fate.delivery} and not kept`);
    if (seenOn.length === 0 && !this.mayBeUnseen(tag) && this.order.timeOf(written) >= publication.expiresAt)
      this.broken(`p${tag} was sent after it had expired`);
    if (seenOn.at(-1) !== connection) seenOn.push(connection);
    return tag;
  }

  /** The server has accepted the message as a new one. */
  taken(tag: number, session: number): void {
    const { qos, taken } = this.#of(tag);
    const times = (taken.get(session) ?? 0) + 1;
    taken.set(session, times);
    if (qos === 2 && times > 1) this.broken(`p${tag} (QoS 2) was delivered twice in one session`);
  }

  /** The server has rejected it later. */
  untaken(tag: number, session: number): void {
    const { taken } = this.#of(tag);
    taken.set(session, (taken.get(session) ?? 1) - 1);
  }

  /** Its loss is nobody's fault. */
  excuse(tag: number): void {
    this.#of(tag).isExcused = true;
  }

  /** The client has received the last acknowledgement. */
  answered(tag: number, reasonCode: number, over: Wire | undefined): void {
    this.#of(tag).answer = { reasonCode, over, mark: this.mark };
  }

  resolved(publication: Publication): void {
    this.#end(publication, 'resolved');
    const { tag, qos, answer } = publication;
    if (publication.until === 'stored' && qos > 0 && answer === undefined) {
      if (!this.isSynced(publication.calledMark)) this.broken(`p${tag} resolved before it was stored`);
    } else if (qos > 0 && (answer === undefined || answer.reasonCode >= 0x80))
      this.broken(`p${tag} resolved without an acknowledgement`);
  }

  rejected(publication: Publication, error: unknown): void {
    this.#end(publication, 'rejected');
    const { tag, answer, seenOn } = publication;
    const mayBeUnseen = this.mayBeUnseen(tag) || this.owes();
    const isSeen = seenOn.length > 0;
    if (error === GIVEN_UP) {
      // The reason is the caller's own and says nothing about the message.
      if (publication.taken.has(this.session)) publication.fate = { kept: true };
      else if (!isSeen && !mayBeUnseen) publication.fate = { delivery: 'not-sent', kept: false };
      return;
    }
    const fate = error as Fate;
    publication.fate = fate;
    const { name, delivery, kept } = fate;
    const said = `p${tag} rejected (${name}: ${delivery}, kept ${kept})`;
    if (delivery === undefined || kept === undefined) this.broken(`${said}: says nothing of the message`);
    if (delivery === 'not-sent' && isSeen) this.broken(`${said}, though it was seen`);
    if (delivery === 'unknown' && !isSeen && !mayBeUnseen)
      this.broken(`${said}, though it was never written`);
    const refused = answer !== undefined && answer.reasonCode >= 0x80;
    // An answer behind more messages than may be held is not read in time.
    if (name === 'TimeoutError' && delivery === 'unknown' && this.isReadingStopped()) return;
    if ((delivery === 'rejected') !== refused) this.broken(`${said}: the answer was ${answer?.reasonCode}`);
    if (answer !== undefined && !refused && answer.over?.lostInput !== true)
      this.broken(`${said}, though it was acknowledged`);
    this.hasGivenUp ||= name === 'PoisonedMessageError';
    if (name === 'PoisonedMessageError' && this.connectionsLost < 3)
      this.broken(`${said} after ${this.connectionsLost} losses`);
  }

  /** After a long undisturbed time, every promise must have been kept. */
  checkPublications(): void {
    for (const publication of this.publications) {
      const { tag, qos, outcome, fate, answer, seenOn, mayBeForgotten } = publication;
      if (outcome === 'pending') this.broken(`p${tag} (QoS ${qos}) was never settled`);
      if (
        outcome === 'rejected' &&
        fate.kept === true &&
        answer === undefined &&
        !(publication.expiresAt < Infinity)
      )
        if (!mayBeForgotten && this.connectionsLost < 3 && !this.rules.dropsOldest)
          this.broken(`p${tag} (QoS ${qos}) was kept, and is lost`);
      this.#checkStored(publication);
      if (outcome !== 'resolved' || publication.isExcused || publication.until === 'stored') continue;
      if (qos === 0 && seenOn.length === 0 && !this.mayBeUnseen(tag))
        this.broken(`p${tag} (QoS 0) resolved, and was never written`);
      if (qos > 0 && [...publication.taken.values()].every((times) => times === 0))
        this.broken(`p${tag} (QoS ${qos}) resolved, and the server does not have it`);
    }
  }

  /** What was stored has been acknowledged. */
  #checkStored(publication: Publication): void {
    const { tag, qos, isOwed, until, outcome, answer, isExcused, mayBeForgotten, expiresAt } = publication;
    if (!isOwed && !(until === 'stored' && outcome === 'resolved' && qos > 0)) return;
    if (answer !== undefined || isExcused || mayBeForgotten || this.hasGivenUp || expiresAt < Infinity)
      return;
    this.broken(`p${tag} (QoS ${qos}) was stored, and is lost`);
  }

  #end(publication: Publication, outcome: 'resolved' | 'rejected'): void {
    if (publication.outcome !== 'pending') this.broken(`p${publication.tag} settled twice`);
    publication.outcome = outcome;
    publication.endedAfter = this.connection;
    publication.endedMark = this.mark;
  }

  #of(tag: number): Publication {
    return this.publications[tag - 1] as Publication;
  }
}
