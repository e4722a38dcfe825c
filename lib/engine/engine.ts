import type { OutgoingPublish } from '../codec/publish-writer.ts';
import type { Connection } from '../connection/connection.ts';
import type { Negotiated } from '../connection/negotiated.ts';
import { ClosedError, type ConnectError, ProtocolError, type MqttError } from '../errors.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Receipt } from '../session/incoming.ts';
import type { Request } from '../session/request.ts';
import type { Journal } from '../session/journal.ts';
import { Session } from '../session/session.ts';
import { Acknowledgements } from './acknowledgements.ts';
import { Authentication, type AuthenticationWaiter } from './authentication.ts';
import { ConnectionTimers } from './connection-timers.ts';
import { ConnectionState } from './connection-state.ts';
import { countsOf, type Counts } from './counts.ts';
import type { Effects } from './effects.ts';
import { EngineStore } from './engine-store.ts';
import { FlowControl } from './flow-control.ts';
import { InboundPublish } from './inbound-publish.ts';
import { InputReader } from './input-reader.ts';
import { KeepAliveTimer } from './keep-alive-timer.ts';
import { Lifecycle } from './lifecycle.ts';
import type { Credentials, DisconnectRequest, EngineOptions, EnginePorts, ReadResult } from './options.ts';
import { OutboundPublish } from './outbound-publish.ts';
import { PacketDispatch, type PacketResult } from './packet-dispatch.ts';
import { Quarantine } from './quarantine.ts';
import { RequestSender } from './request-sender.ts';
import type { ClientState } from './states.ts';
import { StoreGate } from './store-gate.ts';
import { Timer, Timers } from './timers.ts';
import { journalOf } from './unattended-publish.ts';

/**
 * An MQTT client without I/O: no socket, clock or promise. Bytes, time and commands go in; bytes come out of
 * `takeOutput()`, everything else through `Effects`. Times are in ms of one monotonic clock.
 *
 * No method may be called while another one runs. See `Effects`.
 */
export class Engine {
  readonly #state = new ConnectionState();
  readonly #session = new Session();
  readonly #timers = new Timers();
  readonly #keepAliveTimer = new KeepAliveTimer(this.#timers);
  readonly #authentication: Authentication;
  readonly #outbound: OutboundPublish;
  readonly #requests: RequestSender;
  readonly #flow: FlowControl;
  readonly #inboundPublish: InboundPublish;
  readonly #dispatch: PacketDispatch;
  readonly #reader: InputReader;
  readonly #connectionTimers: ConnectionTimers;
  readonly #lifecycle: Lifecycle;
  /** What may be said of messages that the application has not settled. Acknowledgements may be due after each call. */
  readonly acknowledgements: Acknowledgements;
  /** Undefined for a client without a store. */
  readonly store: EngineStore | undefined;
  readonly #journal: Journal | undefined;

  constructor(options: EngineOptions, ports: EnginePorts, effects: Effects) {
    const [state, session, timers] = [this.#state, this.#session, this.#timers];
    const keepAliveTimer = this.#keepAliveTimer;
    const journal = journalOf(session, ports, effects);
    const gate = journal === undefined ? undefined : new StoreGate(session, journal);
    const context = { session, timers, options, ports, effects, journal, gate };
    const quarantine = new Quarantine(context);
    const outbound = new OutboundPublish(context, quarantine);
    const requests = new RequestSender(context, quarantine);
    const acknowledgements = new Acknowledgements(context);
    const authentication = new Authentication(context);
    const flow = new FlowControl(context, authentication);
    const inboundPublish = new InboundPublish(context, acknowledgements, flow);
    const dispatch = new PacketDispatch(context, inboundPublish, acknowledgements);
    const transfer = { outbound, requests, acknowledgements, flow, inboundPublish, dispatch };
    const parts = { state, authentication, keepAliveTimer, quarantine, ...transfer };
    this.#authentication = authentication;
    ({ outbound: this.#outbound, requests: this.#requests, acknowledgements: this.acknowledgements } = parts);
    ({ flow: this.#flow, inboundPublish: this.#inboundPublish, dispatch: this.#dispatch } = parts);
    this.#reader = new InputReader(parts, (connection, now) => this.#packet(connection, now));
    this.#connectionTimers = new ConnectionTimers(context, parts);
    const lifecycle = new Lifecycle(context, parts);
    this.#lifecycle = lifecycle;
    this.#journal = journal;
    this.store =
      journal === undefined || gate === undefined
        ? undefined
        : new EngineStore(context, { journal, gate, state, outbound, lifecycle });
  }

  get state(): ClientState {
    return this.#state.state;
  }

  /** The Client Identifier, or the Assigned Client Identifier once there is one [MQTT-3.1.3-7]. */
  get clientId(): string {
    return this.#lifecycle.clientId;
  }

  get negotiated(): Negotiated | undefined {
    return this.#state.connection?.negotiated;
  }

  /** How much is stored and in flight. */
  get counts(): Counts {
    return countsOf(this.#session, this.#state.established, this.#journal);
  }

  /** Whether one more message would be sent at once, whatever its QoS, or stored soon. */
  hasRoom(until: 'acknowledged' | 'stored'): boolean {
    if (until === 'stored') return this.#outbound.canStore;
    const connection = this.#state.established;
    return connection !== undefined && this.#outbound.hasRoom(connection);
  }

  // --- the connection ------------------------------------------------------------------------------------------

  /** Begins to connect. `onFailure`: what follows if attempts fail before one succeeds. */
  connect(onFailure: 'give up' | 'retry', now: number): void {
    this.#lifecycle.connect(onFailure, now);
  }

  /** Gives up an attempt that is in progress or waited for, before the first connection. */
  giveUp(error: MqttError, now: number): void {
    this.#lifecycle.giveUp(error, now);
  }

  /** A planned close, if there is a connection, and the next attempt at once. Returns whether there is one. */
  reconnect(now: number): boolean {
    return this.#lifecycle.reconnect(now, 0);
  }

  /** Ends the connection or attempt, and everything that waits. */
  disconnect(request: DisconnectRequest, now: number): void {
    this.#lifecycle.disconnect(request, now);
  }

  /** The policy has answered to `Effects.decide()`: ms to the next attempt, `false` for none, or `undefined`. */
  decided(answer: number | false | undefined, now: number): void {
    this.#lifecycle.decided(answer, now);
  }

  /** Begins a re-authentication, unless there is no connection or its CONNECT had no Authentication Method. */
  reauthenticate(waiter: AuthenticationWaiter, now: number): boolean {
    return this.#state.established !== undefined && this.#authentication.reauthenticate(waiter, now);
  }

  /** Nobody waits for the re-authentication any more. */
  withdrawReauthentication(error: MqttError): void {
    this.#authentication.withdraw(error);
  }

  /** The application has answered to `Effects.authenticate()`. The driver drops answers that come when it is over. */
  authenticated(data: Uint8Array | undefined, now: number): void {
    this.#lifecycle.authenticated(data, now);
    this.#flow.watchForAnswer(now);
  }

  /** The same for a function of the application that has failed. */
  authenticationFailed(error: ConnectError, now: number): void {
    this.#lifecycle.authenticationFailed(error, now);
  }

  /** The Network Connection is open: CONNECT is sent. `largestWrite`: see `Transport`. */
  opened(credentials: Credentials, now: number, largestWrite?: number): void {
    this.#lifecycle.opened(credentials, now);
    const { connection } = this.#state;
    if (connection !== undefined && largestWrite !== undefined) connection.slices.largest = largestWrite;
  }

  /** The attempt failed before there was a Network Connection, or when it was opened. */
  dialFailed(error: MqttError, now: number): void {
    this.#lifecycle.dialFailed(error, now);
  }

  /** The Network Connection was closed, by the other side or after `finish()`. */
  lost(cause: unknown, now: number): void {
    this.#lifecycle.lost(cause, now);
  }

  /** The connection that `closeGracefully()` closes is closed: its transport reads no payload any more. */
  closedGracefully(): void {
    this.#outbound.references.abandonUnsent();
  }

  // --- input ---------------------------------------------------------------------------------------------------

  /** Memory for the next read. */
  allocate(): Uint8Array {
    return this.#state.connection?.framer.allocate() ?? new Uint8Array(0);
  }

  /** `length` bytes of `allocate()` were filled. `read()` takes them. */
  onRead(length: number): void {
    this.#state.connection?.onRead(length);
  }

  /** Bytes came in memory that nobody else uses. `read()` takes them. */
  onData(chunk: Uint8Array): void {
    this.#state.connection?.onData(chunk);
  }

  /** Takes what has arrived, as far as the limits allow. `none`: all of it, as it would not come again. */
  read(now: number, limits: 'as set' | 'none' = 'as set'): ReadResult {
    const { connection } = this.#state;
    if (connection === undefined) return 'all';
    const reader = this.#reader;
    try {
      const result = limits === 'none' ? reader.readRest(connection, now) : reader.read(connection, now);
      if (connection !== this.#state.connection || limits === 'none') return 'all';
      if (reader.takeMoved() && this.#state.established !== undefined) this.#acknowledged(connection, now);
      this.#reconnectIfNeeded(now);
      return result;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#lifecycle.violated(connection, error, now);
      return 'all';
    }
  }

  /** Whether input may be read, after `read()` has returned `stop`. */
  get mayRead(): boolean {
    const { connection } = this.#state;
    return connection === undefined || this.#reader.mayRead(connection);
  }

  /** hot: one copy of a QoS 1 or 2 message is processed. Returns whether an acknowledgement may have been written. */
  settle(receipt: Receipt, reasonCode: number, now: number): boolean {
    this.#flow.settled(now);
    const due = this.acknowledgements.settle(receipt, reasonCode, now);
    this.#reconnectIfNeeded(now);
    return due;
  }

  // --- messages and requests -----------------------------------------------------------------------------------

  /** hot: publishes QoS 0 at once. Returns false if the message needs `publish()`. */
  publishNow(message: OutgoingPublish): boolean {
    const connection = this.#state.established;
    return connection !== undefined && this.#outbound.writeNow(connection, message);
  }

  /** Sends `exchange` now or later. Its waiter is told the outcome. */
  publish(exchange: Exchange, now: number): void {
    const { state } = this.#state;
    if (state === 'closed' || state === 'disconnecting')
      exchange.end(new ClosedError('the client is closed', { delivery: 'not-sent', kept: false }));
    else this.#outbound.publish(exchange, this.#state.established, now);
    this.#flow.watchForAnswer(now);
  }

  /** The caller of `exchange` no longer waits. Returns whether the message is kept: it is, once it was written. */
  withdraw(exchange: Exchange): boolean {
    return this.#outbound.withdraw(exchange, this.#state.connection);
  }

  /** SUBSCRIBE or UNSUBSCRIBE: `flushRequests()` writes it, together with others of the same turn. */
  request(request: Request): void {
    this.#requests.add(request, this.#state.state);
  }

  /** The caller of `request` no longer waits. */
  withdrawRequest(request: Request): void {
    this.#requests.withdraw(request);
  }

  flushRequests(now: number): void {
    const connection = this.#state.established;
    if (connection !== undefined) this.#requests.flush(connection, now);
    this.#flow.watchForAnswer(now);
  }

  /** Forgets a subscription, so that it is not restored. */
  forget(topicFilter: string): void {
    this.#session.subscriptions.delete(topicFilter);
  }

  reconfigured(now: number): void {
    this.#outbound.reconfigured(this.#state.established, now);
  }

  // --- output --------------------------------------------------------------------------------------------------

  get outputSize(): number {
    return this.#state.connection?.outbox.size ?? 0;
  }

  /** The next piece of output, or undefined. It belongs to the transport until `flushed()`. */
  takeOutput(now: number): Uint8Array | undefined {
    const { connection } = this.#state;
    if (connection === undefined) return undefined;
    const cut = this.#outbound.references.dropUnwritable(connection);
    if (cut !== undefined) this.#lifecycle.fail(cut, now);
    const piece = this.#state.connection?.outbox.take();
    if (piece === undefined) return undefined;
    connection.piecesOut++;
    connection.keepAlive.sentAt = now;
    return piece;
  }

  /** The transport has written a piece of output. `held`: not at once. */
  flushed(piece: Uint8Array, held: boolean, now: number): void {
    const { connection } = this.#state;
    if (connection === undefined) return;
    connection.piecesOut--;
    connection.slices.flushed(piece, now - connection.keepAlive.sentAt);
    // Pending output was written after all, so the server still reads.
    if (held) {
      connection.keepAlive.lastFlushAt = now;
      this.#outbound.timers.flushed(now);
    }
    const cut = this.#outbound.references.flushed(connection, piece);
    if (cut !== undefined) this.#lifecycle.fail(cut, now);
  }

  /** Output was written: sends what has waited for room. Returns whether there is more output. */
  pump(now: number): boolean {
    const connection = this.#state.established;
    if (connection === undefined) return false;
    this.#outbound.pump(connection, now);
    return connection.outbox.size > 0;
  }

  // --- time ----------------------------------------------------------------------------------------------------

  /** When `handleTimeout()` is to be called next; Infinity if never. */
  nextTimeout(): number {
    return this.#timers.next();
  }

  /** Does what is due. A call that comes too early does nothing. */
  handleTimeout(now: number): void {
    this.#lifecycle.expire(now);
    if (this.#timers.expire(Timer.Ack, now)) this.#requests.expire(now);
    const { connection } = this.#state;
    const late = connection && this.#connectionTimers.expire(connection, now);
    if (late !== undefined) this.#lifecycle.fail(late, now);
    else this.#reconnectIfNeeded(now);
  }

  /** The packet that the framer stands at. */
  #packet(connection: Connection, now: number): PacketResult {
    const { state } = this.#state;
    if (state === 'disconnecting') return 'nothing';
    if (state === 'connecting') {
      if (this.#authentication.holdsConnack) return 'nothing';
      const packet = this.#dispatch.connack(connection);
      if (packet.type === 'auth') this.#authentication.received(connection, packet);
      else this.#lifecycle.onConnack(connection, packet, now);
      return 'nothing';
    }
    const outcome = this.#dispatch.packet(connection);
    if (outcome === 'nothing' || outcome === 'turn' || outcome === 'acknowledged') return outcome;
    if (outcome === 'pingresp') this.#keepAliveTimer.alive(connection);
    else if (outcome === 'answered') this.#acknowledged(connection, now);
    else if (outcome.type === 'auth') this.#authentication.received(connection, outcome);
    else if (outcome.type === 'connack') this.#lifecycle.onSecondConnack(connection, outcome, now);
    else this.#lifecycle.disconnected(outcome, now);
    return 'nothing';
  }

  /** Messages were skipped, or left to the server as a last resort: it sends them again on the next connection. */
  #reconnectIfNeeded(now: number): void {
    const { needsReconnect } = this.#flow;
    if (!needsReconnect && !this.acknowledgements.needsReconnect) return;
    const hasExceeded =
      needsReconnect && this.#inboundPublish.exceededOn === this.#lifecycle.connectionNumber;
    this.#lifecycle.reconnect(now, hasExceeded ? 0x93 : 0);
  }

  /** The send window has moved, a Packet Identifier is free, or a request was answered: sends what waited for it. */
  #acknowledged(connection: Connection, now: number): void {
    this.#outbound.timers.acknowledged(now);
    this.#outbound.pump(connection, now);
    this.#requests.flush(connection, now);
  }
}
