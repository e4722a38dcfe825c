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
import type { FilterOptions, SubscribeOptions, UnsubscribeResult } from './receive/subscribe-calls.ts';
import type { Subscribing, Subscription } from './receive/subscription.ts';

/** How `disconnect()` ends the connection. */
export interface DisconnectOptions {
  /** 0, or 0x04 to have the Will published (3.14.2.1); others only on 5.0. @default 0 */
  readonly reasonCode?: number | undefined;
  /** 5.0 */
  readonly properties?: Omit<DisconnectProperties, 'serverReference'> | undefined;
  /** What becomes of unacknowledged QoS 1 and 2 messages: they go out after the next `connect()`, or not. @default "keep" */
  readonly pending?: Pending | undefined;
  /** ms to wait for the close. @default 5000 */
  readonly timeout?: number | undefined;
  /** Aborting ends the waiting, with the reason of the signal; the client ends all the same. */
  readonly signal?: AbortSignal | undefined;
}

const machine: Platform = { clock: systemClock, dial: openTransport, random: Math.random };

/**
 * An MQTT client. `new` checks everything and does nothing; `connect()` connects, and from then on a lost connection
 * is restored, with what was subscribed and what is unacknowledged, until `disconnect()`.
 */
export class Client<UserData = undefined> implements AsyncDisposable {
  readonly #url: ServerUrl;
  readonly #options: ClientOptions<UserData>;
  readonly #platform: Platform;
  #runtime: ClientRuntime<UserData>;

  /**
   * `url`: `mqtt://host[:port]` (1883), `mqtts://host[:port]` (TLS, 8883), `ws://host[:port][/path]` and `wss://…`
   * (WebSocket, 80 and 443, `/mqtt`), `mqtt+unix:///path`, or a function that is asked for it before every CONNECT.
   * Throws `TypeError` or `RangeError` on anything that is not as it should be.
   */
  constructor(url: ServerUrl, options?: ClientOptions<UserData>);
  /** @internal */
  constructor(url: ServerUrl, options: ClientOptions<UserData> | undefined, platform: Platform);
  constructor(url: ServerUrl, options: ClientOptions<UserData> = {}, platform: Platform = machine) {
    this.#url = url;
    this.#options = { ...options };
    this.#platform = platform;
    this.#runtime = new ClientRuntime(url, options, platform);
  }

  /** Where the client is in its life: see docs/state-machine.md. */
  get state(): ClientState {
    return this.#runtime.driver.state;
  }

  /** The Client Identifier; the assigned one once there is one (3.2.2.3.7). */
  get clientId(): string {
    return this.#runtime.driver.clientId;
  }

  /** What the server granted on this Network Connection; undefined where there is none. */
  get negotiated(): Negotiated | undefined {
    return this.#runtime.driver.negotiated;
  }

  /** Settles when the client is finished: resolves after `disconnect()`, rejects with the error that ended it. */
  get closed(): Promise<void> {
    return this.#runtime.connectCalls.closed;
  }

  get userData(): UserData {
    return this.#runtime.settings.userData;
  }

  /**
   * Connects, and resolves with the CONNACK. Rejects with a `ConnectError` on the first failure, unless
   * `reconnect.retryInitial` or `retry` is on. Calls at the same time share one attempt; aborting one rejects that one.
   */
  connect(options: ConnectOptions = {}): Promise<Connack> {
    return this.#runtime.connectCalls.connect(options);
  }

  /**
   * Changes options: at once, or with the next CONNECT, as `ConfigurableOptions` says. Throws like the constructor, and
   * changes nothing then.
   */
  configure(changes: ConfigurableOptions<UserData>): void {
    this.#runtime.configuration.change(changes);
    this.#runtime.endpoints.reconfigured(changes);
    this.#runtime.logger.use(this.#runtime.settings.logger);
    if (changes.tls !== undefined || changes.proxy !== undefined) this.#runtime.warn();
    this.#runtime.driver.reconfigured();
  }

  /**
   * Closes the connection in order, if there is one, and connects again at once; a wait for the next attempt is cut
   * short. What is unacknowledged is resumed as after any loss. Resolves with the CONNACK. Rejects with a
   * `ClosedError` where the client was never connected or has ended.
   */
  reconnect(options: CallOptions = {}): Promise<Connack> {
    return this.#runtime.connectCalls.reconnect(options);
  }

  /**
   * Ends the connection and settles all promises. Resolves when it is closed, `timeout` ms later at the latest, or up
   * to 1000 ms where it is one that `reconnect()` has left. The Will is not published. Of no effect where there is
   * nothing to end.
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
    // Aborted already or later, it is about the waiting alone.
    checkSignal(signal);
    this.#runtime.connectCalls.abort(new ClosedError('the client was disconnected'));
    this.#runtime.driver.disconnect({ reasonCode, properties, pending, timeout });
    const ended = this.#runtime.connectCalls.ended();
    await new Promise<void>((resolve, reject) => {
      const done = withCancellation({ signal }, this.#platform.clock, 'disconnect', reject);
      ended.then(resolve, reject).finally(done);
    });
  }

  /**
   * Back to the state in which `new` leaves a client, with these options, or those it was made with: disconnects,
   * forgets what is unacknowledged, and begins anew. Throws like the constructor, and changes nothing then.
   */
  async reinitialise(options: ClientOptions<UserData> = this.#options): Promise<void> {
    const parts = new ClientRuntime(this.#url, options, this.#platform);
    const before = this.#runtime;
    await this.disconnect({ pending: 'discard' });
    // Whoever came first of several has put new ones in place already.
    if (this.#runtime === before) this.#runtime = parts;
  }

  /**
   * Finishes what is in hand, then disconnects: nothing new is handed out, loops get what waits in their buffers, and
   * what was published is waited for, until `timeout` (5000 ms). Reports what was left.
   */
  async drain(options: CallOptions = {}): Promise<DrainReport> {
    checkKeys('drain', options, ['signal', 'timeout']);
    checkCall(options);
    const report = await this.#runtime.drain.drain(options);
    await this.disconnect();
    return report;
  }

  /**
   * Publishes a message. QoS 0 resolves when it was copied into the output of a live connection, QoS 1 with PUBACK,
   * QoS 2 with PUBCOMP; without a connection it waits for one. Every call settles. A rejection says what is known of
   * the message (`delivery`) and whether it still goes out (`kept`). Wrong arguments reject with `TypeError`.
   */
  publish(topicName: string, payload: Payload, options?: PublishOptions): Promise<PublishResult> {
    try {
      return this.#runtime.publishCalls.publish(topicName, payload, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Publishes what a source brings, and yields what came of each message, in the order of the source; no message makes
   * it throw. Sends nothing before it is iterated, and pulls only as long as the window and the output have room: the
   * source is held back by the network, and by whoever iterates. Leaving the loop stops the pulling; what was pulled
   * goes out. Throws what the source throws, and a `ClosedError` once the client has ended. Wrong arguments throw at
   * once.
   */
  publishMany<P extends Publication>(
    source: Iterable<P> | AsyncIterable<P>,
    options: PublishManyOptions = {},
  ): AsyncIterable<PublishOutcome<P>> {
    return publishMany(this.#runtime.publishManyHost, source, options);
  }

  /**
   * Subscribes. Await it for the `Subscription`, after SUBACK, or iterate it at once. A refused filter rejects, or is
   * thrown in the loop, as a `SubscribeError`: all or nothing, unless `partial` is on.
   */
  subscribe(
    topicFilter: string | readonly (string | FilterOptions)[],
    options: SubscribeOptions = {},
  ): Subscribing {
    const made: Subscription[] = [];
    const subscribed = this.#runtime.subscribeCalls.subscribe(topicFilter, options, (subscription) => {
      made.push(subscription);
      this.#runtime.unmatched.handOver(subscription, (topicName) =>
        this.#runtime.router.matching(topicName).includes(subscription),
      );
    });
    // Who only iterates gets the error in the loop.
    subscribed.catch(() => {});
    return Object.assign(subscribed, {
      [Symbol.asyncIterator]: () => made[0]?.[Symbol.asyncIterator]() ?? failing(subscribed),
    });
  }

  /** Ends subscriptions by Topic Filter. Resolves on UNSUBACK. */
  unsubscribe(
    topicFilter: string | readonly string[],
    options: CallOptions = {},
  ): Promise<UnsubscribeResult> {
    return this.#runtime.subscribeCalls.unsubscribe(topicFilter, options);
  }

  /** What happens to the connection, from now until the client is closed. Several readers each get every event. */
  status(): AsyncIterable<StatusEvent> {
    return this.#runtime.status.read();
  }

  /** How it stands with the client now. Costs nothing while nobody asks. */
  stats(): ClientStats {
    return this.#runtime.counters.take(this.#runtime.driver, this.#runtime.router, this.#runtime.unmatched);
  }

  /** `drain()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
  }
}

/** What a `Client` offers, as an interface: for test doubles, and for code that is given a client. */
export interface MqttClient<UserData = undefined> extends Pick<Client<UserData>, keyof Client<UserData>> {}

/** A loop over a subscription that could not be made: it throws why. */
function failing(subscribed: Promise<Subscription>): AsyncIterator<Message> {
  return { next: () => subscribed.then(() => ({ value: undefined, done: true })) };
}
