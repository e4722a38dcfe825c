import { TimeoutError } from '../errors.ts';
import type { Clock, Wake } from './clock.ts';
import { integer, wrongType } from './checks.ts';

/** How long a caller waits. Every call takes these. */
export interface CallOptions {
  /** Aborting rejects the call with the reason of the signal. */
  readonly signal?: AbortSignal | undefined;
  /** ms; after it the call rejects with a `TimeoutError`. It runs during reconnection too. @default none */
  readonly timeout?: number | undefined;
}

/** Checks what a call was given. Throws the reason of a signal that is aborted already. */
export function checkCall(options: CallOptions): void {
  const { signal, timeout } = options;
  if (timeout !== undefined) integer('timeout', timeout, 0);
  if (signal === undefined) return;
  if (typeof signal !== 'object' || typeof signal.addEventListener !== 'function')
    throw wrongType('signal', 'an AbortSignal', signal);
  signal.throwIfAborted();
}

/**
 * Calls `giveUp` with the reason when the signal is aborted or the time is over, whichever is first. Returns what ends
 * the waiting: it must be called when the call has settled, so that neither timer nor listener is left.
 */
export function bound(
  options: CallOptions,
  clock: Clock,
  what: string,
  giveUp: (reason: unknown) => void,
): () => void {
  const { signal, timeout } = options;
  let wake: Wake | undefined = undefined;
  const onAbort = (): void => {
    done();
    giveUp((signal as AbortSignal).reason);
  };
  const done = (): void => {
    wake?.cancel();
    signal?.removeEventListener('abort', onAbort);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  if (timeout !== undefined)
    wake = clock.wakeAt(clock.now() + timeout, () => {
      done();
      giveUp(new TimeoutError(`${what} took longer than ${timeout} ms (timeout)`));
    });
  return done;
}

/** Whether a call can be given up at all: most cannot, and cost nothing. */
export function isBounded(options: CallOptions): boolean {
  return options.signal !== undefined || options.timeout !== undefined;
}
