import { isUnclaimed, type Delivery } from '../../engine/delivery.ts';
import type { Change } from '../../engine/effects.ts';
import { messageOf, type MqttError } from '../../errors.ts';
import type { Receipt } from '../../session/incoming.ts';
import { nextTick } from '../../transport/next-tick.ts';
import { ask } from '../config/connect-inputs.ts';
import { Configuration } from '../config/configuration.ts';
import { ConnectCalls } from './connect-calls.ts';
import { Drain } from './drain.ts';
import { Driver } from './driver.ts';
import { ClientLogger } from '../logger.ts';
import type { ClientOptions } from '../config/client-options.ts';
import type { Platform, Settings } from '../config/settings.ts';
import { OverflowReports } from '../receive/overflow-reports.ts';
import { UnmatchedMessages } from '../receive/unmatched-messages.ts';
import { BufferPressure } from '../receive/buffer-pressure.ts';
import type { PublishManyHost } from '../publish/publish-many.ts';
import { PublishCalls } from '../publish/publish-calls.ts';
import { ReceivedMessage } from '../receive/received-message.ts';
import { Router } from '../receive/router.ts';
import { localAddressOf, warnings } from '../config/network-options.ts';
import { nameOf, Endpoints, type ServerUrl } from '../config/endpoints.ts';
import { Counters } from '../stats.ts';
import { StallDetector } from '../receive/stall-detector.ts';
import { Status, type Connack } from '../status.ts';
import { SubscribeCalls } from '../receive/subscribe-calls.ts';
import type { ClientSubscription, SubscriptionHost } from '../receive/client-subscription.ts';
import { Notifier } from './notifier.ts';

/** What a client is made of, put together. */
export class ClientRuntime<UserData> {
  readonly configuration: Configuration<UserData>;
  readonly endpoints: Endpoints;
  readonly driver: Driver;
  readonly router: Router;
  readonly status: Status = new Status();
  readonly logger: ClientLogger;
  readonly publishCalls: PublishCalls;
  readonly publishManyHost: PublishManyHost;
  readonly subscribeCalls: SubscribeCalls;
  readonly connectCalls: ConnectCalls;
  readonly drain: Drain;
  readonly unmatched: UnmatchedMessages;
  readonly stallDetector: StallDetector;
  readonly overflowReports: OverflowReports<ClientSubscription>;
  readonly counters: Counters = new Counters();
  /** Are told whenever there may be room, or nothing left to wait for. */
  readonly notifier: Notifier = new Notifier();

  constructor(url: ServerUrl, options: ClientOptions<UserData>, platform: Platform) {
    this.configuration = new Configuration(url, options, platform.random);
    const { settings } = this.configuration;
    this.endpoints = new Endpoints(this.configuration, platform.random);
    const { configuration, endpoints: servers } = this;
    const { clock } = platform;
    this.logger = new ClientLogger(settings.logger);
    this.warn();
    this.router = new Router(() => clock.now());
    const pressure = new BufferPressure(settings.engine.receiveBuffer, () => this.driver.resumeReading());
    this.overflowReports = new OverflowReports(clock, (subscription) =>
      this.status.report({ type: 'overflow', subscription, dropped: subscription.dropped }),
    );
    this.driver = new Driver(settings.engine, {
      clock,
      random: platform.random,
      select: (which) => servers.select(which),
      redirect: (serverReference, lasting) => servers.redirect(serverReference, lasting),
      async prepare(context) {
        const { network: dialOptions, transport, connectInputs: identify } = configuration.settings;
        const { target, credentials } = await ask(
          'url',
          () => servers.resolve(context),
          (found) => found,
        );
        const { signal } = context;
        // Nobody else is asked for an attempt that is over.
        signal.throwIfAborted();
        return {
          credentials: { ...(await identify(context, credentials)), server: nameOf(target) },
          // A transport of the application's own is told where to, and no key or password of another way.
          dial: () =>
            transport === undefined
              ? platform.dial({ ...dialOptions, ...target }, context)
              : transport({ ...localAddressOf(dialOptions), ...target }, signal),
        };
      },
      buffers: pressure,
      deliver: (publish, receipt) => {
        if (receipt !== undefined) this.stallDetector.arrived();
        const payload = receipt === undefined ? publish.payload() : receipt.payload;
        const message = new ReceivedMessage(publish, payload, receipt, host);
        if (!this.drain.intercept(message)) return this.#deliver(message);
        if (receipt === undefined) this.counters.discarded++;
        return 'taken';
      },
      overflowed: (topicName) => {
        this.counters.overflowed++;
        for (const subscription of this.router.matching(topicName)) subscription.missed();
      },
      changed: (change) => this.#changed(change),
      onProgress: () => {
        this.drain.checkDone();
        this.notifier.look();
      },
    });
    const host: SubscriptionHost = {
      clock,
      persistent: settings.persistent,
      canReject: settings.engine.protocolVersion === 5,
      settle: (receipt, reasonCode) => this.driver.settle(receipt, reasonCode),
      pressure,
      overflowed: (subscription) => this.overflowReports.dropped(subscription),
      markSkippable: (receipt) => this.driver.markSkippable(receipt),
      markStalled: (receipt) => this.driver.markStalled(receipt),
      abandon: (receipt) => this.driver.abandon(receipt),
      discarded: (count) => {
        this.counters.discarded += count;
        if (count > 0) this.logger.debug(`${count} messages that nobody had taken were discarded`);
      },
      unsubscribe: (subscription) => this.subscribeCalls.end(subscription),
      onProgress: () => this.drain.checkDone(),
      warn: (message) => this.logger.warn(message),
    };
    this.publishManyHost = {
      clock,
      publish: (topicName, payload, how) => this.publishCalls.publish(topicName, payload, how),
      hasRoom: () => this.driver.hasRoom,
      isClosed: () => this.driver.state === 'closed' || this.driver.state === 'disconnecting',
      watch: (look) => this.notifier.add(look),
      warn: (message) => this.logger.warn(message),
    };
    this.publishCalls = new PublishCalls(this.driver, clock, settings.engine.protocolVersion);
    this.subscribeCalls = new SubscribeCalls(this.driver, this.router, host, settings.engine.protocolVersion);
    this.connectCalls = new ConnectCalls(this.driver, this.configuration, servers, clock);
    this.drain = new Drain(
      this.driver,
      this.router,
      clock,
      () => this.unmatched.depth,
      (message) => {
        const { receipt } = message;
        if (isUnclaimed(this.#deliver(message)) && receipt !== undefined) this.driver.settle(receipt, 0);
      },
    );
    this.unmatched = new UnmatchedMessages({ ...host, reconnect: () => void this.driver.reconnect() });
    this.stallDetector = new StallDetector({
      clock,
      timeout: () => this.settings.engine.ackStallTimeout,
      subscriptions: () => this.router.subscriptions,
      isStopped: () => !this.driver.isReading,
      stalled: (subscription, ms) => this.#stalled(subscription, ms),
      starved: (ms) => {
        this.logger.warn(
          `the application waits for a message, and has held so many for ${ms} ms that none can come`,
        );
        this.driver.starved();
      },
    });
  }

  /** Says what is insecure in the way to the server. */
  warn(): void {
    for (const line of warnings(this.settings.network)) this.logger.warn(line);
  }

  get settings(): Settings<UserData> {
    return this.configuration.settings;
  }

  #deliver(message: ReceivedMessage): Delivery {
    const delivery = this.router.deliver(message);
    if (delivery !== 'unmatched') return delivery;
    if (message.unsettled && this.settings.unmatched === 'hold') {
      this.unmatched.hold(message);
      return 'taken';
    }
    this.counters.discarded++;
    this.logger.debug('a message came for which there is no subscription: discarded');
    return 'acknowledge';
  }

  #changed(change: Change): void {
    this.connectCalls.changed(change);
    switch (change.type) {
      case 'connecting':
        this.logger.debug(`connecting (attempt ${change.attempt})`);
        this.status.report(change);
        break;
      case 'nextServer':
        this.logger.warn(`${messageOf(change.error)}; the next server is tried`);
        break;
      case 'connected': {
        this.endpoints.connected();
        this.logger.info('connected');
        this.unmatched.connected();
        if (!change.connack.sessionPresent) this.router.restored();
        this.status.report({ type: 'connected', connack: toConnack(change) });
        break;
      }
      case 'disconnected': {
        const { error, willRetryIn, flapping } = change;
        this.counters.failed(error);
        this.logger.warn(`disconnected: ${messageOf(error)}; next attempt in ${Math.round(willRetryIn)} ms`);
        this.status.report({ type: 'disconnected', reason: error, willRetryIn, flapping });
        break;
      }
      case 'gaveUp':
        this.counters.failed(change.error);
        this.logger.error(`not connected: ${messageOf(change.error)}`);
        break;
      case 'ackStalled':
        this.#ackStalled(change.receipts, change.ms);
        break;
      case 'stopped':
        this.stallDetector.stopped();
        break;
      case 'lastResort': {
        const what = this.settings.persistent ? 'left to the server until the next connection' : 'dropped';
        this.logger.warn(
          `no message was settled for ${change.ms} ms, and an answer is behind more than may be held: new messages are ${what}`,
        );
        break;
      }
      case 'sessionLost':
        this.unmatched.clear();
        for (const subscription of this.router.subscriptions) subscription.sessionLost();
        this.logger.warn('the server has lost the session');
        this.status.report({ type: 'session-lost', unsettled: change.unsettled });
        break;
      case 'tolerated':
        this.logger.warn(change.what);
        break;
      case 'refused':
        this.logger.error(`${change.results.length} subscriptions were not restored`);
        this.subscribeCalls.refused(change.results, change.givenUp);
        break;
      case 'closed':
        this.#close(change.error);
        break;
    }
  }

  /** Nobody reads `subscription`, and its messages hold up others, or fill the window of the server. */
  #stalled(subscription: ClientSubscription, ms: number): void {
    this.status.report({ type: 'ack-stalled', subscription, ms });
    subscription.markStalled();
    if (this.settings.persistent) {
      this.logger.warn(`nobody has taken a message of a subscription for ${ms} ms: it is set aside`);
      return;
    }
    const receipts = subscription.release();
    this.logger.warn(`${receipts.length} messages that nobody has taken for ${ms} ms are acknowledged`);
    for (const receipt of receipts) this.driver.settle(receipt, 0);
  }

  /** Each subscription is told of once, however many of its messages are passed over. */
  #ackStalled(receipts: readonly Receipt[], ms: number): void {
    const { router } = this;
    const what = this.settings.persistent ? 'passed over' : 'acknowledged';
    this.logger.warn(`${receipts.length} messages kept others waiting for ${ms} ms: they are ${what}`);
    const subscriptions = receipts.map(
      (receipt) =>
        router.matching(receipt.topicName).find((one) => one.has(receipt)) ??
        router.subscriptions.find((one) => one.has(receipt)) ??
        router.matching(receipt.topicName)[0],
    );
    for (const subscription of new Set(subscriptions))
      // Later messages of one that nobody reads would hold up others for as long again.
      if (subscription?.isUnread === true)
        nextTick(() => this.router.has(subscription) && this.#stalled(subscription, ms));
      else this.status.report({ type: 'ack-stalled', subscription, ms });
    if (this.settings.persistent) return;
    const loose = new Set(receipts);
    for (const subscription of router.subscriptions) subscription.release(loose);
  }

  #close(error: MqttError | undefined): void {
    if (error === undefined) this.logger.info('closed');
    else {
      this.counters.lastError = error;
      this.logger.error(`closed: ${messageOf(error)}`);
    }
    this.unmatched.clear();
    this.stallDetector.stop();
    this.overflowReports.stop();
    this.subscribeCalls.endAll(error);
    this.status.report(error === undefined ? { type: 'closed' } : { type: 'closed', error });
  }
}

function toConnack({ connack }: Change & { type: 'connected' }): Connack {
  const { sessionPresent, reasonCode, properties } = connack;
  return { sessionPresent, reasonCode, properties };
}
