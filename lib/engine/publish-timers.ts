import type { Connection } from '../connection/connection.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Outgoing } from '../session/outgoing.ts';
import type { EngineContext } from './engine-context.ts';
import type { EngineOptions } from './options.ts';
import { type Timers, Timer } from './timers.ts';

/**
 * Times of messages that wait for an acknowledgement: when the oldest is sent again on a live connection
 * (`messageRetry`, 3.1 and 3.1.1), and when the connection is closed because of it (`ackTimeout`).
 */
export class PublishTimers {
  readonly #outgoing: Outgoing;
  readonly #timers: Timers;
  readonly #options: EngineOptions;
  /** ms until the oldest exchange is sent again; doubles each time. */
  #retryDelay: number;
  /** When an acknowledgement came, pending output was written, or the oldest exchange was sent again. */
  #progressAt = 0;
  /** Before this time nothing was read, so no acknowledgement can be late. */
  #readingSince = 0;

  constructor(context: EngineContext) {
    this.#outgoing = context.session.outgoing;
    ({ timers: this.#timers, options: this.#options } = context);
    this.#retryDelay = context.options.messageRetry;
  }

  /** A new connection. */
  reset(): void {
    this.#retryDelay = this.#options.messageRetry;
  }

  /** hot: a packet was written that has to be acknowledged. */
  start(now: number): void {
    const { messageRetry, ackTimeout } = this.#options;
    if (messageRetry > 0 && this.#timers.at(Timer.Retry) === Infinity)
      this.#timers.set(Timer.Retry, now + this.#retryDelay);
    if (ackTimeout > 0 && this.#timers.at(Timer.Watchdog) === Infinity)
      this.#timers.set(Timer.Watchdog, now + ackTimeout);
  }

  /** hot: an acknowledgement came. */
  acknowledged(now: number): void {
    this.#progressAt = now;
    const { messageRetry } = this.#options;
    if (this.#retryDelay === messageRetry) return;
    // The timer is set for the longer delay.
    this.#retryDelay = messageRetry;
    this.#timers.set(Timer.Retry, now + messageRetry);
  }

  /** Output that the network had no room for was written after all. */
  flushed(now: number): void {
    this.#progressAt = now;
  }

  /** Reading goes on after it had stopped: the time for each acknowledgement starts over. */
  restart(now: number): void {
    this.#readingSince = now;
    this.#progressAt = now;
    if (this.#outgoing.size > 0) this.start(now);
  }

  /**
   * The Retry timer is due. Returns the exchange to send again now, if there is one, and sets the timer for the next
   * time. While output is pending no acknowledgement can be late.
   */
  takeRetry(connection: Connection, now: number): Exchange | undefined {
    const oldest = this.#outgoing.oldest(connection.connectionNumber);
    if (oldest === undefined) return undefined;
    if (connection.piecesOut > 0) this.#progressAt = now;
    const dueAt = Math.max(oldest.writtenAt, this.#progressAt) + this.#retryDelay;
    if (dueAt > now) {
      this.#timers.set(Timer.Retry, dueAt);
      return undefined;
    }
    this.#progressAt = now;
    this.#retryDelay *= 2;
    this.#timers.set(Timer.Retry, now + this.#retryDelay);
    return oldest;
  }

  /** The Watchdog timer is due. Returns the exchange that has timed out, or sets the timer to when one will be. */
  timedOutExchange(connection: Connection, now: number): Exchange | undefined {
    const oldest = this.#outgoing.oldest(connection.connectionNumber);
    if (oldest === undefined) return undefined;
    const dueAt = Math.max(oldest.writtenAt, this.#readingSince) + this.#options.ackTimeout;
    if (dueAt <= now) return oldest;
    this.#timers.set(Timer.Watchdog, dueAt);
    return undefined;
  }
}
