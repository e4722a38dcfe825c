import { encode } from '../codec/codec.ts';
import type { DisconnectProperties } from '../codec/packets.ts';
import type { Negotiated } from '../connection/negotiated.ts';
import type { Pending } from '../engine/options.ts';
import { CLIENT_DISCONNECT_CODES } from '../engine/connect-errors.ts';
import type { ClientState } from '../engine/states.ts';
import { ClosedError } from '../errors.ts';
import { openTransport } from '../transport/open-transport.ts';
import { withCancellation, checkCall, checkSignal, type CallOptions } from './runtime/cancellation.ts';
import { checkEncodable, integer, oneOf, checkKeys } from './config/validate.ts';
import { systemClock } from './runtime/clock.ts';
import type { ClientOptions, ConfigurableOptions } from './config/client-options.ts';
import type { ConnectOptions } from './runtime/connect-calls.ts';
import type { DrainReport } from './runtime/drain.ts';
import type { PublishResult } from './publish/pending-publish.ts';
import type { Message } from './receive/message.ts';
import type { Platform } from './config/settings.ts';
import { ClientRuntime } from './runtime/client-runtime.ts';
import type { Payload } from './publish/payload.ts';
import {
  publishMany,
  type Publication,
  type PublishManyOptions,
  type PublishOutcome,
} from './publish/publish-many.ts';
import type { PublishOptions } from './publish/publish-calls.ts';
import type { ServerUrl } from './config/endpoints.ts';
import type { ClientStats } from './stats.ts';
import type { Connack, StatusEvent } from './status.ts';
import type { UnsubscribeResult } from './receive/subscribe-calls.ts';
import type { FilterOptions, SubscribeOptions, UnsubscribeOptions } from './receive/subscribe-options.ts';
import type { Subscribing, Subscription } from './receive/subscription.ts';
import type { RequestManyOptions, RequestOptions } from './request/request-options.ts';
import type { ServeOptions, Service } from './request/service.ts';

/** How `disconnect()` ends the connection. */
export interface DisconnectOptions {
  /** 0, or 0x04 to have the Will published (3.14.2.1). Others only on 5.0. @default 0 */
  readonly reasonCode?: number | undefined;
  /** 5.0 */
  readonly properties?: Omit<DisconnectProperties, 'serverReference'> | undefined;
  /** Whether unacknowledged QoS 1 and 2 messages are sent after the next `connect()`, or discarded. @default "keep" */
  readonly pending?: Pending | undefined;
  /** ms to wait for the close. @default 5000 */
  readonly timeout?: number | undefined;
  /** Aborting rejects the call with the reason of the signal. The client ends all the same. */
  readonly signal?: AbortSignal | undefined;
}

const machine: Platform = {
  clock: systemClock,
  wallClock: Date.now,
  dial: openTransport,
  random: Math.random,
};

/**
 * An MQTT client. `new` checks the options and does nothing else. After `connect()` a lost connection is restored, with its
 * subscriptions and unacknowledged messages, until `disconnect()`.
 */
export class Client<UserData = undefined> implements AsyncDisposable {
  readonly #url: ServerUrl;
  readonly #options: ClientOptions<UserData>;
  readonly #platform: Platform;
  #runtime: ClientRuntime<UserData>;

  /**
   * `url`: `mqtt://host[:port]` (1883), `mqtts://host[:port]` (TLS, 8883), `ws://host[:port][/path]` and `wss://…`
   * (WebSocket, 80 and 443, `/mqtt`), `mqtt+unix:///path`, or a function that returns it before every CONNECT.
   * Throws `TypeError` or `RangeError` on a wrong argument.
   */
  constructor(url: ServerUrl, options?: ClientOptions<UserData>);
  /** @internal */
  constructor(url: ServerUrl, options: ClientOptions<UserData> | undefined, platform: Platform);
  constructor(url: ServerUrl, options: ClientOptions<UserData> = {}, platform: Platform = machine) {
    this.#url = url;
    this.#platform = platform;
    this.#runtime = new ClientRuntime(url, options, platform);
    this.#options = this.#runtime.configuration.options;
  }

  /** The state of the client: see docs/state-machine.md. */
  get state(): ClientState {
    return this.#runtime.driver.state;
  }

  /** The Client Identifier, or the assigned one once there is one (3.2.2.3.7). */
  get clientId(): string {
    return this.#runtime.driver.clientId;
  }

  /** What the server has granted on this Network Connection; undefined without one. */
  get negotiated(): Negotiated | undefined {
    return this.#runtime.driver.negotiated;
  }

  /** Settles when the client ends: resolves after `disconnect()`, else rejects with the error that ended it. */
  get closed(): Promise<void> {
    return this.#runtime.connectCalls.closed;
  }

  get userData(): UserData {
    return this.#runtime.settings.userData;
  }

  /**
   * Connects, and resolves with the CONNACK. Rejects with a `ConnectError` on the first failure, unless
   * `reconnect.retryInitial` or `retry` is set. Simultaneous calls share one attempt. Aborting one rejects only that one.
   */
  connect(options?: ConnectOptions): Promise<Connack> {
    return this.#runtime.connectCalls.connect(options);
  }

  /**
   * Changes options. `ConfigurableOptions` says which act at once, and which with the next CONNECT. Throws like the
   * constructor, and changes nothing then.
   */
  configure(changes: ConfigurableOptions<UserData>): void {
    this.#runtime.configuration.change(changes);
    this.#runtime.endpoints.reconfigured(changes);
    this.#runtime.logger.use(this.#runtime.settings.logger);
    if (changes.tls !== undefined || changes.proxy !== undefined) this.#runtime.warn();
    this.#runtime.driver.reconfigured();
  }

  /**
   * Closes the connection gracefully, if there is one, and connects again at once. A wait for the next attempt is cut
   * short. Unacknowledged messages are resumed as after a loss. Resolves with the CONNACK. Rejects with a `ClosedError`
   * if the client was never connected or has ended.
   */
  reconnect(options: CallOptions = {}): Promise<Connack> {
    return this.#runtime.connectCalls.reconnect(options);
  }

  /**
   * Authenticates again on the present connection (4.12.1), with the `authentication` of its CONNECT; other traffic goes on.
   * Resolves when the server has accepted. Simultaneous calls share one exchange; aborting one rejects only that one.
   * Rejects with a `ConnectionLostError` if the server refuses, which ends the connection, or if there is no connection;
   * with a `ConnectError` of phase `authentication` if a function fails; with a `TimeoutError` after `connectTimeout`. 5.0.
   */
  reauthenticate(options: CallOptions = {}): Promise<void> {
    return this.#runtime.reauthenticate(options);
  }

  /**
   * Ends the connection and settles all promises. Resolves when the connection is closed, at the latest after `timeout`
   * ms, or 1000 ms for one that `reconnect()` has replaced. The server publishes the Will only with `reasonCode: 0x04`
   * (3.14.2.1). Of no effect if the client is not in use.
   */
  async disconnect(options: DisconnectOptions = {}): Promise<void> {
    checkKeys('disconnect', options, ['reasonCode', 'properties', 'pending', 'timeout', 'signal']);
    const { protocolVersion, sessionExpiryInterval } = this.#runtime.settings.engine;
    const reasonCode = oneOf('reasonCode', options.reasonCode ?? 0, CLIENT_DISCONNECT_CODES);
    const properties = {
      ...checkKeys('properties', options.properties ?? {}, [
        'sessionExpiryInterval',
        'reasonString',
        'userProperties',
      ]),
    } as DisconnectProperties;
    if (protocolVersion < 5 && (reasonCode !== 0 || options.properties !== undefined))
      throw new TypeError(
        'disconnect: expected neither reasonCode nor properties, as only MQTT 5.0 has them',
      );
    if ((properties.sessionExpiryInterval ?? 0) > 0 && sessionExpiryInterval === 0)
      throw new TypeError('properties.sessionExpiryInterval: expected 0, as CONNECT had 0 [U-3.14.2-a]');
    if (protocolVersion === 5)
      checkEncodable(() => encode({ type: 'disconnect', reasonCode, properties }, 5));
    const pending = oneOf('pending', options.pending ?? 'keep', ['keep', 'discard']);
    const timeout = integer('timeout', options.timeout ?? 5_000, 0);
    const { signal } = options;
    // Aborted before or after this call, the signal only ends the wait.
    checkSignal(signal);
    this.#runtime.connectCalls.abort(new ClosedError('the client was disconnected'));
    this.#runtime.driver.disconnect({ reasonCode, properties, pending, timeout });
    const ended = this.#runtime.connectCalls.ended(timeout);
    await new Promise<void>((resolve, reject) => {
      const done = withCancellation({ signal }, this.#platform.clock, 'disconnect', reject);
      ended.then(resolve, reject).finally(done);
    });
  }

  /**
   * Resets the client to the state after `new`, with these options or those of the constructor: disconnects, and discards
   * unacknowledged messages. Rejects with what the constructor throws, and changes nothing then.
   */
  async reinitialise(options: ClientOptions<UserData> = this.#options): Promise<void> {
    const runtime = new ClientRuntime(this.#url, options, this.#platform);
    const before = this.#runtime;
    await this.disconnect({ pending: 'discard' });
    // Of simultaneous calls the first one counts.
    if (this.#runtime === before) this.#runtime = runtime;
  }

  /**
   * Finishes messages in progress, then disconnects. New messages are not handed out. Loops get what waits in their
   * buffers, and published messages are waited for, until `timeout` (5000 ms). Resolves with what was left.
   */
  async drain(options: CallOptions = {}): Promise<DrainReport> {
    checkCall('drain', options);
    const report = await this.#runtime.inbound.drain.drain(options);
    await this.#runtime.leaveResponses();
    await this.disconnect();
    return report;
  }

  /**
   * Publishes a message. QoS 0 resolves when it was copied into the output of a connection, QoS 1 with PUBACK, QoS 2 with
   * PUBCOMP. Without a connection it waits for one. Every call settles. A rejection says what is known of the message
   * (`delivery`) and whether it will still be sent (`kept`). Wrong arguments reject with `TypeError`.
   */
  publish(topicName: string, payload: Payload, options?: PublishOptions): Promise<PublishResult> {
    try {
      return this.#runtime.publishCalls.publish(topicName, payload, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Publishes the messages of a source, and yields the outcome of each, in the order of the source. A message that fails
   * does not make it throw. Nothing is sent before it is iterated. It pulls from the source only while the send window and
   * the output have room, and while its consumer keeps up. When the loop ends, it stops pulling, and what was pulled is
   * still sent. Throws what the source throws, and a `ClosedError` once the client has ended. Wrong arguments throw at once.
   */
  publishMany<P extends Publication>(
    source: Iterable<P> | AsyncIterable<P>,
    options: PublishManyOptions = {},
  ): AsyncIterable<PublishOutcome<P>> {
    return publishMany(this.#runtime.publishManyParts, source, options);
  }

  /**
   * Subscribes. Await it for the `Subscription`, after SUBACK, or iterate it at once. If the server refuses a filter, the
   * call rejects or the loop throws a `SubscribeError`. Then no filter is subscribed, unless `partial` is set.
   */
  subscribe(
    topicFilter: string | FilterOptions | readonly (string | FilterOptions)[],
    options: SubscribeOptions = {},
  ): Subscribing {
    const made: Subscription[] = [];
    const { router, subscribeCalls, unmatched } = this.#runtime.inbound;
    const subscribed = subscribeCalls.subscribe(topicFilter, options, (subscription) => {
      made.push(subscription);
      unmatched.handOver(subscription, (topicName) => router.matching(topicName).includes(subscription));
    });
    // A caller that only iterates gets the error in its loop.
    subscribed.catch(() => {});
    return Object.assign(subscribed, {
      [Symbol.asyncIterator]: () => made[0]?.[Symbol.asyncIterator]() ?? failing(subscribed),
    });
  }

  /**
   * Ends subscriptions by Topic Filter. Resolves with UNSUBACK. Rejects with an `UnsubscribeError` if the server refuses a
   * filter, or if the packet is larger than the server takes.
   */
  unsubscribe(
    topicFilter: string | readonly string[],
    options: UnsubscribeOptions = {},
  ): Promise<UnsubscribeResult> {
    return this.#runtime.inbound.subscribeCalls.unsubscribe(topicFilter, options);
  }

  /**
   * Publishes a request, and resolves with the first reply to it (4.10). A `responseTopic` of this client is subscribed to
   * before. Rejects with a `RequestError` if the service reports a failure or nobody has subscribed, with a `TimeoutError`
   * after `timeout` (30,000 ms), and with what `publish()` and `subscribe()` reject with. Works on 5.0, and with
   * `convention: "topic"` on every version.
   */
  request(topicName: string, payload: Payload, options: RequestOptions = {}): Promise<Message> {
    try {
      return this.#runtime.requests.request(topicName, payload, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * The same for several replies: a loop over those that arrive until `until` or `timeout` (30,000 ms). Nothing is sent
   * before it is iterated, and each loop sends a request of its own. Wrong arguments throw at once.
   */
  requestMany(topicName: string, payload: Payload, options: RequestManyOptions = {}): AsyncIterable<Message> {
    return this.#runtime.requests.requestMany(topicName, payload, options);
  }

  /**
   * Subscribes to requests. Resolves with the `Service` after SUBACK. Messages without a Response Topic that may be
   * answered are not handed out; `stats()` counts them.
   */
  serve(topicFilter: string, options: ServeOptions = {}): Promise<Service> {
    return this.#runtime.requests.serve(topicFilter, options);
  }

  /** Status events, from now until the client is closed. Each reader gets every event. */
  status(): AsyncIterable<StatusEvent> {
    return this.#runtime.status.read();
  }

  /** Statistics of this moment. */
  stats(): ClientStats {
    const { counters, driver, inbound, requestCounts } = this.#runtime;
    return { ...counters.take(driver, inbound.router, inbound.unmatched), requests: requestCounts };
  }

  /** `drain()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
  }
}

/** The public methods of `Client` as an interface, for test doubles and for code that is given a client. */
export interface MqttClient<UserData = undefined> extends Pick<Client<UserData>, keyof Client<UserData>> {}

/** A loop over a subscription that failed: it throws the error. */
function failing(subscribed: Promise<Subscription>): AsyncIterator<Message> {
  return { next: () => subscribed.then(() => ({ value: undefined, done: true })) };
}
