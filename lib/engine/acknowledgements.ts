import type { Connection } from '../connection/connection.ts';
import { awaitsTurn, type Incoming, type Receipt } from '../session/incoming.ts';
import { AckWriter } from './ack-writer.ts';
import type { EngineContext } from './engine-context.ts';
import type { Effects } from './effects.ts';
import type { EngineOptions } from './options.ts';
import type { StoreGate } from './store-gate.ts';
import { type Timers, Timer } from './timers.ts';

/**
 * Sends acknowledgements in the order of receipt. A message that is not settled delays those behind it only for
 * `ackStallTimeout`: then it is skipped, or released if its session ends with the connection, since nothing would ever
 * answer it there and it would keep its place in the server's window.
 */
export class Acknowledgements {
  readonly #incoming: Incoming;
  /** With a store, QoS 2 is answered when that has a record. */
  readonly #writer: AckWriter | StoreGate;
  readonly #timers: Timers;
  readonly #options: EngineOptions;
  readonly #effects: Effects;
  /** The newest message when the Stall timer was set. Those that arrived later are not late when it is due. */
  #stallPlace = 0;
  /** The message for whose acknowledgement the Stall timer was set. Once it is answered, the timer starts anew for the next. */
  #waiting: Receipt | undefined = undefined;

  constructor(context: EngineContext) {
    this.#incoming = context.session.incoming;
    this.#writer = context.gate ?? new AckWriter();
    ({ timers: this.#timers, options: this.#options, effects: this.#effects } = context);
  }

  /** A new Network Connection was accepted. */
  connected(connection: Connection): void {
    this.#writer.connection = connection;
    this.#incoming.connected(connection.connectionNumber);
  }

  /** The connection is over: nothing is written any more. */
  disconnected(): void {
    this.#writer.connection = undefined;
  }

  answerDue(): void {
    this.#incoming.answer(this.#writer);
  }

  /** `receipt` was settled or released: writes the acknowledgements that are due. */
  answer(receipt: Receipt, now: number): void {
    this.answerDue();
    if (awaitsTurn(receipt)) this.#setTimer(now, receipt);
  }

  /** One copy of a message is settled. Returns whether an acknowledgement may have been written. */
  settle(receipt: Receipt, reasonCode: number, now: number): boolean {
    if (!this.#incoming.settle(receipt, reasonCode)) return false;
    this.answer(receipt, now);
    return true;
  }

  /** The application may not settle `receipt` for long: it is skipped once an acknowledgement behind it waits. */
  markSkippable(receipt: Receipt): void {
    receipt.isSkippable = true;
    this.answerDue();
  }

  /**
   * The application has not taken `receipt` for long: it does not count against `receiveMaximum`. In a persistent session
   * it is also skippable; a session that ends with the connection answers it in the end.
   */
  markStalled(receipt: Receipt): void {
    this.#incoming.markStalled(receipt);
    if (this.#options.persistent) this.markSkippable(receipt); // fault: set-aside
  }

  /** Nobody will settle `receipt`, so the server sends it again. If others have copies, they settle it. */
  abandon(receipt: Receipt): void {
    if (receipt.copies > 1) this.#incoming.settle(receipt, 0);
    else this.#incoming.abandon(receipt);
    this.answerDue();
  }

  /** The Stall timer is due: messages that have been in the way since it was set are skipped or released. */
  expire(now: number): void {
    this.#unblock(this.#incoming.blocking(this.#stallPlace));
    if (this.#incoming.blocking(Infinity).length > 0) this.#setTimer(now);
  }

  /** The application waits for a message, and holds so many that none can arrive. All of them are in the way. */
  starved(): void {
    this.#unblock(this.#incoming.unsettledOnConnection());
  }

  /**
   * Whether a planned reconnect is worth its cost: it answers skipped messages that are settled. It is once skipped
   * messages fill half of the window and half of them are settled.
   */
  get needsReconnect(): boolean {
    const { receiveMaximum, persistent } = this.#options;
    const { skipped, skippedSettled } = this.#incoming;
    return persistent && skipped >= receiveMaximum / 2 && skippedSettled >= skipped / 2;
  }

  #unblock(receipts: readonly Receipt[]): void {
    if (receipts.length > 0)
      this.#effects.changed({ type: 'ackStalled', receipts, ms: this.#options.ackStallTimeout });
    for (const receipt of receipts)
      if (this.#options.persistent) this.#incoming.skip(receipt); // fault: stalled
      else this.#incoming.release(receipt);
    this.answerDue();
  }

  /** `waiting`: undefined if others than the newest may have begun to wait meanwhile. */
  #setTimer(now: number, waiting?: Receipt): void {
    const { ackStallTimeout } = this.#options;
    const isSet = this.#timers.at(Timer.Stall) !== Infinity;
    const isFree = this.#waiting !== undefined && !awaitsTurn(this.#waiting);
    if (ackStallTimeout === 0 || (isSet && !isFree)) return;
    this.#waiting = waiting;
    this.#stallPlace = this.#incoming.lastPlace;
    this.#timers.set(Timer.Stall, now + ackStallTimeout); // fault: stall-timeout
  }
}
