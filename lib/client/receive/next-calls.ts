import { Ring } from '../../session/ring.ts';
import type { Failure } from '../runtime/cancellation.ts';

/** The result of a `next()` after the last value. */
export const END: IteratorReturnResult<undefined> = { value: undefined, done: true };

interface Call<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The calls of an iterator's `next()` that wait for a value, oldest first. Also decides whether a call of `next()` says
 * that the value before it is processed: it does, until calls overlap once.
 */
export class NextCalls<T> {
  readonly #calls = new Ring<Call<T>>();
  readonly #onOverlap: () => void;
  #overlap: 'never' | 'happened' = 'never';
  /** Whether the caller can have seen the last value. */
  #last: 'seen' | 'unseen' = 'seen';
  readonly #markSeen: () => void;

  /** `onOverlap` is called for the first call that overlaps with another one. */
  constructor(onOverlap: () => void = () => {}) {
    this.#onOverlap = onOverlap;
    this.#markSeen = () => {
      this.#last = 'seen';
    };
  }

  get length(): number {
    return this.#calls.length;
  }

  /** hot: `next()` was called. Returns whether this settles the value before it. */
  begin(): boolean {
    if (this.#overlap === 'never' && (this.#last === 'unseen' || this.#calls.length > 0)) {
      this.#overlap = 'happened';
      this.#onOverlap();
    }
    return this.#overlap === 'never';
  }

  /** A value was handed out. The caller has not seen it before `handedOut` has called back. */
  markUnseen(handedOut: Promise<unknown>): void {
    this.#last = 'unseen';
    void handedOut.then(this.#markSeen);
  }

  /** hot: one more call waits. Returns its promise. */
  add(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => this.#calls.push({ resolve, reject }));
  }

  /** hot: the oldest call gets `value`. */
  give(value: T): void {
    this.#calls.shift()?.resolve({ value, done: false });
  }

  /** There are no more values: all calls end, or reject with `error`. */
  end(error?: Failure): void {
    for (const call of this.#calls.takeAll())
      if (error === undefined) call.resolve(END);
      else call.reject(error.reason);
  }
}

/** An iterator that may be ended by its consumer at any time. */
export abstract class ClosableIterator<T> implements AsyncIterableIterator<T> {
  abstract next(): Promise<IteratorResult<T, undefined>>;
  abstract return(): Promise<IteratorResult<T, undefined>>;

  /** `return()`, for generators that delegate to this with `yield*`. Rejects with `error`. */
  async throw(error?: unknown): Promise<IteratorResult<T, undefined>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
