import type { PublishReader } from '../../codec/publish-reader.ts';
import type { Delivery } from '../../engine/delivery.ts';
import type { Change } from '../../engine/effects.ts';
import { messageOf, type MqttError } from '../../errors.ts';
import type { Receipt } from '../../session/incoming.ts';
import type { DialContext } from '../../transport/transport.ts';
import type { ClientOptions } from '../config/client-options.ts';
import { ask } from '../config/connect-inputs.ts';
import { Endpoints, nameOf, type ServerUrl } from '../config/endpoints.ts';
import { warnings } from '../config/network-options.ts';
import { Configuration, type Platform, type Settings } from '../config/settings.ts';
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
import { ConnectCalls } from './connect-calls.ts';
import type { PreparedDial } from './dialer.ts';
import { Drain } from './drain.ts';
import { Driver, type DriverListener } from './driver.ts';
import { EventQueue } from './event-queue.ts';
import { MessageDelivery } from './message-delivery.ts';
import { Notifier } from './notifier.ts';

/**
 * The parts of a client, put together: each is given those that were made before it. The driver is made early, because
 * most parts call it. What it reports comes through `listen()`, last of all: log lines, status events and counters follow
 * from it here.
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
  readonly #platform: Platform;
  readonly #delivery: MessageDelivery;
  readonly #stallDetector: StallDetector;
  readonly #overflowReports: OverflowReports;

  constructor(url: ServerUrl, options: ClientOptions<UserData>, platform: Platform) {
    const { clock, random } = platform;
    this.#platform = platform;
    const configuration = new Configuration(url, options, random);
    this.configuration = configuration;
    const { engine, logger: givenLogger } = configuration.settings;
    const { persistent, protocolVersion: version } = engine;
    const events = new EventQueue();
    this.logger = new ClientLogger(givenLogger, events);
    this.warn();
    this.endpoints = new Endpoints(configuration, random);
    this.router = new Router(() => clock.now());
    const pressure = new BufferPressure(engine.receiveBuffer);
    const { counters, endpoints, logger, router, status } = this;
    const prepare = (context: DialContext): Promise<PreparedDial> => this.#prepare(context);
    const driver = new Driver(engine, { clock, random, events, endpoints, prepare, buffers: pressure });
    this.driver = driver;
    pressure.add(() => driver.resumeReading());
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
    this.#overflowReports = overflowReports;
    this.publishCalls = new PublishCalls(driver, clock, version);
    this.publishManyParts = { ...base, progress: this.#progress, publishCalls: this.publishCalls };
    this.subscribeCalls = new SubscribeCalls({ ...base, drain: this.drain, overflowReports, version });
    this.connectCalls = new ConnectCalls(base);
    this.#stallDetector = new StallDetector(base);
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

  onProgress(): void {
    this.drain.checkDone();
    this.#progress.notify();
  }

  changed(change: Change): void {
    const { connectCalls, counters, logger, status } = this;
    switch (change.type) {
      case 'connecting':
        logger.debug(`connecting (attempt ${change.attempt})`);
        status.report(change);
        break;
      case 'nextServer':
        logger.warn(`${messageOf(change.error)}; the next server is tried`);
        break;
      case 'connected':
        this.#connected(change);
        break;
      case 'disconnected': {
        const { error, willRetryIn, flapping } = change;
        counters.failed(error);
        logger.warn(`disconnected: ${messageOf(error)}; next attempt in ${Math.round(willRetryIn)} ms`);
        status.report({ type: 'disconnected', reason: error, willRetryIn, flapping });
        break;
      }
      case 'gaveUp':
        connectCalls.gaveUp(change.error);
        counters.failed(change.error);
        logger.error(`not connected: ${messageOf(change.error)}`);
        break;
      case 'ackStalled':
        this.#stallDetector.unsettled(change.receipts, change.ms);
        break;
      case 'stopped':
        this.#stallDetector.stopped();
        break;
      case 'lastResort':
        this.#lastResort(change.ms);
        break;
      case 'sessionLost':
        this.#sessionLost(change.unsettled);
        break;
      case 'tolerated':
        logger.warn(change.what);
        break;
      case 'refused':
        logger.error(`the server refused to restore ${change.results.length} subscriptions`);
        this.subscribeCalls.refused(change.results, change.givenUp);
        break;
      case 'closed':
        this.#closed(change.error);
        break;
    }
  }

  #connected({ connack }: Extract<Change, { type: 'connected' }>): void {
    const { connectCalls, endpoints, logger, router, status, unmatched } = this;
    const { type: _, ...answer } = connack;
    connectCalls.connected(answer);
    endpoints.connected();
    logger.info('connected');
    unmatched.connected();
    if (!answer.sessionPresent) router.restored();
    status.report({ type: 'connected', connack: answer });
  }

  #lastResort(ms: number): void {
    const what = this.settings.engine.persistent ? 'left to the server until the next connection' : 'dropped';
    this.logger.warn(
      `no message was settled for ${ms} ms, and the buffer for an awaited answer is full: new messages are ${what}`,
    );
  }

  #sessionLost(unsettled: number): void {
    const { logger, router, status, unmatched } = this;
    unmatched.clear();
    for (const subscription of router.subscriptions) subscription.sessionLost(); // fault: lost-session
    logger.warn('the server has lost the session');
    status.report({ type: 'session-lost', unsettled });
  }

  #closed(error: MqttError | undefined): void {
    const { connectCalls, counters, logger, status, subscribeCalls, unmatched } = this;
    connectCalls.end(error);
    if (error === undefined) logger.info('closed');
    else {
      counters.lastError = error;
      logger.error(`closed: ${messageOf(error)}`);
    }
    unmatched.clear();
    this.#stallDetector.stop();
    this.#overflowReports.stop();
    subscribeCalls.endAll(error);
    status.report(error === undefined ? { type: 'closed' } : { type: 'closed', error });
  }

  /** Asks the application for the server and the credentials of one attempt. */
  async #prepare(context: DialContext): Promise<PreparedDial> {
    const { network, transport, connectInputs } = this.settings;
    const { target, credentials } = await ask('url', () => this.endpoints.resolve(context));
    const { signal } = context;
    const { localAddress } = network;
    // The attempt may be over: nothing more is asked for it.
    signal.throwIfAborted();
    return {
      credentials: { ...(await connectInputs(context, credentials)), server: nameOf(target) },
      // A transport of the application gets no key, password or proxy.
      dial: () =>
        transport === undefined
          ? this.#platform.dial({ ...network, ...target }, context)
          : transport(localAddress === undefined ? target : { localAddress, ...target }, signal),
    };
  }
}
