import { Ring } from '../../session/ring.ts';
import { PayloadRetention } from './payload-retention.ts';
import type { ReceivedMessage } from './received-message.ts';
import type { Receipt } from '../../session/incoming.ts';
import type { BufferPressure } from './buffer-pressure.ts';

/** How much may wait in a subscription, of what needs no acknowledgement: QoS 0, and all with `ack: "received"`. */
export interface BufferLimits {
  /** @default 10000 */
  readonly messages: number;
  /** Bytes of topic, properties and payload. @default 64 MiB */
  readonly bytes: number;
}

/** What is dropped when a buffer is full. `pause` drops nothing: the client reads nothing from the network meanwhile. */
export type Overflow = 'drop-oldest' | 'drop-newest' | 'latest-per-topic' | 'pause';

/**
 * Messages that wait in one subscription, in order of arrival. What cannot be dropped, as it is still to be
 * acknowledged, does not count against the limits: `receiveMaximum` and `receiveBuffer` are the limits there.
 */
export class MessageBuffer {
  readonly #limits: BufferLimits;
  readonly #overflow: Overflow;
  readonly #pausing: BufferPressure;
  readonly #ring = new Ring<ReceivedMessage>();
  readonly #retention: PayloadRetention;
  #loose = 0;
  #looseBytes = 0;
  #dropped = 0;
  /** `pause`: whether the client was told that it is full. */
  #pause: 'off' | 'on' = 'off';

  constructor(limits: BufferLimits, overflow: Overflow, pausing: BufferPressure) {
    this.#limits = limits;
    this.#overflow = overflow;
    this.#pausing = pausing;
    this.#retention = new PayloadRetention(overflow === 'latest-per-topic' ? 'scattered' : 'all in turn');
  }

  get depth(): number {
    return this.#ring.length;
  }

  /** Messages dropped by the limits. */
  get dropped(): number {
    return this.#dropped;
  }

  /** hot. Returns `full` if the next message like this one would be dropped. */
  push(message: ReceivedMessage): 'room' | 'full' {
    message.keepPayload(this.#retention);
    if (message.unsettled) {
      this.#ring.push(message);
      return 'room';
    }
    if (this.#overflow === 'latest-per-topic') this.#replace(message.topic);
    if (this.#makeRoom(message)) this.#ring.push(message);
    const { messages, bytes } = this.#limits;
    return this.#loose >= messages || this.#looseBytes + message.size > bytes ? 'full' : 'room';
  }

  /** Puts back what was taken, before all others. */
  putBack(message: ReceivedMessage): void {
    if (!message.unsettled) this.#count(message, 1);
    this.#ring.unshift(message);
  }

  shift(): ReceivedMessage | undefined {
    const message = this.#ring.shift();
    if (message !== undefined && !message.unsettled) this.#count(message, -1);
    return message;
  }

  /** What waits and is `meant` may be dropped from now on, so that the limits are for it too. Returns its receipts. */
  release(meant: (message: ReceivedMessage) => boolean): Receipt[] {
    const receipts: Receipt[] = [];
    for (const message of this.takeAll()) {
      const receipt = meant(message) ? message.release() : undefined;
      if (receipt !== undefined) receipts.push(receipt);
      if (message.unsettled || this.#makeRoom(message)) this.#ring.push(message);
    }
    return receipts;
  }

  /** What waits, oldest first; nothing may be changed meanwhile. */
  values(): Iterable<ReceivedMessage> {
    return this.#ring;
  }

  /** Removes and returns all. */
  takeAll(): ReceivedMessage[] {
    if (this.#overflow === 'pause') this.#pausing.count(-this.#looseBytes);
    this.#loose = 0;
    this.#looseBytes = 0;
    this.#followPause();
    return this.#ring.takeAll();
  }

  /** Counts `message`, and drops what the limits say. Returns whether it has a place itself. */
  #makeRoom(message: ReceivedMessage): boolean {
    const { messages, bytes } = this.#limits;
    if (this.#overflow === 'pause') {
      const isExhausted = this.#pausing.isExhausted;
      if (isExhausted) this.#dropped++;
      else this.#count(message, 1);
      return !isExhausted;
    }
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

  #count({ size }: ReceivedMessage, by: 1 | -1): void {
    this.#loose += by;
    this.#looseBytes += by * size;
    if (this.#overflow !== 'pause') return;
    this.#pausing.count(by * size);
    this.#followPause();
  }

  /** Reading stops at the limits and goes on at half of them. */
  #followPause(): void {
    const { messages, bytes } = this.#limits;
    if (this.#pause === 'on' && this.#loose <= messages / 2 && this.#looseBytes <= bytes / 2) {
      this.#pause = 'off';
      this.#pausing.emptied();
    } else if (this.#overflow === 'pause' && this.#pause === 'off')
      if (this.#loose >= messages || this.#looseBytes >= bytes) {
        this.#pause = 'on';
        this.#pausing.filled();
      }
  }
}

function isLoose(message: ReceivedMessage): boolean {
  return !message.unsettled;
}
