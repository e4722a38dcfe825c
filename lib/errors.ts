/**
 * The errors of the client. Each class has a stable `code`. Wrong arguments are plain `TypeError` and `RangeError`, and an
 * aborted call rejects with the reason of its signal.
 */

/** The `code` of a {@link MqttError}. It is stable: programs can branch on it. */
export type MqttErrorCode =
  | 'ERR_MQTT_CONNECT'
  | 'ERR_MQTT_CONNECTION_LOST'
  | 'ERR_MQTT_PROTOCOL'
  | 'ERR_MQTT_PUBLISH'
  | 'ERR_MQTT_SUBSCRIBE'
  | 'ERR_MQTT_UNSUBSCRIBE'
  | 'ERR_MQTT_QUEUE_FULL'
  | 'ERR_MQTT_TIMEOUT'
  | 'ERR_MQTT_CLOSED'
  | 'ERR_MQTT_POISONED_MESSAGE'
  | 'ERR_MQTT_REQUEST'
  | 'ERR_MQTT_NO_SUBSCRIBER'
  | 'ERR_MQTT_STORE'
  | 'ERR_MQTT_STORE_LOCKED';

/** A code that a service has given to `request.fail()`: text that does not begin with `ERR_MQTT_`. */
export type ServiceErrorCode = string & Record<never, never>;

/**
 * Names a class of errors, and makes `instanceof` also true for the same class of another copy of this package, such as
 * the ES module and the CommonJS build in one program.
 */
function register(kind: { readonly prototype: MqttError }, name: string): void {
  const mark = Symbol.for(`mqtt-await.${name}`);
  Object.defineProperty(kind.prototype, mark, { value: true });
  Object.defineProperty(kind.prototype, 'name', { value: name, writable: true, configurable: true });
  Object.defineProperty(kind, Symbol.hasInstance, {
    value(this: unknown, error: unknown): boolean {
      // The error may be a Proxy of the application that throws.
      try {
        // A subclass of an application inherits this method, but has no mark.
        if (this !== kind) return Function.prototype[Symbol.hasInstance].call(this, error);
        return typeof error === 'object' && error !== null && mark in error;
      } catch {
        return false;
      }
    },
  });
}

/** The base class of every error of this client. */
export class MqttError extends Error {
  /** The kind of error. Only a `RequestError` may have a code that this package does not know: one of the service. */
  readonly code: MqttErrorCode | ServiceErrorCode;

  constructor(code: MqttErrorCode | ServiceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The phase in which an attempt to connect failed. */
export type ConnectPhase =
  | 'credentials'
  | 'authentication'
  | 'dial'
  | 'tls'
  | 'websocket'
  | 'connack'
  | 'timeout';

/** Options of a `ConnectError`. */
export interface ConnectErrorOptions extends ErrorOptions {
  readonly properties?: Readonly<Record<string, unknown>> | undefined;
  readonly reasonCode?: number | undefined;
  readonly status?: number | undefined;
  readonly during?: ConnectPhase | undefined;
}

/** An attempt to connect failed, or a function of the option `authentication`. */
export class ConnectError extends MqttError {
  /**
   * The phase in which the attempt failed. `timeout`: it took longer than `connectTimeout`; `authentication`: a function of
   * that option failed, also in `reauthenticate()`.
   */
  readonly phase: ConnectPhase;
  /**
   * The Reason Code (5.0) or return code (3.x), if CONNACK refused the connection. With phase `authentication`: the one that
   * the error of the application names, else 0x87 Not authorized.
   */
  readonly reasonCode: number | undefined;
  /** The HTTP status with which the server or a proxy refused the connection. */
  readonly status: number | undefined;
  /** With phase `timeout`: the phase that was running. */
  readonly during: ConnectPhase | undefined;
  /** The properties of the refusing CONNACK (5.0), such as `reasonString`. */
  readonly properties: Readonly<Record<string, unknown>>;

  constructor(phase: ConnectPhase, message: string, options: ConnectErrorOptions = {}) {
    super('ERR_MQTT_CONNECT', message, options);
    this.phase = phase;
    this.reasonCode = options.reasonCode;
    this.status = options.status;
    this.during = options.during;
    this.properties = options.properties ?? {};
  }
}

/** Options of a `ConnectionLostError`. */
export interface ConnectionLostErrorOptions extends ErrorOptions {
  readonly reasonCode?: number | undefined;
  readonly properties?: Readonly<Record<string, unknown>> | undefined;
  readonly fate?: MessageFate | undefined;
}

/** The Network Connection has ended, or the call needs one now and there is none. */
export class ConnectionLostError extends MqttError {
  /** The Reason Code of the server's DISCONNECT, if it sent one (5.0). */
  readonly reasonCode: number | undefined;
  /** The properties of that DISCONNECT, such as `reasonString`. */
  readonly properties: Readonly<Record<string, unknown>>;
  /** For `publish()` with QoS 0: what is known of the delivery. */
  readonly delivery: Delivery | undefined;
  /** For `publish()` with QoS 0: always false, as the message will not be sent. */
  readonly kept: boolean | undefined;

  constructor(message: string, options: ConnectionLostErrorOptions = {}) {
    super('ERR_MQTT_CONNECTION_LOST', message, options);
    this.reasonCode = options.reasonCode;
    this.properties = options.properties ?? {};
    this.delivery = options.fate?.delivery;
    this.kept = options.fate?.kept;
  }
}

/** The server broke the protocol, or a packet to be encoded would break it. */
export class ProtocolError extends MqttError {
  /** The broken normative statement, such as `MQTT-2.1.3-1`, or a section of the specification. */
  readonly statement: string;
  /** The Reason Code for closing the connection (5.0): 0x81 Malformed Packet, 0x82 Protocol Error, or a more specific one. */
  readonly reasonCode: number;
  /** The Packet Identifier of the message that the server acknowledged wrongly, if it did. */
  readonly packetId: number | undefined;

  constructor(
    message: string,
    statement: string,
    reasonCode: number,
    options: ErrorOptions & { packetId?: number } = {},
  ) {
    super('ERR_MQTT_PROTOCOL', `${message} [${statement}]`, options);
    this.statement = statement;
    this.reasonCode = reasonCode;
    this.packetId = options.packetId;
  }
}

/**
 * What is known of a message whose `publish()` rejected. `not-sent`: it was never written. `unknown`: it was written and
 * not acknowledged. `rejected`: the server refused it.
 */
export type Delivery = 'not-sent' | 'unknown' | 'rejected';

/** The fate of a message whose `publish()` rejected. */
export interface MessageFate {
  /** What is known of the delivery. */
  readonly delivery: Delivery;
  /** Whether the client still has the message and will send it. */
  readonly kept: boolean;
}

/** An error with the fate of a message: see {@link isPublishFailure}. */
export type PublishFailure = MqttError & MessageFate;

/**
 * Whether `error` has the fate of a message. Every rejection of `publish()` has, except wrong arguments and the reason of
 * an aborted signal.
 */
export function isPublishFailure(error: unknown): error is PublishFailure {
  return error instanceof MqttError && 'delivery' in error && error.delivery !== undefined;
}

/** The message was refused by the server, or by the client before it was written. */
export class PublishError extends MqttError implements MessageFate {
  readonly delivery: Delivery;
  readonly kept: boolean;
  /** The Reason Code of the PUBACK, PUBREC or PUBCOMP, or the one that the server would have answered with. */
  readonly reasonCode: number;
  /** The properties of the refusing acknowledgement (5.0). */
  readonly properties: Readonly<Record<string, unknown>>;

  constructor(
    message: string,
    reasonCode: number,
    fate: MessageFate,
    properties: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super('ERR_MQTT_PUBLISH', message, options);
    this.reasonCode = reasonCode;
    this.delivery = fate.delivery;
    this.kept = fate.kept;
    this.properties = properties;
  }
}

/** The result for one Topic Filter. */
export interface FilterResult {
  readonly topicFilter: string;
  /** The granted QoS (0, 1, 2); for `unsubscribe()` 0 or 0x11; from 0x80 on a refusal. */
  readonly reasonCode: number;
  /** The reason string and the User Properties of the SUBACK or UNSUBACK, if it had any (5.0). */
  readonly properties?: {
    readonly reasonString?: string | undefined;
    readonly userProperties?: readonly (readonly [name: string, value: string])[] | undefined;
  };
}

/** The server refused one or more Topic Filters, or the connection was lost each time they were sent. */
export class SubscribeError extends MqttError {
  /** One entry per Topic Filter of the call, in its order. */
  readonly results: readonly FilterResult[];

  constructor(message: string, results: readonly FilterResult[], options?: ErrorOptions) {
    super('ERR_MQTT_SUBSCRIBE', message, options);
    this.results = results;
  }
}

/** The server refused to unsubscribe one or more Topic Filters, or the connection was lost each time they were sent. */
export class UnsubscribeError extends MqttError {
  /** One entry per Topic Filter of the call, in its order. */
  readonly results: readonly FilterResult[];

  constructor(message: string, results: readonly FilterResult[], options?: ErrorOptions) {
    super('ERR_MQTT_UNSUBSCRIBE', message, options);
    this.results = results;
  }
}

/** The queue is full (`maxQueued`, `maxQueuedBytes`): the message was refused, or dropped for a newer one. */
export class QueueFullError extends MqttError implements MessageFate {
  /** `unknown`: the message had been sent in a session that was lost, and waited again. */
  readonly delivery: Delivery;
  readonly kept = false;

  constructor(message: string, options: ErrorOptions & { delivery?: Delivery } = {}) {
    super('ERR_MQTT_QUEUE_FULL', message, options);
    this.delivery = options.delivery ?? 'not-sent';
  }
}

/** A call took longer than its `timeout`, or than an option such as `requestTimeout` allows. */
export class TimeoutError extends MqttError {
  /** For `publish()`: what is known of the delivery. */
  readonly delivery: Delivery | undefined;
  /** For `publish()`: whether the client still has the message and will send it. */
  readonly kept: boolean | undefined;

  constructor(message: string, fate?: MessageFate, options?: ErrorOptions) {
    super('ERR_MQTT_TIMEOUT', message, options);
    this.delivery = fate?.delivery;
    this.kept = fate?.kept;
  }
}

/** The client was ended by `disconnect()`, or by a final error (`cause`), before the call was done. */
export class ClosedError extends MqttError {
  /** For `publish()`: what is known of the delivery. */
  readonly delivery: Delivery | undefined;
  /** For `publish()`: whether the client still has the message and sends it after the next `connect()`. */
  readonly kept: boolean | undefined;

  constructor(message: string, fate?: MessageFate, options?: ErrorOptions) {
    super('ERR_MQTT_CLOSED', message, options);
    this.delivery = fate?.delivery;
    this.kept = fate?.kept;
  }
}

/** The connection was lost each time the message was sent, so the message is not sent again. */
export class PoisonedMessageError extends MqttError implements MessageFate {
  readonly delivery = 'unknown';
  readonly kept = false;

  constructor(message: string, options?: ErrorOptions) {
    super('ERR_MQTT_POISONED_MESSAGE', message, options);
  }
}

/** Options of a `StoreError`. */
export interface StoreErrorOptions extends ErrorOptions {
  readonly code?: 'ERR_MQTT_STORE' | 'ERR_MQTT_STORE_LOCKED' | undefined;
  readonly fate?: MessageFate | undefined;
}

/**
 * The store could not be opened, read or written. The code is `ERR_MQTT_STORE_LOCKED` if another process or client has the
 * session, else `ERR_MQTT_STORE`.
 */
export class StoreError extends MqttError {
  /** For `publish()`: what is known of the delivery. */
  readonly delivery: Delivery | undefined;
  /** For `publish()`: whether the store has the message, so that it is sent after the next `connect()`. */
  readonly kept: boolean | undefined;

  constructor(message: string, options: StoreErrorOptions = {}) {
    super(options.code ?? 'ERR_MQTT_STORE', message, options);
    this.delivery = options.fate?.delivery;
    this.kept = options.fate?.kept;
  }
}

/** Options of a `RequestError`. */
export interface RequestErrorOptions extends ErrorOptions {
  readonly remote?: boolean | undefined;
  readonly reasonCode?: number | undefined;
}

/**
 * A `request()` failed. `code` is what the service has given to `request.fail()`, `ERR_MQTT_REQUEST` if its handler threw,
 * or `ERR_MQTT_NO_SUBSCRIBER` if nobody has subscribed to the topic of the request. A service cannot send another code
 * that begins with `ERR_MQTT_`. A handler of `service.forEach()` may throw a `RequestError` to choose what the requester
 * gets.
 */
export class RequestError extends MqttError {
  /** Whether the service reported the failure. Its `code` and `message` are then text from the network. */
  readonly remote: boolean;
  /** 0x10 (No matching subscribers) with `ERR_MQTT_NO_SUBSCRIBER`. */
  readonly reasonCode: number | undefined;

  constructor(code: MqttErrorCode | ServiceErrorCode, message: string, options: RequestErrorOptions = {}) {
    super(code, message, options);
    this.remote = options.remote ?? false;
    this.reasonCode = options.reasonCode;
  }
}

for (const [name, kind] of Object.entries({
  MqttError,
  ConnectError,
  ConnectionLostError,
  ProtocolError,
  PublishError,
  SubscribeError,
  UnsubscribeError,
  QueueFullError,
  TimeoutError,
  ClosedError,
  PoisonedMessageError,
  RequestError,
  StoreError,
}))
  register(kind, name);

/**
 * Makes an error without stack frames: for one that is made while the network, a timer or another call is served. Its
 * frames would not lead to the call that fails, and would take ten times as long as everything else. Node.js makes some
 * of its own errors in this way.
 */
export function withoutFrames<E extends Error>(make: () => E): E {
  const limit: unknown = Reflect.get(Error, 'stackTraceLimit');
  // Unlike an assignment, it does not throw if the application has frozen `Error`.
  Reflect.set(Error, 'stackTraceLimit', 0);
  try {
    return make();
  } finally {
    Reflect.set(Error, 'stackTraceLimit', limit);
  }
}

/** Foreign text in error messages is cut after so many characters. */
const MAXIMUM_FOREIGN_TEXT = 256;

/** Text from a server, a proxy or a certificate as error messages show it: on one line, and cut if it is long. */
export function shown(text: string, most: number = MAXIMUM_FOREIGN_TEXT): string {
  const clean = text.substring(0, most).replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '?');
  return text.length > most ? `${clean}…` : clean;
}

/** The message of anything that was thrown. Never throws. */
export function messageOf(error: unknown): string {
  try {
    return String(typeof error === 'object' && error !== null && 'message' in error ? error.message : error);
  } catch {
    return 'an error without a readable message';
  }
}

/** The `code` of anything that was thrown; empty if it has none. Never throws. */
export function codeOf(error: unknown): string {
  try {
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : '';
    return typeof code === 'string' ? code : '';
  } catch {
    return '';
  }
}
