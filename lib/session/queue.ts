import { sizeOfProperties } from '../codec/properties.ts';
import { type Exchange, Stage } from './exchange.ts';
import { Ring } from './ring.ts';

/** Limits of the queue; 0 = no limit. */
export interface QueueLimits {
  readonly messages: number;
  readonly bytes: number;
}

/**
 * Messages that wait for a connection, for the window or for room in the output, in call order. They have no Packet
 * Identifier yet. Withdrawn messages stay in the ring until they come to the front or outnumber the others.
 *
 * Waiters are messages that wait for room in the queue itself, in call order behind it.
 */
export class Queue {
  readonly #ring = new Ring<Exchange>();
  readonly #waiters = new Ring<Exchange>();
  #messages = 0;
  #bytes = 0;
  #qos0 = 0;
  #waiterCount = 0;
  /** Messages that wait elsewhere, and count as queued: see `reserve()`. */
  #reserved = 0;
  #reservedBytes = 0;

  /** Messages in the queue. */
  get messages(): number {
    return this.#messages;
  }

  /** Their bytes: topic, properties and payload. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Messages that wait in the store, or to be stored. They count against the limits. */
  get reserved(): number {
    return this.#reserved;
  }

  /** Their bytes. */
  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  /** Messages that wait for room in the queue. */
  get waiters(): number {
    return this.#waiterCount;
  }

  /** QoS 0 messages among all of these. */
  get qos0(): number {
    return this.#qos0;
  }

  /** Whether `exchange` can be added without exceeding a limit. */
  hasRoomFor(exchange: Exchange, limits: QueueLimits): boolean {
    if (limits.messages > 0 && this.#messages + this.#reserved >= limits.messages) return false;
    return limits.bytes === 0 || this.#bytes + this.#reservedBytes + sizeOf(exchange) <= limits.bytes;
  }

  /** Whether `exchange` would fit into an empty queue. */
  fits(exchange: Exchange, limits: QueueLimits): boolean {
    return limits.bytes === 0 || sizeOf(exchange) <= limits.bytes;
  }

  push(exchange: Exchange): void {
    this.#count(exchange);
    this.#ring.push(exchange); // fault: queue-order
  }

  /** `exchange` waits elsewhere. */
  reserve(exchange: Exchange): void {
    exchange.queuedBytes = sizeOf(exchange);
    this.changeReserved(1, exchange.queuedBytes);
  }

  /** `messages` more, or less, wait elsewhere. */
  changeReserved(messages: number, bytes: number): void {
    this.#reserved += messages;
    this.#reservedBytes += bytes;
  }

  addWaiter(exchange: Exchange): void {
    exchange.stage = Stage.AwaitingRoom;
    this.#waiters.push(exchange);
    this.#countWaiter(exchange, 1);
  }

  /** Hands waiters to `admit`, in their order, as far as there is room. */
  admitWaiters(limits: QueueLimits, admit: (exchange: Exchange) => void): void {
    for (let first = this.#waiters.peek(); first !== undefined; first = this.#waiters.peek()) {
      if (first.stage === Stage.AwaitingRoom) {
        if (!this.hasRoomFor(first, limits)) return;
        this.#countWaiter(first, -1);
        admit(first);
      }
      this.#waiters.shift();
    }
  }

  takeWaiters(): Exchange[] {
    const all = this.#waiters.takeAll().filter(({ stage }) => stage === Stage.AwaitingRoom);
    for (const exchange of all) this.#countWaiter(exchange, -1);
    return all;
  }

  /** Puts messages that were sent before in front of all others, in the order given. */
  putBack(exchanges: readonly Exchange[]): void {
    // fault: put-back-order
    for (const exchange of exchanges.toReversed()) {
      this.#count(exchange);
      this.#ring.unshift(exchange);
    }
  }

  peek(): Exchange | undefined {
    for (;;) {
      const head = this.#ring.peek();
      if (head === undefined || head.stage === Stage.Waiting) return head;
      this.#ring.shift();
    }
  }

  /** Removes and returns what `peek()` returns. */
  shift(): Exchange | undefined {
    const head = this.peek();
    if (head !== undefined) {
      this.#ring.shift();
      this.#discount(head);
    }
    return head;
  }

  /** Removes `exchange`, wherever it waits. */
  withdraw(exchange: Exchange): void {
    if (exchange.stage === Stage.AwaitingRoom) this.#countWaiter(exchange, -1);
    else if (exchange.stage === Stage.Waiting) this.#discount(exchange); // fault: waiting-count
    else return;
    exchange.stage = Stage.Over; // fault: withdrawn
    exchange.leaveStore();
    exchange.dropPayload();
    tidy(this.#ring, this.#messages);
    tidy(this.#waiters, this.#waiterCount);
  }

  *[Symbol.iterator](): Generator<Exchange, void, undefined> {
    for (const exchange of this.#ring) if (exchange.stage === Stage.Waiting) yield exchange;
  }

  #count(exchange: Exchange): void {
    exchange.stage = Stage.Waiting;
    exchange.queuedBytes = sizeOf(exchange);
    this.#messages++;
    this.#bytes += exchange.queuedBytes;
    if (exchange.qos === 0) this.#qos0++;
  }

  #countWaiter({ qos }: Exchange, by: 1 | -1): void {
    this.#waiterCount += by;
    if (qos === 0) this.#qos0 += by;
  }

  #discount(exchange: Exchange): void {
    this.#messages--;
    this.#bytes -= exchange.queuedBytes;
    if (exchange.qos === 0) this.#qos0--;
  }
}

/** Removes withdrawn messages from `ring` once they outnumber the `count` others. */
function tidy(ring: Ring<Exchange>, count: number): void {
  if (ring.length > 64 && ring.length > 2 * count) ring.filter(({ stage }) => stage !== Stage.Over);
}

/** Bytes of a message: topic, properties and payload. */
export function sizeOf({ topicName, payloadBytes, properties }: Exchange): number {
  return topicName.length + sizeOfProperties(properties) + payloadBytes;
}
