/** A connected client, in the usual style of the users of its library. */
import type { Contender, Workload } from './task.ts';

export interface Peer {
  /** Publishes `count` messages. Resolves when all calls have succeeded. */
  publish(count: number): Promise<void>;
  /** Subscribes, and calls `onMessages` with the number of received messages. */
  subscribe(filters: readonly string[], onMessages: (messages: number) => void): Promise<void>;
  /** Publishes one message with QoS 1 and waits for PUBACK. All earlier messages have been sent then. */
  tell(topic: string, payload: string): Promise<void>;
  end(): Promise<void>;
}

export interface PeerOptions {
  readonly url: string;
  readonly ca?: string | undefined;
  readonly contender: Contender;
  readonly workload: Workload;
  /** The Topic Names to publish to, in turn. */
  readonly topics: readonly string[];
}

/** Returns the values in turn. */
export function inTurn(values: readonly string[]): () => string {
  const [first] = values as [string];
  if (values.length === 1) return () => first;
  let next = 0;
  return () => {
    const value = values[next]!;
    next = next + 1 === values.length ? 0 : next + 1;
    return value;
  };
}

/** Keeps `window` calls unfinished until `count` calls were made. Resolves when all have called back. */
export function withCallbacks(
  count: number,
  window: number,
  call: (done: (error?: Error | null) => void) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let made = 0;
    let done = 0;
    let pumping = false;
    const pump = (): void => {
      // `done` may be called before `call` returns.
      if (pumping) return;
      pumping = true;
      while (made < count && made - done < window) {
        made++;
        call(finished);
      }
      pumping = false;
    };
    const finished = (error?: Error | null): void => {
      if (error) reject(error);
      else if (++done === count) resolve();
      else pump();
    };
    pump();
  });
}

/** The same for calls that return a promise; a window of 1 is a plain loop with `await`. */
export async function withPromises(
  count: number,
  window: number,
  call: () => Promise<unknown>,
): Promise<void> {
  if (window === 1) {
    for (let i = 0; i < count; i++) await call();
    return;
  }
  await new Promise<void>((resolve, reject) => {
    let made = 0;
    let done = 0;
    const next = (): void => {
      made++;
      call().then(finished, reject);
    };
    const finished = (): void => {
      if (++done === count) resolve();
      else if (made < count) next();
    };
    while (made < Math.min(count, window)) next();
  });
}

/** Reads a message as far as the bench does. */
export function check(payload: Uint8Array, length: number): void {
  if (payload.length !== length) throw new Error(`expected ${length} bytes, got ${payload.length}`);
}

/** Reports an error of a background loop, and ends the process. */
export const fail = (error: unknown): void => {
  console.error(error);
  process.exit(1);
};
