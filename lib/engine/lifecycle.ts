import { encode } from '../codec/codec.ts';
import { violation } from '../codec/errors.ts';
import type { ConnackPacket, DisconnectPacket } from '../codec/packets.ts';
import type { Connection } from '../connection/connection.ts';
import { checkConnack } from '../connection/negotiated.ts';
import {
  ClosedError,
  ConnectError,
  ConnectionLostError,
  type MqttError,
  type ProtocolError,
} from '../errors.ts';
import { acceptConnack, sendConnect } from './connack.ts';
import { ConnectAttempts, type Next } from './connect-attempts.ts';
import {
  connackError,
  connackVerdict,
  disconnectError,
  disconnectVerdict,
  lostError,
  protocolError,
  suspicionOfCode,
  suspicionOfLoss,
  timeoutError,
  type Verdict,
} from './connect-errors.ts';
import type { ConnectionState } from './connection-state.ts';
import type { Effects } from './effects.ts';
import type { EngineContext } from './engine-context.ts';
import type { Credentials, DisconnectRequest, EngineOptions, ServerChoice } from './options.ts';
import { disconnectPacket, writeErrorDisconnect } from './disconnect.ts';
import type { EngineParts } from './engine-parts.ts';
import { SessionResume } from './session-resume.ts';
import { Shutdown } from './shutdown.ts';
import { Timer, type Timers } from './timers.ts';

/** The life cycle of a client: from dialing to the end of a connection, and what follows. See `states.ts`. */
export class Lifecycle {
  readonly #context: EngineContext;
  readonly #parts: EngineParts;
  readonly #state: ConnectionState;
  readonly #timers: Timers;
  readonly #options: EngineOptions;
  readonly #effects: Effects;
  readonly #attempts: ConnectAttempts;
  readonly #resumption: SessionResume;
  readonly #shutdown: Shutdown;
  #clientId: string;
  /** Network Connections opened so far. */
  #connectionNumber = 0;

  constructor(context: EngineContext, parts: EngineParts) {
    const { options, ports } = context;
    const { outbound, requests } = parts;
    this.#context = context;
    this.#parts = parts;
    this.#state = parts.state;
    ({ timers: this.#timers, options: this.#options, effects: this.#effects } = context);
    this.#attempts = new ConnectAttempts(options, ports);
    this.#resumption = new SessionResume(context, outbound, requests, this.#attempts);
    this.#shutdown = new Shutdown(context, outbound.references);
    this.#clientId = options.clientId;
  }

  /** The Client Identifier, or the Assigned Client Identifier once there is one [MQTT-3.1.3-7]. */
  get clientId(): string {
    return this.#clientId;
  }

  get connectionNumber(): number {
    return this.#connectionNumber;
  }

  // --- commands ------------------------------------------------------------------------------------------------

  connect(onFailure: 'give up' | 'retry', now: number): void {
    const { state } = this.#state;
    if (state !== 'offline' && state !== 'closed') return;
    this.#attempts.begin(onFailure);
    if (this.#state.go('connect')) this.#dial(now);
  }

  giveUp(error: MqttError, now: number): void {
    const { state } = this.#state;
    if (state !== 'waiting' && state !== 'dialing' && state !== 'connecting') return;
    this.#attempts.abandoned();
    if (state === 'waiting') this.#lose(error, now, 'normal');
    else this.fail(error, now);
  }

  reconnect(now: number, reasonCode: number): boolean {
    // The answer of the policy decides whether there is a next attempt.
    if (this.#attempts.isUndecided) return false;
    const connection = this.#state.established;
    if (!this.#state.go('reconnect')) return false;
    this.#attempts.replaced();
    this.#dialAgain(connection, now, 'first', reasonCode);
    return true;
  }

  disconnect(request: DisconnectRequest, now: number): void {
    const shutdown = this.#shutdown;
    const connection = this.#state.established;
    const packet = disconnectPacket(this.#options, connection, request);
    if (!this.#state.go('disconnect')) {
      if (request.pending === 'discard') shutdown.discard();
      return;
    }
    this.#timers.stopAll();
    this.#parts.authentication.left(new ClosedError('the client was disconnected'));
    // What waits for its record is not sent on this connection any more.
    this.#context.gate?.connectionLost();
    shutdown.begin(request.pending, connection);
    if (connection === undefined) {
      this.#hangUp();
      this.#leaveConnection(now);
      this.#effects.changed({ type: 'closed', error: undefined });
      return;
    }
    connection.outbox.append(packet);
    this.#timers.set(Timer.Close, now + request.timeout);
    this.#effects.finish();
  }

  /** The policy has answered. Of no effect if the client has been ended meanwhile. */
  decided(answer: number | false | undefined, now: number): void {
    const { isUndecided, reason } = this.#attempts;
    if (this.#state.state !== 'waiting' || !isUndecided || reason === undefined) return;
    this.#conclude(this.#attempts.decided(answer), reason, now);
  }

  // --- what happens --------------------------------------------------------------------------------------------

  opened(credentials: Credentials, now: number): void {
    if (!this.#state.go('opened')) return;
    const cleanStart = this.#attempts.cleanStart(credentials.server);
    const session = { connectionNumber: ++this.#connectionNumber, clientId: this.#clientId, cleanStart };
    const connection = sendConnect(this.#options, session, credentials, this.#context.ports, now);
    this.#state.open(connection);
    this.#parts.authentication.opened(connection);
  }

  dialFailed(error: MqttError, now: number): void {
    if (this.#state.state === 'dialing') this.#lose(error, now, 'normal');
    else if (this.#state.state === 'connecting') this.fail(error, now);
  }

  lost(cause: unknown, now: number): void {
    if (this.#state.connection === undefined) return;
    this.#parts.quarantine.suspicion = this.#isAuthenticating ? 'none' : suspicionOfLoss(cause);
    this.#lose(lostError(cause, this.#state.state), now, 'normal');
  }

  /** The server violated the protocol. On 5.0 it is told so (4.13.1). */
  violated(connection: Connection, error: ProtocolError, now: number): void {
    const { state } = this.#state;
    if (state !== 'disconnecting') writeErrorDisconnect(connection, error);
    this.fail(protocolError(error, state), now);
  }

  /** The server has sent DISCONNECT (5.0). */
  disconnected(packet: DisconnectPacket, now: number): void {
    this.#attempts.noteServerReference(packet, this.#effects);
    this.#parts.quarantine.suspicion = this.#isAuthenticating ? 'none' : suspicionOfCode(packet.reasonCode);
    this.fail(disconnectError(packet), now, disconnectVerdict(packet.reasonCode));
  }

  onConnack(connection: Connection, connack: ConnackPacket, now: number): void {
    const attempts = this.#attempts;
    const { identity, protocolVersion, settings } = connection;
    if (connack.reasonCode !== 0) {
      const verdict = connackVerdict(connack.reasonCode, protocolVersion, attempts.credentialsWorked);
      attempts.noteServerReference(connack, this.#effects);
      this.fail(connackError(connack, protocolVersion), now, verdict);
      return;
    }
    checkConnack(connack, settings, identity);
    // 3.x, `cleanStart: "first"`: this connection only cleans the session. The next one begins the session to keep.
    if (attempts.wipes(identity.server)) {
      attempts.wiped(identity.server);
      this.#state.go('wiped');
      this.#dialAgain(connection, now, 'same');
      return;
    }
    if (this.#parts.authentication.onConnack(connack) === 'accept') this.#accept(connection, connack, now);
  }

  /**
   * A second CONNACK breaks the protocol [MQTT-3.2.0-2]. Mosquitto 2.0 refuses a re-authentication with one, so its code
   * is told to those who wait for that.
   */
  onSecondConnack(connection: Connection, { reasonCode, properties }: ConnackPacket, now: number): void {
    const cause = violation('a second CONNACK', 'MQTT-3.2.0-2');
    if (reasonCode < 0x80 || !this.#parts.authentication.isOpen) throw cause;
    writeErrorDisconnect(connection, cause);
    const refusal = disconnectError({ type: 'disconnect', reasonCode, properties }, { cause });
    this.fail(refusal, now, disconnectVerdict(reasonCode));
  }

  /** The application has answered AUTH of the server, or checked its proof. */
  authenticated(data: Uint8Array | undefined, now: number): void {
    const { connection } = this.#state;
    if (connection === undefined) return;
    let connack: ConnackPacket | undefined;
    try {
      connack = this.#parts.authentication.answered(connection, data);
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      this.authenticationFailed(error, now);
      return;
    }
    if (connack !== undefined) this.#accept(connection, connack, now);
  }

  /** A function of the application has failed: unless nothing was sent, the connection is closed. */
  authenticationFailed(error: ConnectError, now: number): void {
    const { connection, state } = this.#state;
    if (connection === undefined || this.#parts.authentication.failed(connection, error) === 'keep') return;
    const isConnecting = state === 'connecting';
    this.fail(
      isConnecting ? error : new ConnectionLostError(`closed: ${error.message}`, { cause: error }),
      now,
    );
  }

  #accept(connection: Connection, connack: ConnackPacket, now: number): void {
    const { acknowledgements, flow, keepAliveTimer, quarantine } = this.#parts;
    const attempts = this.#attempts;
    const negotiated = acceptConnack(connection, connack, this.#options, now);
    this.#state.go('accepted');
    this.#timers.stop(Timer.Connect);
    keepAliveTimer.alive(connection);
    this.#clientId = negotiated.clientId;
    attempts.accepted(now, negotiated.clientId, connection.identity.server);
    acknowledgements.connected(connection);
    flow.connected();
    const presence = this.#resumption.presence(connection);
    this.#effects.changed({ type: 'connected', connack, negotiated, presence });
    quarantine.connected(now);
    this.#resumption.resume(connection, now);
  }

  /** The timers of attempts and of the close. */
  expire(now: number): void {
    const timers = this.#timers;
    if (timers.expire(Timer.Connect, now)) {
      const awaited = this.#parts.authentication.isAsking ? 'authentication' : 'connack';
      const during = this.#state.state === 'connecting' ? awaited : this.#effects.dialPhase();
      this.fail(timeoutError(during, this.#attempts.serverTimeout), now);
    }
    if (timers.expire(Timer.Reconnect, now) && this.#state.go('delayElapsed')) this.#dial(now); // fault: reconnect-timer
    if (timers.expire(Timer.Close, now))
      this.fail(new ConnectionLostError('the server did not close the connection in time'), now);
  }

  /** Ends the connection or attempt from this side. */
  fail(error: MqttError, now: number, verdict: Verdict = 'normal'): void {
    this.#hangUp();
    this.#lose(error, now, verdict);
  }

  /** The store has failed: the client ends, as it could not keep its promises. */
  storeFailed(error: MqttError, now: number): void {
    const { state, connection } = this.#state;
    if (state === 'offline' || state === 'closed' || state === 'disconnecting') return;
    this.#hangUp();
    if (connection !== undefined) this.#parts.outbound.references.abandonUnsent();
    this.#parts.authentication.left(error);
    this.#leaveConnection(now);
    this.#end(error);
  }

  /** Whether the connection is up, and a re-authentication is open: what ends it now is about that. */
  get #isAuthenticating(): boolean {
    return this.#state.established !== undefined && this.#parts.authentication.isOpen;
  }

  // --- what follows --------------------------------------------------------------------------------------------

  #dial(now: number, choice: ServerChoice = 'first'): void {
    const { number, reason } = this.#attempts;
    if (choice !== 'next') this.#effects.changed({ type: 'connecting', attempt: number });
    const left = this.#effects.dial(number, reason, choice);
    this.#timers.set(Timer.Connect, this.#attempts.onDial(choice, left, now));
  }

  /** Closes `connection` gracefully, if there is one, and dials at once. */
  #dialAgain(
    connection: Connection | undefined,
    now: number,
    choice: ServerChoice,
    reasonCode: number = 0,
  ): void {
    if (connection !== undefined) {
      this.#parts.authentication.left(new ConnectionLostError('the connection was replaced by reconnect()'));
      connection.outbox.detach();
      connection.outbox.append(encode({ type: 'disconnect', reasonCode }, connection.protocolVersion));
      this.#effects.closeGracefully(connection.outbox.takeAll());
      this.#leaveConnection(now);
    }
    this.#timers.stopAll(Timer.Ack);
    this.#dial(now, choice);
  }

  /** Closes after all output: a packet must not be cut in the middle, and DISCONNECT may be the last one. */
  #hangUp(): void {
    this.#effects.hangUp(this.#state.connection?.outbox.takeAll() ?? []);
  }

  /** The connection or attempt is over: tries the next server, waits for the next attempt, or ends. */
  #lose(cause: MqttError, now: number, verdict: Verdict): void {
    const { outbound, quarantine } = this.#parts;
    if (this.#state.connection !== undefined) outbound.references.abandonUnsent();
    const connection = this.#state.established;
    if (connection !== undefined) quarantine.lost(connection, cause, now);
    this.#parts.authentication.left(cause);
    this.#leaveConnection(now);
    this.#timers.stopAll(Timer.Ack);
    if (this.#state.state === 'disconnecting') {
      this.#shutdown.finish();
      this.#state.go('lost');
      this.#effects.changed({ type: 'closed', error: undefined });
      return;
    }
    if (this.#attempts.triesNextServer(cause, verdict, now) && this.#state.go('nextServer')) {
      this.#effects.changed({ type: 'nextServer', error: cause });
      this.#dial(now, 'next');
      return;
    }
    const error = this.#attempts.failure(cause);
    this.#conclude(this.#attempts.failed(error, verdict, now), error, now);
  }

  #conclude(next: Next, error: MqttError, now: number): void {
    if (next.input === 'undecided') {
      this.#state.go('lost');
      this.#effects.decide(next.context);
    } else if (next.input === 'ended') this.#end(error);
    else if (next.input === 'gaveUp') {
      this.#state.go('gaveUp');
      this.#effects.changed({ type: 'gaveUp', error });
    } else {
      const { delay: willRetryIn, flapping } = next;
      this.#state.go('lost');
      this.#timers.set(Timer.Reconnect, now + willRetryIn);
      this.#effects.changed({ type: 'disconnected', error, willRetryIn, flapping });
    }
  }

  #leaveConnection(now: number): void {
    this.#state.leave();
    this.#context.session.connectionLost();
    this.#context.gate?.connectionLost();
    const { acknowledgements, flow, requests } = this.#parts;
    acknowledgements.disconnected();
    // Requests survive the connection. Their time-out does not include the time without reading.
    if (flow.isStopped) requests.judgeFrom(now);
    flow.connected();
  }

  /** The client ends with `error`, and so does everything that waits. */
  #end(error: MqttError): void {
    this.#timers.stopAll();
    this.#state.go('ended');
    this.#shutdown.end(error);
    this.#effects.changed({ type: 'closed', error });
  }
}
