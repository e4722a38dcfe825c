/**
 * Everything this client throws or rejects with. Each kind has a stable `code`; wrong arguments are plain
 * `TypeError` and `RangeError`; an aborted call rejects with the reason of its signal.
 */

/** The `code` of a {@link MqttError}: stable, for programs to branch on. */
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
  | 'ERR_MQTT_POISONED_MESSAGE';

/**
 * Names a class of errors, and lets `instanceof` hold for the same class of another copy of this package: a program may
 * load both the ES module and the CommonJS build, each with classes of its own.
 */
function register(kind: { readonly prototype: MqttError }, name: string): void {
  const mark = Symbol.for(`mqtt-await.${name}`);
  Object.defineProperty(kind.prototype, mark, { value: true });
  Object.defineProperty(kind.prototype, 'name', { value: name, writable: true, configurable: true });
  Object.defineProperty(kind, Symbol.hasInstance, {
    value(this: unknown, error: unknown): boolean {
      // What a function of the application throws may be a Proxy that throws.
      try {
        // A class derived by an application inherits this method, and is not marked.
        if (this !== kind) return Function.prototype[Symbol.hasInstance].call(this, error);
        return typeof error === 'object' && error !== null && mark in error;
      } catch {
        return false;
      }
    },
  });
}

/** The parent of every error of this client. */
export class MqttError extends Error {
  /** Which kind of error this is. */
  readonly code: MqttErrorCode;

  constructor(code: MqttErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  static {
    register(this, 'MqttError');
  }
}

/** Where an attempt to connect failed. */
export type ConnectPhase = 'credentials' | 'dial' | 'tls' | 'websocket' | 'connack' | 'timeout';

/** What a `ConnectError` says beside its message. */
export interface ConnectErrorOptions extends ErrorOptions {
  readonly properties?: Readonly<Record<string, unknown>> | undefined;
  readonly reasonCode?: number | undefined;
  readonly status?: number | undefined;
  readonly during?: ConnectPhase | undefined;
}

/** An attempt to connect failed. */
export class ConnectError extends MqttError {
  /** How far the attempt had come. `timeout`: it took longer than `connectTimeout`. */
  readonly phase: ConnectPhase;
  /** The Reason Code (5.0) or return code (3.x) of a CONNACK that refused. */
  readonly reasonCode: number | undefined;
  /** The HTTP status with which a WebSocket or a proxy was refused. */
  readonly status: number | undefined;
  /** With phase `timeout`: what was going on. */
  readonly during: ConnectPhase | undefined;
  /** The properties of a CONNACK that refused (5.0), such as `reasonString`. */
  readonly properties: Readonly<Record<string, unknown>>;

  constructor(phase: ConnectPhase, message: string, options: ConnectErrorOptions = {}) {
    super('ERR_MQTT_CONNECT', message, options);
    this.phase = phase;
    this.reasonCode = options.reasonCode;
    this.status = options.status;
    this.during = options.during;
    this.properties = options.properties ?? {};
  }

  static {
    register(this, 'ConnectError');
  }
}

/** What a `ConnectionLostError` says beside its message. */
export interface ConnectionLostErrorOptions extends ErrorOptions {
  readonly reasonCode?: number | undefined;
  readonly properties?: Readonly<Record<string, unknown>> | undefined;
  readonly fate?: MessageFate | undefined;
}

/** A Network Connection that was up has ended, or there is none where one is needed at once. */
export class ConnectionLostError extends MqttError {
  /** The Reason Code of the DISCONNECT the server sent, if it sent one (5.0). */
  readonly reasonCode: number | undefined;
  /** The properties of that DISCONNECT, such as `reasonString`. */
  readonly properties: Readonly<Record<string, unknown>>;
  /** For `publish()` with QoS 0: what is known of the message. */
  readonly delivery: Delivery | undefined;
  /** For `publish()` with QoS 0: whether the message is still with the client. */
  readonly kept: boolean | undefined;

  constructor(message: string, options: ConnectionLostErrorOptions = {}) {
    super('ERR_MQTT_CONNECTION_LOST', message, options);
    this.reasonCode = options.reasonCode;
    this.properties = options.properties ?? {};
    this.delivery = options.fate?.delivery;
    this.kept = options.fate?.kept;
  }

  static {
    register(this, 'ConnectionLostError');
  }
}

/** The other side broke the protocol, or would have been broken by what was to be encoded. */
export class ProtocolError extends MqttError {
  /** The normative statement that was broken, such as `MQTT-2.1.3-1`, or a section of the specification. */
  readonly statement: string;
  /** The Reason Code to close with (5.0): 0x81 Malformed Packet, 0x82 Protocol Error, or a more specific one. */
  readonly reasonCode: number;
  /** The Packet Identifier of the message of ours that was answered wrongly, where it was that. */
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

  static {
    register(this, 'ProtocolError');
  }
}

/**
 * What is known of a message whose `publish()` rejected: `not-sent`, it was never written; `unknown`, it was
 * written and not answered; `rejected`, the server refused it.
 */
export type Delivery = 'not-sent' | 'unknown' | 'rejected';

/** What every rejection of `publish()` says about the message. */
export interface MessageFate {
  /** What is known of its delivery. */
  readonly delivery: Delivery;
  /** Whether the message is still with the client and will go out. */
  readonly kept: boolean;
}

/** An error that says what became of a message: see {@link isPublishFailure}. */
export type PublishFailure = MqttError & MessageFate;

/**
 * Whether `error` says what became of a message. Every rejection of `publish()` does, apart from wrong arguments and the
 * reason of an aborted signal.
 */
export function isPublishFailure(error: unknown): error is PublishFailure {
  return error instanceof MqttError && 'delivery' in error && error.delivery !== undefined;
}

/** The message was refused, by the server (Reason Code) or by a guard before anything was written. */
export class PublishError extends MqttError implements MessageFate {
  readonly delivery: Delivery;
  readonly kept: boolean;
  /** The Reason Code of the PUBACK, PUBREC or PUBCOMP, or the one that a server would have answered with. */
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

  static {
    register(this, 'PublishError');
  }
}

/** What the server answered for one Topic Filter. */
export interface FilterResult {
  readonly topicFilter: string;
  /** Granted QoS (0, 1, 2), or 0 or 0x11 of `unsubscribe()`; from 0x80 on, why it was refused. */
  readonly reasonCode: number;
}

/** The server refused one or more Topic Filters, or the connection was lost each time they were asked for. */
export class SubscribeError extends MqttError {
  /** One entry per Topic Filter of the call, in its order. */
  readonly results: readonly FilterResult[];

  constructor(message: string, results: readonly FilterResult[], options?: ErrorOptions) {
    super('ERR_MQTT_SUBSCRIBE', message, options);
    this.results = results;
  }

  static {
    register(this, 'SubscribeError');
  }
}

/** The server refused to unsubscribe one or more Topic Filters, or the connection was lost each time it was asked to. */
export class UnsubscribeError extends MqttError {
  /** One entry per Topic Filter of the call, in its order. */
  readonly results: readonly FilterResult[];

  constructor(message: string, results: readonly FilterResult[], options?: ErrorOptions) {
    super('ERR_MQTT_UNSUBSCRIBE', message, options);
    this.results = results;
  }

  static {
    register(this, 'UnsubscribeError');
  }
}

/** The outgoing queue is full (`maxQueued`, `maxQueuedBytes`), or its policy let this message go. */
export class QueueFullError extends MqttError implements MessageFate {
  /** `unknown`: it waited again, as the session it had been sent in was lost. */
  readonly delivery: Delivery;
  readonly kept = false;

  constructor(message: string, options: ErrorOptions & { delivery?: Delivery } = {}) {
    super('ERR_MQTT_QUEUE_FULL', message, options);
    this.delivery = options.delivery ?? 'not-sent';
  }

  static {
    register(this, 'QueueFullError');
  }
}

/** A call took longer than its `timeout`, or than the option that bounds it. */
export class TimeoutError extends MqttError {
  /** For `publish()`: what is known of the message. */
  readonly delivery: Delivery | undefined;
  /** For `publish()`: whether the message is still with the client and will go out. */
  readonly kept: boolean | undefined;

  constructor(message: string, fate?: MessageFate, options?: ErrorOptions) {
    super('ERR_MQTT_TIMEOUT', message, options);
    this.delivery = fate?.delivery;
    this.kept = fate?.kept;
  }

  static {
    register(this, 'TimeoutError');
  }
}

/** The client was ended, by `disconnect()` or by an error that is final (`cause`), before the call was done. */
export class ClosedError extends MqttError {
  /** For `publish()`: what is known of the message. */
  readonly delivery: Delivery | undefined;
  /** For `publish()`: whether the message is still with the client and goes out after the next `connect()`. */
  readonly kept: boolean | undefined;

  constructor(message: string, fate?: MessageFate, options?: ErrorOptions) {
    super('ERR_MQTT_CLOSED', message, options);
    this.delivery = fate?.delivery;
    this.kept = fate?.kept;
  }

  static {
    register(this, 'ClosedError');
  }
}

/** The message took the connection down whenever it was sent; it is not sent again. */
export class PoisonedMessageError extends MqttError implements MessageFate {
  readonly delivery = 'unknown';
  readonly kept = false;

  constructor(message: string, options?: ErrorOptions) {
    super('ERR_MQTT_POISONED_MESSAGE', message, options);
  }

  static {
    register(this, 'PoisonedMessageError');
  }
}

/** Characters of what others have said that a message repeats. */
const LONGEST_WORDS = 256;

/** Text of a server, a proxy or a certificate, as a message repeats it: on one line, and cut where it is long. */
export function shown(text: string): string {
  const clean = text.substring(0, LONGEST_WORDS).replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '?');
  return text.length > LONGEST_WORDS ? `${clean}…` : clean;
}

/** The text of whatever was thrown. Never throws: it is the application's, and may be anything. */
export function messageOf(error: unknown): string {
  try {
    return String(typeof error === 'object' && error !== null && 'message' in error ? error.message : error);
  } catch {
    return 'something that cannot be said in text';
  }
}

/** The `code` of an error as text; empty where it has none. Whatever it is that was thrown, this does not throw. */
export function codeOf(error: unknown): string {
  try {
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : '';
    return typeof code === 'string' ? code : '';
  } catch {
    return '';
  }
}
