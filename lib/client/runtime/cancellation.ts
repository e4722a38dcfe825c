import { TimeoutError } from '../../errors.ts';
import { onAbort } from './abort-signals.ts';
import type { Clock, Wake } from './clock.ts';
import { integer, wrongType } from '../config/validate.ts';

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
  checkSignal(signal);
  if (signal?.aborted === true) throw signal.reason;
}

/** Checks a signal that may be aborted already. Those of other realms and of packages have all that is used of one. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const { aborted, addEventListener, removeEventListener } = Object(signal) as Partial<AbortSignal>;
  if (
    typeof aborted !== 'boolean' ||
    typeof addEventListener !== 'function' ||
    typeof removeEventListener !== 'function'
  )
    throw wrongType('signal', 'an AbortSignal', signal);
}

/**
 * Calls `giveUp` with the reason when the signal is aborted or the time is over, whichever is first, and never before
 * this has returned: a signal that is aborted already counts in the next microtask. Returns what ends the waiting: it
 * must be called when the call has settled, so that neither timer nor listener is left.
 */
export function withCancellation(
  options: CallOptions,
  clock: Clock,
  what: string,
  giveUp: (reason: unknown) => void,
): () => void {
  const { signal, timeout } = options;
  let wake: Wake | undefined = undefined;
  let unlisten: (() => void) | undefined = undefined;
  const done = (): void => {
    wake?.cancel();
    unlisten?.();
  };
  if (signal !== undefined)
    unlisten = onAbort(signal, () => {
      done();
      giveUp(signal.reason);
    });
  if (timeout !== undefined)
    wake = clock.wakeAt(clock.now() + timeout, () => {
      done();
      giveUp(new TimeoutError(`${what} took longer than ${timeout} ms (timeout)`));
    });
  return done;
}

/** Whether a call can be given up at all: most cannot, and cost nothing. */
export function isCancellable(options: CallOptions): boolean {
  return options.signal !== undefined || options.timeout !== undefined;
}
