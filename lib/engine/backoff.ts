import type { MqttError } from '../errors.ts';

export interface Backoff {
  /** ms. */
  readonly minDelay: number;
  /** ms. */
  readonly maxDelay: number;
  readonly factor: number;
  /** The share of the delay, 0 to 1, by which it may be longer or shorter. */
  readonly jitter: number;
}

/** The argument of a reconnect policy. */
export interface RetryContext {
  /** Failed attempts since the last connection that was up, from 0. */
  readonly attempt: number;
  /** The error that ended the connection or the last attempt. */
  readonly error: MqttError;
  /** The Reason Code of the CONNACK or DISCONNECT that ended it, if there was one. */
  readonly reasonCode: number | undefined;
  /** ms that the connection was up; 0 after a failed attempt. */
  readonly uptime: number;
  /** Whether this is at least the third connection in a row that was up for less than 5 s. */
  readonly flapping: boolean;
}

/**
 * The delay before an attempt, in ms: `minDelay * factor ^ attempt`, at most `maxDelay`, plus or minus up to `jitter` of
 * it. `attempt` counts from 0; `random` is in [0, 1).
 */
export function backoffDelay(backoff: Backoff, attempt: number, random: number): number {
  // 0 times a power that overflows to Infinity would be NaN.
  const grown = backoff.minDelay === 0 ? 0 : backoff.minDelay * backoff.factor ** attempt;
  const delay = Math.min(backoff.maxDelay, grown);
  return delay + delay * backoff.jitter * (2 * random - 1);
}
