import { setImmediate as turn } from 'node:timers/promises';
import type { Client } from '../../lib/client/client.ts';
import type { ClientOptions } from '../../lib/client/config/client-options.ts';
import type { Platform } from '../../lib/client/config/settings.ts';
import type { QoS } from '../../lib/codec/packets.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { type ByteKind, payloadOf } from '../support/payload-kinds.ts';
import { ModelBroker, type ServerOptions } from './broker.ts';
import { GIVEN_UP, Model, type Publication, type Rules, type Wishes } from './model.ts';
import { payloadText } from './payloads.ts';
import { ClientProcess } from './process.ts';
import { Reader, type ReaderOptions } from './reader.ts';
import { Reading } from './reading.ts';
import { topicOf } from './topics.ts';
import { Order, Wire } from './wire.ts';

/** Creates the tested client. */
export type MakeClient = (url: string, options: ClientOptions, platform: Platform) => Client;

/** One world: the kinds of client and server. */
export interface Setting {
  readonly name: string;
  readonly client: ClientOptions & { readonly protocolVersion: 4 | 5; readonly receiveMaximum: number };
  readonly server: Partial<ServerOptions>;
  /** Whether the client has a store. */
  readonly store?: 'a store in memory';
}

/** The type of a payload. */
export type PayloadKind = ByteKind | 'text';
/** The limit of a call; a number: `timeout`. */
export type Bound = 'none' | 'signal' | number;

const READERS: readonly ReaderOptions[] = [
  { name: 'a', topicFilters: ['in/a', 'in/both'], ack: 'processed', most: 3 },
  { name: 'b', topicFilters: ['in/b', 'in/both'], ack: 'manual', most: 3 },
  { name: 'c', topicFilters: ['in/c'], ack: 'received', most: 4 },
];
export const TOPICS = ['in/a', 'in/b', 'in/both', 'in/c'] as const;

/** A client, a server, and the network and time between them. */
export class World {
  readonly setting: Setting;
  readonly clock: FakeClock = new FakeClock();
  readonly order: Order = new Order(() => this.clock.now());
  readonly model: Model;
  readonly broker: ModelBroker;
  readers: readonly Reader[];
  wire: Wire | undefined;
  /** Number of next connection attempts that fail. */
  refusals = 0;
  /** Whether the network takes nothing but CONNECT on the next connection. */
  pressesNext = false;
  #aborts: { readonly publication: Publication; abort(): void }[] = [];
  #frozenSince: number | undefined;
  #chunk = Infinity;
  #reading: Reading;
  readonly #makeClient: MakeClient;
  #process: ClientProcess;
  #store: MemoryStore | undefined;

  constructor(makeClient: MakeClient, setting: Setting) {
    this.setting = setting;
    const { client, server } = setting;
    const { protocolVersion, maxInflight = 20 } = client;
    const retries = (client.messageRetry ?? (protocolVersion < 5 ? 5_000 : 0)) > 0;
    const sendWindow = server.sendWindow ?? 1_000;
    const isPersistent =
      protocolVersion === 5 ? (client.sessionExpiryInterval ?? 0) > 0 : client.cleanStart === false;
    const rules: Rules = {
      isPersistent,
      patience: isPersistent ? Infinity : (client.ackStallTimeout ?? 30_000),
      retries,
      onSessionLost: client.onSessionLost ?? 'resend',
      dropsOldest: client.onQueueFull === 'drop-oldest',
    };
    this.model = new Model(rules, this.order);
    this.model.owes = () => this.wire?.owes === true;
    const options: ServerOptions = {
      receiveMaximum: 65_535,
      topicAliasMaximum: 0,
      inherited: false,
      ignoresWindow: false,
      ...server,
      protocolVersion,
      sendWindow,
      maxInflight,
      retries,
    };
    this.broker = new ModelBroker(options, this.model, this.order, this.clock);
    this.#makeClient = makeClient;
    this.#store = setting.store === undefined ? undefined : new MemoryStore();
    this.#process = this.#begin();
    this.model.now = () => this.clock.now();
    this.model.isReadingStopped = () => this.client.stats().reading === 'stopped';
    this.model.arrivals.now = () => this.clock.now();
    this.model.arrivals.overflowed = () => this.client.stats().overflowed;
    this.model.arrivals.dropped = () =>
      this.client.stats().subscriptions.reduce((sum, one) => sum + one.dropped, 0);
    this.readers = READERS.map((one) => new Reader(one, this.model));
    this.#reading = new Reading(this.model, setting.client);
  }

  get client(): Client {
    return this.#process.client;
  }

  get isClosed(): boolean {
    return this.client.state === 'closed';
  }

  /** Starts a process on what is stored. */
  #begin(): ClientProcess {
    const store = this.#store;
    this.model.store = store;
    const options = { ...this.setting.client, ...(store !== undefined && { store }) };
    return new ClientProcess(this.#makeClient, options, this.clock, (_target, { signal }) =>
      this.#dial(signal),
    );
  }

  async #dial(signal: AbortSignal): Promise<Wire> {
    signal.throwIfAborted();
    await Promise.resolve();
    signal.throwIfAborted();
    if (this.refusals > 0) {
      this.refusals--;
      throw new Error('refused');
    }
    this.wire = new Wire(this.order, (wire) => this.broker.accept(wire));
    this.wire.chunk = this.#chunk;
    if (this.pressesNext) this.wire.pressAfterConnect();
    this.pressesNext = false;
    this.#frozenSince = undefined;
    this.#reading.asked();
    const wire = this.wire;
    wire.onDestroy = () => this.#destroyed(wire);
    // While reading is stopped, the client cannot know whether the server is silent.
    wire.onResume = () => {
      if (this.#frozenSince !== undefined) this.#frozenSince = this.clock.now();
    };
    return wire;
  }

  // --- events --------------------------------------------------------------------------------------------------

  publish(qos: QoS, size: number, kind: PayloadKind, bound: Bound, wishes: Wishes = {}): void {
    if (qos > 0) this.#reading.asked();
    const publication = this.model.called(
      qos,
      size,
      this.client.state === 'connected' && !this.model.publications.some(isWaitingQos0),
      wishes,
    );
    const text = payloadText('p', publication.tag, size);
    // The caller owns the payload again, and overwrites it.
    const { payload, reuse } = kind === 'text' ? { payload: text, reuse: () => {} } : payloadOf(kind, text);
    const controller = new AbortController();
    const promise = this.client.publish(topicOf(publication.tag), payload, {
      qos,
      ...(bound === 'signal' && { signal: controller.signal }),
      ...(typeof bound === 'number' && { timeout: bound }),
      ...(wishes.until !== undefined && { until: wishes.until }),
      ...(wishes.expiry !== undefined && { properties: { messageExpiryInterval: wishes.expiry } }),
    });
    const caller = this.#process;
    const settled = (note: () => void): void => {
      if (!caller.isRunning) return;
      reuse();
      note();
    };
    promise.then(
      () => settled(() => this.model.resolved(publication)),
      (error: unknown) => settled(() => this.model.rejected(publication, error)),
    );
    if (bound !== 'signal') return;
    const abort = (): void => {
      if (publication.outcome !== 'pending') return;
      controller.abort(GIVEN_UP);
      reuse();
    };
    this.#aborts.push({ publication, abort });
  }

  /** Aborts one of the pending calls. */
  abort(which: number): void {
    const open = this.#aborts.filter(({ publication }) => publication.outcome === 'pending');
    open.at(which < 20 ? which % Math.max(1, open.length) : -1)?.abort();
  }

  serverPublishes(topic: string, qos: QoS, size: number): void {
    const { tag } = this.model.arrivals.sent(topic, qos, size);
    const payload = Buffer.from(payloadText('m', tag, size));
    if (!this.broker.publish(tag, topic, payload, qos)) this.model.arrivals.lost([tag]);
  }

  cut(where: 'between packets' | 'in the middle'): void {
    this.wire?.cut(where, new Error('reset'));
  }

  press(room: number): void {
    this.wire?.press(room);
    // Output that is flushed counts as a sign of life, whoever receives it.
    if (this.#frozenSince !== undefined) this.#frozenSince = this.clock.now();
  }

  freeze(isFrozen: boolean): void {
    if (this.wire?.isOpen !== true) return;
    this.wire.freeze(isFrozen);
    this.#frozenSince = isFrozen ? (this.#frozenSince ?? this.clock.now()) : undefined;
  }

  cutReads(chunk: number): void {
    this.#chunk = chunk;
    if (this.wire !== undefined) this.wire.chunk = chunk;
  }

  async connect(): Promise<void> {
    if (this.client.state !== 'offline' && this.client.state !== 'closed') return;
    this.client.connect({ retry: true }).catch(() => {});
    await this.settle();
    this.#reading.asked();
    for (const reader of this.readers) if (!reader.isSubscribed) reader.subscribe(this.client);
    void this.#watch();
  }

  /** Until the client is closed. */
  async #watch(): Promise<void> {
    const process = this.#process;
    for await (const event of process.client.status()) {
      if (!process.isRunning) return;
      if (event.type === 'publish-failed' && event.error instanceof Error)
        this.model.hasGivenUp ||= event.error.name === 'PoisonedMessageError';
      if (event.type !== 'ack-stalled') continue;
      this.#reading.stalled();
      for (const reader of this.readers) reader.stalled(event.subscription);
    }
  }

  breakLoop(reader: Reader): void {
    if (!reader.break() || this.model.rules.isPersistent) return;
    // In a clean session the subscription ends with its last loop.
    this.model.arrivals.subscriptionEndedAt = this.order.next();
    this.#reading.asked();
    reader.ended();
    reader.subscribe(this.client);
  }

  // --- the store -----------------------------------------------------------------------------------------------

  /** Commits complete at once, or wait. */
  commits(mode: 'at once' | 'held'): void {
    if (this.#store === undefined) return;
    this.#store.mode = mode;
    if (mode === 'at once') this.#store.release();
  }

  /** The commit under way is made, and the next one waits. */
  makeOneCommit(): void {
    this.#store?.release();
  }

  /** The process is killed `ticks` microtasks from now, or the machine fails. The next one starts, and connects. */
  async crash(of: 'process' | 'machine', ticks: number): Promise<void> {
    if (this.#store === undefined) return;
    for (let i = 0; i < ticks; i++) await Promise.resolve();
    this.#process.kill();
    this.wire?.abandon();
    const { made, synced } = this.#store.counts;
    this.#forget(of === 'process' ? made : synced);
    this.model.crashed();
    this.#aborts = [];
    this.#store = this.#store.crash(of);
    leaveDamaged(this.#store);
    this.#process = this.#begin();
    await this.connect();
  }

  /** The store fails: the client ends, and connects again. */
  async storeFails(): Promise<void> {
    if (this.#store?.isOpen !== true || this.isClosed) return;
    const { model } = this;
    this.#store.failure = new Error('no space left on device');
    this.commits('at once');
    this.publish(1, 8, 'text', 'none');
    await this.settle();
    if (this.client.state === 'disconnecting') await this.pass(1_000);
    this.#store.failure = undefined;
    if (!this.isClosed) return;
    this.#forget(this.#store.counts.made);
    for (const { tag, outcome } of model.publications)
      if (outcome === 'pending') model.broken(`p${tag} was not settled when the store failed`);
    await this.connect();
  }

  /** Memory is gone, up to the commit number `last`. */
  #forget(last: number): void {
    // The client would take the session for the lost one, whose messages are in the store.
    if (this.model.sessionsLost > 0 && last <= this.model.sessionMark) this.broker.loseSession();
    const survives = (mark: number): boolean => last > mark;
    this.model.forgotten(survives);
    this.broker.session?.exchanges.forgotten(survives);
    for (const reader of this.readers) reader.abandon();
    this.readers = READERS.map((one) => new Reader(one, this.model));
    this.#reading = new Reading(this.model, this.setting.client);
    this.model.arrivals.clientEndedAt = this.order.next();
  }

  async disconnect(pending: 'keep' | 'discard'): Promise<void> {
    if (pending === 'discard') {
      for (const publication of this.model.publications) publication.mayBeForgotten = true;
      if (this.#store !== undefined) this.broker.session?.exchanges.abandoned();
    }
    let isOver = false;
    void this.client.disconnect({ pending, timeout: 1_000 }).then(() => (isOver = true));
    await this.settle();
    this.commits('at once');
    await this.settle();
    if (!isOver) await this.pass(1_000);
    if (!isOver) this.model.broken('disconnect() did not end');
    this.model.arrivals.clientEndedAt = this.order.next();
    for (const reader of this.readers) reader.ended();
    for (const { tag, outcome } of this.model.publications)
      if (outcome === 'pending') this.model.broken(`p${tag} was not settled by disconnect()`);
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    await this.settle();
    await this.clock.advance(ms);
    await this.settle();
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let quiet = 0, turns = 0; quiet < 2 && turns < 200; turns++) {
      await turn();
      quiet = this.wire?.isBusy === true ? 0 : quiet + 1;
    }
  }

  // --- invariants ----------------------------------------------------------------------------------------------

  check(): void {
    const { model, client, clock, setting } = this;
    const { receiveMaximum, maxQueued = 0, keepAlive = 60 } = setting.client;
    const stats = client.stats();
    const awaits = model.publications.some(({ qos, outcome }) => qos > 0 && outcome === 'pending');
    // Queued output may be sent and answered before the next check.
    this.#reading.check(client, awaits || stats.inFlight > 0 || stats.queued.messages > 0);
    if (stats.reading === 'stopped' && this.#frozenSince !== undefined) this.#frozenSince = clock.now();
    // Messages under way when a session was lost wait again, whatever the limit.
    const isLoose = model.sessionsLost > 0 || model.hasStore;
    if (maxQueued > 0 && stats.queued.messages > maxQueued + (isLoose ? 100 : 0))
      model.broken(`${stats.queued.messages} messages queued, expected ${maxQueued} at the most`);
    for (const { topicFilters, depth } of stats.subscriptions) {
      const options = READERS.find((one) =>
        one.topicFilters.includes(topicFilters[0] as string),
      ) as ReaderOptions;
      // A message that a loop releases after its session was lost is not dropped for the limit.
      const given = model.sessionsLost > 0 ? 1 : 0;
      const held = this.#reading.mayGoBeyond ? Infinity : receiveMaximum + given;
      const most = options.most + (options.ack === 'received' ? 0 : held);
      if (depth > most)
        model.broken(`${depth} messages wait for ${options.name}, expected ${most} at the most`);
    }
    const { connection } = this.broker;
    if (client.state === 'connected' && connection !== undefined && keepAlive > 0) {
      const limit = keepAlive * 1_500;
      if (this.#frozenSince !== undefined && clock.now() - this.#frozenSince > limit + 1)
        model.broken(
          `the server has been silent for ${clock.now() - this.#frozenSince} ms, and the client stays`,
        );
      const isHeard = !connection.wire.isFrozen && !connection.wire.isPressed;
      if (isHeard && clock.now() - connection.lastHeardAt > limit)
        model.broken(`the client has been silent for ${clock.now() - connection.lastHeardAt} ms`);
    }
    this.#checkQos0();
    if (model.complaints.length > 0) throw new Error(model.complaints.slice(0, 5).join('\n'));
  }

  /** The client may close only connections to a server that is silent or leaves an exchange unanswered. */
  #destroyed(wire: Wire): void {
    const { ackTimeout = 0 } = this.setting.client;
    if (wire.isFrozen || wire.isPressed || ackTimeout > 0 || this.client.state === 'disconnecting') return;
    if (this.client.state === 'connected') this.model.broken('the client has left a server that answers');
  }

  /** QoS 0 that was published on the current connection waits for the network only. */
  #checkQos0(): void {
    const { model, wire, client } = this;
    if (client.state !== 'connected' || wire === undefined || wire.isPressed || wire.owes) return;
    const waiting = model.publications.filter(isWaitingQos0);
    if (waiting.length === 0 || waiting.some((one) => !one.goesAtOnce || one.calledAfter < model.connection))
      return;
    model.broken(`p${waiting[0]?.tag} (QoS 0) waits, though the network takes all`);
  }
}

/** Leaves a record of a message that was changed by a failing disk, before all others. */
function leaveDamaged({ records }: MemoryStore): void {
  const [, value] = [...records].find(([key]) => key.startsWith('m/')) ?? [];
  if (value === undefined) return;
  const damaged = value.slice();
  damaged[damaged.length - 1] = 0;
  records.set('m/00000000000000!', damaged);
}

function isWaitingQos0({ qos, outcome }: Publication): boolean {
  return qos === 0 && outcome === 'pending';
}
