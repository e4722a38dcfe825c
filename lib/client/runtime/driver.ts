import type { OutgoingPublish } from '../../codec/publish-writer.ts';
import { SLAB_SIZE } from '../../connection/outbox.ts';
import type { Negotiated } from '../../connection/negotiated.ts';
import { Traffic } from '../../connection/traffic.ts';
import type { RetryContext } from '../../engine/backoff.ts';
import type { Counts } from '../../engine/counts.ts';
import type { AuthenticationWaiter } from '../../engine/authentication.ts';
import type { Change, Effects } from '../../engine/effects.ts';
import type { EngineStore } from '../../engine/engine-store.ts';
import { Engine } from '../../engine/engine.ts';
import type {
  BufferPressure,
  Credentials,
  DisconnectRequest,
  EngineOptions,
  EnginePorts,
  ReadResult,
} from '../../engine/options.ts';
import type { ClientState } from '../../engine/states.ts';
import { ConnectError, messageOf, type MqttError } from '../../errors.ts';
import type { Exchange } from '../../session/exchange.ts';
import type { Receipt } from '../../session/incoming.ts';
import type { Request } from '../../session/request.ts';
import { nextTick } from '../../transport/next-tick.ts';
import type { Transport } from '../../transport/transport.ts';
import type { Endpoints } from '../config/endpoints.ts';
import type { Settler } from '../receive/received-message.ts';
import { bufferText } from './buffer-text.ts';
import type { Clock } from './clock.ts';
import { Dialer, type PrepareContext, type PreparedDial } from './dialer.ts';
import { EngineTimer } from './engine-timer.ts';
import { EventLoopYield } from './event-loop-yield.ts';
import type { EventQueue } from './event-queue.ts';
import { GracefulClose } from './graceful-close.ts';
import { Link } from './link.ts';
import { allocate, protect, slabs } from './memory.ts';
import type { StorePorts } from './store-ports.ts';

export interface DriverHost {
  readonly clock: Clock;
  readonly random: () => number;
  /** Runs what may call the client after the engine has returned. */
  readonly events: EventQueue;
  readonly endpoints: Pick<Endpoints, 'select' | 'redirect'>;
  /** Asks the application for the server and the credentials; `dial()` opens the Network Connection. */
  prepare(context: PrepareContext): Promise<PreparedDial>;
  readonly buffers: BufferPressure;
  /** Only with a store. */
  readonly store?: StorePorts | undefined;
}

export interface DriverListener {
  /** hot: called while the engine runs. */
  readonly deliver: Effects['deliver'];
  /** A QoS 1 or 2 message was acknowledged and dropped. Called while the engine runs. */
  overflowed(topicName: string): void;
  changed(change: Change): void;
  /** The exchange of AUTH packets needs the application. Called while the engine runs. */
  readonly authenticate: Effects['authenticate'];
  /** Something was acknowledged, delivered or sent: there may be room, or nothing left to wait for. */
  onProgress(): void;
}

/** Before there is a listener, the client has not been used. */
const NOBODY: DriverListener = {
  deliver: () => 'acknowledge',
  overflowed() {},
  changed() {},
  authenticate: () => 'not needed',
  onProgress() {},
};

/**
 * Connects the engine to bytes, time and the event loop. It decides nothing about MQTT: it reports to the engine what
 * happens, writes the output, and calls the engine when it is due.
 */
export class Driver implements Settler {
  readonly canReject: boolean;
  readonly #engine: Engine;
  readonly #dialer: Dialer;
  readonly #host: DriverHost;
  readonly #events: EventQueue;
  readonly #clock: Clock;
  readonly #options: EngineOptions;
  readonly #timer: EngineTimer;
  readonly #traffic = new Traffic();
  readonly #yield = new EventLoopYield();
  readonly #flushDue: () => void;
  readonly #resume: () => void;
  #listener: DriverListener = NOBODY;
  #link: Link | undefined = undefined;
  /** The state that the engine was last seen in, and since when. */
  #state: ClientState = 'offline';
  #stateAt: number;
  /** When the present turn of the event loop began, if output is to leave at its end. */
  #turnAt: number | undefined = undefined;
  #gracefulClose: GracefulClose | undefined = undefined;

  constructor(options: EngineOptions, host: DriverHost) {
    this.canReject = options.protocolVersion === 5;
    this.#options = options;
    this.#host = host;
    this.#events = host.events;
    this.#clock = host.clock;
    this.#stateAt = host.clock.now();
    this.#flushDue = () => {
      this.#turnAt = undefined;
      this.#write();
    };
    this.#resume = () => this.#link?.reader.resumeIfRoom();
    this.#timer = new EngineTimer(host.clock, () => this.#act((engine, now) => engine.handleTimeout(now)));
    this.#dialer = new Dialer(
      {
        protocolVersion: options.protocolVersion,
        prepare: (context) => host.prepare(context),
        gracefulClose: () => this.gracefulClose(),
        opened: (transport, credentials) => this.#opened(transport, credentials),
        failed: (error) => this.#act((engine, now) => engine.dialFailed(error, now)),
      },
      host.events,
    );
    const ports: EnginePorts = {
      text: bufferText,
      slabs,
      allocate,
      protect,
      traffic: this.#traffic,
      buffers: host.buffers,
      random: host.random,
      ...host.store,
    };
    this.#engine = new Engine(options, ports, this.#effects());
  }

  /** Reports to `listener` from now on. To be called before the client is used. */
  listen(listener: DriverListener): void {
    this.#listener = listener;
  }

  get state(): ClientState {
    return this.#engine.state;
  }

  get clientId(): string {
    return this.#engine.clientId;
  }

  get negotiated(): Negotiated | undefined {
    return this.#engine.negotiated;
  }

  get counts(): Counts {
    return this.#engine.counts;
  }

  get traffic(): Readonly<Traffic> {
    return this.#traffic;
  }

  get maxTimerLag(): number {
    return this.#timer.maxLag;
  }

  get inStateFor(): number {
    return this.#clock.now() - this.#stateAt;
  }

  /** Whether one more message would be sent at once, whatever its QoS, or stored soon. */
  hasRoom(until: 'acknowledged' | 'stored' = 'acknowledged'): boolean {
    return this.#engine.hasRoom(until);
  }

  /** Whether the network is read. Reading stops while the application is too slow for what arrives. */
  get isReading(): boolean {
    return this.#link?.reader.isStopped !== true;
  }

  /** Resolves when no connection is being closed gracefully. */
  async gracefulClose(): Promise<void> {
    await this.#gracefulClose?.over;
  }

  connect(onFailure: 'give up' | 'retry'): void {
    this.#act((engine, now) => engine.connect(onFailure, now));
  }

  giveUp(error: MqttError): void {
    this.#act((engine, now) => engine.giveUp(error, now));
  }

  disconnect(request: DisconnectRequest): void {
    this.#act((engine, now) => engine.disconnect(request, now));
  }

  /** A planned close, and the next attempt at once. Returns whether there is one. */
  reconnect(): boolean {
    return this.#act((engine, now) => engine.reconnect(now));
  }

  /** Returns false if there is no connection to authenticate again. */
  reauthenticate(waiter: AuthenticationWaiter): boolean {
    return this.#act((engine, now) => engine.reauthenticate(waiter, now));
  }

  withdrawReauthentication(error: MqttError): void {
    this.#act((engine) => engine.withdrawReauthentication(error));
  }

  authenticated(data: Uint8Array | undefined): void {
    this.#act((engine, now) => engine.authenticated(data, now));
  }

  authenticationFailed(error: ConnectError): void {
    this.#act((engine, now) => engine.authenticationFailed(error, now));
  }

  /**
   * hot: QoS 0 that can be copied into the output now. Returns `undefined` if the message needs `publish()`, a promise if
   * the caller has to let the event loop go on first, else `true`. The engine asks for nothing meanwhile.
   */
  publishNow(message: OutgoingPublish): true | Promise<void> | undefined {
    const engine = this.#engine;
    const before = engine.outputSize;
    if (!engine.publishNow(message)) return undefined;
    const after = engine.outputSize;
    // A full slab is written at once: a caller that awaits in a loop keeps the flush from its turn.
    if (after >= SLAB_SIZE) this.#link?.writeFull();
    this.#schedule();
    return this.#yield.written(after - before);
  }

  /** How soon the store has to be told what has changed. */
  get storeDemand(): EngineStore['demand'] {
    return this.#engine.store?.demand ?? 'none';
  }

  /** Whether the session in the store is to be removed. */
  get isDiscarded(): boolean {
    return this.#engine.store?.isDiscarded === true;
  }

  /** Calls the engine of a client with a store about it. What may be sent then leaves at the end of the turn. */
  callStore<T>(call: (store: EngineStore, now: number) => T): T {
    const now = this.#schedule();
    return this.askStore((store) => call(store, now));
  }

  /** The same where nothing can be sent. */
  askStore<T>(call: (store: EngineStore) => T): T {
    return this.#run(({ store }) => {
      if (store === undefined) throw new TypeError('this client has no store');
      return call(store);
    });
  }

  reconfigured(): void {
    const now = this.#schedule();
    this.#run((engine) => engine.reconfigured(now));
  }

  publish(exchange: Exchange): void {
    const now = this.#schedule();
    this.#events.enter();
    try {
      this.#engine.publish(exchange, now);
    } finally {
      this.#events.leave();
    }
  }

  /** The caller of `exchange` no longer waits. Returns whether the message is kept. */
  withdraw(exchange: Exchange): boolean {
    const kept = this.#run((engine) => engine.withdraw(exchange));
    // A store has to forget the message, too.
    this.#schedule();
    return kept;
  }

  request(request: Request): void {
    this.#run((engine) => engine.request(request));
    this.#schedule();
  }

  withdrawRequest(request: Request): void {
    this.#run((engine) => engine.withdrawRequest(request));
  }

  forget(topicFilter: string): void {
    this.#engine.forget(topicFilter);
  }

  /** hot: one copy of a message is processed. */
  settle(receipt: Receipt, reasonCode: number): void {
    const now = this.#schedule();
    this.#events.enter();
    try {
      this.#engine.settle(receipt, reasonCode, now);
    } finally {
      this.#events.leave();
    }
    this.#link?.reader.resumeIfRoom();
    this.#listener.onProgress();
  }

  /** See `Acknowledgements.markSkippable()`. May be called by `deliver()`, like the next two. */
  markSkippable(receipt: Receipt): void {
    this.#engine.acknowledgements.markSkippable(receipt);
    this.#schedule();
  }

  markStalled(receipt: Receipt): void {
    this.#engine.acknowledgements.markStalled(receipt);
    this.#schedule();
  }

  abandon(receipt: Receipt): void {
    this.#engine.acknowledgements.abandon(receipt);
    this.#schedule();
  }

  starved(): void {
    this.#run((engine) => engine.acknowledgements.starved());
    this.#schedule();
  }

  /** There may be room again, if reading has stopped for lack of it. */
  resumeReading(): void {
    this.#events.add(this.#resume);
  }

  /** Calls the engine. What it asks of the application is done when it has returned. */
  #run<T>(call: (engine: Engine) => T): T {
    this.#events.enter();
    try {
      return call(this.#engine);
    } finally {
      this.#events.leave();
    }
  }

  /** The same for what may change the state: its output leaves, and the timer is set again. */
  #act<T>(call: (engine: Engine, now: number) => T): T {
    const result = this.#run((engine) => call(engine, this.#clock.now()));
    this.#after();
    return result;
  }

  #effects(): Effects {
    const host = this.#host;
    const events = this.#events;
    return {
      deliver: (publish, receipt) => this.#listener.deliver(publish, receipt),
      overflowed: (topicName) => this.#listener.overflowed(topicName),
      dial: (attempt, reason, choice) => {
        const left = host.endpoints.select(choice);
        this.#dialer.begin(attempt, reason);
        return left;
      },
      redirect: (serverReference, lasting) => host.endpoints.redirect(serverReference, lasting),
      dialPhase: () => this.#dialer.phase,
      hangUp: (rest) => this.#hangUp(rest),
      closeGracefully: (rest) => this.#closeGracefully(rest),
      finish: () => this.#link?.finish(),
      authenticate: (step) => this.#listener.authenticate(step),
      decide: (context) => events.add(() => this.#decide(context)),
      changed: (change) => events.add(() => this.#listener.changed(change)),
    };
  }

  /** Runs as an event: the call that led to it sets the timer and writes afterwards. A later answer would need `#act()`. */
  #decide(context: RetryContext): void {
    const { reconnect } = this.#options;
    const answer = reconnect === false ? undefined : reconnect.policy?.(context);
    this.#run((engine) => engine.decided(answer, this.#clock.now()));
  }

  // --- output --------------------------------------------------------------------------------------------------

  /**
   * Output of one turn leaves together: after the promises of the turn, before the event loop goes on. Returns the time,
   * which is read once for all that is done in one turn.
   */
  #schedule(): number {
    let now = this.#turnAt;
    if (now === undefined) {
      now = this.#clock.now();
      this.#turnAt = now;
      nextTick(this.#flushDue);
    }
    return now;
  }

  #write(): void {
    this.#link?.write();
    this.#afterWrite();
  }

  #afterWrite(): void {
    this.resumeReading();
    this.#settleTimer();
    this.#listener.onProgress();
  }

  // --- the network ---------------------------------------------------------------------------------------------

  #opened(transport: Transport, credentials: Credentials): void {
    const link: Link = new Link(transport, this.#engine, this.#events, this.#clock, {
      take: () => this.#take(),
      mayRead: () => this.#engine.mayRead,
      overrun: (error) => link.fail(error),
      drained: () => this.#write(),
      flushedLater: () => {
        this.#settleTimer();
        if (link !== this.#link) this.#listener.onProgress();
      },
      lost: (error, isBehind) => this.#lost(link, error, isBehind),
    });
    this.#link = link;
    const { largestWrite } = transport;
    this.#run((engine) => engine.opened(credentials, this.#clock.now(), largestWrite));
    try {
      transport.open(link);
    } catch (cause) {
      link.fail(new ConnectError('dial', `no connection: ${messageOf(cause)}`, { cause }));
      return;
    }
    this.#after();
  }

  #lost(link: Link, error: unknown, isBehind: boolean): void {
    const now = this.#clock.now();
    // What arrived before the close and was not read is sent again only in a persistent session.
    if (isBehind && !this.#options.persistent) this.#run((engine) => engine.read(now, 'none'));
    if (link !== this.#link) return;
    this.#link = undefined;
    link.detach();
    this.#act((engine) => engine.lost(error, now));
  }

  #hangUp(rest: readonly Uint8Array[]): void {
    this.#dialer.abandon();
    const link = this.#link;
    if (link === undefined) return;
    this.#link = undefined;
    link.detach(rest);
    this.#events.add(() => link.transport.destroy());
  }

  #closeGracefully(rest: readonly Uint8Array[]): void {
    const link = this.#link;
    if (link === undefined) return;
    const close = new GracefulClose(link.transport, this.#clock, () => {
      this.#gracefulClose = undefined;
      this.#run((engine) => engine.closedGracefully());
    });
    this.#gracefulClose = close;
    this.#link = undefined;
    link.detach(rest, () => close.closed());
    this.#events.add(() => close.begin());
  }

  // --- after the engine was called -----------------------------------------------------------------------------

  /** Reads what has arrived. Acknowledgements may be due then, and there is something new to consume. */
  #take(): ReadResult {
    const now = this.#clock.now();
    let result: ReadResult;
    this.#events.enter();
    try {
      result = this.#engine.read(now);
    } finally {
      this.#events.leave();
    }
    this.#yield.reset();
    if (this.#engine.outputSize > 0) this.#schedule();
    this.#settleTimer();
    this.#listener.onProgress();
    return result;
  }

  #after(): void {
    this.#schedule();
    this.#afterWrite();
  }

  #settleTimer(): void {
    if (this.#state !== this.#engine.state) {
      this.#state = this.#engine.state;
      this.#stateAt = this.#clock.now();
    }
    this.#timer.set(this.#engine.nextTimeout());
  }
}
