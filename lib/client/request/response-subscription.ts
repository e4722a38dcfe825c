import { ClosedError, messageOf } from '../../errors.ts';
import type { Logger } from '../logger.ts';
import type { ClientSubscription } from '../receive/client-subscription.ts';
import type { MessageWaiter } from '../receive/consumer.ts';
import type { ReceivedMessage } from '../receive/received-message.ts';
import type { SubscribeOptions } from '../receive/subscribe-options.ts';
import { PendingRequests, type PendingRequest } from './pending-requests.ts';
import type { ReceivedReply } from './reply-properties.ts';
import type { RequestCounters } from './request-counts.ts';

/** Subscribes, and passes the subscription to `made` before SUBSCRIBE is written. */
export type Subscribe = (
  topicFilter: string,
  options: SubscribeOptions,
  made: (subscription: ClientSubscription) => void,
) => Promise<ClientSubscription>;

interface ResponseSubscriptionParts {
  readonly counters: RequestCounters;
  readonly logger: Pick<Logger, 'debug'>;
  readonly subscribe: Subscribe;
  /** What a message says about the request that it replies to. */
  read(message: ReceivedMessage, topicFilter: string): ReceivedReply;
  /** A request has all its replies. May be called while the engine runs. */
  finished(request: PendingRequest): void;
  /** Its replies can no longer arrive. */
  failed(request: PendingRequest, reason: unknown): void;
}

/** Replies are received with this QoS, or the lower one that they were published with. */
const QOS = 1;

/**
 * The subscription to the replies of one Response Topic. Replies are acknowledged when they arrive: the request is what
 * waits for them, and it does not outlive the process.
 */
export class ResponseSubscription {
  readonly topicFilter: string;
  readonly pending: PendingRequests = new PendingRequests();
  readonly #parts: ResponseSubscriptionParts;
  #phase: 'subscribing' | 'ready' | 'over' = 'subscribing';
  #subscription: ClientSubscription | undefined = undefined;
  #ready: Promise<void>;

  constructor(topicFilter: string, parts: ResponseSubscriptionParts) {
    this.topicFilter = topicFilter;
    this.#parts = parts;
    this.#ready = this.#subscribe();
  }

  /** Whether the server has granted it. */
  get isReady(): boolean {
    return this.#phase === 'ready';
  }

  /** Whether it gets no more replies. */
  get isOver(): boolean {
    return this.#phase === 'over';
  }

  /** Resolves on SUBACK. Rejects if the server refuses it, or the client ends before. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /** The server has lost the session, and the client does not restore its subscriptions. */
  renew(): void {
    if (this.#phase !== 'ready') return;
    const before = this.#subscription;
    this.#phase = 'subscribing';
    this.#ready = this.#subscribe();
    // The new one holds the filter: nothing is unsubscribed at the server.
    void before?.unsubscribe();
  }

  /** No request needs it any more. */
  end(): void {
    this.#phase = 'over';
    this.#subscription?.unsubscribe().catch((error: unknown) => {
      if (!(error instanceof ClosedError))
        this.#parts.logger.debug(`could not unsubscribe from replies: ${messageOf(error)}`);
    });
  }

  #subscribe(): Promise<void> {
    const ready = this.#granted();
    // Requests that wait for it get the error; there may be none.
    ready.catch(() => {});
    return ready;
  }

  async #granted(): Promise<void> {
    try {
      await this.#parts.subscribe(this.topicFilter, { qos: QOS, ack: 'received' }, (subscription) => {
        this.#subscription = subscription;
        subscription.request(this.#waiterOf(subscription));
      });
    } catch (error) {
      this.#over(error);
      throw error;
    }
    if (this.#phase === 'subscribing') this.#phase = 'ready';
  }

  /** Takes every reply at once: a subscription without a waiter would keep them in its buffer. */
  #waiterOf(subscription: ClientSubscription): MessageWaiter {
    const waiter: MessageWaiter = {
      take: (message) => {
        this.#take(message);
        subscription.request(waiter);
      },
      end: (error) => {
        if (this.#subscription !== subscription) return;
        this.#over(
          error === undefined ? new ClosedError('the subscription to replies has ended') : error.reason,
        );
      },
    };
    return waiter;
  }

  /** May run while the engine does. */
  #take(message: ReceivedMessage): void {
    const { key, error } = this.#parts.read(message, this.topicFilter);
    const request = this.pending.find(key);
    if (request === undefined) {
      this.#parts.counters.unexpected++;
      return;
    }
    const { receiver } = request;
    const awaits = error === undefined ? receiver.reply(message) : receiver.refused(error);
    if (awaits === 'done') this.#parts.finished(request);
  }

  #over(reason: unknown): void {
    this.#phase = 'over';
    for (const request of this.pending.all()) this.#parts.failed(request, reason);
  }
}
