import type { ProtocolVersion } from '../../codec/packets.ts';
import type { MqttError } from '../../errors.ts';
import type { ClientLogger } from '../logger.ts';
import type { Payload } from '../publish/payload.ts';
import type { PublishCalls } from '../publish/publish-calls.ts';
import type { Message } from '../receive/message.ts';
import type { ReceivedMessage } from '../receive/received-message.ts';
import type { Router } from '../receive/router.ts';
import type { SubscribeCalls } from '../receive/subscribe-calls.ts';
import type { UnmatchedMessages } from '../receive/unmatched-messages.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Driver } from '../runtime/driver.ts';
import { RequestCalls } from './request-calls.ts';
import { RequestCounters, type RequestCounts } from './request-counts.ts';
import type { RequestManyOptions, RequestOptions } from './request-options.ts';
import type { Subscribe } from './response-subscription.ts';
import { ServeCalls } from './serve-calls.ts';
import type { ServeOptions, Service } from './service.ts';

interface RequestResponseParts {
  readonly clock: Clock;
  readonly driver: Driver;
  readonly logger: ClientLogger;
  readonly persistent: boolean;
  readonly publishCalls: PublishCalls;
  readonly router: Router;
  readonly subscribeCalls: SubscribeCalls;
  readonly unmatched: UnmatchedMessages;
  readonly version: ProtocolVersion;
}

/** ms that the end of a client waits until its subscriptions to replies are ended at the server. */
const LEAVE_TIMEOUT = 1_000;

/** Request and response of one client. Made when it is first used. */
export class RequestResponse {
  readonly #parts: RequestResponseParts;
  readonly #counters = new RequestCounters();
  readonly #requestCalls: RequestCalls;
  readonly #subscribe: Subscribe;
  #serveCalls: ServeCalls | undefined = undefined;

  constructor(parts: RequestResponseParts) {
    this.#parts = parts;
    const { router, subscribeCalls, unmatched } = parts;
    this.#subscribe = (topicFilter, options, made) =>
      subscribeCalls.subscribe(topicFilter, options, (subscription) => {
        made(subscription);
        // Held replies to an earlier process are taken too, so that they do not wait for nobody.
        const isReplies = options.ack === 'received';
        unmatched.handOver(
          subscription,
          (topicName) =>
            router.matching(topicName).includes(subscription) ||
            (isReplies && this.#requestCalls.isLeftover(topicName)),
        );
      });
    this.#requestCalls = new RequestCalls({ ...parts, counters: this.#counters, subscribe: this.#subscribe });
  }

  get counts(): RequestCounts {
    const { unexpected, refused, repeated } = this.#counters;
    return { pending: this.#requestCalls.pending, unexpected, refused, repeated };
  }

  request(topicName: string, payload: Payload, options: RequestOptions): Promise<Message> {
    return this.#requestCalls.request(topicName, payload, options);
  }

  requestMany(topicName: string, payload: Payload, options: RequestManyOptions): AsyncIterable<Message> {
    return this.#requestCalls.requestMany(topicName, payload, options);
  }

  serve(topicFilter: string, options: ServeOptions): Promise<Service> {
    this.#serveCalls ??= new ServeCalls({
      ...this.#parts,
      counters: this.#counters,
      subscribe: this.#subscribe,
    });
    return this.#serveCalls.serve(topicFilter, options);
  }

  connected(): void {
    this.#requestCalls.connected();
  }

  sessionLost(isRestored: boolean): void {
    this.#requestCalls.sessionLost(isRestored);
  }

  closed(error: MqttError | undefined): void {
    this.#requestCalls.closed(error);
  }

  /**
   * A message arrived. `leftover`: it is a reply to an earlier process of this client, which nobody waits for. It is
   * counted, and only to be acknowledged.
   */
  arrived(message: ReceivedMessage): 'leftover' | 'other' {
    this.#serveCalls?.arrived(message);
    const { topic } = message;
    if (!this.#requestCalls.isLeftover(topic) || this.#parts.router.matching(topic).length > 0)
      return 'other';
    this.#counters.unexpected++;
    return 'leftover';
  }

  /** Whether a message is a reply, which is delivered while the client drains: a loop that is waited for may await it. */
  isReply(topicName: string): boolean {
    return this.#requestCalls.isReply(topicName);
  }

  /**
   * The client ends in order. In a persistent session, nobody will know the Response Topic of this process: the
   * subscription to it ends at the server too.
   */
  async leave(): Promise<void> {
    const topicFilters = this.#requestCalls.leave();
    const { driver, persistent, subscribeCalls, logger } = this.#parts;
    if (!persistent || topicFilters.length === 0 || driver.state !== 'connected') return;
    try {
      await subscribeCalls.unsubscribe(topicFilters, { timeout: LEAVE_TIMEOUT });
    } catch {
      logger.debug('the subscription to replies stays at the server');
    }
  }
}
