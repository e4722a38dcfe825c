import type { PublishPacket } from '../../lib/codec/packets.ts';
import type { ModelBroker, ServerConnection } from './broker.ts';
import { topicOf } from './topics.ts';
import type { Wire } from './wire.ts';

/** A QoS 1 or 2 message of the client that is not fully acknowledged. */
interface Exchange {
  readonly tag: number;
  readonly qos: 1 | 2;
  /** When and how PUBREC reached the client; 0 = not yet. */
  recordedAt: number;
  recordedOver: Wire | undefined;
  /** Commits that were begun when the server received PUBLISH, and the client PUBREC. */
  readonly publishedMark: number;
  recordedMark: number;
  /** Whether the client may have forgotten the PUBREC, and whether it may remember it nevertheless. */
  isForgotten: boolean;
  wasRecorded: boolean;
}

/** The last acknowledgement of a Packet Identifier, and how it reached the client. */
interface Finished {
  readonly tag: number;
  over: { readonly lostInput: boolean } | undefined;
  readonly mark: number;
}

/** How what a killed process has received reached its successor. */
const FORGOTTEN = { lostInput: true };

/** What a server knows of the messages from a client, and what it checks. */
export class Exchanges {
  readonly #session: number;
  readonly #broker: ModelBroker;
  readonly #open = new Map<number, Exchange>();
  readonly #finished = new Map<number, Finished>();
  /** QoS 2: messages under Packet Identifiers whose PUBREL has not come (4.3.3). */
  readonly #stored = new Map<number, number>();
  // Of the current connection: Packet Identifiers that were published, released, and are in use.
  #published = new Set<number>();
  #released = new Set<number>();
  #inFlight = new Set<number>();
  #lastTag = 0;
  #lastRecorded = 0;
  /** Whether a process of the client was killed: the next one may not know which exchanges are complete. */
  #isInherited = false;

  constructor(session: number, broker: ModelBroker) {
    this.#session = session;
    this.#broker = broker;
  }

  /** An earlier owner of the session disconnected after PUBLISH. */
  leaveHalfDone(packetIds: readonly number[]): void {
    for (const packetId of packetIds) this.#stored.set(packetId, 0);
  }

  /** The client has discarded its messages: what it leaves here is nobody's. */
  abandoned(): void {
    this.#open.clear();
    this.#isInherited = true;
  }

  /** The memory of the client is gone. `survives`: whether the store has what happened before a commit. */
  forgotten(survives: (mark: number) => boolean): void {
    // What a client gives up stays here under its Packet Identifier, which the next process gives out again.
    if (this.#broker.model.hasGivenUp) this.abandoned();
    this.#isInherited = true;
    for (const one of this.#finished.values()) if (!survives(one.mark)) one.over = FORGOTTEN;
    for (const [packetId, { tag, qos, publishedMark, recordedMark, ...rest }] of this.#open) {
      if (qos === 1 && !survives(publishedMark)) {
        this.#open.delete(packetId);
        this.#finished.set(packetId, { tag, over: FORGOTTEN, mark: Infinity });
      } else if (rest.recordedAt > 0 && !survives(recordedMark))
        (this.#open.get(packetId) as Exchange).isForgotten = true;
    }
  }

  /** A new Network Connection. */
  connected(): void {
    this.#published = new Set();
    this.#released = new Set();
    this.#inFlight = new Set();
    this.#lastTag = 0;
    this.#lastRecorded = 0;
    const { model } = this.#broker;
    // Until the store has a PUBREC, PUBLISH is sent again.
    for (const one of this.#open.values())
      if (one.recordedAt > 0 && model.hasStore && !model.isMade(one.recordedMark)) one.isForgotten = true;
  }

  uses(packetId: number): boolean {
    return this.#open.has(packetId);
  }

  onPublish(connection: ServerConnection, publish: PublishPacket, written: number): void {
    const { model } = this.#broker;
    const topic = connection.aliases.resolve(publish);
    const tag = model.arrived(publish, connection.number, connection.wire.wasPressed ? 0 : written);
    if (tag !== undefined && topic !== topicOf(tag)) model.broken(`p${tag} arrived under ${topic}`);
    if (tag === undefined || publish.qos === 0) return;
    const { qos } = publish;
    const packetId = publish.packetId as number;
    this.#judge(connection, packetId, publish.duplicate, tag, written);
    if (!this.#open.has(packetId)) this.#open.set(packetId, this.#begun(tag, qos));
    this.#store(packetId, qos, tag);
    const type = qos === 1 ? 'puback' : 'pubrec';
    if (this.#broker.owes(type, packetId)) return;
    this.#broker.answer({ type, packetId }, () =>
      qos === 1 ? this.#finish(packetId, 0) : this.#record(packetId),
    );
  }

  onPubrel(packetId: number, written: number): void {
    const { model, options } = this.#broker;
    const exchange = this.#open.get(packetId);
    if (exchange === undefined) {
      const inherited = (options.inherited && this.#session === 1) || this.#isInherited;
      const again = options.retries || this.#finished.get(packetId)?.over?.lostInput === true;
      if (!inherited && !again) model.broken(`PUBREL ${packetId} for nothing`);
    } else if (!this.#released.has(packetId) && this.#checkRelease(exchange, written)) {
      this.#released.add(packetId);
      this.#inFlight.add(packetId);
    }
    const known = this.#stored.delete(packetId);
    if (this.#broker.owes('pubcomp', packetId)) return;
    const reasonCode = known || options.protocolVersion < 5 ? 0 : 0x92;
    this.#broker.answer({ type: 'pubcomp', packetId, reasonCode }, () => {
      if (this.#released.has(packetId)) this.#finish(packetId, 0);
    });
  }

  #checkRelease({ tag, recordedAt, wasRecorded }: Exchange, written: number): boolean {
    const { model } = this.#broker;
    const isEarly = recordedAt === 0 || written < recordedAt;
    if (isEarly && !wasRecorded) model.broken(`PUBREL of p${tag} before its PUBREC`);
    if (isEarly) return wasRecorded;
    if (recordedAt < this.#lastRecorded) model.broken(`PUBREL of p${tag} not in the order of the PUBRECs`);
    this.#lastRecorded = recordedAt;
    return true;
  }

  /** Rejects the message under `packetId`. Returns what to do when the client receives that. */
  refuse(packetId: number, reasonCode: number): () => void {
    const exchange = this.#open.get(packetId);
    this.#stored.delete(packetId);
    if (exchange !== undefined) this.#broker.model.untaken(exchange.tag, this.#session);
    return () => this.#finish(packetId, reasonCode);
  }

  #judge(
    connection: ServerConnection,
    packetId: number,
    duplicate: boolean,
    tag: number,
    written: number,
  ): void {
    const { model, options } = this.#broker;
    const known = this.#open.get(packetId);
    const here = this.#published.has(packetId);
    if (known !== undefined && known.tag !== tag)
      model.broken(`p${tag} under Packet Identifier ${packetId}, which p${known.tag} has`);
    else if (known !== undefined && !duplicate) model.broken(`p${tag} again without DUP`);
    else if (known !== undefined && known.recordedAt > 0 && written > known.recordedAt) {
      if (known.isForgotten) known.recordedAt = 0;
      else if (known.recordedOver?.lostInput !== true) model.broken(`p${tag} again after its PUBREC`);
    } else if (known !== undefined && here && !options.retries)
      model.broken(`p${tag} twice on one connection`);
    const late = options.retries && this.#finished.get(packetId)?.tag === tag;
    if (duplicate && !here && !connection.sessionPresent && !late)
      model.broken(`p${tag} with DUP though the session is new`);
    if (duplicate && known === undefined && !this.#mayBeUnknown(packetId, tag))
      model.broken(`p${tag} with DUP for the first time`);
    if (here || late) return;
    if (tag < this.#lastTag) model.broken(`p${tag} after p${this.#lastTag}`);
    this.#lastTag = tag;
    this.#published.add(packetId);
    this.#inFlight.add(packetId);
    const { protocolVersion, maxInflight, receiveMaximum } = options;
    const window = protocolVersion < 5 ? maxInflight : Math.min(maxInflight, receiveMaximum);
    if (this.#inFlight.size > window) model.broken(`${this.#inFlight.size} in flight, window ${window}`);
  }

  #begun(tag: number, qos: 1 | 2): Exchange {
    return {
      tag,
      qos,
      recordedAt: 0,
      recordedOver: undefined,
      publishedMark: this.#broker.model.mark,
      recordedMark: 0,
      isForgotten: false,
      wasRecorded: false,
    };
  }

  /** Whether the client may repeat a message that this server does not know, as it or its answer was lost. */
  #mayBeUnknown(packetId: number, tag: number): boolean {
    const { model, options } = this.#broker;
    const finished = this.#finished.get(packetId);
    if (finished?.tag === tag) return options.retries || finished.over?.lostInput === true;
    return model.mayBeUnseen(tag);
  }

  #store(packetId: number, qos: 1 | 2, tag: number): void {
    const { model } = this.#broker;
    if (qos === 1) return model.taken(tag, this.#session);
    const stored = this.#stored.get(packetId);
    if (stored === undefined) {
      this.#stored.set(packetId, tag);
      model.taken(tag, this.#session);
    } else if (stored !== tag) {
      // The PUBREL that frees the identifier may have been lost together with the first transmission.
      if (model.mayBeUnseen(tag)) model.excuse(tag);
      else model.broken(`p${tag} is lost: its Packet Identifier awaits a PUBREL`);
    }
  }

  /** The client has received PUBREC. */
  #record(packetId: number): void {
    const exchange = this.#open.get(packetId);
    if (exchange === undefined || exchange.recordedAt > 0) return;
    exchange.recordedAt = this.#broker.order.next();
    exchange.recordedMark = this.#broker.model.mark;
    exchange.isForgotten = false;
    exchange.wasRecorded = true;
    exchange.recordedOver = this.#broker.connection?.wire;
  }

  /** The client has received the last acknowledgement. */
  #finish(packetId: number, reasonCode: number): void {
    const exchange = this.#open.get(packetId);
    if (exchange === undefined) return;
    this.#open.delete(packetId);
    this.#inFlight.delete(packetId);
    this.#published.delete(packetId);
    this.#released.delete(packetId);
    const over = this.#broker.connection?.wire;
    this.#finished.set(packetId, { tag: exchange.tag, over, mark: this.#broker.model.mark });
    this.#broker.model.answered(exchange.tag, reasonCode, over);
  }
}
