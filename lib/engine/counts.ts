import type { Connection } from '../connection/connection.ts';
import type { Journal } from '../session/journal.ts';
import type { Session } from '../session/session.ts';

export interface Counts {
  /** Published messages that wait or are unacknowledged. */
  readonly pending: number;
  /** Published QoS 1 and 2 messages that were written and are not fully acknowledged. */
  readonly inFlight: number;
  /** How many of them may be on the wire at once; 0 without a connection. */
  readonly window: number;
  /** Published messages that wait in the queue, and their bytes: topic, properties and payload. */
  readonly queued: { readonly messages: number; readonly bytes: number };
  /** Published messages in the store that are not over, in flight or waiting, and their bytes. 0 without a store. */
  readonly stored: { readonly messages: number; readonly bytes: number };
  /** Received QoS 1 and 2 messages that the application has not settled, and their bytes: topic, properties and payload. */
  readonly unsettled: { readonly messages: number; readonly bytes: number };
  /** Messages that were skipped on the present connection, and not sent again since. Settling them does not lower it. */
  readonly skipped: number;
}

export function countsOf(
  { queue, outgoing, incoming }: Session,
  connection: Connection | undefined,
  journal: Journal | undefined,
): Counts {
  const messages = queue.messages + queue.reserved;
  return {
    pending: messages + queue.waiters + outgoing.size,
    inFlight: outgoing.size,
    window: connection?.quota.limit ?? 0,
    queued: { messages, bytes: queue.bytes + queue.reservedBytes },
    stored: { messages: journal?.messages ?? 0, bytes: journal?.bytes ?? 0 },
    unsettled: { messages: incoming.unsettled, bytes: incoming.unsettledBytes },
    skipped: incoming.skipped,
  };
}
