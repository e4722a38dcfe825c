import { Ring } from '../../session/ring.ts';
import type { Failure } from './consumer.ts';

/** The result of a `next()` after the last value. */
export const END: IteratorReturnResult<undefined> = { value: undefined, done: true };

interface Call<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/** The calls of an iterator's `next()` that wait for a value, oldest first. */
export class NextCalls<T> {
  readonly #calls = new Ring<Call<T>>();

  get length(): number {
    return this.#calls.length;
  }

  /** hot: one more call, and the promise that it returns. */
  add(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => this.#calls.push({ resolve, reject }));
  }

  /** hot: the oldest call gets `value`. */
  give(value: T): void {
    this.#calls.shift()?.resolve({ value, done: false });
  }

  /** No value will come: all calls end, or reject with `error`. */
  end(error?: Failure): void {
    for (const call of this.#calls.takeAll())
      if (error === undefined) call.resolve(END);
      else call.reject(error.reason);
  }
}
