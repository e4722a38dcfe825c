import { ReceiptState, type Answers, type Incoming, type Receipt } from '../session/incoming.ts';
import { type Deadlines, Timer } from './deadlines.ts';
import type { Effects } from './effects.ts';
import type { EngineOptions } from './options.ts';

/** Payload bytes that may be with the application unsettled, on every version. */
const MOST_BYTES = 67_108_864;

/**
 * Acknowledging in order, without letting one message stop the others: what is in the way for too long is passed over,
 * and what there is no room for is left to the server, which sends it again on the next connection.
 */
export class Acknowledging {
  readonly #incoming: Incoming;
  readonly #answers: Answers;
  readonly #deadlines: Deadlines;
  readonly #options: EngineOptions;
  readonly #effects: Effects;
  /** The last message there was when the Stall timer was set: those behind it are not late yet. */
  #suspects = 0;
  /** The size of the smallest message of this connection that is to come again; Infinity where there is none. */
  #refused = Infinity;

  constructor(
    incoming: Incoming,
    answers: Answers,
    deadlines: Deadlines,
    options: EngineOptions,
    effects: Effects,
  ) {
    this.#incoming = incoming;
    this.#answers = answers;
    this.#deadlines = deadlines;
    this.#options = options;
    this.#effects = effects;
  }

  /** A new Network Connection. */
  connected(epoch: number): void {
    this.#incoming.connected(epoch);
    this.#refused = Infinity;
  }

  /** Whether one more message may be with the application. One alone may, however large it is. */
  hasRoom(size: number): boolean {
    const { unsettled, unsettledBytes } = this.#incoming;
    if (unsettled === 0) return true;
    return unsettled < this.#options.receiveMaximum && unsettledBytes + size <= MOST_BYTES;
  }

  /**
   * A message for which there is no room: left to the server where it will send it again, else acknowledged and let
   * go. Returns whether it is to be acknowledged.
   */
  refuse(size: number): boolean {
    if (!this.#options.persistent) return true;
    this.wanted(size);
    this.#incoming.leaveOut();
    return false;
  }

  /** A message of this size was left to the server, and is to come again. */
  wanted(size: number): void {
    this.#refused = Math.min(this.#refused, size);
  }

  /** Writes the acknowledgements whose turn it is. */
  answerDue(): void {
    this.#incoming.answer(this.#answers);
  }

  /** `receipt` was settled, or was never to be: writes the acknowledgements whose turn it is. */
  answer(receipt: Receipt, now: number): void {
    this.#incoming.answer(this.#answers);
    if (receipt.state === ReceiptState.Settled) this.#watch(now);
  }

  /** One copy of a message is done. Returns whether anything may have been written. */
  settle(receipt: Receipt, reasonCode: number, now: number): boolean {
    if (!this.#incoming.settle(receipt, reasonCode)) return false;
    this.answer(receipt, now);
    return true;
  }

  /** The application may not come to `receipt` for long: it gives way where others wait. */
  giveWay(receipt: Receipt): boolean {
    receipt.givesWay = true;
    this.answerDue();
    return true;
  }

  /**
   * Nobody will come to `receipt`: it comes again, as a new message, with the next connection. Where others have copies
   * of it, theirs are what counts. Returns whether anything may have been written.
   */
  leave(receipt: Receipt): boolean {
    if (receipt.copies > 1) return this.#incoming.settle(receipt, 0);
    this.#incoming.leave(receipt);
    this.answerDue();
    return true;
  }

  /**
   * The Stall timer is due: whoever has been in the way since it was set is passed over. In a session that ends with the
   * connection it is acknowledged instead: nothing would ever answer it there, and it would hold its place in the
   * server's window to the end.
   */
  expire(now: number): void {
    const receipts = this.#incoming.inTheWay(this.#suspects);
    if (receipts.length > 0)
      this.#effects.changed({ type: 'ackStalled', receipts, ms: this.#options.ackStallTimeout });
    for (const receipt of receipts)
      if (this.#options.persistent) this.#incoming.passOver(receipt);
      else this.#incoming.waived(receipt);
    this.answerDue();
    if (this.#incoming.inTheWay(Infinity).length > 0) this.#watch(now);
  }

  /**
   * Whether a planned reconnect would bring more than it costs. It fetches what was left to the server, once half of
   * the room is free again; and it answers what was passed over, once that holds half of the window and half of it
   * has been settled.
   */
  get needsReconnect(): boolean {
    const { receiveMaximum, persistent } = this.#options;
    if (!persistent) return false;
    const { unsettled, passedOver, passedOverSettled, unsettledBytes } = this.#incoming;
    const half = unsettled <= receiveMaximum / 2 && unsettledBytes <= MOST_BYTES / 2;
    if (this.#refused < Infinity) return half && this.hasRoom(this.#refused);
    return passedOver >= receiveMaximum / 2 && passedOverSettled >= passedOver / 2;
  }

  #watch(now: number): void {
    const { ackStallTimeout } = this.#options;
    if (ackStallTimeout === 0 || this.#deadlines.at(Timer.Stall) !== Infinity) return;
    this.#suspects = this.#incoming.lastPlace;
    this.#deadlines.set(Timer.Stall, now + ackStallTimeout);
  }
}
