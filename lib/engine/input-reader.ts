import type { Connection } from '../connection/connection.ts';
import type { ConnectionState } from './connection-state.ts';
import type { FlowControl } from './flow-control.ts';
import type { ReadResult } from './options.ts';
import type { PacketResult } from './packet-dispatch.ts';
import type { EngineParts } from './engine-parts.ts';

/** Takes packets from the bytes that have arrived, as far as the limits allow. */
export class InputReader {
  readonly #parts: EngineParts;
  readonly #state: ConnectionState;
  readonly #flow: FlowControl;
  /** Handles the packet that the framer has found. */
  readonly #onPacket: (connection: Connection, now: number) => PacketResult;
  /** Whether the send window has moved since `takeMoved()`. */
  #window: 'still' | 'moved' = 'still';

  constructor(parts: EngineParts, onPacket: (connection: Connection, now: number) => PacketResult) {
    this.#parts = parts;
    ({ state: this.#state, flow: this.#flow } = parts);
    this.#onPacket = onPacket;
  }

  /** Whether the send window has moved since the last call. */
  takeMoved(): boolean {
    const window = this.#window;
    this.#window = 'still';
    return window === 'moved';
  }

  /** Whether input of `connection` may be taken now. */
  mayRead(connection: Connection): boolean {
    if (this.#state.phaseOf(connection) === 'up') return this.#flow.allows(connection.outbox);
    return !this.#parts.authentication.holdsConnack;
  }

  /** hot: takes packets. Throws a `ProtocolError` if the server breaks the protocol. */
  read(connection: Connection, now: number): ReadResult {
    if (this.#flow.isStopped) {
      if (!this.mayRead(connection)) return 'stop';
      this.#resume(connection, now);
    }
    const result = this.#take(connection, now);
    if (result === 'stop') {
      if (this.#parts.authentication.holdsConnack) return 'stop';
      this.#flow.stop(now);
      if (!this.#flow.isStopped) return 'stop';
      this.#parts.keepAliveTimer.stopped(connection);
      this.#parts.inboundPublish.stopped(connection);
    } else if (result === 'all' && this.#state.phaseOf(connection) !== 'gone')
      this.#parts.dispatch.checkPendingHeader(connection);
    return result;
  }

  /** Takes all packets without limits: the connection is closed, and its messages are not sent again. */
  readRest(connection: Connection, now: number): 'all' {
    while (this.#state.phaseOf(connection) !== 'gone' && connection.framer.next())
      this.#onPacket(connection, now);
    return 'all';
  }

  #take(connection: Connection, now: number): ReadResult {
    connection.keepAlive.receivedAt = now;
    const { framer, outbox } = connection;
    const flow = this.#flow;
    const before = this.#state.phaseOf(connection);
    for (let packets = 0; ; packets++) {
      const phase = this.#state.phaseOf(connection);
      if (phase === 'gone') return 'all';
      // CONNACK is reported before anything behind it is delivered.
      if (phase !== before) return 'again';
      const isLimited = phase === 'up';
      if (isLimited && !flow.allows(outbox)) return packets > 0 ? 'turn' : 'stop';
      // Nothing behind a CONNACK is taken before it takes effect.
      if (!isLimited && this.#parts.authentication.holdsConnack) return 'stop';
      // Past the limit, the client takes one read at a time.
      if (!framer.next()) return isLimited && flow.isPastLimit && packets > 0 ? 'turn' : 'all';
      if (isLimited && !flow.fits(framer.header, framer.end - framer.packetStart)) {
        framer.putBack(); // fault: put-back
        return packets > 0 ? 'turn' : 'stop';
      }
      const taken = this.#onPacket(connection, now);
      if (taken === 'turn') return 'turn';
      if (taken === 'acknowledged') this.#window = 'moved';
    }
  }

  /** Reading continues: the timers for the server's silence start again, unless only the close is awaited. */
  #resume(connection: Connection, now: number): void {
    this.#flow.resume();
    if (this.#state.phaseOf(connection) !== 'up') return;
    this.#parts.keepAliveTimer.resumed(connection, now);
    this.#parts.outbound.timers.restart(now);
    this.#parts.requests.judgeFrom(now);
    this.#parts.authentication.judgeFrom(now);
  }
}
