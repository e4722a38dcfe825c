import type { ConnackPacket } from '../codec/packets.ts';
import type { MqttError } from '../errors.ts';
import { Ring } from '../session/ring.ts';
import { END, NextCalls } from './receive/next-calls.ts';
import type { Subscription } from './receive/subscription.ts';

/** The answer to a successful CONNECT (3.2). */
export type Connack = Omit<ConnackPacket, 'type'>;

/** What happens to the connection. */
export type StatusEvent =
  | { readonly type: 'connecting'; readonly attempt: number }
  | { readonly type: 'connected'; readonly connack: Connack }
  /** The connection is gone, or an attempt failed; the next one follows in `willRetryIn` ms. */
  | {
      readonly type: 'disconnected';
      readonly reason: MqttError;
      readonly willRetryIn: number;
      /** At least the third connection in a row that lived for less than 5 s: perhaps two clients have one identifier. */
      readonly flapping: boolean;
    }
  /** The server has lost the session; `unsettled` messages of it were with the application. */
  | { readonly type: 'session-lost'; readonly unsettled: number }
  /** `subscription` has dropped messages, `dropped` of them so far. At most once a second for each. */
  | { readonly type: 'overflow'; readonly subscription: Subscription; readonly dropped: number }
  /** A message kept others from being acknowledged, or from coming, for `ms`: it was skipped, or acknowledged. */
  | { readonly type: 'ack-stalled'; readonly subscription: Subscription | undefined; readonly ms: number }
  | { readonly type: 'closed'; readonly error?: MqttError };

/** Events kept for a reader who does not read; the oldest go first. */
const KEPT = 256;

/** One reader of the status. */
class StatusReader implements AsyncIterableIterator<StatusEvent, undefined> {
  readonly #events = new Ring<StatusEvent>();
  readonly #calls = new NextCalls<StatusEvent>();
  readonly #left: (reader: StatusReader) => void;
  #phase: 'reading' | 'over' = 'reading';

  constructor(left: (reader: StatusReader) => void) {
    this.#left = left;
  }

  push(event: StatusEvent): void {
    if (this.#calls.length > 0) {
      this.#calls.give(event);
      return;
    }
    if (this.#events.length === KEPT) this.#events.shift();
    this.#events.push(event);
  }

  /** No event will follow; those that wait can still be read. */
  finish(): void {
    this.#phase = 'over';
    this.#calls.end();
  }

  next(): Promise<IteratorResult<StatusEvent, undefined>> {
    const event = this.#events.shift();
    if (event !== undefined) return Promise.resolve({ value: event, done: false });
    return this.#phase === 'over' ? Promise.resolve(END) : this.#calls.add();
  }

  return(): Promise<IteratorResult<StatusEvent, undefined>> {
    this.#left(this);
    this.#events.clear();
    this.finish();
    return Promise.resolve(END);
  }

  /** `return()`, for generators that delegate to this with `yield*`. Rejects with `error`. */
  async throw(error?: unknown): Promise<IteratorResult<StatusEvent, undefined>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** Tells every reader every event. */
export class Status {
  readonly #readers = new Set<StatusReader>();

  /** Events from now on, until the client is closed. */
  read(): AsyncIterable<StatusEvent> {
    const reader = new StatusReader((one) => this.#readers.delete(one));
    this.#readers.add(reader);
    return reader;
  }

  report(event: StatusEvent): void {
    for (const reader of this.#readers) reader.push(event);
    if (event.type !== 'closed') return;
    for (const reader of this.#readers) reader.finish();
    this.#readers.clear();
  }
}
