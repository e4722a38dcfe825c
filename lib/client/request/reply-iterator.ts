import type { RequestError } from '../../errors.ts';
import { Ring } from '../../session/ring.ts';
import { DelayedCheck } from '../receive/delayed-check.ts';
import type { Message } from '../receive/message.ts';
import { ClosableIterator, END, NextCalls } from '../receive/next-calls.ts';
import { PayloadRetention } from '../receive/payload-retention.ts';
import type { ReceivedMessage } from '../receive/received-message.ts';
import type { Failure } from '../runtime/cancellation.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ReplyReceiver } from './pending-requests.ts';
import type { RequestCall } from './request-options.ts';

/** Replies that may wait for the loop. What comes beyond is counted as unexpected. */
const MOST_WAITING = 10_000;

/** A started request. `end()`: no more replies are wanted. */
export interface StartedRequest {
  end(): void;
}

interface ReplyIteratorParts {
  readonly clock: Clock;
  readonly counters: { unexpected: number };
  start(receiver: ReplyReceiver): StartedRequest;
}

/** One loop over the replies of `requestMany()`. The request leaves when the first reply is asked for. */
export class ReplyIterator extends ClosableIterator<Message> implements ReplyReceiver {
  readonly #call: Pick<RequestCall, 'until' | 'onError'>;
  readonly #parts: ReplyIteratorParts;
  readonly #calls = new NextCalls<Message>();
  readonly #waiting = new Ring<ReceivedMessage>();
  readonly #retention = new PayloadRetention();
  readonly #stall: DelayedCheck;
  #request: StartedRequest | undefined = undefined;
  #phase: 'new' | 'open' | 'over' = 'new';
  #replies = 0;
  #error: Failure | undefined = undefined;

  constructor(call: Pick<RequestCall, 'until' | 'onError'>, parts: ReplyIteratorParts) {
    super();
    this.#call = call;
    this.#parts = parts;
    this.#stall = new DelayedCheck(parts.clock, () => this.#finish(undefined));
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    if (this.#phase === 'new') {
      this.#phase = 'open';
      this.#request = this.#parts.start(this);
    }
    const message = this.#waiting.shift();
    if (message !== undefined) return Promise.resolve({ value: message, done: false });
    if (this.#phase === 'open') return this.#calls.add();
    const error = this.#error;
    this.#error = undefined;
    return error === undefined ? Promise.resolve(END) : Promise.reject(error.reason);
  }

  return(): Promise<IteratorResult<Message, undefined>> {
    this.#waiting.takeAll();
    this.#finish(undefined);
    this.#error = undefined;
    return Promise.resolve(END);
  }

  // --- as a receiver ---------------------------------------------------------------------------------------------

  reply(message: ReceivedMessage): 'more' | 'done' {
    if (this.#calls.length > 0) this.#calls.give(message);
    else if (this.#waiting.length < MOST_WAITING) {
      message.keepPayload(this.#retention);
      this.#waiting.push(message);
    } else this.#parts.counters.unexpected++;
    return this.#counted();
  }

  refused(error: RequestError): 'more' | 'done' {
    if (this.#call.onError === 'skip') return this.#counted();
    this.#over({ reason: error });
    return 'done';
  }

  failed(reason: unknown): void {
    this.#over({ reason });
  }

  /** Time is over: what has arrived is all. */
  timedOut(): void {
    this.#over(undefined);
  }

  #counted(): 'more' | 'done' {
    const { stall, count = Infinity } = this.#call.until;
    if (++this.#replies >= count) {
      this.#over(undefined);
      return 'done';
    }
    if (stall !== undefined) {
      this.#stall.cancel();
      this.#stall.schedule(stall);
    }
    return 'more';
  }

  #finish(error: Failure | undefined): void {
    this.#over(error);
    this.#request?.end();
  }

  #over(error: Failure | undefined): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#stall.cancel();
    // A waiting call gets the error; without one, the call after the last reply does.
    if (this.#calls.length === 0) this.#error = error;
    this.#calls.end(error);
  }
}
