import type { Acknowledgements } from './acknowledgements.ts';
import type { Authentication } from './authentication.ts';
import type { ConnectionState } from './connection-state.ts';
import type { FlowControl } from './flow-control.ts';
import type { InboundPublish } from './inbound-publish.ts';
import type { KeepAliveTimer } from './keep-alive-timer.ts';
import type { OutboundPublish } from './outbound-publish.ts';
import type { PacketDispatch } from './packet-dispatch.ts';
import type { Quarantine } from './quarantine.ts';
import type { RequestSender } from './request-sender.ts';

/** The parts of one engine that the reader, the life cycle and the timers of a connection direct. */
export interface EngineParts {
  readonly state: ConnectionState;
  readonly acknowledgements: Acknowledgements;
  readonly authentication: Authentication;
  readonly dispatch: PacketDispatch;
  readonly flow: FlowControl;
  readonly inboundPublish: InboundPublish;
  readonly keepAliveTimer: KeepAliveTimer;
  readonly outbound: OutboundPublish;
  readonly quarantine: Quarantine;
  readonly requests: RequestSender;
}
