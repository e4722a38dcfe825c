import { TimeoutError, withoutFrames } from '../../errors.ts';
import { checkKeys, checkObject, integer, wrongType, type Checks, type Given } from '../config/validate.ts';
import type { Clock, Wake } from './clock.ts';

/** An error, or any other value that was thrown. */
export interface Failure {
  readonly reason: unknown;
}

/** How long a caller waits. Every call takes these. */
export interface CallOptions {
  /** Aborting rejects the call with the reason of the signal. */
  readonly signal?: AbortSignal | undefined;
  /** ms; after it the call rejects with a `TimeoutError`. It runs during reconnection too. @default none */
  readonly timeout?: number | undefined;
}

const KEYS = ['signal', 'timeout'];

/** Checks what every call has in its options, and their keys. Throws the reason of a signal that is already aborted. */
export function checkCall(call: string, options: CallOptions, keys: readonly string[] = KEYS): void {
  const { signal, timeout } = checkKeys(call, options, keys) as CallOptions;
  if (timeout !== undefined) integer('timeout', timeout, 0);
  checkSignal(signal);
  if (signal?.aborted === true) throw signal.reason;
}

/** The same for a call with further options, which have `checks`. Returns a copy of those that were given. */
export function checkCallWith<T>(
  call: string,
  options: CallOptions & T,
  checks: Checks<T>,
): CallOptions & Given<T> {
  const { signal, timeout, ...others } = checkKeys(call, options, [...Object.keys(checks), ...KEYS]);
  checkCall(call, { signal, timeout } as CallOptions);
  return { signal, timeout, ...checkObject<T>(call, others, checks, '') } as CallOptions & Given<T>;
}

/** Checks a signal, which may be aborted already. It may come from another realm or a package. */
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

/** Whether a call can be cancelled. Most cannot, and cost nothing. */
export function isCancellable(options: CallOptions): boolean {
  return options.signal !== undefined || options.timeout !== undefined;
}

/**
 * Calls `cancel` with the reason when the signal is aborted or the time is over, whichever is first, and never before
 * this has returned: a signal that is already aborted counts in the next microtask. Returns a function that has to be
 * called when the call has settled, so that neither timer nor listener is left.
 */
export function withCancellation(
  options: CallOptions,
  clock: Clock,
  what: string,
  cancel: (reason: unknown) => void,
): () => void {
  const { signal, timeout } = options;
  let wake: Wake | undefined = undefined;
  let unlisten: (() => void) | undefined = undefined;
  const done = (): void => {
    wake?.cancel(); // fault: call-timer
    unlisten?.();
  };
  if (signal !== undefined)
    unlisten = onAbort(signal, () => {
      done();
      cancel(signal.reason);
    });
  if (timeout !== undefined)
    wake = clock.wakeAt(clock.now() + timeout, () => {
      done();
      cancel(withoutFrames(() => new TimeoutError(`${what} took longer than ${timeout} ms (timeout)`)));
    });
  return done;
}

/**
 * The calls that a signal cancels, and the one listener that tells them. One signal may belong to many calls, and Node
 * warns of a leak when it has more than ten listeners.
 */
interface Listeners {
  readonly members: Set<() => void>;
  readonly notify: () => void;
}

const listenersOf = new WeakMap<AbortSignal, Listeners>();

/**
 * Calls `listener` when `signal` is aborted, or in the next microtask if it is already: never before this has returned.
 * Returns what ends the listening. Without listeners nothing is left at the signal.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) return inMicrotask(listener);
  const { members, notify } = listenersOf.get(signal) ?? listenTo(signal);
  members.add(listener);
  return () => {
    if (!members.delete(listener) || members.size > 0) return;
    signal.removeEventListener('abort', notify);
    listenersOf.delete(signal);
  };
}

function listenTo(signal: AbortSignal): Listeners {
  const members = new Set<() => void>();
  const notify = (): void => {
    listenersOf.delete(signal);
    for (const listener of members) {
      members.delete(listener);
      listener();
    }
  };
  const listeners = { members, notify };
  listenersOf.set(signal, listeners);
  signal.addEventListener('abort', notify, { once: true });
  return listeners;
}

/** Calls `listener` in the next microtask, unless the returned function is called before. */
export function inMicrotask(listener: () => void): () => void {
  let state: 'listening' | 'left' = 'listening';
  queueMicrotask(() => {
    if (state === 'listening') listener();
  });
  return () => {
    state = 'left';
  };
}
