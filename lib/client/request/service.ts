import type { PublishProperties, QoS } from '../../codec/packets.ts';
import type { Payload } from '../publish/payload.ts';
import type { Message } from '../receive/message.ts';
import type { SubscribeOptions } from '../receive/subscribe-options.ts';
import type { CallOptions } from '../runtime/cancellation.ts';

/** Options of `serve()`. Those of `subscribe()` mean the same; `signal` also ends the Service later. */
export interface ServeOptions
  extends CallOptions, Pick<SubscribeOptions, 'qos' | 'buffer' | 'overflow' | 'properties'> {
  /** A ShareName: requests are shared among the clients that serve with the same one (4.8.2). @default none */
  readonly share?: string | undefined;
  /**
   * A request that comes again, because it was sent again, is answered with the reply that it got (`answer-again`), or
   * handed out like any other (`handle`). Replies are kept until the Message Expiry of their request is over, or for
   * 30 s: at most 1,000 of them, and 16 MiB. @default "answer-again"
   */
  readonly duplicates?: 'answer-again' | 'handle' | undefined;
  /**
   * Whether this Response Topic may be answered. Other requests are not handed out. Those whose Response Topic begins
   * with `$` never are. @default all
   */
  readonly replyTo?: ((responseTopic: string) => boolean) | undefined;
  /** `topic`: for requests by the convention for MQTT 3.1 and 3.1.1. @default none, which needs 5.0 */
  readonly convention?: 'topic' | undefined;
}

/** Options of `request.reply()`. */
export interface ReplyOptions extends CallOptions {
  /** Quality of Service (4.3). @default that of the request */
  readonly qos?: QoS | undefined;
  /** Such as `contentType`. Correlation Data and Message Expiry Interval are set by the client. 5.0 */
  readonly properties?:
    | Pick<PublishProperties, 'payloadFormatIndicator' | 'contentType' | 'userProperties'>
    | undefined;
}

/** A request as its service gets it. It is acknowledged when its reply was. An interface, so that tests can use an object literal. */
export interface ServiceRequest extends Message {
  /** The topic of the request; with the convention, without the levels that it adds. */
  readonly topic: string;
  /** Where the reply goes. */
  readonly responseTopic: string;
  /** Whether its Message Expiry Interval is over: the requester has given up, and a reply is not sent. */
  readonly expired: boolean;
  /**
   * Replies, and acknowledges the request when the reply is acknowledged. Rejects with what `publish()` rejects with; the
   * request has no reply then. A second reply is a `TypeError`.
   */
  reply(payload: Payload, options?: ReplyOptions): Promise<void>;
  /**
   * Replies with a failure: `request()` rejects with a `RequestError` that has this `code` and `message`. A `TypeError` if
   * the code is empty or begins with `ERR_MQTT_`.
   */
  fail(code: string, message?: string): Promise<void>;
}

/**
 * The requests of one `serve()` call, in order of arrival. Several loops share them. A loop that asks for the next request
 * without a reply to the one before it acknowledges that one without a reply. An interface, so that tests can use an
 * object literal.
 */
export interface Service extends AsyncIterable<ServiceRequest>, AsyncDisposable {
  /** The Topic Filter at the server. */
  readonly topicFilter: string;
  /** The number of messages that wait for a loop. */
  readonly depth: number;
  /**
   * Calls `handler` for each request, up to `concurrency` at a time. What it returns is the reply; nothing is an empty
   * one. If it throws, the reply is a failure: its `message` with `ERR_MQTT_REQUEST`, or the code and message of a
   * `RequestError`. Resolves when the Service ends.
   */
  forEach(
    handler: (request: ServiceRequest) => ReplyResult | PromiseLike<ReplyResult>,
    options?: ServeLoopOptions,
  ): Promise<void>;
  /** Ends loops after the request in hand. In a persistent session the subscription stays at the server. */
  stop(): Promise<void>;
  /** Ends the Service, also at the server. */
  unsubscribe(): Promise<void>;
}

/** What a handler returns. */
export type ReplyResult = Payload | undefined | void;

/** Options of `service.forEach()`. */
export interface ServeLoopOptions extends CallOptions {
  /** The most handlers that run at a time. @default 1 */
  readonly concurrency?: number | undefined;
}
