import type { PublishProperties } from '../../codec/packets.ts';
import { ClosedError, messageOf } from '../../errors.ts';
import { topicNameError } from '../../topic/names.ts';
import type { Logger } from '../logger.ts';
import type { PublishCalls } from '../publish/publish-calls.ts';
import type { ClientSubscription } from '../receive/client-subscription.ts';
import type { ReceivedMessage } from '../receive/received-message.ts';
import { checkCallWith, type CallOptions } from '../runtime/cancellation.ts';
import { callable, integerIn, type Checks } from '../config/validate.ts';
import type { Clock } from '../runtime/clock.ts';
import { correlationKey } from './correlation.ts';
import { ReceivedRequest, type RequestHost, type RequestIdentity } from './received-request.ts';
import { Replies, type Reply } from './replies.ts';
import type { RequestCounters } from './request-counts.ts';
import { RequestIterator } from './request-iterator.ts';
import type { ReplyOptions, ReplyResult, ServeLoopOptions, Service, ServiceRequest } from './service.ts';
import { parseRequestTopic } from './topic-convention.ts';

/** How requests of one service are recognised and answered. */
export interface ServiceSettings {
  readonly convention: 'topic' | undefined;
  readonly duplicates: 'answer-again' | 'handle';
  readonly replyTo: (responseTopic: string) => boolean;
  readonly canHaveProperties: boolean;
}

interface ClientServiceParts {
  readonly clock: Clock;
  readonly counters: RequestCounters;
  readonly logger: Pick<Logger, 'debug' | 'warn'>;
  readonly publishCalls: PublishCalls;
  /** When a message arrived, in ms of the clock. */
  arrivalOf(message: ReceivedMessage): number;
}

/** ms for which a reply is kept if its request has no Message Expiry. */
const KEPT_FOR = 30_000;
/** Bytes of a payload by which a request is recognised. */
const RECOGNISED_BY = 4_096;

const CHECKS: Checks<Omit<ServeLoopOptions, keyof CallOptions>> = { concurrency: integerIn(1) };

/** The service of one `serve()` call. */
export class ClientService implements Service, RequestHost {
  readonly convention: 'topic' | undefined;
  readonly canHaveProperties: boolean;
  readonly #subscription: ClientSubscription;
  readonly #settings: ServiceSettings;
  readonly #parts: ClientServiceParts;
  readonly #replies = new Replies();

  constructor(subscription: ClientSubscription, settings: ServiceSettings, parts: ClientServiceParts) {
    this.#subscription = subscription;
    this.#settings = settings;
    this.#parts = parts;
    this.convention = settings.convention;
    this.canHaveProperties = settings.canHaveProperties;
  }

  get topicFilter(): string {
    return this.#subscription.topicFilters[0] ?? '';
  }

  get depth(): number {
    return this.#subscription.depth;
  }

  [Symbol.asyncIterator](): AsyncIterator<ServiceRequest> {
    return new RequestIterator(this.#subscription[Symbol.asyncIterator](), this);
  }

  async forEach(
    handler: (request: ServiceRequest) => ReplyResult | PromiseLike<ReplyResult>,
    options: ServeLoopOptions = {},
  ): Promise<void> {
    checkCallWith('forEach', options, CHECKS);
    callable('handler', handler);
    await this.#subscription.forEach((message) => this.#handle(message, handler), options);
  }

  stop(): Promise<void> {
    return this.#subscription.stop();
  }

  unsubscribe(): Promise<void> {
    return this.#subscription.unsubscribe();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  // --- for its loops ---------------------------------------------------------------------------------------------

  /**
   * The request that a message is, if it is to be handled. A request that comes again has been answered when this
   * resolves.
   */
  async accept(message: ReceivedMessage): Promise<ReceivedRequest | undefined> {
    const identity = this.#identify(message);
    if (identity === undefined) return undefined;
    const request = new ReceivedRequest(message, identity, this);
    if (identity.key === undefined) return request;
    const found = this.#replies.begin(identity.key, this.now());
    if (found === 'new') return request;
    this.#parts.counters.repeated++;
    if (found !== 'repeated' && !request.expired) await this.#settle(() => this.send(request, found, {}));
    return undefined;
  }

  /** A loop has moved on: a request without a reply gets none. */
  async leave(request: ReceivedRequest): Promise<void> {
    await request.answered();
    if (request.isOpen) this.finished(request, undefined);
  }

  /** A loop has ended with the request in hand: the next one gets it, unless it is answered. */
  giveBack({ isOpen, key }: ReceivedRequest): void {
    if (isOpen && key !== undefined) this.#replies.forget(key);
  }

  // --- for its requests ------------------------------------------------------------------------------------------

  now(): number {
    return this.#parts.clock.now();
  }

  expiryOf(message: ReceivedMessage): number | undefined {
    const { messageExpiryInterval } = message.properties;
    if (messageExpiryInterval === undefined) return undefined;
    return this.#parts.arrivalOf(message) + messageExpiryInterval * 1_000;
  }

  async send({ message }: ReceivedRequest, reply: Reply, options: ReplyOptions): Promise<void> {
    const { qos = message.qos, signal, timeout } = options;
    const properties = this.#propertiesOf(message, reply);
    await this.#parts.publishCalls.publish(reply.topicName, reply.payload, {
      qos,
      ...(properties !== undefined && { properties }),
      ...(signal !== undefined && { signal }),
      ...(timeout !== undefined && { timeout }),
    });
  }

  finished({ key, message }: ReceivedRequest, reply: Reply | undefined): void {
    if (key === undefined) return;
    const now = this.now();
    this.#replies.finish(key, reply, this.expiryOf(message) ?? now + KEPT_FOR, now);
  }

  /** Correlation Data as it came [MQTT-3.3.2-15], and what is left of the Message Expiry Interval. */
  #propertiesOf(message: ReceivedMessage, { properties }: Reply): PublishProperties | undefined {
    if (!this.canHaveProperties) return undefined;
    const { correlationData } = message.properties;
    const expiry = this.expiryOf(message);
    return {
      ...properties,
      ...(correlationData !== undefined && { correlationData }),
      ...(expiry !== undefined && {
        messageExpiryInterval: Math.max(1, Math.ceil((expiry - this.now()) / 1_000)),
      }),
    };
  }

  async #handle(
    message: ReceivedMessage,
    handler: (request: ServiceRequest) => ReplyResult | PromiseLike<ReplyResult>,
  ): Promise<void> {
    const request = await this.accept(message);
    if (request === undefined) return;
    try {
      const result = await handler(request);
      if (request.isOpen) await request.reply(result ?? null);
    } catch (error) {
      await this.#report(request, error);
    }
    await this.leave(request);
  }

  /** A handler threw, or its reply was not sent. The requester is told, unless it has a reply. */
  async #report(request: ReceivedRequest, error: unknown): Promise<void> {
    this.#parts.logger.warn(`a request was not answered by its handler: ${messageOf(error)}`);
    await request.answered();
    if (request.isOpen) await this.#settle(() => request.failed(error));
  }

  /** Sends a reply that nobody waits for here. If this client has ended, the request belongs to the server again. */
  async #settle(send: () => Promise<void>): Promise<void> {
    try {
      await send();
    } catch (error) {
      if (!(error instanceof ClosedError))
        this.#parts.logger.warn(`a reply was not sent: ${messageOf(error)}`);
    }
  }

  /** How a message is known as a request; undefined: it is not to be answered. */
  #identify(message: ReceivedMessage): RequestIdentity | undefined {
    const { topic, properties } = message;
    const parsed =
      this.convention === undefined
        ? { topic, responseTopic: properties.responseTopic }
        : parseRequestTopic(topic);
    const responseTopic = parsed?.responseTopic;
    if (parsed === undefined || responseTopic === undefined || message.retain)
      return this.#refuse('it is no request');
    if (
      topicNameError(responseTopic) !== undefined ||
      responseTopic.startsWith('$') ||
      !this.#isAllowed(responseTopic)
    )
      return this.#refuse('its Response Topic is not allowed');
    return { topic: parsed.topic, responseTopic, key: this.#keyOf(message, responseTopic) };
  }

  /** A function of the application that throws, or returns something else than true, allows nothing. */
  #isAllowed(responseTopic: string): boolean {
    try {
      const isAllowed: unknown = this.#settings.replyTo(responseTopic);
      return isAllowed === true;
    } catch (error) {
      this.#parts.logger.warn(`replyTo threw, so the request is not answered: ${messageOf(error)}`);
      return false;
    }
  }

  #refuse(why: string): undefined {
    this.#parts.counters.refused++;
    this.#parts.logger.debug(`a message to a service is not handed out: ${why}`);
    return undefined;
  }

  /**
   * Equal for a request that comes again. Correlation Data alone is not enough: some clients send the same for every
   * request, so the request itself counts too.
   */
  #keyOf(message: ReceivedMessage, responseTopic: string): string | undefined {
    if (this.#settings.duplicates === 'handle') return undefined;
    if (this.convention !== undefined) return responseTopic;
    const { correlationData } = message.properties;
    if (correlationData === undefined) return undefined;
    const { topic, payload } = message;
    return [responseTopic, topic, payload.length, hashOf(payload), correlationKey(correlationData)].join(
      '\0',
    );
  }
}

/** FNV-1a of the beginning of a payload. */
function hashOf(payload: Uint8Array): number {
  let hash = 0x811c9dc5;
  const end = Math.min(payload.length, RECOGNISED_BY);
  for (let i = 0; i < end; i++) hash = Math.imul(hash ^ (payload[i] as number), 0x01000193);
  return hash >>> 0;
}
