import { setImmediate } from 'node:timers';
import type { ReadResult } from '../../engine/options.ts';
import type { Transport } from '../../transport/transport.ts';

/**
 * The bytes that a paused transport may still bring. One read brings far less, even if it was compressed: a transport that
 * brings more ignores `pause()`.
 */
export const MAX_WHILE_PAUSED = 134_217_728;

/** The minimum that a chunk counts for, in bytes: small chunks cost more than they hold. */
const MIN_CHARGE = 4_096;

export interface ReaderHost {
  /** Takes what has arrived, and returns what follows. */
  take(): ReadResult;
  /** Whether there is room again, after reading has stopped for lack of it. */
  mayRead(): boolean;
  /** The transport ignores `pause()`. */
  overrun(error: Error): void;
}

/**
 * Reads from one Network Connection as the engine allows. It pauses the transport for one turn of the event loop, so that
 * consumers can run, or until there is room again.
 */
export class NetworkReader {
  readonly #transport: Transport;
  readonly #host: ReaderHost;
  #state: 'reading' | 'turn' | 'stopped' | 'closed' = 'reading';
  /** Bytes that have arrived since the transport was paused. */
  #waiting = 0;

  constructor(transport: Transport, host: ReaderHost) {
    this.#transport = transport;
    this.#host = host;
  }

  /** Whether reading has stopped because consumers are too slow. */
  get isStopped(): boolean {
    return this.#state === 'stopped';
  }

  /** `length` bytes have arrived. What a paused transport still brings waits. */
  arrived(length: number): void {
    if (this.#state === 'reading') return this.#take();
    this.#waiting += Math.max(length, MIN_CHARGE);
    if (this.#waiting <= MAX_WHILE_PAUSED || this.#state === 'closed') return;
    this.#host.overrun(new Error('transport: it has brought more than 128 MiB after pause()'));
  }

  /** There may be room again: if reading has stopped, it goes on in the next turn. */
  resumeIfRoom(): void {
    if (this.#state !== 'stopped' || !this.#host.mayRead()) return; // fault: resume-reading
    this.#state = 'turn';
    this.#takeNextTurn();
  }

  /** The connection is over. Returns whether something may have arrived that was not read. */
  close(): boolean {
    const isBehind = this.#state === 'turn' || this.#state === 'stopped';
    this.#state = 'closed';
    return isBehind;
  }

  #take(): void {
    let result = this.#host.take();
    while (result === 'again') result = this.#host.take();
    const before = this.#state;
    // Input may have ended the connection.
    if (before === 'closed') return;
    if (result === 'all') {
      this.#state = 'reading';
      this.#waiting = 0;
      if (before !== 'reading') this.#transport.resume();
      return;
    }
    if (before === 'reading') this.#transport.pause();
    this.#state = result === 'turn' ? 'turn' : 'stopped';
    if (result === 'turn') this.#takeNextTurn();
    else this.resumeIfRoom();
  }

  #takeNextTurn(): void {
    setImmediate(() => {
      if (this.#state === 'turn') this.#take();
    });
  }
}
