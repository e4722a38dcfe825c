import { portableText } from '../codec/text.ts';
import { type Exchange, Stage } from './exchange.ts';
import { Ring } from './ring.ts';

/** How much may wait; 0 = no limit. */
export interface QueueLimits {
  readonly messages: number;
  readonly bytes: number;
}

/**
 * Messages that wait for a connection, for the in-flight window or for room in the output, in call order. They have
 * no Packet Identifier yet. Withdrawn ones stay in the ring until they come to the front or outnumber the rest.
 */
export class Queue {
  readonly #ring = new Ring<Exchange>();
  #messages = 0;
  #bytes = 0;
  #atMostOnce = 0;

  /** Messages waiting. */
  get messages(): number {
    return this.#messages;
  }

  /** Their payload bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many of them are QoS 0: these keep an order of their own. */
  get atMostOnce(): number {
    return this.#atMostOnce;
  }

  /** Whether `exchange` can be taken in without going over a limit. */
  admits(exchange: Exchange, limits: QueueLimits): boolean {
    if (limits.messages > 0 && this.#messages >= limits.messages) return false;
    return limits.bytes === 0 || this.#bytes + payloadBytes(exchange) <= limits.bytes;
  }

  /** Whether `exchange` is within the limits where nothing else waits. */
  fits(exchange: Exchange, limits: QueueLimits): boolean {
    return limits.bytes === 0 || payloadBytes(exchange) <= limits.bytes;
  }

  push(exchange: Exchange): void {
    this.#count(exchange);
    this.#ring.push(exchange);
  }

  /** Puts messages that were once on their way before all others, in the order given. */
  putBack(exchanges: readonly Exchange[]): void {
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

  /** Takes out what `peek()` shows. */
  shift(): Exchange | undefined {
    const head = this.peek();
    if (head !== undefined) {
      this.#ring.shift();
      this.#discount(head);
    }
    return head;
  }

  /** Takes one out of the middle. */
  withdraw(exchange: Exchange): void {
    if (exchange.stage !== Stage.Waiting) return;
    exchange.stage = Stage.Over;
    this.#discount(exchange);
    if (this.#ring.length > 64 && this.#ring.length > 2 * this.#messages)
      this.#ring.filter((waiting) => waiting.stage === Stage.Waiting);
  }

  *[Symbol.iterator](): Generator<Exchange, void, undefined> {
    for (const exchange of this.#ring) if (exchange.stage === Stage.Waiting) yield exchange;
  }

  #count(exchange: Exchange): void {
    exchange.stage = Stage.Waiting;
    exchange.queuedBytes = payloadBytes(exchange);
    this.#messages++;
    this.#bytes += exchange.queuedBytes;
    if (exchange.qos === 0) this.#atMostOnce++;
  }

  #discount(exchange: Exchange): void {
    this.#messages--;
    this.#bytes -= exchange.queuedBytes;
    if (exchange.qos === 0) this.#atMostOnce--;
  }
}

function payloadBytes({ payload }: Exchange): number {
  return typeof payload === 'string' ? portableText.byteLength(payload) : payload.byteLength;
}
