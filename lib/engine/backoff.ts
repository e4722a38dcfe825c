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
