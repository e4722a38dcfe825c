import type { ConnackPacket } from '../codec/packets.ts';
import type { MqttError } from '../errors.ts';
import { Ring } from '../session/ring.ts';
import { ClosableIterator, END, NextCalls } from './receive/next-calls.ts';
import type { Subscription } from './receive/subscription.ts';

/** The CONNACK of a successful CONNECT (3.2). */
export type Connack = Omit<ConnackPacket, 'type'>;

/** What happens to the connection. */
export type StatusEvent =
  | { readonly type: 'connecting'; readonly attempt: number }
  | { readonly type: 'connected'; readonly connack: Connack }
  /** The connection was lost, or an attempt failed. The next one follows in `willRetryIn` ms. */
  | {
      readonly type: 'disconnected';
      readonly reason: MqttError;
      readonly willRetryIn: number;
      /** At least the third connection in a row that was up for less than 5 s: two clients may have the same identifier. */
      readonly flapping: boolean;
    }
  /** The server has lost the session. The application held `unsettled` messages of it. */
  | { readonly type: 'session-lost'; readonly unsettled: number }
  /**
   * The store was opened: `messages` of an earlier process are to be sent. `unreadable`: records that could not be read, and
   * are kept there under another key.
   */
  | { readonly type: 'recovered'; readonly messages: number; readonly unreadable: number }
  /** A stored message that no call waits for is not delivered: it was refused, has expired or was given up. */
  | { readonly type: 'publish-failed'; readonly topic: string; readonly error: MqttError }
  /** `subscription` has dropped messages, `dropped` in all. At most once a second for each subscription. */
  | { readonly type: 'overflow'; readonly subscription: Subscription; readonly dropped: number }
  /** A message was not settled for `ms` and held up others: it was skipped, or acknowledged in a clean session. */
  | { readonly type: 'ack-stalled'; readonly subscription: Subscription | undefined; readonly ms: number }
  | { readonly type: 'closed'; readonly error?: MqttError };

/** Events that wait for a slow reader. The oldest are dropped. */
const KEPT = 256;

/** One iteration of `status()`. */
class StatusReader extends ClosableIterator<StatusEvent> {
  readonly #events = new Ring<StatusEvent>();
  readonly #calls = new NextCalls<StatusEvent>();
  readonly #onReturn: (reader: StatusReader) => void;
  #phase: 'reading' | 'over' = 'reading';

  constructor(onReturn: (reader: StatusReader) => void) {
    super();
    this.#onReturn = onReturn;
  }

  push(event: StatusEvent): void {
    if (this.#calls.length > 0) {
      this.#calls.give(event);
      return;
    }
    if (this.#events.length === KEPT) this.#events.shift();
    this.#events.push(event);
  }

  /** No event follows. Those that wait can still be read. */
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
    this.#onReturn(this);
    this.#events.clear();
    this.finish();
    return Promise.resolve(END);
  }
}

/** Reports status events: every reader gets every event. */
export class Status {
  #readers: Set<StatusReader> | undefined = undefined;

  /** Events from now on, until the client is closed. */
  read(): AsyncIterable<StatusEvent> {
    const readers = (this.#readers ??= new Set());
    const reader = new StatusReader((one) => readers.delete(one));
    readers.add(reader);
    return reader;
  }

  report(event: StatusEvent): void {
    const readers = this.#readers;
    if (readers === undefined) return;
    for (const reader of readers) reader.push(event);
    if (event.type !== 'closed') return;
    for (const reader of readers) reader.finish();
    readers.clear();
  }
}
