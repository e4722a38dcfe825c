import type { PublishProperties } from '../../codec/packets.ts';

/** A reply as it is sent, but for what belongs to one request: Correlation Data and Message Expiry. */
export interface Reply {
  readonly topicName: string;
  readonly payload: string | Uint8Array;
  readonly properties: PublishProperties | undefined;
}

/** Limits of what is kept. */
export interface ReplyLimits {
  readonly replies: number;
  readonly bytes: number;
}

export const REPLY_LIMITS: ReplyLimits = { replies: 1_000, bytes: 16 * 1_048_576 };

interface KeptReply {
  /** Undefined: the request was finished without a reply. */
  readonly reply: Reply | undefined;
  readonly bytes: number;
  /** Time of the clock. */
  readonly until: number;
}

/** About what an entry takes besides its texts and payload. */
const OVERHEAD = 200;

/** The requests that are being handled, and the replies to those that were, by request. */
export class Replies {
  readonly #limits: ReplyLimits;
  readonly #handling = new Set<string>();
  /** In the order in which the requests were finished. */
  readonly #kept = new Map<string, KeptReply>();
  #bytes = 0;

  constructor(limits: ReplyLimits = REPLY_LIMITS) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#kept.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * A request arrives. `new`: it is to be handled. `repeated`: it is being handled, or was finished without a reply. Else
   * the reply that it got.
   */
  begin(request: string, now: number): 'new' | 'repeated' | Reply {
    if (this.#handling.has(request)) return 'repeated';
    const kept = this.#kept.get(request);
    if (kept !== undefined && kept.until > now) return kept.reply ?? 'repeated';
    this.#handling.add(request);
    return 'new';
  }

  /** It was not handled, and will come again. */
  forget(request: string): void {
    this.#handling.delete(request);
  }

  /** It was handled. Keeps the reply until `until`, if it is not too large. */
  finish(request: string, reply: Reply | undefined, until: number, now: number): void {
    if (!this.#handling.delete(request)) return;
    const bytes = OVERHEAD + request.length + sizeOf(reply);
    if (bytes > this.#limits.bytes || until <= now) return;
    this.#remove(request);
    this.#kept.set(request, { reply, bytes, until });
    this.#bytes += bytes;
    for (const [oldest, { until: end }] of this.#kept) {
      const isFull = this.#kept.size > this.#limits.replies || this.#bytes > this.#limits.bytes;
      if (!isFull && end > now) break;
      this.#remove(oldest);
    }
  }

  #remove(request: string): void {
    this.#bytes -= this.#kept.get(request)?.bytes ?? 0;
    this.#kept.delete(request);
  }
}

function sizeOf(reply: Reply | undefined): number {
  if (reply === undefined) return 0;
  let bytes = reply.topicName.length + reply.payload.length;
  for (const [name, value] of reply.properties?.userProperties ?? []) bytes += name.length + value.length;
  return bytes;
}
