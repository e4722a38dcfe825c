import type { Client } from '../../lib/client/client.ts';
import type { Model } from './model.ts';
import type { Setting } from './world.ts';

/** What was seen when the client was last looked at. */
interface Seen {
  readonly unsettled: number;
  readonly settledAlone: number;
  readonly settledAtMost: number;
}

/** The size of the largest message that comes, with all that is around it. */
const LARGEST = 9_100;

/** Whether the client reads from the network when it should, and only then. */
export class Reading {
  readonly #model: Model;
  readonly #limits: Setting['client'];
  /**
   * Whether the client may be above its limits, as it was not below them since: an answer was awaited, or a connection was
   * lost with input that had arrived, which is taken all the same.
   */
  #beyond: 'no' | 'an answer' | 'a loss' = 'no';
  /** `set aside`: nobody came to some messages for long, and how many no longer count is not seen from outside. */
  #count: 'exact' | 'set aside' = 'exact';
  #losses = 0;
  /** The last look, where nothing was read then and the limits held. */
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

  /** Messages that nobody came to no longer count. */
  stalled(): void {
    this.#count = 'set aside';
  }

  /** `awaits`: an answer of the server's is outstanding. */
  check(client: Client, awaits: boolean): void {
    const { unsettled, reading, skipped: passedOver, inFlight } = client.stats();
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
    const isExact = reading === 'stopped' && !this.mayGoBeyond && passedOver === 0 && !isLarge;
    const { settledAlone, settledAtMost } = arrivals;
    this.#stopped = isExact ? { unsettled: unsettled.messages, settledAlone, settledAtMost } : undefined;
  }
}
