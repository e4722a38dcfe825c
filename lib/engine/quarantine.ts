import type { Connection } from '../connection/connection.ts';
import { messageOf, PoisonedMessageError, ProtocolError, type MqttError } from '../errors.ts';
import { Stage, type Exchange } from '../session/exchange.ts';
import { SUSPECT, type RequestPacket } from '../session/request.ts';
import type { Session } from '../session/session.ts';
import type { Suspicion } from './connect-errors.ts';
import type { EngineContext } from './engine-context.ts';
import { type Timers, Timer } from './timers.ts';

/** A loss counts only for packets that were sent at most this long before, in ms. */
const LOSS_WINDOW = 1_000;
/** A message or request is given up after at least this many such losses, */
const MAX_LOSSES = 3;
/** of which it was alone on the wire at this many, the last included, as networks also break by themselves, */
const MAX_SOLO_LOSSES = 2;
/**
 * if the last connection had lived for this long before it was sent, in ms: a server or network that breaks by itself
 * does so sooner.
 */
const MIN_SPAN = 2_000;

/** What connections were lost with one message. */
class Losses {
  /** Connections that were lost right after it was sent. */
  count = 0;
  /** Such losses with nothing else on the wire. */
  solo = 0;
  /** Connections in a row that were closed because it was acknowledged too late (`ackTimeout`) or wrongly. */
  closures = 0;
}

/**
 * Finds the message, SUBSCRIBE or UNSUBSCRIBE that costs the connection each time it is sent, and gives it up, so that
 * everything else goes on. Only a packet on the wire of a connection that was lost for no known reason can be suspect.
 * Suspects wait until the next connection has lived for `MIN_SPAN` without them. Then they go out one at a time, messages
 * before requests, and no QoS 1 or 2 message goes out beside a suspect request.
 */
export class Quarantine {
  readonly #session: Session;
  readonly #timers: Timers;
  /** Only of messages that were on the wire when a connection was lost. */
  readonly #losses = new WeakMap<Exchange, Losses>();
  readonly #suspects = new Set<Exchange>();
  /** Whether a packet of this client may be the reason of the present loss. */
  suspicion: Suspicion = 'none';
  /** The exchange because of which the present connection is closed: it was unacknowledged for `ackTimeout`. */
  #ackTimedOut: Exchange | undefined = undefined;
  /** Exchanges acknowledged when the last connection was lost. */
  #acknowledged = 0;
  /** `proving`: the present connection has yet to live for `MIN_SPAN` without suspects. */
  #phase: 'proving' | 'proved' = 'proved';
  /** The suspect requests on the wire, until `LOSS_WINDOW` is over. */
  #trial: readonly RequestPacket[] = [];

  constructor(context: EngineContext) {
    ({ session: this.#session, timers: this.#timers } = context);
  }

  /** hot: whether messages go out one at a time: as long as one is suspect. */
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
    if (this.isIsolating) return used === 0 && this.#phase === 'proved' && !this.isTrialRunning;
    return !this.isTrialRunning && !this.isTrialDue;
  }

  /** Whether a suspect request is on the wire: nothing may go out beside it. */
  get isTrialRunning(): boolean {
    if (this.#trial.length === 0) return false;
    return this.#trial.some((packet) => this.#session.requests.get(packet.packetId) === packet);
  }

  /** Whether a suspect request is next. It goes out once no message is on the wire. */
  get isTrialDue(): boolean {
    const { requests } = this.#session;
    if (!requests.queue.hasSuspects || this.#phase === 'proving') return false;
    return !this.isIsolating && !requests.isAwaited;
  }

  connected(now: number): void {
    this.suspicion = 'none';
    this.#trial = [];
    this.#phase = this.isIsolating || this.#session.requests.queue.hasSuspects ? 'proving' : 'proved';
    if (this.#phase === 'proving') this.#timers.set(Timer.Trial, now + MIN_SPAN);
  }

  startTrial(packets: readonly RequestPacket[]): void {
    this.#trial = packets;
    this.#timers.set(Timer.Trial, (packets[0]?.writtenAt ?? 0) + LOSS_WINDOW);
  }

  /** The Trial timer is due: whatever waited for it may go. */
  trialOver(): void {
    this.#phase = 'proved';
    this.#trial = [];
  }

  /** The connection is being closed because `exchange` was unacknowledged for `ackTimeout`. */
  noteAckTimeout(exchange: Exchange): void {
    this.#ackTimedOut = exchange;
  }

  /**
   * `connection` was lost with `error`. An acknowledgement on it clears messages that were on the wire together of their
   * earlier losses; a message that was alone keeps them.
   */
  lost(connection: Connection, error: MqttError, now: number): void {
    const { answered } = connection.traffic;
    const worked = answered > this.#acknowledged;
    this.#acknowledged = answered;
    const messages = this.#session.outgoing
      .all()
      .filter(({ connectionNumber }) => connectionNumber === connection.connectionNumber);
    this.#countClosures(messages, error);
    if (this.suspicion === 'none') return;
    const packets = this.#session.requests.onWire();
    const onWire = messages.length + packets.length;
    if (onWire === 0) this.#clearSuspects();
    const isAlone = onWire === 1;
    for (const exchange of messages) {
      if (now - exchange.writtenAt > LOSS_WINDOW || exchange.stage === Stage.Over) continue;
      const losses = this.#lossesOf(exchange);
      losses.count = worked && messages.length > 1 ? 1 : losses.count + 1;
      if (losses.count >= SUSPECT) this.#suspects.add(exchange);
      if (!isAlone) continue;
      losses.solo++;
      if (losses.solo >= MAX_SOLO_LOSSES && isConclusive(losses.count, exchange.writtenAt, connection))
        this.#giveUp(
          exchange,
          `the connection was lost ${losses.count} times right after it was sent`,
          error,
        );
    }
    for (const { parts, writtenAt } of packets) {
      if (now - writtenAt > LOSS_WINDOW) continue;
      for (const part of parts) {
        part.losses++;
        if (isAlone && parts.length === 1 && isConclusive(part.losses, writtenAt, connection))
          this.#session.giveUp(part);
      }
    }
  }

  /** Counts closures in a row that are due to one message, by its `ackTimeout` or a wrong acknowledgement. */
  #countClosures(messages: readonly Exchange[], error: MqttError): void {
    const timedOut = this.#ackTimedOut;
    const packetId = error instanceof ProtocolError ? error.packetId : undefined;
    const cause = timedOut ?? messages.find((exchange) => exchange.packetId === packetId);
    const what = timedOut === undefined ? 'acknowledged wrongly' : 'not acknowledged in time (ackTimeout)';
    this.#ackTimedOut = undefined;
    for (const exchange of messages) {
      const losses = exchange === cause ? this.#lossesOf(exchange) : this.#losses.get(exchange);
      if (losses === undefined) continue;
      losses.closures = exchange === cause ? losses.closures + 1 : 0;
      if (losses.closures >= MAX_LOSSES)
        this.#giveUp(exchange, `it was ${what} ${losses.closures} times in a row`, error);
    }
  }

  /** A connection was lost with no message and no request on the wire: the suspects are not the reason. */
  #clearSuspects(): void {
    for (const suspect of this.#suspects) {
      const losses = this.#lossesOf(suspect);
      losses.count = losses.solo = 0;
    }
    this.#suspects.clear();
    this.#session.requests.queue.clearSuspects();
  }

  #lossesOf(exchange: Exchange): Losses {
    let losses = this.#losses.get(exchange);
    if (losses === undefined) {
      losses = new Losses();
      this.#losses.set(exchange, losses);
    }
    return losses;
  }

  #giveUp(exchange: Exchange, why: string, cause: MqttError): void {
    this.#session.outgoing.giveUp(exchange);
    this.#session.packetIdentifiers.free(exchange.packetId);
    const text = `the message is not sent again: ${why}; the last error: ${messageOf(cause)}`;
    exchange.end(new PoisonedMessageError(text, { cause }));
  }
}

/** Whether the packet that was alone on the wire of `connection` is the reason of its loss. */
function isConclusive(losses: number, writtenAt: number, connection: Connection): boolean {
  return losses >= MAX_LOSSES && writtenAt - connection.acceptedAt >= MIN_SPAN;
}
