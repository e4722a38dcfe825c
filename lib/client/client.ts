import { encode } from '../codec/codec.ts';
import type { DisconnectProperties } from '../codec/packets.ts';
import type { Negotiated } from '../connection/handshake.ts';
import type { Change } from '../engine/effects.ts';
import type { Pending } from '../engine/ending.ts';
import type { ClientState } from '../engine/states.ts';
import { CLIENT_DISCONNECT_CODES } from '../engine/refusals.ts';
import { ClosedError, type MqttError } from '../errors.ts';
import type { Receipt } from '../session/incoming.ts';
import { dialTcp } from '../transport/tcp.ts';
import { parseUrl } from '../transport/url.ts';
import { checkCall, type CallOptions } from './calls.ts';
import { asArgument, integer, oneOf, record } from './checks.ts';
import { systemClock } from './clock.ts';
import { Configuration, type ConfigurableOptions } from './configuring.ts';
import { Connecting, type ConnectOptions } from './connecting.ts';
import { Driver } from './driver.ts';
import { Draining, type DrainReport } from './draining.ts';
import type { PublishResult } from './exchanges.ts';
import { Log } from './log.ts';
import type { Message } from './message.ts';
import { toIdentity, type ClientOptions, type Platform, type Settings } from './options.ts';
import { Parking } from './parking.ts';
import type { Payload } from './payload.ts';
import { Publishing, type PublishOptions } from './publishing.ts';
import { Router, type ReceivedPublish } from './router.ts';
import { Counters, type ClientStats } from './stats.ts';
import { Status, type Connack, type StatusEvent } from './status.ts';
import {
  Subscribing,
  type FilterOptions,
  type SubscribeOptions,
  type UnsubscribeResult,
} from './subscribing.ts';
import type { Subscription, SubscriptionHost } from './subscription.ts';

/** How `disconnect()` ends the connection. */
export interface DisconnectOptions {
  /** 0, or 0x04 to have the Will published (3.14.2.1); others only on 5.0. @default 0 */
  readonly reasonCode?: number;
  /** 5.0 */
  readonly properties?: Omit<DisconnectProperties, 'serverReference'>;
  /** What becomes of unacknowledged QoS 1 and 2 messages: they go out after the next `connect()`, or not. @default "keep" */
  readonly pending?: Pending;
  /** ms to wait for the close. @default 5000 */
  readonly timeout?: number;
}

const machine: Platform = { clock: systemClock, dial: dialTcp, random: Math.random };

/**
 * An MQTT client. `new` checks everything and does nothing; `connect()` connects, and from then on a lost connection
 * is restored, with what was subscribed and what is unacknowledged, until `disconnect()`.
 */
export class Client<UserData = undefined> implements AsyncDisposable {
  readonly #configuration: Configuration<UserData>;
  readonly #driver: Driver;
  readonly #router = new Router();
  readonly #status = new Status();
  readonly #log: Log;
  readonly #publishing: Publishing;
  readonly #subscribing: Subscribing;
  readonly #connecting: Connecting;
  readonly #draining: Draining;
  readonly #parking: Parking;
  readonly #counters = new Counters();

  /**
   * `url`: `mqtt://host[:port]`, port 1883 where none is given. Throws `TypeError` or `RangeError` on anything that is
   * not as it should be.
   */
  constructor(url: string | URL, options?: ClientOptions<UserData>);
  /** @internal */
  constructor(url: string | URL, options: ClientOptions<UserData> | undefined, platform: Platform);
  constructor(url: string | URL, options: ClientOptions<UserData> = {}, platform: Platform = machine) {
    const { target, credentials } = parseUrl(url);
    this.#configuration = new Configuration(target, options, platform.random, credentials);
    const { settings } = this.#configuration;
    const { clock } = platform;
    this.#log = new Log(settings.logger);
    this.#driver = new Driver(settings.engine, {
      clock,
      random: platform.random,
      credentials: async (attempt, signal) =>
        toIdentity(await this.#settings.credentials({ attempt, signal }), settings.engine.protocolVersion),
      dial: (signal) => platform.dial(this.#connecting.target, signal),
      deliver: (publish, topicName, receipt) => {
        if (!this.#draining.refuses(publish, topicName, receipt)) this.#deliver(publish, topicName, receipt);
      },
      overflowed: (topicName) => this.#overflowed(topicName),
      changed: (change) => this.#changed(change),
      moved: () => this.#draining.look(),
    });
    const host: SubscriptionHost = {
      clock,
      persistent: settings.persistent,
      canReject: settings.engine.protocolVersion === 5,
      settle: (receipt, reasonCode) => this.#driver.settle(receipt, reasonCode),
      giveWay: (receipt) => this.#driver.giveWay(receipt),
      leave: (receipt) => this.#driver.leave(receipt),
      discarded: (count) => {
        this.#counters.discarded += count;
        if (count > 0) this.#log.debug(`${count} messages that nobody had taken were discarded`);
      },
      unsubscribe: (subscription) => this.#subscribing.end(subscription),
      asked: () => this.#draining.look(),
      warn: (message) => this.#log.warn(message),
    };
    this.#publishing = new Publishing(this.#driver, clock, settings.engine.protocolVersion);
    this.#subscribing = new Subscribing(this.#driver, this.#router, host, settings.engine.protocolVersion);
    this.#connecting = new Connecting(this.#driver, settings, clock);
    this.#draining = new Draining(this.#driver, this.#router, clock, (publish, topicName, receipt) => {
      this.#deliver(publish, topicName, receipt);
      // It did not come from the engine just now, which would see to it itself.
      if (receipt !== undefined && receipt.copies < 1) this.#driver.settle(receipt, 0);
    });
    this.#parking = new Parking(host);
  }

  get #settings(): Settings<UserData> {
    return this.#configuration.settings;
  }

  /** Where the client is in its life: see docs/state-machine.md. */
  get state(): ClientState {
    return this.#driver.state;
  }

  /** The Client Identifier; the assigned one once there is one (3.2.2.3.7). */
  get clientId(): string {
    return this.#driver.clientId;
  }

  /** What the server granted on this Network Connection; undefined where there is none. */
  get negotiated(): Negotiated | undefined {
    return this.#driver.negotiated;
  }

  /** Settles when the client is finished: resolves after `disconnect()`, rejects with the error that ended it. */
  get closed(): Promise<void> {
    return this.#connecting.closed;
  }

  get userData(): UserData {
    return this.#settings.userData;
  }

  /**
   * Connects, and resolves with the CONNACK. Rejects with a `ConnectError` on the first failure, unless
   * `reconnect.retryInitial` or `retry` is on. Calls at the same time share one attempt; aborting one rejects that one.
   */
  connect(options: ConnectOptions = {}): Promise<Connack> {
    return this.#connecting.connect(options);
  }

  /**
   * Changes options: at once, or with the next CONNECT, as `ConfigurableOptions` says. Throws like the constructor, and
   * changes nothing then.
   */
  configure(changes: ConfigurableOptions<UserData>): void {
    this.#configuration.change(changes);
    this.#log.use(this.#settings.logger);
    this.#driver.reconfigured();
  }

  /**
   * Closes the connection in order, if there is one, and connects again at once; a wait for the next attempt is cut
   * short. What is unacknowledged is resumed as after any loss. Resolves with the CONNACK. Rejects with a
   * `ClosedError` where the client was never connected or has ended.
   */
  reconnect(options: CallOptions = {}): Promise<Connack> {
    return this.#connecting.reconnect(options);
  }

  /**
   * Ends the connection and settles all promises. Resolves when it is closed, `timeout` ms later at the latest. The
   * Will is not published. Of no effect where there is nothing to end.
   */
  async disconnect(options: DisconnectOptions = {}): Promise<void> {
    record('disconnect', options, ['reasonCode', 'properties', 'pending', 'timeout']);
    const { protocolVersion, sessionExpiryInterval } = this.#settings.engine;
    const reasonCode = oneOf('reasonCode', options.reasonCode ?? 0, CLIENT_DISCONNECT_CODES);
    const properties = {
      ...record('properties', options.properties ?? {}, [
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
    if (protocolVersion === 5) asArgument(() => encode({ type: 'disconnect', reasonCode, properties }, 5));
    const pending = oneOf('pending', options.pending ?? 'keep', ['keep', 'discard']);
    const timeout = integer('timeout', options.timeout ?? 5_000, 0);
    this.#connecting.abort(new ClosedError('the client was disconnected'));
    this.#driver.disconnect({ reasonCode, properties, pending, timeout });
    await this.#connecting.ended();
  }

  /**
   * Finishes what is in hand, then disconnects: nothing new is handed out, loops get what waits in their buffers, and
   * what was published is waited for, until `timeout` (5000 ms). Reports what was left.
   */
  async drain(options: CallOptions = {}): Promise<DrainReport> {
    record('drain', options, ['signal', 'timeout']);
    checkCall(options);
    const report = await this.#draining.drain(options);
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
      return this.#publishing.publish(topicName, payload, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Subscribes. Await it for the `Subscription`, after SUBACK, or iterate it at once. A refused filter rejects, or is
   * thrown in the loop, as a `SubscribeError`: all or nothing, unless `partial` is on.
   */
  subscribe(
    topicFilter: string | readonly (string | FilterOptions)[],
    options: SubscribeOptions = {},
  ): Promise<Subscription> & AsyncIterable<Message> {
    const made: Subscription[] = [];
    const subscribed = this.#subscribing.subscribe(topicFilter, options, (subscription) => {
      made.push(subscription);
      this.#parking.handOver(subscription, (topicName) =>
        this.#router.matching(topicName).includes(subscription),
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
    return this.#subscribing.unsubscribe(topicFilter, options);
  }

  /** What happens to the connection, from now until the client is closed. Several readers each get every event. */
  status(): AsyncIterable<StatusEvent> {
    return this.#status.read();
  }

  /** How it stands with the client now. Costs nothing while nobody asks. */
  stats(): ClientStats {
    return this.#counters.take(this.#driver, this.#router, this.#parking);
  }

  /** `drain()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
  }

  #deliver(publish: ReceivedPublish, topicName: string, receipt: Receipt | undefined): void {
    if (this.#router.deliver(publish, topicName, receipt) > 0) return;
    if (receipt !== undefined && this.#settings.unmatched === 'park') {
      if (!this.#parking.park(publish, topicName, receipt)) receipt.decline();
      return;
    }
    receipt?.waive();
    this.#counters.discarded++;
    this.#log.debug('a message came for which there is no subscription: discarded');
  }

  #overflowed(topicName: string): void {
    this.#counters.overflowed++;
    const [subscription] = this.#router.matching(topicName);
    this.#status.report({ type: 'overflow', subscription, dropped: this.#counters.overflowed });
  }

  #changed(change: Change): void {
    this.#connecting.changed(change);
    switch (change.type) {
      case 'connecting':
        this.#log.debug(`connecting (attempt ${change.attempt})`);
        this.#status.report(change);
        break;
      case 'connected': {
        this.#log.info('connected');
        this.#status.report({ type: 'connected', connack: toConnack(change) });
        break;
      }
      case 'disconnected': {
        const { error, willRetryIn, flapping } = change;
        this.#counters.lost(error);
        this.#log.warn(`disconnected: ${error.message}; next attempt in ${Math.round(willRetryIn)} ms`);
        this.#status.report({ type: 'disconnected', reason: error, willRetryIn, flapping });
        break;
      }
      case 'gaveUp':
        this.#counters.lost(change.error);
        this.#log.error(`not connected: ${change.error.message}`);
        break;
      case 'ackStalled': {
        const { receipt, ms } = change;
        const subscription = this.#router.subscriptions.find((one) => one.has(receipt));
        this.#log.warn(`a message was unsettled for ${ms} ms and kept others waiting: it is passed over`);
        this.#status.report({ type: 'ack-stalled', subscription, ms });
        break;
      }
      case 'sessionLost':
        this.#parking.clear();
        this.#log.warn('the server has lost the session');
        this.#status.report({ type: 'session-lost', unsettled: change.unsettled });
        break;
      case 'refused':
        this.#log.error(`${change.results.length} subscriptions were not restored`);
        this.#subscribing.refused(change.results);
        break;
      case 'closed':
        this.#close(change.error);
        break;
    }
  }

  #close(error: MqttError | undefined): void {
    if (error === undefined) this.#log.info('closed');
    else this.#log.error(`closed: ${error.message}`);
    this.#parking.clear();
    this.#subscribing.endAll(error);
    this.#status.report(error === undefined ? { type: 'closed' } : { type: 'closed', error });
  }
}

function toConnack({ connack }: Change & { type: 'connected' }): Connack {
  const { sessionPresent, reasonCode, properties } = connack;
  return { sessionPresent, reasonCode, properties };
}

/** A loop over a subscription that could not be made: it throws why. */
function failing(subscribed: Promise<Subscription>): AsyncIterator<Message> {
  return { next: () => subscribed.then(() => ({ value: undefined, done: true })) };
}
