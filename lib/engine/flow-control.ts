import type { Outbox } from '../connection/outbox.ts';
import type { Session } from '../session/session.ts';
import type { Authentication } from './authentication.ts';
import type { EngineContext } from './engine-context.ts';
import type { Effects } from './effects.ts';
import type { EngineOptions, BufferPressure } from './options.ts';
import { type Timers, Timer } from './timers.ts';

/** Bytes of output in own memory above which reading stops: a server that reads no answers causes no more of them. */
export const OUTPUT_LIMIT = 4_194_304;

const PUBLISH = 3;

/** Timers that close the connection, or send again, when the server is silent. */
const SERVER_TIMERS = [Timer.PingResp, Timer.Retry, Timer.Watchdog, Timer.Ack, Timer.Authentication] as const;

/**
 * Decides whether the client reads from the network. It does not rely on the window of the server, on any version.
 *
 *   open   no limit is reached
 *   full   a limit was reached, and less than half of it is free. Reading stops, unless an answer to a packet of the
 *          client is awaited: then the client reads past the limit until `receiveBuffer` is held
 *
 * Waiting output has its own limit, which always stops reading.
 */
export class FlowControl {
  readonly #session: Session;
  readonly #buffers: BufferPressure;
  readonly #timers: Timers;
  readonly #options: EngineOptions;
  readonly #effects: Effects;
  readonly #authentication: Authentication;
  #level: 'open' | 'full' = 'open';
  #output: 'open' | 'full' = 'open';
  /** The size of the next message, if it has no room; else 0. */
  #nextSize = 0;
  /** `stopped`: the client does not read because the application is slow, so the server's silence means nothing. */
  #reading: 'on' | 'stopped' = 'on';
  /** When the application last settled a message, in ms. */
  #settledAt = 0;
  /**
   * The last resort: messages are read that have no room.
   *
   *   release     a session that ends with the connection: they are acknowledged and dropped
   *   abandon     a persistent session: the next message is abandoned
   *   abandoned   one was, and to keep the order, so are all others of this connection
   *   reconnect   the same, and the next connection is due, since the application has settled a message
   *
   * Except for `abandoned` and `reconnect`, it ends when the application settles a message.
   */
  #lastResort: 'none' | 'release' | 'abandon' | 'abandoned' | 'reconnect' = 'none';

  constructor(context: EngineContext, authentication: Authentication) {
    this.#authentication = authentication;
    this.#buffers = context.ports.buffers;
    ({ session: this.#session, timers: this.#timers } = context);
    ({ options: this.#options, effects: this.#effects } = context);
  }

  /** A new Network Connection: its CONNACK is read in any case. */
  connected(): void {
    this.#level = 'open';
    this.#output = 'open';
    this.#nextSize = 0;
    this.#reading = 'on';
    this.#lastResort = 'none';
  }

  /** Whether the client does not read because the application is slow. */
  get isStopped(): boolean {
    return this.#reading === 'stopped';
  }

  /** Whether the client reads past a limit, for an answer that is awaited. */
  get isPastLimit(): boolean {
    return this.#level === 'full';
  }

  /** Whether a new message of `size` bytes is released and dropped as a last resort. */
  releases(size: number): boolean {
    return (
      this.#lastResort === 'release' && this.#held > 0 && this.#held + size > this.#options.receiveBuffer
    );
  }

  /** Whether a new message is abandoned as a last resort. */
  abandons(): boolean {
    if (this.#lastResort === 'abandon') this.#lastResort = this.#isAwaiting ? 'abandoned' : 'none';
    return this.#lastResort === 'abandoned' || this.#lastResort === 'reconnect'; // fault: last-resort
  }

  /** Whether the next connection is due, on which the server sends abandoned messages again. */
  get needsReconnect(): boolean {
    return this.#lastResort === 'reconnect' || (this.#lastResort === 'abandoned' && !this.#isAwaiting);
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

  /** hot: whether a packet of `size` bytes has room. If nothing else is held, it always has. */
  fits(header: number, size: number): boolean {
    if (this.#held + size <= this.#options.receiveBuffer || !isAcknowledged(header)) return true; // fault: room-bytes
    if (this.#held === 0 || this.#lastResort !== 'none') return true;
    this.#nextSize = size;
    return false;
  }

  /** Reading stops. If the application is slow, and not the server, the timers for its silence are held. */
  stop(now: number): void {
    if (this.#output === 'full') return;
    this.#reading = 'stopped';
    this.#timers.hold(SERVER_TIMERS); // fault: judging
    this.watchForAnswer(now);
    this.#effects.changed({ type: 'stopped' });
  }

  resume(): void {
    this.#reading = 'on';
    this.#timers.release();
    this.#timers.stop(Timer.LastResort);
  }

  /** An answer may be awaited from now on: if the client does not read for it, this starts the last resort's timer. */
  watchForAnswer(now: number): void {
    const { ackStallTimeout } = this.#options;
    if (this.#reading === 'on' || ackStallTimeout === 0 || !this.#isAwaiting) return;
    if (this.#timers.at(Timer.LastResort) === Infinity)
      this.#timers.set(Timer.LastResort, now + ackStallTimeout);
  }

  settled(now: number): void {
    this.#settledAt = now;
    if (this.#lastResort === 'abandoned') this.#lastResort = 'reconnect';
    else if (this.#lastResort !== 'reconnect') this.#lastResort = 'none';
  }

  /** The LastResort timer is due: if nothing was settled since it was set, messages are read that have no room. */
  expire(now: number): void {
    const { ackStallTimeout, persistent } = this.#options;
    if (this.#reading === 'on' || !this.#isAwaiting) return;
    const due = this.#settledAt + ackStallTimeout;
    if (due > now) {
      this.#timers.set(Timer.LastResort, due);
      return;
    }
    this.#lastResort = persistent ? 'abandon' : 'release';
    this.#nextSize = 0;
    this.#effects.changed({ type: 'lastResort', ms: ackStallTimeout });
  }

  /** Whether PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK or AUTH is awaited. */
  get #isAwaiting(): boolean {
    const { outgoing, requests } = this.#session;
    return outgoing.size > 0 || requests.isAwaited || this.#authentication.isAwaited;
  }

  /** Bytes of messages that the application has not taken or settled. */
  get #held(): number {
    return this.#session.incoming.unsettledBytes + this.#buffers.bytes;
  }

  #isFull(): boolean {
    const { receiveMaximum, receiveBuffer } = this.#options;
    const { counted } = this.#session.incoming;
    const held = this.#held;
    if (this.#nextSize > 0 && (held === 0 || held + this.#nextSize <= receiveBuffer)) this.#nextSize = 0;
    const isBelow =
      this.#level === 'open'
        ? counted < receiveMaximum && held < receiveBuffer // fault: room-messages
        : counted <= receiveMaximum / 2 && held <= receiveBuffer / 2; // fault: half-full
    this.#level = isBelow && this.#buffers.full === 0 && this.#nextSize === 0 ? 'open' : 'full';
    return this.#level === 'full';
  }

  #allowsPastLimit(): boolean {
    if (!this.#isAwaiting) return false; // fault: awaited-answer
    return this.#lastResort !== 'none' || (this.#nextSize === 0 && this.#held < this.#options.receiveBuffer);
  }
}

/** Whether a packet is a PUBLISH with QoS 1 or 2. */
export function isAcknowledged(header: number): boolean {
  return header >> 4 === PUBLISH && (header & 0x06) !== 0;
}
