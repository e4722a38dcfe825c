import { ReceiptState, type Answers, type Incoming, type Receipt } from '../session/incoming.ts';
import { type Timers, Timer } from './timers.ts';
import type { Effects } from './effects.ts';
import type { EngineOptions } from './options.ts';

/** Acknowledging in order, without letting one message stop the others: what is in the way for too long is passed over. */
export class Acknowledgements {
  readonly #incoming: Incoming;
  readonly #answers: Answers;
  readonly #timers: Timers;
  readonly #options: EngineOptions;
  readonly #effects: Effects;
  /** The last message there was when the Stall timer was set: those behind it are not late yet. */
  #suspects = 0;

  constructor(
    incoming: Incoming,
    answers: Answers,
    timers: Timers,
    options: EngineOptions,
    effects: Effects,
  ) {
    this.#incoming = incoming;
    this.#answers = answers;
    this.#timers = timers;
    this.#options = options;
    this.#effects = effects;
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
  markSkippable(receipt: Receipt): void {
    receipt.isSkippable = true;
    this.answerDue();
  }

  /**
   * The application has not come to `receipt` for long: it does not count against `receiveMaximum` any more. It is
   * also passed over where the server will send it again; a session that ends with the connection answers it in the end.
   */
  markStalled(receipt: Receipt): void {
    this.#incoming.uncount(receipt);
    if (this.#options.persistent) this.markSkippable(receipt);
  }

  /**
   * Nobody will come to `receipt`: it comes again, as a new message, with the next connection. Where others have copies
   * of it, theirs are what counts.
   */
  abandon(receipt: Receipt): void {
    if (receipt.copies > 1) this.#incoming.settle(receipt, 0);
    else this.#incoming.abandon(receipt);
    this.answerDue();
  }

  /**
   * The Stall timer is due: whoever has been in the way since it was set is passed over. In a session that ends with the
   * connection it is acknowledged instead: nothing would ever answer it there, and it would hold its place in the
   * server's window to the end.
   */
  expire(now: number): void {
    this.#release(this.#incoming.inTheWay(this.#suspects));
    if (this.#incoming.inTheWay(Infinity).length > 0) this.#watch(now);
  }

  /** The application waits for a message, and holds so many itself that none can come: all of these are in the way. */
  starved(): void {
    this.#release(this.#incoming.unsettledOnConnection());
  }

  /**
   * Whether a planned reconnect would bring more than it costs: it answers what was passed over, once that holds half
   * of the window and half of it has been settled.
   */
  get needsReconnect(): boolean {
    const { receiveMaximum, persistent } = this.#options;
    if (!persistent) return false;
    const { skipped: passedOver, skippedSettled: passedOverSettled } = this.#incoming;
    return passedOver >= receiveMaximum / 2 && passedOverSettled >= passedOver / 2;
  }

  #release(receipts: readonly Receipt[]): void {
    if (receipts.length > 0)
      this.#effects.changed({ type: 'ackStalled', receipts, ms: this.#options.ackStallTimeout });
    for (const receipt of receipts)
      if (this.#options.persistent) this.#incoming.skip(receipt);
      else this.#incoming.release(receipt);
    this.answerDue();
  }

  #watch(now: number): void {
    const { ackStallTimeout } = this.#options;
    if (ackStallTimeout === 0 || this.#timers.at(Timer.Stall) !== Infinity) return;
    this.#suspects = this.#incoming.lastPlace;
    this.#timers.set(Timer.Stall, now + ackStallTimeout);
  }
}
