import { setImmediate } from 'node:timers';
import type { ReadResult } from '../engine/options.ts';
import type { Transport } from '../transport/transport.ts';

/** What reading needs of the driver. */
export interface ReaderHost {
  /** Takes what has arrived, and says what follows. */
  take(): ReadResult;
  /** Whether there is room, after reading has stopped for lack of it. */
  mayRead(): boolean;
}

/**
 * Reads from one Network Connection, as the engine allows: it pauses the transport for one turn of the event loop, so
 * that the consumers can take what came, or until there is room again.
 */
export class NetworkReader {
  readonly #transport: Transport;
  readonly #host: ReaderHost;
  #state: 'reading' | 'turn' | 'stopped' | 'closed' = 'reading';

  constructor(transport: Transport, host: ReaderHost) {
    this.#transport = transport;
    this.#host = host;
  }

  /** Whether nothing is read, as the consumers are too slow for what comes. */
  get isStopped(): boolean {
    return this.#state === 'stopped';
  }

  /** Something has arrived. What a paused transport still brings, as it had read it before, waits. */
  arrived(): void {
    if (this.#state === 'reading') this.#take();
  }

  /** There may be room again: if reading had stopped, it goes on in the next turn. */
  lookForRoom(): void {
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
      if (before !== 'reading') this.#transport.resume();
      return;
    }
    if (before === 'reading') this.#transport.pause();
    this.#state = result === 'turn' ? 'turn' : 'stopped';
    if (result === 'turn') this.#takeNextTurn();
    else this.lookForRoom();
  }

  #takeNextTurn(): void {
    setImmediate(() => {
      if (this.#state === 'turn') this.#take();
    });
  }
}
