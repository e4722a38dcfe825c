import type { MqttError } from '../errors.ts';

/** How long to wait before each attempt to reconnect. */
export interface Backoff {
  /** ms. */
  readonly minDelay: number;
  /** ms. */
  readonly maxDelay: number;
  readonly factor: number;
  /** Share of the delay by which it may be longer or shorter, 0 to 1. */
  readonly jitter: number;
}

/** What a reconnect policy decides by. */
export interface RetryContext {
  /** Attempts that failed since the last connection that was up, from 0. */
  readonly attempt: number;
  /** Why the connection, or the last attempt, ended. */
  readonly error: MqttError;
  /** The Reason Code of the CONNACK or DISCONNECT that ended it, if there was one. */
  readonly reasonCode: number | undefined;
  /** ms that the connection was up; 0 where an attempt failed. */
  readonly uptime: number;
  /** Whether it is at least the third connection in a row that was up for less than 5 s. */
  readonly flapping: boolean;
}

/**
 * The delay before an attempt, in ms: `minDelay * factor ^ attempt`, capped at `maxDelay`, give or take `jitter` of it.
 * `attempt` counts from 0, `random` lies in [0, 1).
 */
export function backoffDelay(backoff: Backoff, attempt: number, random: number): number {
  // A power beyond all numbers times 0 would be no number.
  const grown = backoff.minDelay === 0 ? 0 : backoff.minDelay * backoff.factor ** attempt;
  const delay = Math.min(backoff.maxDelay, grown);
  return delay + delay * backoff.jitter * (2 * random - 1);
}
