/** PINGREQ is due this long before the end of Keep Alive: a tenth of it, within these bounds, in ms. */
const LEAST_MARGIN = 100;
const GREATEST_MARGIN = 5_000;

/**
 * When PINGREQ is due and when silence is fatal, in ms. PINGREQ is due when nothing was sent, or nothing was received,
 * for Keep Alive less a margin. So the server's limit [MQTT-3.1.2-20] is kept, and a client that only publishes notices
 * that the server is gone.
 */
export class KeepAlive {
  /** When a packet was last written. */
  sentAt: number;
  /** When a byte was last read. */
  receivedAt: number;
  /** When output that had to wait for room in the network was last written. */
  lastFlushAt = 0;
  readonly #wait: number;
  readonly #pingTimeout: number;

  /** `seconds`: the negotiated Keep Alive, 0 = off. `pingTimeout`: ms; undefined = half of Keep Alive. */
  constructor(seconds: number, pingTimeout: number | undefined, now: number) {
    const interval = seconds * 1_000;
    const margin = Math.min(GREATEST_MARGIN, Math.max(LEAST_MARGIN, interval / 10));
    this.#wait = seconds === 0 ? Infinity : interval - margin;
    // PINGREQ goes out before the end of Keep Alive; a dead server is noticed half a Keep Alive later at the latest.
    this.#pingTimeout = pingTimeout ?? interval / 2;
    this.sentAt = now;
    this.receivedAt = now;
  }

  get pingDue(): number {
    return Math.min(this.sentAt, this.receivedAt) + this.#wait;
  }

  /** When the next packet has to be sent, whether the server answers or not. */
  get sendDue(): number {
    return this.sentAt + this.#wait;
  }

  /** When PINGREQ is due while nothing is read: twice as often, as only a failing write shows that the connection is dead. */
  get probeDue(): number {
    return this.sentAt + this.#wait / 2;
  }

  /** When the connection is dead, if a PINGREQ is unanswered since `pingedAt`. Any byte received or written is a sign of life. */
  silenceFatalAt(pingedAt: number): number {
    return Math.max(pingedAt, this.receivedAt, this.lastFlushAt) + this.#pingTimeout;
  }
}
