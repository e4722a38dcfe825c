import type { PublishReader } from '../../codec/publish-reader.ts';
import type { Delivery } from '../../engine/delivery.ts';
import type { AuthenticationStep, Change } from '../../engine/effects.ts';
import { messageOf, type MqttError } from '../../errors.ts';
import type { Receipt } from '../../session/incoming.ts';
import type { ClientOptions } from '../config/client-options.ts';
import { ask } from '../config/connect-inputs.ts';
import { Endpoints, nameOf, type ServerUrl } from '../config/endpoints.ts';
import { warnings } from '../config/network-options.ts';
import { Configuration, type Platform, type Settings } from '../config/settings.ts';
import { ClientLogger } from '../logger.ts';
import { PublishCalls } from '../publish/publish-calls.ts';
import type { PublishManyParts } from '../publish/publish-many.ts';
import { BufferPressure } from '../receive/buffer-pressure.ts';
import { NO_REQUESTS, type RequestCounts } from '../request/request-counts.ts';
import { RequestResponse } from '../request/request-response.ts';
import { Counters } from '../stats.ts';
import { Status } from '../status.ts';
import { Authenticator, reauthenticate } from './authenticator.ts';
import type { CallOptions } from './cancellation.ts';
import { ConnectCalls } from './connect-calls.ts';
import type { PrepareContext, PreparedDial } from './dialer.ts';
import { Driver, type DriverListener } from './driver.ts';
import { EventQueue } from './event-queue.ts';
import { Notifier } from './notifier.ts';
import { StoredSession } from './stored-session.ts';
import { storePortsOf } from './store-ports.ts';
import { InboundParts } from './inbound-parts.ts';

/**
 * The parts of a client, put together: each is given those that were made before it. The driver is made early, because
 * most parts call it. What it reports comes through `listen()`, last of all: log lines, status events and counters follow
 * from it here. What a client may never use is made when it is first used.
 */
export class ClientRuntime<UserData> implements DriverListener {
  readonly configuration: Configuration<UserData>;
  readonly endpoints: Endpoints;
  readonly status: Status = new Status();
  readonly counters: Counters = new Counters();
  readonly logger: ClientLogger;
  readonly driver: Driver;
  readonly connectCalls: ConnectCalls;
  /** Only with a store. */
  readonly storedSession: StoredSession | undefined = undefined;
  /** Called whenever there may be room, or nothing left to wait for. */
  readonly #progress = new Notifier();
  readonly #platform: Platform;
  readonly #pressure: BufferPressure;
  #inbound: InboundParts | undefined = undefined;
  #publishCalls: PublishCalls | undefined = undefined;
  readonly #events = new EventQueue();
  /** That of the present attempt or connection, if its CONNECT has an Authentication Method. */
  #authenticator: Authenticator | undefined = undefined;
  #requests: RequestResponse | undefined = undefined;

  constructor(url: ServerUrl, options: ClientOptions<UserData>, platform: Platform) {
    const { clock, random } = platform;
    this.#platform = platform;
    const configuration = new Configuration(url, options, random);
    this.configuration = configuration;
    const { engine, logger: givenLogger } = configuration.settings;
    const events = this.#events;
    this.logger = new ClientLogger(givenLogger, events);
    this.warn();
    const endpoints = new Endpoints(configuration, random);
    this.endpoints = endpoints;
    const buffers = new BufferPressure(engine.receiveBuffer);
    this.#pressure = buffers;
    const prepare = (context: PrepareContext): Promise<PreparedDial> => this.#prepare(context);
    const { store } = configuration.settings;
    const storePorts = store === undefined ? undefined : storePortsOf(platform);
    const driver = new Driver(engine, {
      clock,
      random,
      events,
      endpoints,
      prepare,
      buffers,
      store: storePorts,
    });
    this.driver = driver;
    if (store !== undefined)
      this.storedSession = new StoredSession({
        clock,
        store,
        clientId: engine.clientId,
        driver,
        logger: this.logger,
        status: this.status,
      });
    const { storedSession } = this;
    this.connectCalls = new ConnectCalls({ clock, configuration, driver, endpoints, storedSession });
    driver.listen(this);
  }

  get inbound(): InboundParts {
    this.#inbound ??= this.#makeInbound();
    return this.#inbound;
  }

  get publishCalls(): PublishCalls {
    this.#publishCalls ??= this.#makePublishCalls();
    return this.#publishCalls;
  }

  get publishManyParts(): PublishManyParts {
    const { driver, logger, publishCalls } = this;
    return { clock: this.#platform.clock, driver, logger, progress: this.#progress, publishCalls };
  }

  get settings(): Settings<UserData> {
    return this.configuration.settings;
  }

  get requests(): RequestResponse {
    const { driver, inbound, logger, publishCalls, settings } = this;
    const { router, subscribeCalls, unmatched } = inbound;
    this.#requests ??= new RequestResponse({
      clock: this.#platform.clock,
      driver,
      logger,
      persistent: settings.engine.persistent,
      publishCalls,
      router,
      subscribeCalls,
      unmatched,
      version: settings.engine.protocolVersion,
    });
    return this.#requests;
  }

  get requestCounts(): RequestCounts {
    return this.#requests?.counts ?? NO_REQUESTS;
  }

  /** The client is about to end in order: see `RequestResponse.leave()`. */
  async leaveResponses(): Promise<void> {
    await this.#requests?.leave();
  }

  /** Logs what is insecure in the network options. */
  warn(): void {
    for (const line of warnings(this.settings.network)) this.logger.warn(line);
  }

  reauthenticate(options: CallOptions): Promise<void> {
    return reauthenticate(this.driver, this.settings.authentication, this.#authenticator, options);
  }

  // --- for the driver ------------------------------------------------------------------------------------------

  deliver(publish: PublishReader, receipt: Receipt | undefined): Delivery {
    return this.inbound.deliver(publish, receipt, this.#requests);
  }

  authenticate(step: AuthenticationStep): 'asked' | 'not needed' {
    return this.#authenticator?.step(step) ?? 'not needed';
  }

  overflowed(topicName: string): void {
    this.inbound.overflowed(topicName);
  }

  onProgress(): void {
    this.#inbound?.drain.checkDone();
    this.#progress.notify();
    this.storedSession?.pump();
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
        this.inbound.unsettled(change.receipts, change.ms);
        break;
      case 'stopped':
        this.inbound.stopped();
        break;
      case 'lastResort':
        this.#lastResort(change.ms);
        break;
      case 'sessionLost':
        this.#sessionLost(change.unsettled);
        break;
      case 'publishFailed':
        counters.unattended++;
        logger.error(`a stored message is not delivered: ${messageOf(change.error)}`);
        status.report({ type: 'publish-failed', topic: change.topicName, error: change.error });
        break;
      case 'tolerated':
        logger.warn(change.what);
        break;
      case 'restored':
        this.inbound.router.grantedAgain(change.topicFilters);
        break;
      case 'refused':
        logger.error(`the server refused to restore ${change.results.length} subscriptions`);
        this.inbound.subscribeCalls.refused(change.results, change.givenUp);
        break;
      case 'closed':
        this.#closed(change.error);
        break;
    }
  }

  #makePublishCalls(): PublishCalls {
    const { engine, store } = this.settings;
    return new PublishCalls(this.driver, this.#platform.clock, engine.protocolVersion, store !== undefined);
  }

  #makeInbound(): InboundParts {
    const { configuration, counters, driver, logger, status } = this;
    const { clock, random } = this.#platform;
    const { persistent, protocolVersion: version } = this.settings.engine;
    this.#pressure.add(() => driver.resumeReading());
    return new InboundParts({
      clock,
      configuration,
      counters,
      driver,
      logger,
      persistent,
      pressure: this.#pressure,
      random,
      status,
      version,
    });
  }

  #connected({ connack, presence }: Extract<Change, { type: 'connected' }>): void {
    const { connectCalls, endpoints, logger, status } = this;
    const { type: _, ...answer } = connack;
    connectCalls.connected(answer);
    endpoints.connected();
    logger.info('connected');
    this.#inbound?.connected(answer.sessionPresent, presence);
    this.#requests?.connected();
    status.report({ type: 'connected', connack: answer });
  }

  #lastResort(ms: number): void {
    const what = this.settings.engine.persistent ? 'left to the server until the next connection' : 'dropped';
    this.logger.warn(
      `no message was settled for ${ms} ms, and the buffer for an awaited answer is full: new messages are ${what}`,
    );
  }

  #sessionLost(unsettled: number): void {
    const { logger, status } = this;
    this.#inbound?.sessionLost();
    this.#requests?.sessionLost(this.settings.engine.resubscribe);
    logger.warn('the server has lost the session');
    status.report({ type: 'session-lost', unsettled });
  }

  #closed(error: MqttError | undefined): void {
    const { connectCalls, counters, logger, status } = this;
    connectCalls.end(error);
    if (error === undefined) logger.info('closed');
    else {
      counters.lastError = error;
      logger.error(`closed: ${messageOf(error)}`);
    }
    this.#requests?.closed(error);
    this.#inbound?.closed(error);
    void this.storedSession?.close();
    status.report(error === undefined ? { type: 'closed' } : { type: 'closed', error });
  }

  /** Asks the application for the server and the credentials of one attempt. */
  async #prepare(context: PrepareContext): Promise<PreparedDial> {
    const { authentication, engine, network, transport, connectInputs } = this.settings;
    this.#authenticator = undefined;
    const { target, credentials } = await ask('url', () => this.endpoints.resolve(context));
    const { signal } = context;
    const { localAddress } = network;
    await this.storedSession?.open();
    // The attempt may be over: nothing more is asked for it.
    signal.throwIfAborted();
    let inputs = await connectInputs(context, credentials);
    if (authentication !== undefined) {
      signal.throwIfAborted();
      context.onPhase('authentication');
      const { clock } = this.#platform;
      this.#authenticator = new Authenticator(authentication, {
        clock,
        driver: this.driver,
        events: this.#events,
      });
      const { properties = engine.properties } = inputs;
      inputs = {
        ...inputs,
        properties: { ...properties, ...(await this.#authenticator.connect(context)) },
      };
    }
    return {
      credentials: { ...inputs, server: nameOf(target) },
      // A transport of the application gets no key, password or proxy.
      dial: () =>
        transport === undefined
          ? this.#platform.dial({ ...network, ...target }, context)
          : transport(localAddress === undefined ? target : { localAddress, ...target }, signal),
    };
  }
}
