import { PoisonedMessageError } from '../errors.ts';
import { Stage, type Exchange } from '../session/exchange.ts';
import type { Session } from '../session/session.ts';

/** A connection lost so soon after a message was sent, in ms, may have been lost because of it. */
const SOON = 1_000;
/** After so many such losses a message is suspect: suspects are sent one at a time. */
const SUSPECT = 2;
/** From this such loss on, a message that was alone on the wire is the reason; */
const CONVICTED = 3;
/** but not at the first time that it was alone: a network that breaks again and again convicts nobody. */
const ALONE = 2;
/** Nor before its losses are so far apart, in ms: those of a shorter time are one disturbance of the network. */
const DISTURBANCE = 1_500;

/**
 * Keeps one message that takes the connection down from doing so for ever, and from starving those behind it. Only
 * what was on the wire of the connection that ended can be suspect: a connection on which nothing of ours was written
 * convicts nobody.
 */
export class Quarantine {
  readonly #session: Session;
  readonly #suspects = new Set<Exchange>();
  /** The one that closes the connection that is up. */
  #overdue: Exchange | undefined = undefined;
  /** Exchanges that were over when the last connection was lost. */
  #answered = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Whether messages go out one at a time: as long as one is suspect. */
  get isIsolating(): boolean {
    if (this.#suspects.size === 0) return false;
    for (const suspect of this.#suspects) if (suspect.stage === Stage.Over) this.#suspects.delete(suspect);
    return this.#suspects.size > 0;
  }

  /** `exchange` closes the connection, as it was unanswered for too long. */
  overdue(exchange: Exchange): void {
    exchange.overdues++;
    this.#overdue = exchange;
  }

  /**
   * The connection `epoch` was lost; `answered`: exchanges of this client that were over by then. With one on which any
   * came to its end the count of several begins anew: what is alone on the wire has had no others to excuse it.
   */
  lost(epoch: number, answered: number, now: number): void {
    const worked = answered > this.#answered;
    this.#answered = answered;
    const wire = this.#session.outgoing.all().filter((exchange) => exchange.epoch === epoch);
    const overdue = this.#overdue;
    this.#overdue = undefined;
    for (const exchange of wire) {
      if (exchange !== overdue) exchange.overdues = 0;
      if (exchange.overdues >= CONVICTED) {
        this.#convict(exchange, `it was unanswered for too long ${exchange.overdues} times in a row`);
        continue;
      }
      if (now - exchange.writtenAt > SOON) continue;
      exchange.losses = worked && wire.length > 1 ? 1 : exchange.losses + 1;
      if (exchange.losses === 1) exchange.firstLostAt = now;
      if (exchange.losses >= SUSPECT) this.#suspects.add(exchange);
      const lasts = now - exchange.firstLostAt >= DISTURBANCE;
      if (wire.length === 1 && ++exchange.alone >= ALONE && exchange.losses >= CONVICTED && lasts)
        this.#convict(exchange, `the connection was lost ${exchange.losses} times right after it was sent`);
    }
  }

  #convict(exchange: Exchange, why: string): void {
    this.#session.outgoing.giveUp(exchange);
    this.#session.packetIdentifiers.free(exchange.packetId);
    exchange.end(new PoisonedMessageError(`the message is not sent again: ${why}`));
  }
}
