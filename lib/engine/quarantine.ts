import type { Connection } from '../connection/connection.ts';
import { messageOf, PoisonedMessageError, ProtocolError, type MqttError } from '../errors.ts';
import { Stage, type Exchange } from '../session/exchange.ts';
import { SUSPECT, type RequestPacket } from '../session/request.ts';
import type { Session } from '../session/session.ts';
import { type Timers, Timer } from './timers.ts';
import type { Suspicion } from './connect-errors.ts';

/** A connection lost so soon after something was sent, in ms, may have been lost because of it. */
const SOON = 1_000;
/** From this such loss on, what was alone on the wire is the reason, */
const MAX_LOSSES = 3;
/**
 * if the connection had lived for so long without it, in ms: a server or a network that breaks by itself does so within
 * that time as well.
 */
const MIN_SPAN = 2_000;
/** A message that was suspect in the company of others has to be alone at so many such losses: a network breaks as well. */
const MAX_SOLO_LOSSES = 2;

/**
 * Keeps one message, SUBSCRIBE or UNSUBSCRIBE that takes the connection down from doing so for ever, and from starving
 * everything else. Only what was on the wire of a connection that was lost for no known reason can be suspect. Suspects
 * wait until the next connection has proved that it lives without them, and then go out one at a time: messages before
 * requests, and nothing beside a request.
 */
export class Quarantine {
  readonly #session: Session;
  readonly #timers: Timers;
  readonly #suspects = new Set<Exchange>();
  /** Whether the connection that is being lost may be lost because of what was sent on it. */
  suspicion: Suspicion = 'none';
  /** The one that closes the connection that is up. */
  #blamed: Exchange | undefined = undefined;
  /** Exchanges that were over when the last connection was lost. */
  #answered = 0;
  /** `proving`: the connection is to live for `CONTROL` without what is suspect. */
  #phase: 'proving' | 'proved' = 'proved';
  /** The suspect requests that are on the wire, for as long as they may be what a loss is due to. */
  #trial: RequestPacket | undefined = undefined;

  constructor(session: Session, timers: Timers) {
    this.#session = session;
    this.#timers = timers;
  }

  /** Whether messages go out one at a time: as long as one is suspect. */
  get isIsolating(): boolean {
    if (this.#suspects.size === 0) return false;
    for (const suspect of this.#suspects) if (suspect.stage === Stage.Over) this.#suspects.delete(suspect);
    return this.#suspects.size > 0;
  }

  /** Whether no suspect message may go out yet. */
  get isProving(): boolean {
    return this.#phase === 'proving' && this.isIsolating;
  }

  /** hot: whether one more QoS > 0 message may go out while `used` are on the wire. */
  allows(used: number): boolean {
    if (this.isIsolating) return used === 0 && this.#phase === 'proved' && !this.isTrying;
    return !this.isTrying && !this.requestIsDue;
  }

  /** Whether a suspect request is on the wire: nothing is to be beside it. */
  get isTrying(): boolean {
    const trial = this.#trial;
    return trial !== undefined && this.#session.requests.get(trial.packetId) === trial;
  }

  /** Whether a suspect request is next. It goes out when no message is on the wire any more. */
  get requestIsDue(): boolean {
    const { requests } = this.#session;
    if (!requests.queue.hasSuspects || this.#phase === 'proving') return false;
    return !this.isIsolating && !requests.isAwaited;
  }

  /** A connection has come up. */
  connected(now: number): void {
    this.suspicion = 'none';
    this.#trial = undefined;
    this.#phase = this.isIsolating || this.#session.requests.queue.hasSuspects ? 'proving' : 'proved';
    if (this.#phase === 'proving') this.#timers.set(Timer.Trial, now + MIN_SPAN);
  }

  /** Suspect requests were written. */
  startTrial(packet: RequestPacket): void {
    this.#trial = packet;
    this.#timers.set(Timer.Trial, packet.writtenAt + SOON);
  }

  /** The Trial timer is due: what has waited for it may go. */
  proved(): void {
    this.#phase = 'proved';
    this.#trial = undefined;
  }

  /** `exchange` closes the connection, as it was unanswered for too long. */
  noteAckTimeout(exchange: Exchange): void {
    this.#blamed = exchange;
  }

  /**
   * `connection` was lost with `error`. With one on which any exchange came to its end the count of several begins anew:
   * what is alone on the wire has had no others to excuse it.
   */
  lost(connection: Connection, error: MqttError, now: number): void {
    const { answered } = connection.traffic;
    const worked = answered > this.#answered;
    this.#answered = answered;
    const wire = this.#session.outgoing
      .all()
      .filter(({ connectionNumber }) => connectionNumber === connection.connectionNumber);
    this.#blame(wire, error);
    if (this.suspicion === 'none') return;
    const packets = this.#session.requests.onWire();
    const alone = wire.length + packets.length === 1;
    if (wire.length + packets.length === 0) this.#clearSuspects();
    for (const exchange of wire) {
      if (now - exchange.writtenAt > SOON || exchange.stage === Stage.Over) continue;
      exchange.losses = worked && wire.length > 1 ? 1 : exchange.losses + 1;
      if (exchange.losses >= SUSPECT) this.#suspects.add(exchange);
      if (alone) exchange.soloLosses++;
      if (exchange.soloLosses >= MAX_SOLO_LOSSES && alone && this.#isConclusive(exchange, connection))
        this.#giveUp(
          exchange,
          `the connection was lost ${exchange.losses} times right after it was sent`,
          error,
        );
    }
    for (const { parts, writtenAt } of packets) {
      if (now - writtenAt > SOON) continue;
      for (const part of parts) {
        part.losses++;
        if (alone && parts.length === 1 && this.#isConclusive({ losses: part.losses, writtenAt }, connection))
          this.#session.giveUp(part);
      }
    }
  }

  /** Whether what was alone on the wire of `connection` is why that was lost. */
  #isConclusive(
    sent: { readonly losses: number; readonly writtenAt: number },
    connection: Connection,
  ): boolean {
    return sent.losses >= MAX_LOSSES && sent.writtenAt - connection.acceptedAt >= MIN_SPAN;
  }

  /** The message that the connection was closed because of, where it is known: the third time in a row convicts it. */
  #blame(wire: readonly Exchange[], error: MqttError): void {
    const named = error instanceof ProtocolError ? error.packetId : undefined;
    const blamed = this.#blamed ?? wire.find(({ packetId }) => packetId === named);
    const why = this.#blamed === undefined ? 'was answered wrongly' : 'was unanswered for too long';
    this.#blamed = undefined;
    for (const exchange of wire) {
      if (exchange !== blamed) exchange.blames = 0;
      else if (++exchange.blames >= MAX_LOSSES)
        this.#giveUp(exchange, `it ${why} ${exchange.blames} times in a row`, error);
    }
  }

  /** A connection was lost on which nothing of ours was: nothing speaks against the suspects any more. */
  #clearSuspects(): void {
    for (const suspect of this.#suspects) suspect.losses = suspect.soloLosses = 0;
    this.#suspects.clear();
    this.#session.requests.queue.clearSuspects();
  }

  #giveUp(exchange: Exchange, why: string, cause: MqttError): void {
    this.#session.outgoing.giveUp(exchange);
    this.#session.packetIdentifiers.free(exchange.packetId);
    const text = `the message is not sent again: ${why}, at last with: ${messageOf(cause)}`;
    exchange.end(new PoisonedMessageError(text, { cause }));
  }
}
