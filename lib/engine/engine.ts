import { encode } from '../codec/codec.ts';
import type { ConnackPacket } from '../codec/packets.ts';
import type { OutgoingPublish } from '../codec/publish-writer.ts';
import type { Connection } from '../connection/connection.ts';
import { checkConnack, type Negotiated } from '../connection/negotiated.ts';
import { ClosedError, ConnectionLostError, ProtocolError, type MqttError } from '../errors.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Receipt } from '../session/incoming.ts';
import type { Request } from '../session/request.ts';
import { Session } from '../session/session.ts';
import { acceptConnack } from './connack.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import { ConnectAttempts } from './connect-attempts.ts';
import { Timers, Timer } from './timers.ts';
import type { Effects } from './effects.ts';
import { Shutdown } from './shutdown.ts';
import { countsOf, type Counts } from './counts.ts';
import { sendConnect } from './connect.ts';
import { KeepAliveTimer } from './keep-alive-timer.ts';
import type {
  Credentials,
  EngineOptions,
  EnginePorts,
  DisconnectRequest,
  ReadResult,
  ServerChoice,
} from './options.ts';
import { disconnectPacket, writeErrorDisconnect } from './disconnect.ts';
import { OutboundPublish } from './outbound-publish.ts';
import { Quarantine } from './quarantine.ts';
import type { Outcome, PacketResult } from './packet-dispatch.ts';
import { Inbound } from './inbound.ts';
import * as refusals from './connect-errors.ts';
import { RequestSender } from './request-sender.ts';
import { SessionResume } from './session-resume.ts';
import { nextState, type ClientState, type Input } from './states.ts';

/**
 * A client without the world: no socket, no clock, no promise. Bytes, time and commands go in; bytes come out of
 * `takeOutput()`, everything else through `Effects`. Times are ms of one monotonic clock.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #ports: EnginePorts;
  readonly #effects: Effects;
  readonly #session = new Session();
  readonly #timers = new Timers();
  readonly #quarantine = new Quarantine(this.#session, this.#timers);
  readonly #outbound: OutboundPublish;
  readonly #requests: RequestSender;
  readonly #inbound: Inbound;
  readonly #shutdown: Shutdown;
  readonly #resumption: SessionResume;
  readonly #keepAliveTimer = new KeepAliveTimer(this.#timers);
  readonly #attempts: ConnectAttempts;
  #state: ClientState = 'offline';
  #connection: Connection | undefined = undefined;
  #clientId: string;
  /** Network Connections opened so far. */
  #connectionNumber = 0;

  constructor(options: EngineOptions, ports: EnginePorts, effects: Effects) {
    this.#options = options;
    this.#ports = ports;
    this.#effects = effects;
    this.#clientId = options.clientId;
    this.#attempts = new ConnectAttempts(options, ports);
    const [session, timers, keepAliveTimer] = [this.#session, this.#timers, this.#keepAliveTimer];
    const outbound = new OutboundPublish(session, timers, options, ports.text, this.#quarantine);
    const requests = new RequestSender(session, timers, options, ports.text, this.#quarantine);
    this.#outbound = outbound;
    this.#requests = requests;
    this.#shutdown = new Shutdown(session, outbound.references);
    this.#resumption = new SessionResume(session, outbound, requests, this.#attempts, options, effects);
    this.#inbound = new Inbound(
      { session, timers, keepAliveTimer, outbound, requests },
      {
        phaseOf: (connection) =>
          connection !== this.#connection ? 'gone' : this.#state === 'connected' ? 'up' : 'open',
        packet: (connection, now) => this.#packet(connection, now),
      },
      options,
      ports,
      effects,
    );
  }

  get state(): ClientState {
    return this.#state;
  }

  /** The Assigned Client Identifier once there is one [MQTT-3.1.3-7]. */
  get clientId(): string {
    return this.#clientId;
  }

  /** What is said of messages that the application has not settled. Acknowledgements may be due after each call. */
  get acknowledgements(): Acknowledgements {
    return this.#inbound.acknowledgements;
  }

  get negotiated(): Negotiated | undefined {
    return this.#connection?.negotiated;
  }

  /** How much of what is kept: to be looked at, not to be touched. */
  get counts(): Counts {
    return countsOf(this.#session, this.#established());
  }

  /** Whether one more message, whatever its QoS, would go out at once. */
  get hasRoom(): boolean {
    return this.#state === 'connected' && this.#outbound.hasRoom(this.#connection as Connection);
  }

  /** The Network Connection is open: CONNECT goes out. */
  opened(credentials: Credentials, now: number): void {
    if (!this.#go('opened')) return;
    const cleanStart = this.#attempts.cleanStart(credentials.server);
    const session = { connectionNumber: ++this.#connectionNumber, clientId: this.#clientId, cleanStart };
    this.#connection = sendConnect(this.#options, session, credentials, this.#ports, now);
  }

  /** The attempt failed before there was a Network Connection, or as that was opened. */
  dialFailed(error: MqttError, now: number): void {
    if (this.#state === 'dialing') this.#lose(error, now, 'normal');
    else if (this.#state === 'connecting') this.#fail(error, now);
  }

  /** The Network Connection ended by itself, or as `finish()` asked. */
  lost(cause: unknown, now: number): void {
    if (this.#connection === undefined) return;
    this.#quarantine.suspicion = refusals.suspicionOfLoss(cause);
    this.#lose(refusals.lostError(cause, this.#state), now, 'normal');
  }

  /** The connection that was retired is closed: what it may have been reading is its caller's again. */
  closedGracefully(): void {
    this.#outbound.references.abandonUnsent();
  }

  /** Memory for the next read. */
  allocate(): Uint8Array {
    return this.#connection?.framer.allocate() ?? new Uint8Array(0);
  }

  /** So many bytes of `space()` were filled: `read()` takes them. */
  onRead(length: number): void {
    this.#connection?.onRead(length);
  }

  /** Bytes came in memory of their own: `read()` takes them. */
  onData(chunk: Uint8Array): void {
    this.#connection?.onData(chunk);
  }

  /** Takes what has arrived, as far as the limits allow; `none`: all of it, as nothing of it will come again. */
  read(now: number, limits: 'as set' | 'none' = 'as set'): ReadResult {
    const connection = this.#connection;
    if (connection === undefined) return 'all';
    const { reader } = this.#inbound;
    try {
      const result = limits === 'none' ? reader.readRest(connection, now) : reader.read(connection, now);
      if (connection !== this.#connection || limits === 'none') return 'all';
      if (reader.takeMoved() && this.#state === 'connected') this.#acknowledged(connection, now);
      this.#reconnectIfNeeded(now);
      return result;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      // The server broke the protocol: on 5.0 it is told so (4.13.1), then the connection is closed.
      if (this.#state !== 'disconnecting') writeErrorDisconnect(connection, error);
      this.#fail(refusals.protocolError(error, this.#state), now);
      return 'all';
    }
  }

  /** Whether input may be taken, after `read()` has said that it stops. */
  get mayRead(): boolean {
    return this.#connection === undefined || this.#inbound.reader.mayRead(this.#connection);
  }

  /** The network has taken a piece of output; `held`: not at once. */
  flushed(piece: Uint8Array, held: boolean, now: number): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    connection.piecesOut--;
    if (held) this.#outbound.pendingFlushed(connection, now);
    const cut = this.#outbound.references.flushed(connection, piece);
    if (cut !== undefined) this.#fail(cut, now);
  }

  /** Does what is due. Calls that come too early do nothing. */
  handleTimeout(now: number): void {
    const timers = this.#timers;
    if (timers.expire(Timer.Connect, now)) {
      const during = this.#state === 'connecting' ? 'connack' : this.#effects.dialPhase();
      this.#fail(refusals.timeoutError(during, this.#attempts.serverTimeout), now);
    }
    if (timers.expire(Timer.Reconnect, now) && this.#go('delayElapsed')) this.#dial(now);
    if (timers.expire(Timer.Ack, now)) this.#requests.expire(now);
    if (timers.expire(Timer.Close, now))
      this.#fail(new ConnectionLostError('the server did not close the connection in time'), now);
    const connection = this.#connection;
    const late = connection && this.#inbound.connectionTimers.expire(connection, now);
    if (late !== undefined) this.#fail(late, now);
    else this.#reconnectIfNeeded(now);
  }

  /** Begins to connect. `onFailure`: what becomes of attempts that fail before one succeeds. */
  connect(onFailure: 'give up' | 'retry', now: number): void {
    if (this.#state !== 'offline' && this.#state !== 'closed') return;
    this.#attempts.begin(onFailure);
    if (this.#go('connect')) this.#dial(now);
  }

  /** Gives the attempt up that is under way, or waited for, before any has succeeded. */
  giveUp(error: MqttError, now: number): void {
    const waiting = this.#state === 'waiting';
    if (!waiting && this.#state !== 'dialing' && this.#state !== 'connecting') return;
    this.#attempts.abandoned();
    if (waiting) this.#lose(error, now, 'normal');
    else this.#fail(error, now);
  }

  /** A planned close, where there is something to close, and the next attempt at once. Returns whether there is one. */
  reconnect(now: number, reasonCode: number = 0): boolean {
    const connection = this.#established();
    if (!this.#go('reconnect')) return false;
    this.#attempts.replaced();
    this.#dialAgain(connection, now, 'first', reasonCode);
    return true;
  }

  /** hot: publishes QoS 0 at once, or returns false where it has to take the long way through `publish()`. */
  publishNow(message: OutgoingPublish): boolean {
    return this.#state === 'connected' && this.#outbound.writeNow(this.#connection as Connection, message);
  }

  /** The options have changed. */
  reconfigured(now: number): void {
    this.#outbound.reconfigured(this.#established(), now);
  }

  /** Takes `exchange` over; its waiter is told how it ends. */
  publish(exchange: Exchange, now: number): void {
    if (this.#state === 'closed' || this.#state === 'disconnecting')
      exchange.end(new ClosedError('the client is closed', { delivery: 'not-sent', kept: false }));
    else this.#outbound.publish(exchange, this.#established(), now);
    this.#inbound.flow.watchForAnswer(now);
  }

  /** Nobody waits for `exchange` any longer. Returns whether the message is kept: it is, once it was written. */
  withdraw(exchange: Exchange): boolean {
    return this.#outbound.withdraw(exchange, this.#connection);
  }

  /** SUBSCRIBE or UNSUBSCRIBE: written with those of the same turn by `flushRequests()`. */
  request(request: Request): void {
    this.#requests.add(request, this.#state);
  }

  /** Nobody waits for `request` any longer. */
  withdrawRequest(request: Request): void {
    this.#requests.withdraw(request);
  }

  /** Writes the requests of this turn. */
  flushRequests(now: number): void {
    const connection = this.#established();
    if (connection !== undefined) this.#requests.flush(connection, now);
    this.#inbound.flow.watchForAnswer(now);
  }

  /** Forgets a subscription, so that it is not restored. */
  forget(topicFilter: string): void {
    this.#session.subscriptions.delete(topicFilter);
  }

  /** One copy of a QoS > 0 message is done. Returns whether an acknowledgement may have been written. */
  settle(receipt: Receipt, reasonCode: number, now: number): boolean {
    this.#inbound.flow.settled(now);
    const due = this.#inbound.acknowledgements.settle(receipt, reasonCode, now);
    this.#reconnectIfNeeded(now);
    return due;
  }

  /** Output has left: what waited for room goes on. Returns whether more output has come of it. */
  pump(now: number): boolean {
    const connection = this.#established();
    if (connection === undefined) return false;
    this.#outbound.pump(connection, now);
    return connection.outbox.size > 0;
  }

  /** Ends the connection, or what is to become one. Everybody who waits is told now. */
  disconnect(ending: DisconnectRequest, now: number): void {
    const connection = this.#established();
    const packet = disconnectPacket(this.#options, connection, ending);
    const isEnding = this.#go('disconnect');
    if (!isEnding && ending.pending === 'discard') this.#shutdown.discard();
    if (!isEnding) return;
    this.#timers.stopAll();
    this.#shutdown.begin(ending.pending, connection);
    if (connection === undefined) {
      this.#hangUp();
      this.#leaveConnection(now);
      this.#effects.changed({ type: 'closed', error: undefined });
      return;
    }
    connection.outbox.append(packet);
    this.#timers.set(Timer.Close, now + ending.timeout);
    this.#effects.finish();
  }

  /** When `handleTimeout()` is to be called next; Infinity = no need. */
  nextTimeout(): number {
    return this.#timers.next();
  }

  /** Bytes that wait to be taken. */
  get outputSize(): number {
    return this.#connection?.outbox.size ?? 0;
  }

  /** The next piece of output, or undefined. It belongs to the caller until it says `left()`. */
  takeOutput(now: number): Uint8Array | undefined {
    const connection = this.#connection;
    const cut = connection === undefined ? undefined : this.#outbound.references.dropUnwritable(connection);
    if (cut !== undefined) this.#fail(cut, now);
    const piece = this.#connection?.outbox.take();
    if (connection === undefined || piece === undefined) return undefined;
    connection.piecesOut++;
    connection.keepAlive.sentAt = now;
    return piece;
  }

  #go(input: Input): boolean {
    const state = nextState(this.#state, input);
    if (state === undefined) return false;
    this.#state = state;
    return true;
  }

  /** Closes, after what is in the output: a packet must not be cut in the middle, and DISCONNECT may be in it. */
  #hangUp(): void {
    this.#effects.hangUp(this.#connection?.outbox.takeAll() ?? []);
  }

  /** The connection that is up, if there is one. */
  #established(): Connection | undefined {
    return this.#state === 'connected' ? this.#connection : undefined;
  }

  #dial(now: number, which: ServerChoice = 'first'): void {
    const { number, reason } = this.#attempts;
    if (which !== 'next') this.#effects.changed({ type: 'connecting', attempt: number });
    if (this.#state !== 'dialing') return; // The logger has ended the client.
    const dueAt = this.#attempts.onDial(which, this.#effects.dial(number, reason, which), now);
    this.#timers.set(Timer.Connect, dueAt);
  }

  /** One packet, by the state. */
  #packet(connection: Connection, now: number): PacketResult {
    if (this.#state === 'disconnecting') return 'nothing';
    if (this.#state === 'connecting') {
      this.#onConnack(connection, this.#inbound.dispatch.connack(connection), now);
      return 'nothing';
    }
    const outcome = this.#inbound.dispatch.packet(connection);
    if (outcome === 'nothing' || outcome === 'turn' || outcome === 'acknowledged') return outcome;
    this.#follow(connection, outcome, now);
    return 'nothing';
  }

  /** Messages were passed over, or left to the server as a last resort: it sends them again on the next connection. */
  #reconnectIfNeeded(now: number): void {
    const { acknowledgements, flow, inboundPublish: publish } = this.#inbound;
    const hasExceeded = flow.needsReconnect && publish.exceededOn === this.#connectionNumber;
    if (flow.needsReconnect || acknowledgements.needsReconnect) this.reconnect(now, hasExceeded ? 0x93 : 0);
  }

  /** The window has moved, a Packet Identifier is free, or a request was answered: what waited for that goes on. */
  #acknowledged(connection: Connection, now: number): void {
    this.#outbound.progress(now);
    this.#outbound.pump(connection, now);
    this.#requests.flush(connection, now);
  }

  #follow(connection: Connection, outcome: Exclude<Outcome, PacketResult>, now: number): void {
    if (outcome === 'pingresp') this.#keepAliveTimer.alive(connection);
    else if (outcome === 'answered') this.#acknowledged(connection, now);
    else {
      this.#attempts.noteServerReference(outcome, this.#effects);
      this.#quarantine.suspicion = refusals.suspicionOfCode(outcome.reasonCode);
      this.#fail(refusals.disconnectError(outcome), now, refusals.disconnectVerdict(outcome.reasonCode));
    }
  }

  #onConnack(connection: Connection, connack: ConnackPacket, now: number): void {
    const { identity, protocolVersion } = connection;
    if (connack.reasonCode !== 0) {
      const verdict = refusals.connackVerdict(
        connack.reasonCode,
        protocolVersion,
        this.#attempts.credentialsWorked,
      );
      this.#attempts.noteServerReference(connack, this.#effects);
      this.#fail(refusals.connackError(connack, protocolVersion), now, verdict);
      return;
    }
    checkConnack(connack, connection.settings, identity, identity.clientId !== '');
    // 3.x, `cleanStart: "first"`: this connection was to wipe the session; the next one begins the session to keep.
    if (this.#attempts.wipes(identity.server)) {
      this.#attempts.wiped(identity.server);
      this.#go('wiped');
      this.#dialAgain(connection, now, 'same');
      return;
    }
    const negotiated = acceptConnack(connection, connack, this.#options, now);
    this.#go('accepted');
    this.#timers.stop(Timer.Connect);
    this.#keepAliveTimer.alive(connection);
    this.#clientId = negotiated.clientId;
    this.#attempts.accepted(now, negotiated.clientId, identity.server);
    this.#inbound.connected(connection);
    this.#effects.changed({ type: 'connected', connack, negotiated });
    this.#quarantine.connected(now);
    this.#resumption.resume(connection, now);
  }

  /** Ends `connection` in order, if there is one, and dials at once. */
  #dialAgain(
    connection: Connection | undefined,
    now: number,
    which: ServerChoice,
    reasonCode: number = 0,
  ): void {
    if (connection !== undefined) {
      connection.outbox.detach();
      connection.outbox.append(encode({ type: 'disconnect', reasonCode }, connection.protocolVersion));
      this.#effects.closeGracefully(connection.outbox.takeAll());
      this.#leaveConnection(now);
    }
    this.#timers.stopAll(Timer.Ack);
    this.#dial(now, which);
  }

  /** Ends the connection or attempt from this side. */
  #fail(error: MqttError, now: number, retry: refusals.Verdict = 'normal'): void {
    this.#hangUp();
    this.#lose(error, now, retry);
  }

  /** The connection or attempt is over: what follows from it. */
  #lose(cause: MqttError, now: number, retry: refusals.Verdict): void {
    if (this.#connection !== undefined) this.#outbound.references.abandonUnsent();
    const connection = this.#established();
    if (connection !== undefined) this.#quarantine.lost(connection, cause, now);
    this.#leaveConnection(now);
    this.#timers.stopAll(Timer.Ack);
    if (this.#state === 'disconnecting') {
      this.#shutdown.finish();
      this.#go('lost');
      this.#effects.changed({ type: 'closed', error: undefined });
      return;
    }
    if (this.#attempts.triesNextServer(cause, retry, now) && this.#go('nextServer')) {
      this.#effects.changed({ type: 'nextServer', error: cause });
      this.#dial(now, 'next');
      return;
    }
    const error = this.#attempts.failure(cause);
    const next = this.#attempts.failed(error, retry, now);
    if (next.input === 'ended') this.#end(error);
    else if (next.input === 'gaveUp') {
      this.#go('gaveUp');
      this.#effects.changed({ type: 'gaveUp', error });
    } else {
      const { delay: willRetryIn, flapping } = next;
      this.#go('lost');
      this.#timers.set(Timer.Reconnect, now + willRetryIn);
      this.#effects.changed({ type: 'disconnected', error, willRetryIn, flapping });
    }
  }

  #leaveConnection(now: number): void {
    this.#connection = undefined;
    this.#session.connectionLost();
    this.#inbound.disconnected(now);
  }

  /** The end: everybody who waits is told why. */
  #end(error: MqttError): void {
    this.#timers.stopAll();
    this.#go('ended');
    this.#shutdown.end(error);
    this.#effects.changed({ type: 'closed', error });
  }
}
