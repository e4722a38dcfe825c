import { setImmediate } from 'node:timers';
import type { ReadResult } from '../../engine/options.ts';
import type { Transport } from '../../transport/transport.ts';

/**
 * So many bytes may still come of a transport that was told to pause. It is far more than one read brings, even where
 * that was compressed; a transport that brings more does not stop at all.
 */
export const MOST_WHILE_PAUSED = 134_217_728;

/** What a chunk is charged at the least, in bytes: small ones cost more than they hold. */
const LEAST_CHARGE = 4_096;

/** What reading needs of the driver. */
export interface ReaderHost {
  /** Takes what has arrived, and says what follows. */
  take(): ReadResult;
  /** Whether there is room, after reading has stopped for lack of it. */
  mayRead(): boolean;
  /** The transport brings bytes without end although it was told to pause. */
  overrun(error: Error): void;
}

/**
 * Reads from one Network Connection, as the engine allows: it pauses the transport for one turn of the event loop, so
 * that the consumers can take what came, or until there is room again.
 */
export class NetworkReader {
  readonly #transport: Transport;
  readonly #host: ReaderHost;
  #state: 'reading' | 'turn' | 'stopped' | 'closed' = 'reading';
  /** Bytes that have arrived since the transport was told to pause. */
  #waiting = 0;

  constructor(transport: Transport, host: ReaderHost) {
    this.#transport = transport;
    this.#host = host;
  }

  /** Whether nothing is read, as the consumers are too slow for what comes. */
  get isStopped(): boolean {
    return this.#state === 'stopped';
  }

  /** So many bytes have arrived. What a paused transport still brings, as it had read it before, waits. */
  arrived(length: number): void {
    if (this.#state === 'reading') return this.#take();
    this.#waiting += Math.max(length, LEAST_CHARGE);
    if (this.#waiting <= MOST_WHILE_PAUSED || this.#state === 'closed') return;
    const what = 'expected what was read already after pause(), got more than 128 MiB';
    this.#host.overrun(new Error(`transport: ${what}`));
  }

  /** There may be room again: if reading had stopped, it goes on in the next turn. */
  resumeIfRoom(): void {
    if (this.#state !== 'stopped' || !this.#host.mayRead()) return;
    this.#state = 'turn';
    this.#takeNextTurn();
  }

  /** The connection is over. Returns whether something may have arrived that was not taken. */
  close(): boolean {
    const isBehind = this.#state === 'turn' || this.#state === 'stopped';
    this.#state = 'closed';
    return isBehind;
  }

  #take(): void {
    const result = this.#host.take();
    const before = this.#state;
    // Taking it may have ended the connection.
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
