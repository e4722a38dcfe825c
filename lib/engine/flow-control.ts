import type { Outbox } from '../connection/outbox.ts';
import type { Session } from '../session/session.ts';
import { type Timers, Timer } from './timers.ts';
import type { Effects } from './effects.ts';
import type { EngineOptions, BufferPressure } from './options.ts';

/** Output in memory of ours, in bytes, above which reading stops: a server that reads no answers gets no more of them. */
export const OUTPUT_LIMIT = 4_194_304;

const PUBLISH = 3;

/** Timers that judge the server by its silence. */
const JUDGING = [Timer.PingResp, Timer.Retry, Timer.Watchdog, Timer.Ack] as const;

/**
 * Decides whether the client reads from the network, on every version: the server need not keep to any window.
 *
 *   open   no limit is reached
 *   full   a limit was reached, and half of it is not free again. Reading stops, unless an answer to something of ours
 *          is awaited: then it goes on past the limit until `receiveBuffer` is held
 *
 * Output that waits is a limit of its own, which nothing passes.
 */
export class FlowControl {
  readonly #session: Session;
  readonly #buffers: BufferPressure;
  readonly #timers: Timers;
  readonly #options: EngineOptions;
  readonly #effects: Pick<Effects, 'changed'>;
  #level: 'open' | 'full' = 'open';
  #output: 'open' | 'full' = 'open';
  /** The size of the next message, where it has no room beside what is held; else 0. */
  #next = 0;
  /** `stopped`: the client does not read because the application is slow, so the server is not judged. */
  #reading: 'on' | 'stopped' = 'on';
  /** When the application last settled a message, in ms. */
  #settledAt = 0;
  /**
   * The last resort. A session that ends with the connection drops messages (`drop`) until one is settled. A session to
   * keep leaves those that come to the server (`leave`); once that was done (`left`) all later ones are left as well, for
   * their order, until the next connection, which is due when the answers are there or a message is settled (`over`).
   */
  #resort: 'none' | 'drop' | 'leave' | 'left' | 'over' = 'none';

  constructor(
    session: Session,
    buffers: BufferPressure,
    timers: Timers,
    options: EngineOptions,
    effects: Pick<Effects, 'changed'>,
  ) {
    this.#effects = effects;
    this.#session = session;
    this.#buffers = buffers;
    this.#timers = timers;
    this.#options = options;
  }

  /** A new Network Connection: its CONNACK is read in any case. */
  connected(): void {
    this.#level = 'open';
    this.#output = 'open';
    this.#next = 0;
    this.#reading = 'on';
    this.#resort = 'none';
  }

  /** Whether the client does not read because the application is slow. */
  get isStopped(): boolean {
    return this.#reading === 'stopped';
  }

  /** Whether it reads past a limit, for an answer that is awaited. */
  get isPastLimit(): boolean {
    return this.#level === 'full';
  }

  /** Whether a new message of `size` bytes is acknowledged and dropped, as nothing else helps. */
  releases(size: number): boolean {
    return this.#resort === 'drop' && this.#held > 0 && this.#held + size > this.#options.receiveBuffer;
  }

  /** Whether a new message is left to the server, which sends it again on the next connection. */
  abandons(): boolean {
    if (this.#resort === 'leave') this.#resort = this.#isAwaiting ? 'left' : 'none';
    return this.#resort === 'left' || this.#resort === 'over';
  }

  /** Whether the next connection is due, as messages were left to the server. */
  get needsReconnect(): boolean {
    return this.#resort === 'over' || (this.#resort === 'left' && !this.#isAwaiting);
  }

  /** hot: whether one more packet may be taken from what has arrived. */
  allows(outbox: Outbox): boolean {
    if (outbox.ownSize > OUTPUT_LIMIT / (this.#output === 'full' ? 2 : 1)) {
      this.#output = 'full';
      return false;
    }
    this.#output = 'open';
    return !this.#isFull() || this.#allowsPastLimit();
  }

  /** hot: whether a packet of `size` bytes has room beside what is held. Alone it always has. */
  fits(header: number, size: number): boolean {
    if (this.#held + size <= this.#options.receiveBuffer || !isAcknowledged(header)) return true;
    if (this.#held === 0 || this.#resort !== 'none') return true;
    this.#next = size;
    return false;
  }

  /** Reading stops. Where it is the application that is slow, and not the server, the server is not judged meanwhile. */
  stop(now: number): void {
    if (this.#output === 'full') return;
    this.#reading = 'stopped';
    this.#timers.hold(JUDGING);
    this.watchForAnswer(now);
    this.#effects.changed({ type: 'stopped' });
  }

  /** Reading goes on. */
  resume(): void {
    this.#reading = 'on';
    this.#timers.release();
    this.#timers.stop(Timer.LastResort);
  }

  /** Something of ours awaits an answer from now on: where that is not read for, the last resort is not far. */
  watchForAnswer(now: number): void {
    const { ackStallTimeout } = this.#options;
    if (this.#reading === 'on' || ackStallTimeout === 0 || !this.#isAwaiting) return;
    if (this.#timers.at(Timer.LastResort) === Infinity)
      this.#timers.set(Timer.LastResort, now + ackStallTimeout);
  }

  /** The application has settled a message. */
  settled(now: number): void {
    this.#settledAt = now;
    if (this.#resort === 'left') this.#resort = 'over';
    else if (this.#resort !== 'over') this.#resort = 'none';
  }

  /** The LastResort timer is due: if nothing was settled since it was set, the answer is fetched by force. */
  expire(now: number): void {
    const { ackStallTimeout, persistent } = this.#options;
    if (this.#reading === 'on' || !this.#isAwaiting) return;
    const due = this.#settledAt + ackStallTimeout;
    if (due > now) {
      this.#timers.set(Timer.LastResort, due);
      return;
    }
    this.#resort = persistent ? 'leave' : 'drop';
    this.#next = 0;
    this.#effects.changed({ type: 'lastResort', ms: ackStallTimeout });
  }

  /** Whether an answer to something of ours is outstanding: PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK. */
  get #isAwaiting(): boolean {
    return this.#session.outgoing.size > 0 || this.#session.requests.isAwaited;
  }

  /** Bytes of messages that are held. */
  get #held(): number {
    return this.#session.incoming.unsettledBytes + this.#buffers.bytes;
  }

  #isFull(): boolean {
    const { receiveMaximum, receiveBuffer } = this.#options;
    const { counted } = this.#session.incoming;
    const held = this.#held;
    if (this.#next > 0 && (held === 0 || held + this.#next <= receiveBuffer)) this.#next = 0;
    const isBelow =
      this.#level === 'open'
        ? counted < receiveMaximum && held < receiveBuffer
        : counted <= receiveMaximum / 2 && held <= receiveBuffer / 2;
    this.#level = isBelow && this.#buffers.full === 0 && this.#next === 0 ? 'open' : 'full';
    return this.#level === 'full';
  }

  #allowsPastLimit(): boolean {
    if (!this.#isAwaiting) return false;
    return this.#resort !== 'none' || (this.#next === 0 && this.#held < this.#options.receiveBuffer);
  }
}

/** Whether a packet is a PUBLISH with QoS 1 or 2. */
export function isAcknowledged(header: number): boolean {
  return header >> 4 === PUBLISH && (header & 0x06) !== 0;
}
