import type { ProtocolVersion, PublishProperties } from '../../codec/packets.ts';
import { ClosedError, messageOf, RequestError, TimeoutError, type MqttError } from '../../errors.ts';
import { Stage } from '../../session/exchange.ts';
import type { Logger } from '../logger.ts';
import type { Payload } from '../publish/payload.ts';
import { PendingPublish, type PublishResult } from '../publish/pending-publish.ts';
import { ownLarge } from '../publish/publish-calls.ts';
import type { Message } from '../receive/message.ts';
import { withCancellation } from '../runtime/cancellation.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Driver } from '../runtime/driver.ts';
import { correlationKey, randomCorrelation, randomLevel } from './correlation.ts';
import { PendingRequest, type ReplyReceiver } from './pending-requests.ts';
import { readProperties } from './reply-properties.ts';
import { ReplyIterator, type StartedRequest } from './reply-iterator.ts';
import type { RequestCounters } from './request-counts.ts';
import {
  checkRequest,
  type RequestCall,
  type RequestManyOptions,
  type RequestOptions,
} from './request-options.ts';
import { ResponseSubscription, type Subscribe } from './response-subscription.ts';
import { ResponseTopic } from './response-topic.ts';
import { readReply, requestTopic, responseFilter } from './topic-convention.ts';

interface RequestCallsParts {
  readonly clock: Clock;
  readonly counters: RequestCounters;
  readonly driver: Driver;
  readonly logger: Logger;
  readonly subscribe: Subscribe;
  readonly version: ProtocolVersion;
}

/** Subscriptions that no request needs are kept up to this number: the next request to the same topic needs one. */
const MOST_SUBSCRIPTIONS = 64;
/** No matching subscribers (3.4.2.1). */
const NO_SUBSCRIBER = 0x10;
const MOST_SECONDS = 0xffff_ffff;

/** `request()` and `requestMany()`. */
export class RequestCalls {
  readonly #parts: RequestCallsParts;
  readonly #topic = new ResponseTopic();
  /** By Topic Filter, the one used longest ago first. */
  readonly #subscriptions = new Map<string, ResponseSubscription>();
  /** Every request that is not over, published or not. */
  readonly #open = new Set<PendingRequest>();
  /** Requests that wait for a connection, to know their Response Topic. */
  #unconnected: (() => void)[] = [];

  constructor(parts: RequestCallsParts) {
    this.#parts = parts;
  }

  get pending(): number {
    return this.#open.size;
  }

  /** Throws on wrong arguments. */
  request(topicName: string, payload: Payload, options: RequestOptions): Promise<Message> {
    const call = checkRequest('request', this.#parts.version, [topicName, payload, options]);
    return new Promise<Message>((resolve, reject) => {
      this.#start(call, {
        reply: (message) => (resolve(message), 'done'),
        refused: (error) => (reject(error), 'done'),
        failed: reject,
      });
    });
  }

  /** Throws on wrong arguments. Each loop sends a request of its own. */
  requestMany(topicName: string, payload: Payload, options: RequestManyOptions): AsyncIterable<Message> {
    const call = checkRequest('requestMany', this.#parts.version, [topicName, payload, options]);
    const { clock, counters } = this.#parts;
    const start = (receiver: ReplyReceiver): StartedRequest => {
      const request = this.#start(call, receiver);
      return { end: () => this.#abandon(request) };
    };
    return { [Symbol.asyncIterator]: () => new ReplyIterator(call, { clock, counters, start }) };
  }

  /** A connection is up. */
  connected(): void {
    const waiting = this.#unconnected;
    this.#unconnected = [];
    for (const resume of waiting) resume();
  }

  /** The server has lost the session. `isRestored`: the engine restores its subscriptions. */
  sessionLost(isRestored: boolean): void {
    if (!isRestored) for (const subscription of this.#subscriptions.values()) subscription.renew();
  }

  /** The client has ended: every request fails. */
  closed(error: MqttError | undefined): void {
    const message =
      error === undefined ? 'the client was disconnected' : `the client has ended: ${messageOf(error)}`;
    const options = error === undefined ? undefined : { cause: error };
    for (const request of this.#open) this.#fail(request, new ClosedError(message, undefined, options));
    this.#subscriptions.clear();
    this.connected();
  }

  /** The Topic Filters of replies. Requests that wait for them fail. */
  leave(): readonly string[] {
    const topicFilters = [...this.#subscriptions.keys()];
    this.closed(undefined);
    return topicFilters;
  }

  /** Whether a Topic Name is one that this client has subscribed to for replies. */
  isReply(topicName: string): boolean {
    if (this.#subscriptions.has(topicName)) return true;
    for (const { topicFilter } of this.#subscriptions.values())
      if (topicFilter.endsWith('#') && topicName.startsWith(topicFilter.substring(0, topicFilter.length - 1)))
        return true;
    return false;
  }

  /** Whether a Topic Name is that of replies to an earlier process of this client. */
  isLeftover(topicName: string): boolean {
    return this.#topic.isLeftover(topicName);
  }

  #start(call: RequestCall, receiver: ReplyReceiver): PendingRequest {
    const { clock } = this.#parts;
    const request = new PendingRequest(receiver);
    const deadline = clock.now() + call.timeout;
    this.#open.add(request);
    request.done = withCancellation(call, clock, call.name, (reason) => this.#cancel(request, reason));
    try {
      const responses = this.#subscriptionFor(call);
      if (responses?.isReady === true) this.#publish(call, request, responses, deadline);
      else void this.#publishWhenReady(call, request, deadline);
    } catch (error) {
      this.#fail(request, error);
    }
    return request;
  }

  async #publishWhenReady(call: RequestCall, request: PendingRequest, deadline: number): Promise<void> {
    try {
      while (this.#open.has(request)) {
        const responses = this.#subscriptionFor(call);
        if (responses?.isReady === true) {
          this.#publish(call, request, responses, deadline);
          return;
        }
        if (responses === undefined) await new Promise<void>((resolve) => this.#unconnected.push(resolve));
        else await responses.ready;
      }
    } catch (error) {
      this.#fail(request, error);
    }
  }

  /** The subscription that gets the replies, which may not be ready; undefined: a connection has to be up first. */
  #subscriptionFor(call: RequestCall): ResponseSubscription | undefined {
    const { driver } = this.#parts;
    if (driver.state === 'closed' || driver.state === 'disconnecting')
      throw new ClosedError('request not sent: the client is closed');
    const topicFilter = this.#filterFor(call);
    if (topicFilter === undefined) return undefined;
    const found = this.#subscriptions.get(topicFilter);
    if (found?.isOver === false) {
      if (this.#subscriptions.size > 1) {
        this.#subscriptions.delete(topicFilter);
        this.#subscriptions.set(topicFilter, found);
      }
      return found;
    }
    return this.#subscribe(topicFilter, call.convention);
  }

  #filterFor({ topicName, responseTopic, convention }: RequestCall): string | undefined {
    const { driver } = this.#parts;
    if (convention === undefined) return responseTopic ?? this.#topic.select(driver);
    const clientId = this.#topic.clientId(driver);
    return clientId === undefined ? undefined : responseFilter(topicName, clientId);
  }

  #subscribe(topicFilter: string, convention: 'topic' | undefined): ResponseSubscription {
    const { counters, logger, subscribe } = this.#parts;
    const made = new ResponseSubscription(topicFilter, {
      counters,
      logger,
      subscribe,
      read: convention === undefined ? ({ properties }) => readProperties(properties) : readReply,
      finished: (request) => void this.#finish(request),
      failed: (request, reason) => this.#fail(request, reason),
    });
    for (const [filter, other] of this.#subscriptions) {
      if (this.#subscriptions.size < MOST_SUBSCRIPTIONS) break;
      if (!other.isReady || other.pending.size > 0) continue;
      this.#subscriptions.delete(filter);
      other.end();
    }
    this.#subscriptions.set(topicFilter, made);
    return made;
  }

  #publish(
    call: RequestCall,
    request: PendingRequest,
    responses: ResponseSubscription,
    deadline: number,
  ): void {
    const { clock, driver, version } = this.#parts;
    const left = Math.max(1, Math.ceil((deadline - clock.now()) / 1_000));
    const expiry = { messageExpiryInterval: Math.min(left, MOST_SECONDS) };
    let { topicName } = call;
    let properties: PublishProperties | undefined =
      version < 5 ? undefined : { ...expiry, ...call.properties };
    // The request is registered before it is published.
    if (call.convention === undefined) {
      const correlationData = randomCorrelation();
      responses.pending.add(correlationKey(correlationData), request);
      properties = { ...properties, responseTopic: responses.topicFilter, correlationData };
    } else {
      const n = randomLevel();
      responses.pending.add(n, request);
      topicName = requestTopic(topicName, this.#topic.clientId(driver) ?? driver.clientId, n);
    }
    const exchange = new PendingPublish(topicName, ownLarge(call.payload), call.qos, false, properties);
    request.exchange = exchange;
    exchange.promise.then(
      (result) => this.#published(request, result),
      (error: unknown) => this.#fail(request, error),
    );
    driver.publish(exchange);
  }

  #published(request: PendingRequest, { reasonCode }: PublishResult): void {
    request.exchange = undefined;
    if (reasonCode !== NO_SUBSCRIBER) return;
    const message = 'the request was not delivered: nobody has subscribed to its topic';
    this.#fail(request, new RequestError('ERR_MQTT_NO_SUBSCRIBER', message, { reasonCode }));
  }

  /** Its signal was aborted, or its time is over. */
  #cancel(request: PendingRequest, reason: unknown): void {
    const { exchange, receiver } = request;
    if (!(reason instanceof TimeoutError)) this.#fail(request, reason);
    else if (exchange === undefined ? request.key === '' : !exchange.written)
      this.#fail(request, new TimeoutError(reason.message, { delivery: 'not-sent', kept: false }));
    else if (receiver.timedOut === undefined) this.#fail(request, reason);
    else {
      this.#abandon(request);
      receiver.timedOut();
    }
  }

  /** Nobody waits for its replies any more. */
  #abandon(request: PendingRequest): void {
    const { exchange } = request;
    if (!this.#finish(request) || exchange === undefined) return;
    // A request that still waits to be sent is not sent.
    if (exchange.stage !== Stage.Over) this.#parts.driver.withdraw(exchange);
  }

  #fail(request: PendingRequest, reason: unknown): void {
    if (!this.#open.has(request)) return;
    this.#abandon(request);
    request.receiver.failed(reason);
  }

  /** Returns whether it was not over before. */
  #finish(request: PendingRequest): boolean {
    if (!this.#open.delete(request)) return false;
    request.done();
    request.awaitedBy?.remove(request);
    return true;
  }
}
