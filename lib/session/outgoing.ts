import { Stage, type Exchange, type Transmission } from './exchange.ts';
import { IdentifierTable } from './identifier-table.ts';
import { LinkedList } from './linked-list.ts';
import { OrphanedIds } from './packet-identifiers.ts';

/**
 * QoS 1 and 2 messages that were sent and are not fully acknowledged (4.1, client part).
 *
 *   QoS 1   PUBLISH → PUBACK
 *   QoS 2   PUBLISH → PUBREC → PUBREL → PUBCOMP
 *
 * Two lists, since packets are sent again in two orders: PUBLISH in the order of first transmission [MQTT-4.6.0-1],
 * PUBREL in the order of the PUBRECs [MQTT-4.6.0-4].
 */
export class Outgoing {
  readonly #table = new IdentifierTable<Exchange>();
  readonly #published = new LinkedList<Exchange>();
  readonly #released = new LinkedList<Exchange>();
  /** The next PUBLISH to send again on this Network Connection; those before it in the list are on the wire. */
  #resend: Exchange | undefined = undefined;
  #lastTransmission: Transmission | undefined = undefined;
  readonly orphanedIds: OrphanedIds = new OrphanedIds();

  /** Exchanges that are not over. */
  get size(): number {
    return this.#table.size;
  }

  get(packetId: number): Exchange | undefined {
    return this.#table.get(packetId);
  }

  /** hot: `exchange` was written on the Network Connection `connectionNumber`. */
  written(exchange: Exchange, connectionNumber: number, at: number): void {
    let transmission = this.#lastTransmission;
    if (transmission?.connectionNumber !== connectionNumber || transmission.at !== at)
      this.#lastTransmission = transmission = { connectionNumber, at };
    exchange.transmission = transmission;
  }

  /** First transmission. `exchange` has its Packet Identifier. */
  begin(exchange: Exchange): void {
    exchange.stage = Stage.Published;
    this.#table.set(exchange);
    this.#published.append(exchange);
  }

  /** PUBREC was received: from now on PUBREL is sent again, not PUBLISH. */
  release(exchange: Exchange): void {
    this.#skipResend(exchange);
    this.#published.remove(exchange);
    exchange.stage = Stage.Released;
    this.#released.append(exchange);
  }

  /** The exchange is over, its Packet Identifier free. */
  end(exchange: Exchange): void {
    this.#table.delete(exchange);
    if (exchange.stage === Stage.Released) this.#released.remove(exchange);
    else {
      this.#skipResend(exchange);
      this.#published.remove(exchange);
    }
    exchange.stage = Stage.Over;
  }

  /** The exchange is over without its last acknowledgement, its Packet Identifier free. */
  giveUp(exchange: Exchange): void {
    this.end(exchange);
    exchange.leaveStore();
    if (exchange.qos === 2) this.orphanedIds.add(exchange.packetId);
  }

  /** The server has the session (Session Present 1): every PUBLISH is to be sent again [MQTT-4.4.0-1]. */
  rewind(): void {
    this.#resend = this.#published.first; // fault: rewind
  }

  /**
   * The exchange that has waited longest for an acknowledgement on the Network Connection `connectionNumber`. One that
   * is still to be sent again there waits for the window instead.
   */
  oldest(connectionNumber: number): Exchange | undefined {
    const first = onConnection(this.#published.first, connectionNumber);
    const released = onConnection(this.#released.first, connectionNumber);
    if (first === undefined || released === undefined) return first ?? released;
    return first.writtenAt <= released.writtenAt ? first : released;
  }

  /** The next PUBLISH to send again, in the order of first transmission [MQTT-4.6.0-1]. */
  get nextResend(): Exchange | undefined {
    return this.#resend;
  }

  /** `nextResend` was written. */
  resent(): void {
    this.#resend = this.#resend?.next;
  }

  /** Exchanges that await PUBCOMP, in the order of their PUBRECs [MQTT-4.6.0-4]. */
  released(): Iterable<Exchange> {
    return this.#released;
  }

  /** All, in call order. */
  all(): Exchange[] {
    return [...this.#table.values()].toSorted((a, b) => a.publishOrder - b.publishOrder);
  }

  /** The server has no session: removes and returns all, in call order. */
  takeAll(): Exchange[] {
    this.orphanedIds.clear();
    return this.leave();
  }

  /** Removes and returns all, in call order, while the server still has the session. */
  leave(): Exchange[] {
    const all = this.all();
    for (const exchange of all) this.end(exchange);
    this.#resend = undefined;
    return all;
  }

  /** The connection ended: nothing is sent again before the next `rewind()`. */
  pause(): void {
    this.#resend = undefined;
  }

  #skipResend(exchange: Exchange): void {
    if (exchange === this.#resend) this.#resend = exchange.next;
  }
}

/** The first exchange, from `exchange` on, that was written on the connection `connectionNumber`. */
function onConnection(exchange: Exchange | undefined, connectionNumber: number): Exchange | undefined {
  let found = exchange;
  while (found !== undefined && found.connectionNumber !== connectionNumber) found = found.next;
  return found;
}
