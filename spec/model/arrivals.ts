import type { QoS } from '../../lib/codec/packets.ts';
import type { Message } from '../../lib/client/receive/message.ts';
import type { Model } from './model.ts';
import { tagOf } from './payloads.ts';

/** A message from the server as one subscription received it. */
interface Copy {
  /** Number of deliveries to the application. */
  given: number;
  /** When the application had processed it; 0 = not yet. */
  settledAt: number;
  /** The process that has processed it. */
  settledBy: number;
  isInHand: boolean;
}

/** A message from the server. */
interface Arrival {
  readonly tag: number;
  readonly topic: string;
  readonly qos: QoS;
  readonly size: number;
  readonly copies: Map<string, Copy>;
  /** The server has lost its session, so it expects no acknowledgement. */
  isLost: boolean;
  isAcknowledged: boolean;
  /** Whether a client has written PUBREC, which says that it will not be delivered again. */
  isAnswered: boolean;
  /** When the server last wrote it, and whether it was acknowledged before the application had processed it. */
  writtenAt: number;
  isEarly: boolean;
  /** A reader has rejected it: then PUBREC frees its identifier, as PUBACK does. */
  isRefused: boolean;
}

/** A message that the application is processing. */
export interface Holding {
  readonly tag: number;
  readonly message: Message;
  readonly reader: string;
  readonly copy: Copy;
}

/** What came from the server, and what the application did with it. */
export class Arrivals {
  readonly #model: Model;
  readonly all: Arrival[] = [];
  /** Readers whose messages are acknowledged on arrival. */
  readonly atOnce = new Set<string>();
  /**
   * Readers that read their messages too late, and until when, in ms. In a clean session, messages that arrive meanwhile
   * are acknowledged on arrival.
   */
  readonly absentUntil = new Map<string, number>();
  /** Topic → readers that subscribe to it. */
  readonly wants = new Map<string, Set<string>>();
  /** When the client last closed, and when a subscription last ended for good. */
  clientEndedAt = 0;
  subscriptionEndedAt = 0;
  /** Messages that the client dropped, in total and because of the limits of its subscriptions. */
  overflowed: () => number = () => 0;
  dropped: () => number = () => 0;
  now: () => number = () => 0;
  /** QoS > 0 messages settled by their only reader, and the maximum number settled by any. */
  settledAlone = 0;
  settledAtMost = 0;
  /** Processes that were killed. */
  crashes = 0;
  readonly #last = new Map<string, { qos0: number; first: number }>();

  constructor(model: Model) {
    this.#model = model;
  }

  sent(topic: string, qos: QoS, size: number): Arrival {
    const arrival: Arrival = {
      tag: this.all.length + 1,
      topic,
      qos,
      size,
      copies: new Map(),
      isLost: false,
      isAcknowledged: false,
      isAnswered: false,
      writtenAt: Infinity,
      isEarly: false,
      isRefused: false,
    };
    this.all.push(arrival);
    return arrival;
  }

  lost(tags: readonly number[]): void {
    for (const tag of tags) this.#of(tag).isLost = true;
  }

  /** The server writes a message. */
  written(tag: number): void {
    this.#of(tag).writtenAt = this.now();
  }

  /** The application receives a message. */
  given(reader: string, message: Message): Holding | undefined {
    const tag = this.#tagOf(message);
    const arrival = tag === undefined ? undefined : this.all[tag - 1];
    if (tag === undefined || arrival === undefined) {
      this.#model.broken(`${reader} got a payload that is spoiled: ${message.text().slice(0, 40)}`);
      return undefined;
    }
    if (
      message.topic !== arrival.topic ||
      message.qos !== arrival.qos ||
      !this.#isWanted(reader, message.topic)
    )
      this.#model.broken(`${reader} got m${tag} as ${message.topic} with QoS ${message.qos}`);
    let copy = arrival.copies.get(reader);
    if (copy === undefined)
      arrival.copies.set(reader, (copy = { given: 0, settledAt: 0, settledBy: 0, isInHand: false }));
    this.#checkOnce(reader, arrival, copy);
    if (copy.given === 0) this.#checkOrder(reader, arrival);
    copy.given++;
    copy.isInHand = true;
    return { tag, message, reader, copy };
  }

  /** The application has processed a message; the client does not know yet. */
  settled({ copy, tag, message, reader }: Holding, how: 'done' | 'refused' = 'done'): void {
    if (how === 'refused') this.#of(tag).isRefused = true;
    if (this.#tagOf(message) !== tag) this.#model.broken(`m${tag} was overwritten while ${reader} had it`);
    copy.isInHand = false;
    if (copy.settledAt === 0 || copy.settledBy < this.crashes) {
      copy.settledAt = this.#model.order.next();
      copy.settledBy = this.crashes;
      const { topic, qos, isLost } = this.#of(tag);
      if (qos > 0 && !this.atOnce.has(reader)) {
        this.settledAtMost++;
        if (!isLost && this.wants.get(topic)?.size === 1) this.settledAlone++;
      }
    }
  }

  /** The application releases it. */
  givenBack({ copy }: Holding): void {
    copy.isInHand = false;
  }

  /** The server has received PUBACK or PUBREC. */
  acknowledged(tag: number): void {
    const arrival = this.#of(tag);
    arrival.isAcknowledged = true;
    arrival.isAnswered = true;
    const wanted = [...(this.wants.get(arrival.topic) ?? [])];
    if (wanted.some((reader) => this.atOnce.has(reader)) || this.#mayBeLetGo()) return;
    const { isPersistent, patience } = this.#model.rules;
    const isAbsent = (): boolean =>
      !isPersistent && wanted.some((reader) => arrival.writtenAt <= (this.absentUntil.get(reader) ?? -1));
    arrival.isEarly = this.now() - arrival.writtenAt >= patience || isAbsent();
    const wrong = arrival.isEarly ? undefined : this.#tooEarly(arrival, wanted.length);
    if (wrong === undefined) return;
    // The client reports an unread subscription before it acknowledges, but the reader of status() runs a little later.
    setImmediate(() => {
      arrival.isEarly = isAbsent();
      if (!arrival.isEarly) this.#model.broken(wrong);
    });
  }

  /** PUBREC was written. */
  answered(tag: number): void {
    this.#of(tag).isAnswered = true;
  }

  #tooEarly({ tag, qos, copies: all }: Arrival, wanted: number): string | undefined {
    const copies = [...all.values()];
    const settled = copies.filter(({ settledAt }) => settledAt > 0).length;
    if (settled === 0 || copies.some(({ isInHand }) => isInHand))
      return `m${tag} (QoS ${qos}) acknowledged before it was processed`;
    if (this.clientEndedAt === 0 && settled < wanted)
      return `m${tag} acknowledged before all who wanted it had it`;
    return undefined;
  }

  /** After a long undisturbed time, everything acknowledged or no longer at the server must have arrived. */
  check(): void {
    for (const { tag, topic, qos, copies, isLost, isEarly } of this.all) {
      if (qos === 0 || isLost || this.#mayBeLetGo()) continue;
      // From then on the limits of its subscription may drop it, and so may the end of the client.
      if (isEarly && (this.dropped() > 0 || this.clientEndedAt > 0)) continue;
      const readers = this.wants.get(topic) ?? new Set();
      if ([...readers].some((reader) => this.atOnce.has(reader))) continue;
      const got = [...copies.values()].filter(({ given }) => given > 0).length;
      if (got < (this.clientEndedAt === 0 ? readers.size : 1))
        this.#model.broken(`m${tag} (QoS ${qos}) was lost`);
    }
  }

  #checkOnce(reader: string, arrival: Arrival, copy: Copy): void {
    const { tag, qos, isAcknowledged, isAnswered, topic, isRefused } = arrival;
    if (copy.given === 0) return;
    const again = `${reader} got m${tag} (QoS ${qos}) again`;
    if (qos === 0) return this.#model.broken(again);
    if (copy.isInHand) return this.#model.broken(`${again} while it had it`);
    if (copy.settledAt === 0 || this.atOnce.has(reader)) return;
    // If others have not settled it, closing the client leaves it to the server for all.
    const shared = (this.wants.get(topic)?.size ?? 0) > 1;
    if (shared && !isAcknowledged && this.clientEndedAt > copy.settledAt) return;
    const isForgotten = copy.settledBy < this.crashes && !(isAnswered && qos === 2 && !isRefused);
    // A refusal that waits for the store, behind answers that do, is forgotten with the connection.
    if (isForgotten) return;
    if ((qos === 1 || isRefused) && this.#model.lostOutputSince(copy.settledAt)) return;
    this.#model.broken(`${again} after it was processed`);
  }

  #checkOrder(reader: string, { tag, qos, topic }: Arrival): void {
    let last = this.#last.get(reader);
    if (last === undefined) this.#last.set(reader, (last = { qos0: 0, first: 0 }));
    const before = qos === 0 ? last.qos0 : last.first;
    // A message dropped for a newer one may come again if its acknowledgement was lost.
    // So may a held message, which goes to the first subscription: the second gets it after the client was closed.
    const second = this.clientEndedAt > 0 && (this.wants.get(topic)?.size ?? 0) > 1;
    const keepsOrder = !this.atOnce.has(reader) && !second;
    if (tag < before && (qos === 0 || keepsOrder))
      this.#model.broken(`${reader} got m${tag} (QoS ${qos}) after m${before}`);
    if (qos === 0) last.qos0 = tag;
    else if (!second) last.first = tag;
  }

  /** In a clean session the client may drop unread messages. */
  #mayBeLetGo(): boolean {
    return !this.#model.rules.isPersistent && (this.subscriptionEndedAt > 0 || this.overflowed() > 0);
  }

  #isWanted(reader: string, topic: string): boolean {
    return this.wants.get(topic)?.has(reader) === true;
  }

  #tagOf({ payload }: Message): number | undefined {
    return tagOf('m', payload, (one) => this.all[one - 1]?.size ?? 0);
  }

  #of(tag: number): Arrival {
    return this.all[tag - 1] as Arrival;
  }
}
