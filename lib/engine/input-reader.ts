import type { Connection } from '../connection/connection.ts';
import type { FlowControl } from './flow-control.ts';
import type { InboundPublish } from './inbound-publish.ts';
import type { KeepAliveTimer } from './keep-alive-timer.ts';
import type { ReadResult } from './options.ts';
import type { OutboundPublish } from './outbound-publish.ts';
import type { PacketDispatch, PacketResult } from './packet-dispatch.ts';
import type { RequestSender } from './request-sender.ts';

/** What the reader needs of the engine. */
export interface PacketHost {
  /** `up`: the limits hold; `open`: CONNACK or the end is awaited, and no limit holds; `gone`: it is over. */
  phaseOf(connection: Connection): 'up' | 'open' | 'gone';
  /** Does what the packet that the framer stands at says. */
  packet(connection: Connection, now: number): PacketResult;
}

/** The parts of the engine that the reader uses. */
export interface ReaderParts {
  readonly flow: FlowControl;
  readonly dispatch: PacketDispatch;
  readonly inboundPublish: InboundPublish;
  readonly keepAliveTimer: KeepAliveTimer;
  readonly outbound: OutboundPublish;
  readonly requests: RequestSender;
}

/** Takes packets from what has arrived, as far as the limits allow. */
export class InputReader {
  readonly #host: PacketHost;
  readonly #flow: FlowControl;
  readonly #dispatch: PacketDispatch;
  readonly #inboundPublish: InboundPublish;
  readonly #keepAliveTimer: KeepAliveTimer;
  /** Those who judge the server by its silence. */
  readonly #judges: readonly (OutboundPublish | RequestSender)[];
  /** Whether the window has moved with what was taken last. */
  #window: 'still' | 'moved' = 'still';

  constructor(host: PacketHost, parts: ReaderParts) {
    this.#host = host;
    this.#flow = parts.flow;
    this.#dispatch = parts.dispatch;
    this.#inboundPublish = parts.inboundPublish;
    this.#keepAliveTimer = parts.keepAliveTimer;
    this.#judges = [parts.outbound, parts.requests];
  }

  /** Whether the window has moved since the last call. */
  takeMoved(): boolean {
    const window = this.#window;
    this.#window = 'still';
    return window === 'moved';
  }

  /** Whether input of `connection` may be taken now. */
  mayRead(connection: Connection): boolean {
    return this.#host.phaseOf(connection) !== 'up' || this.#flow.allows(connection.outbox);
  }

  /** hot: takes what has arrived. Throws a `ProtocolError` for what breaks the protocol. */
  read(connection: Connection, now: number): ReadResult {
    if (this.#flow.isStopped) {
      if (!this.mayRead(connection)) return 'stop';
      this.#resume(connection, now);
    }
    const result = this.#take(connection, now);
    if (result === 'stop') {
      this.#flow.stop(now);
      if (!this.#flow.isStopped) return 'stop';
      this.#keepAliveTimer.stopped(connection);
      this.#inboundPublish.stopped(connection);
    } else if (result === 'all' && this.#host.phaseOf(connection) !== 'gone')
      this.#dispatch.checkPendingHeader(connection);
    return result;
  }

  /** Takes all that has arrived, whatever the limits say: nothing more will come. */
  readRest(connection: Connection, now: number): 'all' {
    while (this.#host.phaseOf(connection) !== 'gone' && connection.framer.next())
      this.#host.packet(connection, now);
    return 'all';
  }

  #take(connection: Connection, now: number): ReadResult {
    connection.keepAlive.receivedAt = now;
    const { framer, outbox } = connection;
    const flow = this.#flow;
    for (let packets = 0; ; packets++) {
      const phase = this.#host.phaseOf(connection);
      if (phase === 'gone') return 'all';
      const isLimited = phase === 'up';
      if (isLimited && !flow.allows(outbox)) return packets > 0 ? 'turn' : 'stop';
      // Past the limit reading goes on one read at a time.
      if (!framer.next()) return isLimited && flow.isPastLimit && packets > 0 ? 'turn' : 'all';
      if (isLimited && !flow.fits(framer.header, framer.end - framer.packetStart)) {
        framer.putBack();
        return packets > 0 ? 'turn' : 'stop';
      }
      const taken = this.#host.packet(connection, now);
      if (taken === 'turn') return 'turn';
      if (taken === 'acknowledged') this.#window = 'moved';
    }
  }

  /** Reading goes on: what judges the server begins anew, unless only its close is awaited. */
  #resume(connection: Connection, now: number): void {
    this.#flow.resume();
    if (this.#host.phaseOf(connection) !== 'up') return;
    this.#keepAliveTimer.resumed(connection, now);
    for (const judge of this.#judges) judge.judgeFrom(now);
  }
}
