import type { Change, Delivered } from '../../engine/effects.ts';
import { messageOf, type MqttError } from '../../errors.ts';
import type { Receipt } from '../../session/incoming.ts';
import { nextTick } from '../../transport/next-tick.ts';
import { ask } from '../config/connect-inputs.ts';
import { Configuration } from '../config/configuration.ts';
import { Connecting } from './connect-calls.ts';
import { Draining } from './drain.ts';
import { Driver } from './driver.ts';
import { Log } from '../logger.ts';
import type { ClientOptions, Platform, Settings } from '../config/settings.ts';
import { Overflows } from '../receive/overflow-reports.ts';
import { Parking } from '../receive/unmatched-messages.ts';
import { PausingBuffers } from '../receive/buffer-pressure.ts';
import type { Outlet } from '../publish/publish-many.ts';
import { Publishing } from '../publish/publish-calls.ts';
import type { ReceivedPublish } from '../receive/received-message.ts';
import { Router } from '../receive/router.ts';
import { localAddressOf, warnings } from '../config/network-options.ts';
import { nameOf, Servers, type ServerUrl } from '../config/endpoints.ts';
import { Counters } from '../stats.ts';
import { Stalling } from '../receive/stall-detector.ts';
import { Status, type Connack } from '../status.ts';
import { Subscribing } from '../receive/subscribe-calls.ts';
import type { ClientSubscription, SubscriptionHost } from '../receive/client-subscription.ts';
import { Watchers } from './notifier.ts';

/** What a client is made of, put together. */
export class Parts<UserData> {
  readonly configuration: Configuration<UserData>;
  readonly servers: Servers;
  readonly driver: Driver;
  readonly router: Router;
  readonly status: Status = new Status();
  readonly log: Log;
  readonly publishing: Publishing;
  readonly outlet: Outlet;
  readonly subscribing: Subscribing;
  readonly connecting: Connecting;
  readonly draining: Draining;
  readonly parking: Parking;
  readonly stalling: Stalling;
  readonly overflows: Overflows<ClientSubscription>;
  readonly counters: Counters = new Counters();
  /** Are told whenever there may be room, or nothing left to wait for. */
  readonly watchers: Watchers = new Watchers();

  constructor(url: ServerUrl, options: ClientOptions<UserData>, platform: Platform) {
    this.configuration = new Configuration(url, options, platform.random);
    const { settings } = this.configuration;
    this.servers = new Servers(this.configuration, platform.random);
    const { configuration, servers } = this;
    const { clock } = platform;
    this.log = new Log(settings.logger);
    this.warn();
    this.router = new Router(() => clock.now());
    const pausing = new PausingBuffers(settings.engine.receiveBuffer, () => this.driver.lookForRoom());
    this.overflows = new Overflows(clock, (subscription) =>
      this.status.report({ type: 'overflow', subscription, dropped: subscription.dropped }),
    );
    this.driver = new Driver(settings.engine, {
      clock,
      random: platform.random,
      choose: (which) => servers.choose(which),
      refer: (serverReference, lasting) => servers.refer(serverReference, lasting),
      async prepare(passage) {
        const { road, transport, ask: identify } = configuration.settings;
        const { target, credentials } = await ask(
          'url',
          () => servers.locate(passage),
          (found) => found,
        );
        const { signal } = passage;
        // Nobody else is asked for an attempt that is over.
        signal.throwIfAborted();
        return {
          credentials: { ...(await identify(passage, credentials)), server: nameOf(target) },
          // A transport of the application's own is told where to, and no key or password of another way.
          dial: () =>
            transport === undefined
              ? platform.dial({ ...road, ...target }, signal, passage)
              : transport({ ...localAddressOf(road), ...target }, signal),
        };
      },
      buffers: pausing,
      deliver: (publish, topicName, receipt) => {
        if (receipt !== undefined) this.stalling.arrived();
        if (!this.draining.refuses(publish, topicName, receipt))
          return this.#deliver(publish, topicName, receipt);
        if (receipt === undefined) this.counters.discarded++;
        return 'delivered';
      },
      overflowed: (topicName) => {
        this.counters.overflowed++;
        for (const subscription of this.router.matching(topicName)) subscription.missed();
      },
      changed: (change) => this.#changed(change),
      moved: () => {
        this.draining.look();
        this.watchers.look();
      },
    });
    const host: SubscriptionHost = {
      clock,
      persistent: settings.persistent,
      canReject: settings.engine.protocolVersion === 5,
      settle: (receipt, reasonCode) => this.driver.settle(receipt, reasonCode),
      pausing,
      overflowed: (subscription) => this.overflows.dropped(subscription),
      giveWay: (receipt) => this.driver.giveWay(receipt),
      setAside: (receipt) => this.driver.setAside(receipt),
      leave: (receipt) => this.driver.leave(receipt),
      discarded: (count) => {
        this.counters.discarded += count;
        if (count > 0) this.log.debug(`${count} messages that nobody had taken were discarded`);
      },
      unsubscribe: (subscription) => this.subscribing.end(subscription),
      asked: () => this.draining.look(),
      warn: (message) => this.log.warn(message),
    };
    this.outlet = {
      clock,
      publish: (topicName, payload, how) => this.publishing.publish(topicName, payload, how),
      hasRoom: () => this.driver.hasRoom,
      isClosed: () => this.driver.state === 'closed' || this.driver.state === 'disconnecting',
      watch: (look) => this.watchers.add(look),
      warn: (message) => this.log.warn(message),
    };
    this.publishing = new Publishing(this.driver, clock, settings.engine.protocolVersion);
    this.subscribing = new Subscribing(this.driver, this.router, host, settings.engine.protocolVersion);
    this.connecting = new Connecting(this.driver, this.configuration, servers, clock);
    this.draining = new Draining(
      this.driver,
      this.router,
      clock,
      () => this.parking.depth,
      (publish, topicName, receipt) => {
        this.#deliver(publish, topicName, receipt);
        // It did not come from the engine just now, which would see to it itself.
        if (receipt !== undefined && receipt.copies < 1) this.driver.settle(receipt, 0);
      },
    );
    this.parking = new Parking({ ...host, fetch: () => void this.driver.reconnect() });
    this.stalling = new Stalling({
      clock,
      timeout: () => this.settings.engine.ackStallTimeout,
      subscriptions: () => this.router.subscriptions,
      isStopped: () => !this.driver.isReading,
      stalled: (subscription, ms) => this.#stalled(subscription, ms),
      starved: (ms) => {
        this.log.warn(
          `the application waits for a message, and has held so many for ${ms} ms that none can come`,
        );
        this.driver.starved();
      },
    });
  }

  /** Says what is insecure in the way to the server. */
  warn(): void {
    for (const line of warnings(this.settings.road)) this.log.warn(line);
  }

  get settings(): Settings<UserData> {
    return this.configuration.settings;
  }

  #deliver(publish: ReceivedPublish, topicName: string, receipt: Receipt | undefined): Delivered {
    const delivered = this.router.deliver(publish, topicName, receipt);
    if (delivered !== 'to nobody') return delivered;
    if (receipt !== undefined && this.settings.unmatched === 'park')
      this.parking.park(publish, topicName, receipt);
    else {
      receipt?.waive();
      this.counters.discarded++;
      this.log.debug('a message came for which there is no subscription: discarded');
    }
    return 'delivered';
  }

  #changed(change: Change): void {
    this.connecting.changed(change);
    switch (change.type) {
      case 'connecting':
        this.log.debug(`connecting (attempt ${change.attempt})`);
        this.status.report(change);
        break;
      case 'elsewhere':
        this.log.warn(`${messageOf(change.error)}; the next server is tried`);
        break;
      case 'connected': {
        this.servers.connected();
        this.log.info('connected');
        this.parking.connected();
        if (!change.connack.sessionPresent) this.router.restored();
        this.status.report({ type: 'connected', connack: toConnack(change) });
        break;
      }
      case 'disconnected': {
        const { error, willRetryIn, flapping } = change;
        this.counters.lost(error);
        this.log.warn(`disconnected: ${messageOf(error)}; next attempt in ${Math.round(willRetryIn)} ms`);
        this.status.report({ type: 'disconnected', reason: error, willRetryIn, flapping });
        break;
      }
      case 'gaveUp':
        this.counters.lost(change.error);
        this.log.error(`not connected: ${messageOf(change.error)}`);
        break;
      case 'ackStalled':
        this.#ackStalled(change.receipts, change.ms);
        break;
      case 'stopped':
        this.stalling.stopped();
        break;
      case 'lastResort': {
        const what = this.settings.persistent ? 'left to the server until the next connection' : 'dropped';
        this.log.warn(
          `no message was settled for ${change.ms} ms, and an answer is behind more than may be held: new messages are ${what}`,
        );
        break;
      }
      case 'sessionLost':
        this.parking.clear();
        for (const subscription of this.router.subscriptions) subscription.sessionLost();
        this.log.warn('the server has lost the session');
        this.status.report({ type: 'session-lost', unsettled: change.unsettled });
        break;
      case 'tolerated':
        this.log.warn(change.what);
        break;
      case 'refused':
        this.log.error(`${change.results.length} subscriptions were not restored`);
        this.subscribing.refused(change.results, change.givenUp);
        break;
      case 'closed':
        this.#close(change.error);
        break;
    }
  }

  /** Nobody reads `subscription`, and its messages hold up others, or fill the window of the server. */
  #stalled(subscription: ClientSubscription, ms: number): void {
    this.status.report({ type: 'ack-stalled', subscription, ms });
    subscription.setAside();
    if (this.settings.persistent) {
      this.log.warn(`nobody has taken a message of a subscription for ${ms} ms: it is set aside`);
      return;
    }
    const receipts = subscription.loosen();
    this.log.warn(`${receipts.length} messages that nobody has taken for ${ms} ms are acknowledged`);
    for (const receipt of receipts) this.driver.settle(receipt, 0);
  }

  /** Each subscription is told of once, however many of its messages are passed over. */
  #ackStalled(receipts: readonly Receipt[], ms: number): void {
    const { router } = this;
    const what = this.settings.persistent ? 'passed over' : 'acknowledged';
    this.log.warn(`${receipts.length} messages kept others waiting for ${ms} ms: they are ${what}`);
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
    for (const subscription of router.subscriptions) subscription.loosen(loose);
  }

  #close(error: MqttError | undefined): void {
    if (error === undefined) this.log.info('closed');
    else {
      this.counters.lastError = error;
      this.log.error(`closed: ${messageOf(error)}`);
    }
    this.parking.clear();
    this.stalling.stop();
    this.overflows.stop();
    this.subscribing.endAll(error);
    this.status.report(error === undefined ? { type: 'closed' } : { type: 'closed', error });
  }
}

function toConnack({ connack }: Change & { type: 'connected' }): Connack {
  const { sessionPresent, reasonCode, properties } = connack;
  return { sessionPresent, reasonCode, properties };
}
