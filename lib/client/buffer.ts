import { Ring } from '../session/ring.ts';
import { Keeping } from './keeping.ts';
import { Message, type Settler } from './message.ts';
import type { PublishProperties, QoS } from '../codec/packets.ts';
import type { Receipt } from '../session/incoming.ts';

/** How much may wait in a subscription, of what can be let go: QoS 0, and all with `ack: "received"`. */
export interface BufferLimits {
  /** @default 10000 */
  readonly messages: number;
  /** Bytes of payload. @default 64 MiB */
  readonly bytes: number;
}

/** What goes when a buffer is full. */
export type Overflow = 'drop-oldest' | 'drop-newest' | 'latest-per-topic';

/**
 * Messages that wait in one subscription, in order of arrival. What cannot be let go, as it is still to be
 * acknowledged, does not count against the limits: there the window of the server is the limit.
 */
export class MessageBuffer {
  readonly #limits: BufferLimits;
  readonly #overflow: Overflow;
  readonly #ring = new Ring<Message>();
  readonly #keeping: Keeping;
  #loose = 0;
  #looseBytes = 0;
  #dropped = 0;

  constructor(limits: BufferLimits, overflow: Overflow) {
    this.#limits = limits;
    this.#overflow = overflow;
    this.#keeping = new Keeping(overflow === 'latest-per-topic' ? 'scattered' : 'all in turn');
  }

  get depth(): number {
    return this.#ring.length;
  }

  /** Messages let go by the limits. */
  get dropped(): number {
    return this.#dropped;
  }

  /** hot. `memory`: what `payload` is a view into. */
  push(
    topic: string,
    payload: Uint8Array,
    memory: Uint8Array,
    qos: QoS,
    retain: boolean,
    duplicate: boolean,
    properties: PublishProperties,
    receipt: Receipt | undefined,
    settler: Settler,
  ): void {
    const kept = this.#keeping.keep(payload, memory);
    if (receipt !== undefined) receipt.payload = kept;
    const message = new Message(topic, kept, qos, retain, duplicate, properties, receipt, settler);
    if (receipt === undefined) {
      if (this.#overflow === 'latest-per-topic') this.#replace(topic);
      if (!this.#makeRoom(message)) return;
    }
    this.#ring.push(message);
  }

  /** Puts back what was taken, before all others. */
  putBack(message: Message): void {
    if (!message.unsettled) this.#count(message, 1);
    this.#ring.unshift(message);
  }

  shift(): Message | undefined {
    const message = this.#ring.shift();
    if (message !== undefined && !message.unsettled) this.#count(message, -1);
    return message;
  }

  /** What waits and is `meant` may be let go from now on, so that the limits are for it too. Returns its receipts. */
  loosen(meant: (message: Message) => boolean): Receipt[] {
    const receipts: Receipt[] = [];
    for (const message of this.takeAll()) {
      const receipt = meant(message) ? message.loosen() : undefined;
      if (receipt !== undefined) receipts.push(receipt);
      if (message.unsettled || this.#makeRoom(message)) this.#ring.push(message);
    }
    return receipts;
  }

  /** What waits, oldest first; nothing may be changed meanwhile. */
  values(): Iterable<Message> {
    return this.#ring;
  }

  /** Removes and returns all. */
  takeAll(): Message[] {
    this.#loose = 0;
    this.#looseBytes = 0;
    return this.#ring.takeAll();
  }

  #makeRoom(message: Message): boolean {
    const { messages, bytes } = this.#limits;
    this.#count(message, 1);
    while (this.#loose > messages || this.#looseBytes > bytes) {
      const goes = this.#overflow === 'drop-newest' ? undefined : this.#ring.removeFirst(isLoose);
      // Where nothing else is left to go, it is one message larger than the limit.
      this.#count(goes ?? message, -1);
      this.#dropped++;
      if (goes === undefined) return false;
    }
    return true;
  }

  #replace(topic: string): void {
    const older = this.#ring.removeFirst((waiting) => !waiting.unsettled && waiting.topic === topic);
    if (older === undefined) return;
    this.#count(older, -1);
    this.#dropped++;
  }

  #count(message: Message, by: 1 | -1): void {
    this.#loose += by;
    this.#looseBytes += by * message.payload.byteLength;
  }
}

function isLoose(message: Message): boolean {
  return !message.unsettled;
}
