import { isUnclaimed } from '../../engine/delivery.ts';
import type { DialContext } from '../../transport/transport.ts';
import type { ClientOptions } from '../config/client-options.ts';
import { Configuration } from '../config/configuration.ts';
import { ask } from '../config/connect-inputs.ts';
import { Endpoints, nameOf, type ServerUrl } from '../config/endpoints.ts';
import { localAddressOf, warnings } from '../config/network-options.ts';
import type { Platform, Settings } from '../config/settings.ts';
import { ClientLogger } from '../logger.ts';
import { PublishCalls } from '../publish/publish-calls.ts';
import type { PublishManyHost } from '../publish/publish-many.ts';
import { BufferPressure } from '../receive/buffer-pressure.ts';
import type { ClientSubscription } from '../receive/client-subscription.ts';
import { OverflowReports } from '../receive/overflow-reports.ts';
import type { Settler } from '../receive/received-message.ts';
import { Router } from '../receive/router.ts';
import { StallDetector } from '../receive/stall-detector.ts';
import { SubscribeCalls, type SubscribeHost } from '../receive/subscribe-calls.ts';
import { UnmatchedMessages } from '../receive/unmatched-messages.ts';
import { Counters } from '../stats.ts';
import { Status } from '../status.ts';
import { ChangeHandler } from './change-handler.ts';
import type { Clock } from './clock.ts';
import { ConnectCalls } from './connect-calls.ts';
import type { PreparedDial } from './dialer.ts';
import { Drain } from './drain.ts';
import { Driver, type DriverListener } from './driver.ts';
import { EventQueue } from './event-queue.ts';
import { MessageDelivery } from './message-delivery.ts';
import { Notifier } from './notifier.ts';
import { StallReports } from './stall-reports.ts';

/**
 * The parts of a client, put together: each is given those that were made before it. The driver is made early, because
 * most parts call it. What it reports comes through `listen()`, last of all.
 */
export class ClientRuntime<UserData> {
  readonly configuration: Configuration<UserData>;
  readonly endpoints: Endpoints;
  readonly status: Status = new Status();
  readonly counters: Counters = new Counters();
  readonly logger: ClientLogger;
  readonly router: Router;
  readonly driver: Driver;
  readonly unmatched: UnmatchedMessages;
  readonly drain: Drain;
  readonly connectCalls: ConnectCalls;
  readonly publishCalls: PublishCalls;
  readonly publishManyHost: PublishManyHost;
  readonly subscribeCalls: SubscribeCalls;
  readonly #clock: Clock;
  /** Called whenever there may be room, or nothing left to wait for. */
  readonly #progress = new Notifier();

  constructor(url: ServerUrl, options: ClientOptions<UserData>, platform: Platform) {
    const configuration = new Configuration(url, options, platform.random);
    const { engine, logger: givenLogger } = configuration.settings;
    const version = engine.protocolVersion;
    const { clock, random } = platform;
    this.#clock = clock;
    this.configuration = configuration;
    const endpoints = new Endpoints(configuration, random);
    this.endpoints = endpoints;
    const events = new EventQueue();
    const logger = new ClientLogger(givenLogger, events);
    this.logger = logger;
    this.warn();
    const router = new Router(() => clock.now());
    this.router = router;
    const room = new Notifier();
    const pressure = new BufferPressure(engine.receiveBuffer, () => room.notify());
    const driver = new Driver(engine, {
      clock,
      random,
      events,
      select: (choice) => endpoints.select(choice),
      redirect: (serverReference, lasting) => endpoints.redirect(serverReference, lasting),
      prepare: (context) => prepare(configuration, endpoints, platform, context),
      buffers: pressure,
    });
    this.driver = driver;
    room.add(() => driver.resumeReading());
    this.unmatched = this.#unmatchedMessages(pressure);
    const { counters, status, unmatched } = this;
    const settler = this.#settler();
    const delivery = new MessageDelivery({ configuration, settler, router, unmatched, counters, logger });
    this.drain = this.#drain(delivery);
    const overflowReports = new OverflowReports<ClientSubscription>(clock, (subscription) =>
      status.report({ type: 'overflow', subscription, dropped: subscription.dropped }),
    );
    this.publishCalls = new PublishCalls(driver, clock, version);
    this.publishManyHost = this.#publishManyHost();
    const host = this.#subscribeHost(settler, pressure, overflowReports);
    this.subscribeCalls = new SubscribeCalls(driver, router, host, version);
    this.connectCalls = new ConnectCalls(driver, configuration, endpoints, clock);
    const stallReports = new StallReports(driver, router, status, logger, engine);
    const stallDetector = this.#stallDetector(stallReports);
    const { connectCalls, subscribeCalls } = this;
    const { persistent } = engine;
    const reports = { status, counters, logger, overflowReports, stallDetector, stallReports };
    const parts = { endpoints, router, unmatched, connectCalls, subscribeCalls };
    const changes = new ChangeHandler({ ...reports, ...parts, persistent });
    driver.listen(this.#listener(delivery, stallDetector, changes));
  }

  get settings(): Settings<UserData> {
    return this.configuration.settings;
  }

  /** Logs what is insecure in the network options. */
  warn(): void {
    for (const line of warnings(this.settings.network)) this.logger.warn(line);
  }

  #unmatchedMessages(pressure: BufferPressure): UnmatchedMessages {
    const { driver, logger } = this;
    return new UnmatchedMessages({
      clock: this.#clock,
      pressure,
      settle: (receipt, reasonCode) => driver.settle(receipt, reasonCode),
      reconnect: () => void driver.reconnect(),
      warn: (message) => logger.warn(message),
    });
  }

  #drain(delivery: MessageDelivery): Drain {
    const { driver, router, unmatched } = this;
    return new Drain(
      driver,
      router,
      this.#clock,
      () => unmatched.depth,
      (message) => {
        const { receipt } = message;
        // The engine settles what nobody takes only while it delivers.
        if (isUnclaimed(delivery.deliver(message)) && receipt !== undefined) driver.settle(receipt, 0);
      },
    );
  }

  #publishManyHost(): PublishManyHost {
    const { driver, logger, publishCalls } = this;
    return {
      clock: this.#clock,
      publish: (topicName, payload, options) => publishCalls.publish(topicName, payload, options),
      hasRoom: () => driver.hasRoom,
      isClosed: () => driver.state === 'closed' || driver.state === 'disconnecting',
      watch: (listener) => this.#progress.add(listener),
      warn: (message) => logger.warn(message),
    };
  }

  #settler(): Settler {
    const { driver } = this;
    return {
      canReject: this.settings.engine.protocolVersion === 5,
      settle: (receipt, reasonCode) => driver.settle(receipt, reasonCode),
      markSkippable: (receipt) => driver.markSkippable(receipt),
      markStalled: (receipt) => driver.markStalled(receipt),
      abandon: (receipt) => driver.abandon(receipt),
    };
  }

  #subscribeHost(
    settler: Settler,
    pressure: BufferPressure,
    overflowReports: OverflowReports<ClientSubscription>,
  ): SubscribeHost {
    const { counters, drain, logger } = this;
    return {
      ...settler,
      clock: this.#clock,
      persistent: this.settings.persistent,
      pressure,
      overflowed: (subscription) => overflowReports.dropped(subscription),
      discarded: (count) => {
        counters.discarded += count;
        if (count > 0) logger.debug(`${count} messages were discarded with their subscription`);
      },
      onProgress: () => drain.checkDone(),
      warn: (message) => logger.warn(message),
    };
  }

  #stallDetector(stallReports: StallReports): StallDetector {
    const { configuration, driver, logger, router } = this;
    return new StallDetector({
      clock: this.#clock,
      timeout: () => configuration.settings.engine.ackStallTimeout,
      subscriptions: () => router.subscriptions,
      isStopped: () => !driver.isReading,
      stalled: (subscription, ms) => stallReports.unread(subscription, ms),
      starved: (ms) => {
        logger.warn(
          `the application waits for a message, but has held so many for ${ms} ms that none can arrive`,
        );
        driver.starved();
      },
    });
  }

  #listener(delivery: MessageDelivery, stallDetector: StallDetector, changes: ChangeHandler): DriverListener {
    const { counters, drain } = this;
    const progress = this.#progress;
    return {
      deliver: (publish, receipt) => {
        if (receipt !== undefined) stallDetector.arrived();
        const message = delivery.message(publish, receipt);
        if (!drain.intercept(message)) return delivery.deliver(message);
        if (receipt === undefined) counters.discarded++;
        return 'taken';
      },
      overflowed: (topicName) => delivery.overflowed(topicName),
      changed: (change) => changes.handle(change),
      onProgress: () => {
        drain.checkDone();
        progress.notify();
      },
    };
  }
}

/** Asks the application for the server and the credentials of one attempt. */
async function prepare<UserData>(
  configuration: Configuration<UserData>,
  endpoints: Endpoints,
  platform: Platform,
  context: DialContext,
): Promise<PreparedDial> {
  const { network, transport, connectInputs } = configuration.settings;
  const { target, credentials } = await ask(
    'url',
    () => endpoints.resolve(context),
    (found) => found,
  );
  const { signal } = context;
  // The attempt may be over: nothing more is asked for it.
  signal.throwIfAborted();
  return {
    credentials: { ...(await connectInputs(context, credentials)), server: nameOf(target) },
    // A transport of the application gets no key, password or proxy.
    dial: () =>
      transport === undefined
        ? platform.dial({ ...network, ...target }, context)
        : transport({ ...localAddressOf(network), ...target }, signal),
  };
}
