import { copyOf } from '../../bytes.ts';
import type { PublishProperties, QoS } from '../../codec/packets.ts';
import { isPublishFailure, RequestError, messageOf } from '../../errors.ts';
import { checkKeys, string } from '../config/validate.ts';
import { toPayload, type Payload } from '../publish/payload.ts';
import type { ReceivedMessage } from '../receive/received-message.ts';
import { NO_CODE, OWN_CODES, failureProperties } from './reply-properties.ts';
import type { Reply } from './replies.ts';
import { checkProperties } from './request-options.ts';
import type { ReplyOptions, ServiceRequest } from './service.ts';
import { failurePayload, failureTopic } from './topic-convention.ts';

/** How a request is known to its service. */
export interface RequestIdentity {
  readonly topic: string;
  readonly responseTopic: string;
  /** Equal for a request that comes again; undefined if that cannot be told. */
  readonly key: string | undefined;
}

/** What a request needs of its service. */
export interface RequestHost {
  /** Whether replies have no properties, as failures have to be told otherwise. */
  readonly convention: 'topic' | undefined;
  readonly canHaveProperties: boolean;
  /** When the Message Expiry of a message is over, in ms of the clock; undefined: it has none. */
  expiryOf(message: ReceivedMessage): number | undefined;
  now(): number;
  /** Publishes the reply. Resolves when it is acknowledged. */
  send(request: ReceivedRequest, reply: Reply, options: ReplyOptions): Promise<void>;
  /** The request has its reply, or was settled without one. */
  finished(request: ReceivedRequest, reply: Reply | undefined): void;
}

const EMPTY = new Uint8Array(0);
const REPLY_KEYS = ['qos', 'properties', 'signal', 'timeout'];
const SET_HERE = [
  'responseTopic',
  'correlationData',
  'messageExpiryInterval',
  'topicAlias',
  'subscriptionIdentifiers',
];
/** The most characters of a code and of a message that are sent: they have to fit into any packet. */
const MOST_CODE = 256;
const MOST_MESSAGE = 1_024;

/** One request that a service hands out. */
export class ReceivedRequest implements ServiceRequest {
  readonly topic: string;
  readonly responseTopic: string;
  readonly key: string | undefined;
  readonly #message: ReceivedMessage;
  readonly #host: RequestHost;
  /** `open`: it can be answered. */
  #phase: 'open' | 'answered' = 'open';
  /** Settles with the reply, and never rejects. */
  #answering: Promise<void> | undefined = undefined;

  constructor(message: ReceivedMessage, identity: RequestIdentity, host: RequestHost) {
    this.topic = identity.topic;
    this.responseTopic = identity.responseTopic;
    this.key = identity.key;
    this.#message = message;
    this.#host = host;
  }

  get payload(): Uint8Array {
    return this.#message.payload;
  }

  get qos(): QoS {
    return this.#message.qos;
  }

  get retain(): boolean {
    return this.#message.retain;
  }

  get duplicate(): boolean {
    return this.#message.duplicate;
  }

  get properties(): PublishProperties {
    return this.#message.properties;
  }

  text(): string {
    return this.#message.text();
  }

  json<T = unknown>(): T {
    return this.#message.json<T>();
  }

  copy(): Uint8Array {
    return this.#message.copy();
  }

  ack(): void {
    this.#settled();
    this.#message.ack();
  }

  reject(reasonCode: number): void {
    this.#message.reject(reasonCode);
    this.#settled();
  }

  get expired(): boolean {
    const expiry = this.#host.expiryOf(this.#message);
    return expiry !== undefined && expiry <= this.#host.now();
  }

  reply(payload: Payload, options: ReplyOptions = {}): Promise<void> {
    return this.#answer(() => {
      checkKeys('reply', options, REPLY_KEYS);
      const { properties } = options;
      if (properties !== undefined) {
        if (!this.#host.canHaveProperties)
          throw new TypeError('properties: expected none, as only MQTT 5.0 has them');
        checkProperties(this.responseTopic, properties, SET_HERE);
      }
      const content = toPayload(payload);
      return {
        topicName: this.responseTopic,
        // It is kept for a request that comes again, after the caller has its payload back.
        payload: typeof content === 'string' || this.key === undefined ? content : copyOf(content),
        properties: properties === undefined ? undefined : { ...properties },
      };
    }, options);
  }

  fail(code: string, message: string = ''): Promise<void> {
    return this.#answer(() => {
      checkCode(code);
      return this.#failure(code, string('message', message));
    }, {});
  }

  // --- for its service -------------------------------------------------------------------------------------------

  get message(): ReceivedMessage {
    return this.#message;
  }

  /** Whether it can still be answered. */
  get isOpen(): boolean {
    return this.#phase === 'open';
  }

  /** Resolves when a reply that is under way has arrived, or failed. */
  async answered(): Promise<void> {
    await this.#answering;
  }

  /** Its handler threw. Only the message of the error is sent, and the code if it is a `RequestError`. */
  failed(error: unknown): Promise<void> {
    const code = error instanceof RequestError && !error.code.startsWith(OWN_CODES) ? error.code : NO_CODE;
    return this.#answer(() => this.#failure(code, messageOf(error)), {});
  }

  async #answer(make: () => Reply, options: ReplyOptions): Promise<void> {
    if (this.#phase !== 'open')
      throw new TypeError(
        'reply: expected one reply for each request, but this one has been answered or settled',
      );
    const reply = make();
    this.#phase = 'answered';
    const sending = this.#send(reply, options);
    this.#answering = sending.catch(() => {});
    await sending;
  }

  async #send(reply: Reply, options: ReplyOptions): Promise<void> {
    // The requester has given up: the reply would only be counted there.
    if (this.expired) {
      this.#host.finished(this, undefined);
      this.#message.ack();
      return;
    }
    try {
      await this.#host.send(this, reply, options);
    } catch (error) {
      // A reply that the client keeps goes out after all.
      if (!isPublishFailure(error) || !error.kept) this.#phase = 'open';
      throw error;
    }
    this.#host.finished(this, reply);
    this.#message.ack();
  }

  #failure(code: string, message: string): Reply {
    const ownCode = sendable(code, MOST_CODE);
    const text = sendable(message, MOST_MESSAGE);
    return this.#host.convention === undefined
      ? {
          topicName: this.responseTopic,
          payload: EMPTY,
          properties: { userProperties: failureProperties(ownCode, text) },
        }
      : {
          topicName: failureTopic(this.responseTopic),
          payload: failurePayload(ownCode, text),
          properties: undefined,
        };
  }

  #settled(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'answered';
    this.#host.finished(this, undefined);
  }
}

function checkCode(code: unknown): void {
  if (string('code', code) === '')
    throw new TypeError('code: expected a string that is not empty, got an empty one');
  if ((code as string).startsWith(OWN_CODES))
    throw new TypeError(
      `code: expected one that does not begin with ${OWN_CODES}, which are those of this package`,
    );
}

/** Text that a User Property can have: well-formed, without U+0000, and not long. */
function sendable(text: string, most: number): string {
  return text.substring(0, most).replaceAll('\0', ' ').toWellFormed();
}
