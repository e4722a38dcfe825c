import type { Connection } from '../connection/connection.ts';
import type { Session } from '../session/session.ts';

/** How much there is of what is kept, and how much there may be. */
export interface Counts {
  /** Messages of ours that are not over: waiting or unanswered. */
  readonly pending: number;
  /** QoS > 0 messages of ours written and not fully acknowledged. */
  readonly inFlight: number;
  /** How many of them may be on the wire; 0 without a connection. */
  readonly window: number;
  /** Messages of ours that wait, and the bytes they hold: topic, properties and payload. */
  readonly queued: { readonly messages: number; readonly bytes: number };
  /** QoS > 0 messages of the server's that the application has not settled, and the bytes they hold: topic, properties and payload. */
  readonly unsettled: { readonly messages: number; readonly bytes: number };
  /** Those of this connection that were passed over. */
  readonly skipped: number;
}

export function countsOf({ queue, outgoing, incoming }: Session, connection: Connection | undefined): Counts {
  return {
    pending: queue.messages + queue.waiters + outgoing.size,
    inFlight: outgoing.size,
    window: connection?.quota.limit ?? 0,
    queued: { messages: queue.messages, bytes: queue.bytes },
    unsettled: { messages: incoming.unsettled, bytes: incoming.unsettledBytes },
    skipped: incoming.skipped,
  };
}
