import type { PublishReader } from '../../codec/publish-reader.ts';
import type { Delivery } from '../../engine/delivery.ts';
import type { Change } from '../../engine/effects.ts';
import type { Receipt } from '../../session/incoming.ts';
import type { DialContext } from '../../transport/transport.ts';
import type { ClientOptions } from '../config/client-options.ts';
import { Configuration } from '../config/configuration.ts';
import { ask } from '../config/connect-inputs.ts';
import { Endpoints, nameOf, type ServerUrl } from '../config/endpoints.ts';
import { localAddressOf, warnings } from '../config/network-options.ts';
import type { Platform, Settings } from '../config/settings.ts';
import { ClientLogger } from '../logger.ts';
import { PublishCalls } from '../publish/publish-calls.ts';
import type { PublishManyParts } from '../publish/publish-many.ts';
import { BufferPressure } from '../receive/buffer-pressure.ts';
import { OverflowReports } from '../receive/overflow-reports.ts';
import { Router } from '../receive/router.ts';
import { StallDetector } from '../receive/stall-detector.ts';
import { SubscribeCalls } from '../receive/subscribe-calls.ts';
import { UnmatchedMessages } from '../receive/unmatched-messages.ts';
import { Counters } from '../stats.ts';
import { Status } from '../status.ts';
import { ChangeHandler } from './change-handler.ts';
import { ConnectCalls } from './connect-calls.ts';
import type { PreparedDial } from './dialer.ts';
import { Drain } from './drain.ts';
import { Driver, type DriverListener } from './driver.ts';
import { EventQueue } from './event-queue.ts';
import { MessageDelivery } from './message-delivery.ts';
import { Notifier } from './notifier.ts';

/**
 * The parts of a client, put together: each is given those that were made before it. The driver is made early, because
 * most parts call it. What it reports comes through `listen()`, last of all.
 */
export class ClientRuntime<UserData> implements DriverListener {
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
  readonly publishManyParts: PublishManyParts;
  readonly subscribeCalls: SubscribeCalls;
  /** Called whenever there may be room, or nothing left to wait for. */
  readonly #progress = new Notifier();
  readonly #delivery: MessageDelivery;
  readonly #stallDetector: StallDetector;
  readonly #changes: ChangeHandler;

  constructor(url: ServerUrl, options: ClientOptions<UserData>, platform: Platform) {
    const { clock, random } = platform;
    const configuration = new Configuration(url, options, random);
    this.configuration = configuration;
    const { engine, persistent, logger: givenLogger } = configuration.settings;
    const version = engine.protocolVersion;
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
      endpoints,
      prepare: (context) => prepare(configuration, endpoints, platform, context),
      buffers: pressure,
    });
    this.driver = driver;
    room.add(() => driver.resumeReading());
    const { counters, status } = this;
    const base = {
      clock,
      configuration,
      counters,
      driver,
      endpoints,
      logger,
      persistent,
      pressure,
      router,
      status,
    };
    this.unmatched = new UnmatchedMessages(base);
    const { unmatched } = this;
    const delivery = new MessageDelivery({ ...base, unmatched });
    this.#delivery = delivery;
    this.drain = new Drain({ ...base, delivery, unmatched });
    const overflowReports = new OverflowReports(clock, status);
    this.publishCalls = new PublishCalls(driver, clock, version);
    this.publishManyParts = { ...base, progress: this.#progress, publishCalls: this.publishCalls };
    this.subscribeCalls = new SubscribeCalls({ ...base, drain: this.drain, overflowReports, version });
    this.connectCalls = new ConnectCalls(base);
    const stallDetector = new StallDetector(base);
    this.#stallDetector = stallDetector;
    const { connectCalls, subscribeCalls } = this;
    const parts = { connectCalls, overflowReports, stallDetector, subscribeCalls, unmatched };
    this.#changes = new ChangeHandler({ ...base, ...parts });
    driver.listen(this);
  }

  get settings(): Settings<UserData> {
    return this.configuration.settings;
  }

  /** Logs what is insecure in the network options. */
  warn(): void {
    for (const line of warnings(this.settings.network)) this.logger.warn(line);
  }

  // --- for the driver ------------------------------------------------------------------------------------------

  deliver(publish: PublishReader, receipt: Receipt | undefined): Delivery {
    if (receipt !== undefined) this.#stallDetector.arrived();
    const message = this.#delivery.message(publish, receipt);
    if (!this.drain.intercept(message)) return this.#delivery.deliver(message);
    if (receipt === undefined) this.counters.discarded++;
    return 'taken';
  }

  overflowed(topicName: string): void {
    this.#delivery.overflowed(topicName);
  }

  changed(change: Change): void {
    this.#changes.handle(change);
  }

  onProgress(): void {
    this.drain.checkDone();
    this.#progress.notify();
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
