import type { Connection } from '../connection/connection.ts';
import type { Session } from '../session/session.ts';
import { Acknowledgements } from './acknowledgements.ts';
import { ConnectionTimers } from './connection-timers.ts';
import type { Timers } from './timers.ts';
import type { Effects } from './effects.ts';
import { FlowControl } from './flow-control.ts';
import { InboundPublish } from './inbound-publish.ts';
import { InputReader, type PacketHost } from './input-reader.ts';
import type { KeepAliveTimer } from './keep-alive-timer.ts';
import type { EngineOptions, EnginePorts } from './options.ts';
import { AckWriter } from './ack-writer.ts';
import type { OutboundPublish } from './outbound-publish.ts';
import { PacketDispatch } from './packet-dispatch.ts';
import type { RequestSender } from './request-sender.ts';

/** The parts of the engine that reception uses. */
export interface InboundParts {
  readonly session: Session;
  readonly timers: Timers;
  readonly keepAliveTimer: KeepAliveTimer;
  readonly outbound: OutboundPublish;
  readonly requests: RequestSender;
}

/** The receiving half of the engine, from reading to acknowledgements. */
export class Inbound {
  readonly acknowledgements: Acknowledgements;
  readonly flow: FlowControl;
  readonly inboundPublish: InboundPublish;
  readonly dispatch: PacketDispatch;
  readonly reader: InputReader;
  readonly connectionTimers: ConnectionTimers;
  readonly #acknowledger = new AckWriter();
  readonly #session: Session;
  readonly #requests: RequestSender;

  constructor(
    parts: InboundParts,
    host: PacketHost,
    options: EngineOptions,
    { text, buffers }: Pick<EnginePorts, 'text' | 'buffers'>,
    effects: Effects,
  ) {
    const { session, timers, keepAliveTimer, outbound, requests } = parts;
    const { incoming } = session;
    const acknowledgements = new Acknowledgements(incoming, this.#acknowledger, timers, options, effects);
    const flow = new FlowControl(session, buffers, timers, options, effects);
    this.#session = session;
    this.#requests = requests;
    this.acknowledgements = acknowledgements;
    this.flow = flow;
    this.inboundPublish = new InboundPublish(incoming, acknowledgements, flow, effects, options);
    this.dispatch = new PacketDispatch(session, this.inboundPublish, acknowledgements, text, effects);
    this.connectionTimers = new ConnectionTimers(
      timers,
      { keepAliveTimer, acknowledgements, outbound, requests, flow },
      options,
    );
    const { inboundPublish, dispatch } = this;
    this.reader = new InputReader(host, {
      flow,
      dispatch,
      inboundPublish,
      keepAliveTimer,
      outbound,
      requests,
    });
  }

  /** A new Network Connection was accepted. */
  connected(connection: Connection): void {
    this.#acknowledger.connection = connection;
    this.#session.incoming.connected(connection.connectionNumber);
    this.flow.connected();
  }

  /** The connection is over. Requests survive it, but their time-out does not include the time without reading. */
  disconnected(now: number): void {
    this.#acknowledger.connection = undefined;
    if (this.flow.isStopped) this.#requests.judgeFrom(now);
    this.flow.connected();
  }
}
