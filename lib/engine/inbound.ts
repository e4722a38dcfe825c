import type { Connection } from '../connection/connection.ts';
import type { Session } from '../session/session.ts';
import { Acknowledging } from './acknowledgements.ts';
import { ConnectionTimers } from './connection-timers.ts';
import type { Deadlines } from './timers.ts';
import type { Effects } from './effects.ts';
import { FlowControl } from './flow-control.ts';
import { InboundPublish } from './inbound-publish.ts';
import { InputReader, type PacketHost } from './input-reader.ts';
import type { Liveness } from './keep-alive-timer.ts';
import type { EngineOptions, EnginePorts } from './options.ts';
import { Acknowledger } from './packet-writer.ts';
import type { Publishing } from './outbound-publish.ts';
import { Receiving } from './packet-dispatch.ts';
import type { Requesting } from './request-sender.ts';

/** The parts of the engine that reception uses. */
export interface ReceptionParts {
  readonly session: Session;
  readonly deadlines: Deadlines;
  readonly liveness: Liveness;
  readonly publishing: Publishing;
  readonly requesting: Requesting;
}

/** What is received, put together: from reading to acknowledging. */
export class Reception {
  readonly acknowledging: Acknowledging;
  readonly flow: FlowControl;
  readonly publish: InboundPublish;
  readonly packets: Receiving;
  readonly reader: InputReader;
  readonly timers: ConnectionTimers;
  readonly #acknowledger = new Acknowledger();
  readonly #session: Session;
  readonly #requesting: Requesting;

  constructor(
    parts: ReceptionParts,
    host: PacketHost,
    options: EngineOptions,
    { text, buffers }: Pick<EnginePorts, 'text' | 'buffers'>,
    effects: Effects,
  ) {
    const { session, deadlines, liveness, publishing, requesting } = parts;
    const { incoming } = session;
    const acknowledging = new Acknowledging(incoming, this.#acknowledger, deadlines, options, effects);
    const flow = new FlowControl(session, buffers, deadlines, options, effects);
    this.#session = session;
    this.#requesting = requesting;
    this.acknowledging = acknowledging;
    this.flow = flow;
    this.publish = new InboundPublish(incoming, acknowledging, flow, effects, options);
    this.packets = new Receiving(session, this.publish, acknowledging, text, effects);
    this.timers = new ConnectionTimers(
      deadlines,
      { liveness, acknowledging, publishing, requesting, flow },
      options,
    );
    const { publish, packets } = this;
    this.reader = new InputReader(host, { flow, packets, publish, liveness, publishing, requesting });
  }

  /** A new Network Connection was accepted. */
  connected(connection: Connection): void {
    this.#acknowledger.connection = connection;
    this.#session.incoming.connected(connection.epoch);
    this.flow.connected();
  }

  /** It is over. Requests run across connections, but the time in which nothing was read is not theirs. */
  disconnected(now: number): void {
    this.#acknowledger.connection = undefined;
    if (this.flow.isStopped) this.#requesting.judgeFrom(now);
    this.flow.connected();
  }
}
