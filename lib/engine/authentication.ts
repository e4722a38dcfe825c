import { encode } from '../codec/codec.ts';
import { violation } from '../codec/errors.ts';
import type { AuthPacket, ConnackPacket } from '../codec/packets.ts';
import type { Connection } from '../connection/connection.ts';
import { ConnectError, ConnectionLostError, type MqttError, TimeoutError } from '../errors.ts';
import { CLIENT_DISCONNECT_CODES } from './connect-errors.ts';
import type { Effects } from './effects.ts';
import type { EngineContext } from './engine-context.ts';
import type { EngineOptions } from './options.ts';
import { Timer, type Timers } from './timers.ts';

/** Waits for the end of a re-authentication. */
export interface AuthenticationWaiter {
  authenticated(): void;
  failed(error: MqttError): void;
}

const CONTINUE = 0x18;
const REAUTHENTICATE = 0x19;

/** DISCONNECT for a failure whose Reason Code a client may not send. */
const UNSPECIFIED_ERROR = 0x80;

/**
 * The exchange of AUTH packets on the present connection (4.12), which only one side can continue at a time.
 *
 *   none       CONNECT had no Authentication Method, or there is no connection
 *   idle       no exchange is open
 *   preparing  a re-authentication: the application makes the data of its first AUTH, and nothing was sent
 *   server     CONNECT or AUTH was sent: the server answers it
 *   client     the server has sent AUTH: the application answers it
 *   proof      the server has accepted: the application checks the data that came with that
 */
type Phase = 'none' | 'idle' | 'preparing' | 'server' | 'client' | 'proof';

export class Authentication {
  readonly #timers: Timers;
  readonly #options: EngineOptions;
  readonly #effects: Effects;
  #phase: Phase = 'none';
  /** Waits for the end of the re-authentication that is open. */
  #waiter: AuthenticationWaiter | undefined = undefined;
  /** The CONNACK that waits until the application has checked the server's proof. */
  #connack: ConnackPacket | undefined = undefined;

  constructor(context: EngineContext) {
    ({ timers: this.#timers, options: this.#options, effects: this.#effects } = context);
  }

  /** Whether an exchange has begun and is not over. */
  get isOpen(): boolean {
    return this.#phase !== 'none' && this.#phase !== 'idle';
  }

  /** Whether an answer of the server is awaited. */
  get isAwaited(): boolean {
    return this.#phase === 'server';
  }

  /** Whether a function of the application is running. */
  get isAsking(): boolean {
    return this.isOpen && this.#phase !== 'server';
  }

  /** Whether a CONNACK waits for the application: what arrived behind it must not be read. */
  get holdsConnack(): boolean {
    return this.#connack !== undefined;
  }

  /** CONNECT was sent. With an Authentication Method, it begins an exchange. */
  opened(connection: Connection): void {
    this.#phase = methodOf(connection) === undefined ? 'none' : 'server';
  }

  /** AUTH has arrived. Throws a `ProtocolError` if it breaks the protocol. */
  received(connection: Connection, { reasonCode, properties }: AuthPacket): void {
    const method = methodOf(connection);
    if (method === undefined)
      throw violation('AUTH without Authentication Method in CONNECT', 'MQTT-4.12.0-6');
    if (properties.authenticationMethod !== method)
      throw violation('AUTH has another Authentication Method than CONNECT', 'MQTT-4.12.0-5');
    if (connection.negotiated === undefined && reasonCode !== CONTINUE)
      throw violation('AUTH before CONNACK that does not continue', 'MQTT-4.12.0-2');
    if (this.#phase !== 'server') throw violation('AUTH that nothing of the client awaits', '4.12');
    if (reasonCode === CONTINUE) {
      this.#phase = 'client';
      this.#effects.authenticate({ type: 'continue', properties });
    } else if (this.#effects.authenticate({ type: 'finish', properties }) === 'asked') this.#phase = 'proof';
    else this.#succeed();
  }

  /** CONNACK has accepted. `wait`: it takes effect when the application has checked the server's proof. */
  onConnack(connack: ConnackPacket): 'accept' | 'wait' {
    if (this.#phase === 'none') return 'accept';
    if (this.#phase !== 'server')
      throw violation('CONNACK accepts the connection while AUTH of the client is awaited', '4.12');
    const { properties } = connack;
    if (this.#effects.authenticate({ type: 'finish', properties }) === 'asked') {
      this.#phase = 'proof';
      this.#connack = connack;
      return 'wait';
    }
    this.#succeed();
    return 'accept';
  }

  /** Begins a re-authentication (4.12.1), for which the application is asked. Returns false if it cannot begin. */
  reauthenticate(waiter: AuthenticationWaiter, now: number): boolean {
    if (this.#phase !== 'idle') return false;
    this.#phase = 'preparing';
    this.#waiter = waiter;
    this.judgeFrom(now);
    this.#effects.authenticate({ type: 'start' });
    return true;
  }

  /** Nobody waits for the re-authentication any more. It goes on if its first AUTH was sent. */
  withdraw(error: MqttError): void {
    if (this.#phase === 'preparing') this.#fail(error, 'idle');
  }

  /**
   * The application has answered: sends its data, or ends the exchange. Returns the CONNACK that has waited for it.
   * Throws a `ConnectError` if the server does not accept a packet of that size.
   */
  answered(connection: Connection, data: Uint8Array | undefined): ConnackPacket | undefined {
    if (this.#phase === 'proof') {
      const connack = this.#connack;
      this.#succeed();
      return connack;
    }
    if (this.#phase === 'preparing' || this.#phase === 'client') {
      writeAuth(connection, this.#phase === 'client' ? CONTINUE : REAUTHENTICATE, data);
      this.#phase = 'server';
    }
    return undefined;
  }

  /** A function of the application has failed. `close`: the connection has to be closed, and DISCONNECT is written. */
  failed(connection: Connection, error: ConnectError): 'close' | 'keep' {
    if (!this.isAsking) return 'keep';
    if (this.#phase === 'preparing') {
      // Nothing was sent: the connection is as good as before.
      this.#fail(error, 'idle');
      return 'keep';
    }
    this.#fail(error, 'none');
    writeFailure(connection, error.reasonCode);
    return 'close';
  }

  /** Reading goes on after it had stopped, or an exchange begins: its time starts. */
  judgeFrom(now: number): void {
    if (this.#waiter !== undefined)
      this.#timers.set(Timer.Authentication, now + this.#options.connectTimeout);
  }

  /** The Authentication timer is due. Returns the error to close the connection with, if any. */
  expire(connection: Connection): ConnectionLostError | undefined {
    const ms = this.#options.connectTimeout;
    const wasSent = this.#phase !== 'preparing';
    const error = new TimeoutError(`reauthenticate took longer than ${ms} ms (connectTimeout)`);
    this.#fail(error, wasSent ? 'none' : 'idle');
    if (!wasSent) return undefined;
    writeFailure(connection, UNSPECIFIED_ERROR);
    return new ConnectionLostError(`closed: ${error.message}`, { cause: error });
  }

  /** The connection is over, or is being closed. */
  left(error: MqttError): void {
    this.#fail(error, 'none');
  }

  #succeed(): void {
    const waiter = this.#waiter;
    this.#end('idle');
    this.#effects.authenticate({ type: 'over', result: 'done' });
    waiter?.authenticated();
  }

  #fail(error: MqttError, next: 'idle' | 'none'): void {
    const { isOpen } = this;
    const waiter = this.#waiter;
    this.#end(next);
    if (isOpen) this.#effects.authenticate({ type: 'over', result: 'failed' });
    waiter?.failed(error);
  }

  #end(next: 'idle' | 'none'): void {
    this.#phase = next;
    this.#waiter = undefined;
    this.#connack = undefined;
    this.#timers.stop(Timer.Authentication);
  }
}

function methodOf({ settings }: Connection): string | undefined {
  return settings.protocolVersion === 5 ? settings.properties.authenticationMethod : undefined;
}

/** [MQTT-4.12.0-3, MQTT-4.12.1-1] Every AUTH has the Authentication Method of CONNECT [MQTT-4.12.0-5]. */
function writeAuth(connection: Connection, reasonCode: number, authenticationData?: Uint8Array): void {
  const properties = { authenticationMethod: methodOf(connection), authenticationData };
  const packet = encode({ type: 'auth', reasonCode, properties }, 5);
  const most = connection.negotiated?.maximumPacketSize ?? Infinity;
  // [MQTT-3.2.2-15] There is nothing in this packet that could be left out.
  if (packet.length > most)
    throw new ConnectError(
      'authentication',
      `AUTH was not sent: it has ${packet.length} bytes, and the server accepts packets of ${most} bytes`,
      { reasonCode: 0x95 },
    );
  connection.outbox.append(packet);
}

/** [MQTT-4.12.1-2] DISCONNECT with `reasonCode`, if a client may send it [MQTT-3.14.2-1]. Nothing is written after it. */
function writeFailure(connection: Connection, reasonCode: number = 0): void {
  const isSendable = reasonCode >= 0x80 && CLIENT_DISCONNECT_CODES.includes(reasonCode);
  const packet = encode({ type: 'disconnect', reasonCode: isSendable ? reasonCode : UNSPECIFIED_ERROR }, 5);
  connection.outbox.append(packet);
}
