/** How long before the end of Keep Alive a PINGREQ is due: a tenth of it, within these bounds, in ms. */
const LEAST_MARGIN = 100;
const GREATEST_MARGIN = 5_000;

/**
 * When to ping and when silence is fatal: numbers in, numbers out, in ms. PINGREQ is due when nothing was sent or
 * nothing was received for Keep Alive less a margin, whichever is longer ago: so the server's limit [MQTT-3.1.2-20]
 * is never at risk, and a client that only publishes notices that nobody is there any more.
 */
export class KeepAlive {
  /** When a packet was last written. */
  sentAt: number;
  /** When a byte was last read. */
  receivedAt: number;
  /** When output that the network had no room for was last taken after all. */
  lastFlushAt = 0;
  readonly #wait: number;
  readonly #pingTimeout: number;

  /** `seconds`: effective Keep Alive, 0 = off; `pingTimeout`: ms, undefined = half of Keep Alive. */
  constructor(seconds: number, pingTimeout: number | undefined, now: number) {
    const interval = seconds * 1_000;
    const margin = Math.min(GREATEST_MARGIN, Math.max(LEAST_MARGIN, interval / 10));
    this.#wait = seconds === 0 ? Infinity : interval - margin;
    // PINGREQ goes out by the end of Keep Alive; a dead peer is noticed half a Keep Alive later at the latest.
    this.#pingTimeout = pingTimeout ?? interval / 2;
    this.sentAt = now;
    this.receivedAt = now;
  }

  /** When a PINGREQ is due. */
  get pingDue(): number {
    return Math.min(this.sentAt, this.receivedAt) + this.#wait;
  }

  /** When the server must have had another packet, whether it answers or not. */
  get sendDue(): number {
    return this.sentAt + this.#wait;
  }

  /** When PINGREQ is due while nothing is read: twice as often, as only its write can find the connection dead. */
  get probeDue(): number {
    return this.sentAt + this.#wait / 2;
  }

  /** When to give up on the peer, where a PINGREQ is unanswered since `pingedAt`. Any byte is a sign of life. */
  silenceFatalAt(pingedAt: number): number {
    return Math.max(pingedAt, this.receivedAt, this.lastFlushAt) + this.#pingTimeout;
  }
}
