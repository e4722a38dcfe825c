import { Ring } from '../../session/ring.ts';
import { MessagesByTopic, type WaitingMessages } from './messages-by-topic.ts';
import { PayloadRetention } from './payload-retention.ts';
import type { ReceivedMessage } from './received-message.ts';
import type { Receipt } from '../../session/incoming.ts';
import type { BufferPressure } from './buffer-pressure.ts';

/** Limits for waiting messages that need no acknowledgement: QoS 0, and all messages with `ack: "received"`. */
export interface BufferLimits {
  /** @default 10000 */
  readonly messages: number;
  /** Bytes of topic, properties and payload. @default 64 MiB */
  readonly bytes: number;
}

/** What a full buffer drops. `pause` drops nothing: the client stops reading from the network. */
export type Overflow = 'drop-oldest' | 'drop-newest' | 'latest-per-topic' | 'pause';

/**
 * Messages that wait in one subscription, in order of arrival. Unsettled messages are never dropped and do not count
 * against these limits: `receiveMaximum` and `receiveBuffer` limit them. All others can be dropped.
 */
export class MessageBuffer {
  readonly #limits: BufferLimits;
  readonly #overflow: Overflow;
  readonly #pressure: BufferPressure;
  readonly #waiting: WaitingMessages;
  /** The same messages, with `latest-per-topic`. */
  readonly #byTopic: MessagesByTopic | undefined;
  readonly #retention: PayloadRetention;
  #droppable = 0;
  #droppableBytes = 0;
  #dropped = 0;
  /** `overflow: 'pause'`: whether the buffer counts as full. */
  #pause: 'off' | 'on' = 'off';

  constructor(limits: BufferLimits, overflow: Overflow, pressure: BufferPressure) {
    this.#limits = limits;
    this.#overflow = overflow;
    this.#pressure = pressure;
    this.#byTopic = overflow === 'latest-per-topic' ? new MessagesByTopic() : undefined;
    this.#waiting = this.#byTopic ?? new Ring<ReceivedMessage>();
    this.#retention = new PayloadRetention(this.#byTopic === undefined ? 'in-order' : 'scattered');
  }

  get depth(): number {
    return this.#waiting.length;
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** hot. Returns `full` if the next message like this one would be dropped. */
  push(message: ReceivedMessage): 'room' | 'full' {
    message.keepPayload(this.#retention);
    if (message.unsettled) {
      this.#waiting.push(message);
      return 'room';
    }
    this.#replace(message.topic);
    if (this.#makeRoom(message)) this.#waiting.push(message);
    const { messages, bytes } = this.#limits;
    return this.#droppable >= messages || this.#droppableBytes + message.size > bytes ? 'full' : 'room';
  }

  /** Puts a message that was taken back at the front. */
  putBack(message: ReceivedMessage): void {
    if (!message.unsettled) this.#count(message, 1);
    this.#waiting.unshift(message);
  }

  shift(): ReceivedMessage | undefined {
    const message = this.#waiting.shift();
    if (message !== undefined && !message.unsettled) this.#count(message, -1);
    return message;
  }

  /** Releases the messages that are meant, so that the limits hold for them too. Returns their receipts. */
  release(isMeant: (message: ReceivedMessage) => boolean): Receipt[] {
    const receipts: Receipt[] = [];
    for (const message of this.takeAll()) {
      const receipt = isMeant(message) ? message.release() : undefined;
      if (receipt !== undefined) receipts.push(receipt);
      if (message.unsettled || this.#makeRoom(message)) this.#waiting.push(message);
    }
    return receipts;
  }

  /** The waiting messages, oldest first. The buffer must not change meanwhile. */
  values(): Iterable<ReceivedMessage> {
    return this.#waiting;
  }

  takeAll(): ReceivedMessage[] {
    if (this.#overflow === 'pause') this.#pressure.count(-this.#droppableBytes);
    this.#droppable = 0;
    this.#droppableBytes = 0;
    this.#updatePause();
    return this.#waiting.takeAll();
  }

  /** Counts `message`, and drops messages beyond the limits. Returns whether there is room for `message` itself. */
  #makeRoom(message: ReceivedMessage): boolean {
    const { messages, bytes } = this.#limits;
    if (this.#overflow === 'pause') {
      const isExhausted = this.#pressure.isExhausted;
      if (isExhausted) this.#dropped++;
      else this.#count(message, 1);
      return !isExhausted;
    }
    this.#count(message, 1);
    // fault: buffer-limit
    while (this.#droppable > messages || this.#droppableBytes > bytes) {
      const dropped = this.#overflow === 'drop-newest' ? undefined : this.#waiting.removeFirst(isDroppable);
      // Without another message to drop, this one is larger than the limit.
      this.#count(dropped ?? message, -1);
      this.#dropped++;
      if (dropped === undefined) return false;
    }
    return true;
  }

  /** `latest-per-topic`: drops an older message of `topic`. */
  #replace(topic: string): void {
    const older = this.#byTopic?.removeOldest(topic);
    if (older === undefined) return;
    this.#count(older, -1);
    this.#dropped++;
  }

  #count({ size }: ReceivedMessage, by: 1 | -1): void {
    this.#droppable += by;
    this.#droppableBytes += by * size;
    if (this.#overflow !== 'pause') return;
    this.#pressure.count(by * size);
    this.#updatePause();
  }

  /** Reading stops at the limits and continues at half of them. */
  #updatePause(): void {
    const { messages, bytes } = this.#limits;
    if (this.#pause === 'on' && this.#droppable <= messages / 2 && this.#droppableBytes <= bytes / 2) {
      this.#pause = 'off';
      this.#pressure.emptied();
    } else if (this.#overflow === 'pause' && this.#pause === 'off')
      if (this.#droppable >= messages || this.#droppableBytes >= bytes) {
        this.#pause = 'on';
        this.#pressure.filled();
      }
  }
}

function isDroppable(message: ReceivedMessage): boolean {
  return !message.unsettled;
}
