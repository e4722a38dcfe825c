import type { Client } from '../../lib/client/client.ts';
import type { Model } from './model.ts';
import type { Setting } from './world.ts';

/** The state of the client at the last check. */
interface Seen {
  readonly unsettled: number;
  readonly settledAlone: number;
  readonly settledAtMost: number;
}

/** Size of the largest message, with its overhead. */
const LARGEST = 9_100;

/** Checks that the client reads from the network when it should, and only then. */
export class Reading {
  readonly #model: Model;
  readonly #limits: Setting['client'];
  /**
   * Why the client may still exceed its limits: an answer was awaited, or a connection was lost with unread input, which
   * is read nevertheless.
   */
  #beyond: 'no' | 'an answer' | 'a loss' = 'no';
  /** `set aside`: some messages were unread for long, and it is not visible how many of them no longer count. */
  #count: 'exact' | 'set aside' = 'exact';
  #losses = 0;
  /** The last check, if reading was stopped and the limits held. */
  #stopped: Seen | undefined;

  constructor(model: Model, limits: Setting['client']) {
    this.#model = model;
    this.#limits = limits;
  }

  get mayGoBeyond(): boolean {
    return this.#beyond !== 'no' || this.#count === 'set aside';
  }

  /** A new connection, or a call whose answer is awaited. */
  asked(): void {
    if (this.#beyond === 'no') this.#beyond = 'an answer';
  }

  /** Unread messages no longer count. */
  stalled(): void {
    this.#count = 'set aside';
  }

  /** `awaits`: an answer of the server is pending. */
  check(client: Client, awaits: boolean): void {
    const { unsettled, reading, skipped, inFlight } = client.stats();
    const { receiveMaximum, receiveBuffer = 0 } = this.#limits;
    const { arrivals, connectionsLost } = this.#model;
    if (connectionsLost > this.#losses) this.#beyond = 'a loss';
    else if (awaits) this.asked();
    this.#losses = connectionsLost;
    const isLarge = unsettled.messages > 1 && unsettled.bytes > receiveBuffer;
    if (!this.mayGoBeyond && unsettled.messages > receiveMaximum)
      this.#model.broken(`${unsettled.messages} unsettled, expected ${receiveMaximum} at the most`);
    if (this.#beyond !== 'a loss' && isLarge)
      this.#model.broken(`${unsettled.bytes} bytes unsettled, expected ${receiveBuffer} at the most`);
    const hasRoom = unsettled.bytes + LARGEST < receiveBuffer;
    if (reading === 'stopped' && client.state === 'connected' && inFlight > 0 && hasRoom)
      this.#model.broken(`reading has stopped, though ${inFlight} exchanges await an answer`);
    const before = this.#stopped;
    if (before !== undefined && !this.mayGoBeyond && client.state === 'connected') {
      const lowest = before.unsettled - (arrivals.settledAtMost - before.settledAtMost);
      const highest = before.unsettled - (arrivals.settledAlone - before.settledAlone);
      if (lowest > receiveMaximum / 2 && unsettled.messages > highest)
        this.#model.broken(`reads on at ${lowest} unsettled, expected ${receiveMaximum / 2} at the most`);
    }
    if (!awaits && unsettled.messages <= receiveMaximum && !isLarge) this.#beyond = 'no';
    const isExact = reading === 'stopped' && !this.mayGoBeyond && skipped === 0 && !isLarge;
    const { settledAlone, settledAtMost } = arrivals;
    this.#stopped = isExact ? { unsettled: unsettled.messages, settledAlone, settledAtMost } : undefined;
  }
}
