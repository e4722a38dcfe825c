import { setImmediate } from 'node:timers';
import type { OutgoingPublish } from '../../codec/publish-writer.ts';
import { portableText } from '../../codec/text.ts';
import { SLAB_SIZE } from '../../connection/outbox.ts';
import type { Negotiated } from '../../connection/negotiated.ts';
import type { Change, Effects } from '../../engine/effects.ts';
import { Traffic } from '../../connection/traffic.ts';
import { Engine } from '../../engine/engine.ts';
import type { Counts } from '../../engine/counts.ts';
import type {
  Credentials,
  DisconnectRequest,
  EngineOptions,
  EnginePorts,
  BufferPressure,
  ReadResult,
  ServerChoice,
} from '../../engine/options.ts';
import type { ClientState } from '../../engine/states.ts';
import { ConnectError, messageOf, type MqttError } from '../../errors.ts';
import type { Exchange } from '../../session/exchange.ts';
import type { Receipt } from '../../session/incoming.ts';
import type { Request } from '../../session/request.ts';
import { nextTick } from '../../transport/next-tick.ts';
import type { DialContext, TransportReceiver, Flushed, Transport } from '../../transport/transport.ts';
import type { Clock, Wake } from './clock.ts';
import { Dialer, type PreparedDial } from './dialer.ts';
import { EventLoopYield } from './event-loop-yield.ts';
import { GracefulClose } from './graceful-close.ts';
import { allocate, Slabs } from './memory.ts';
import { NetworkReader } from './network-reader.ts';

/** Shared by all clients of the process. */
const slabs = new Slabs();

/** A timer that is later than this, in ms, came late because the process was busy: what has arrived is read first. */
const LATE = 20;

/** Memory for what comes on a link that nobody listens to any more, in bytes. */
const LEFTOVER = 4_096;

/** What the driver asks of the client around it. */
export interface DriverHost {
  readonly clock: Clock;
  readonly random: () => number;
  /** Goes to a server. Returns how many are left beside it. */
  select(which: ServerChoice): number;
  /** The server that was chosen names others. Returns how many of them come next. */
  redirect(serverReference: string, lasting: 'for now' | 'for good'): number;
  /** Asks the application what to connect with, and where to; `dial()` opens the Network Connection. */
  prepare(context: DialContext): Promise<PreparedDial>;
  /** Buffers that stop the reading while they are full. */
  readonly buffers: BufferPressure;
  /** hot */
  readonly deliver: Effects['deliver'];
  /** A QoS > 0 message was acknowledged and dropped. */
  overflowed(topicName: string): void;
  changed(change: Change): void;
  /** Something was acknowledged, delivered or sent: whoever waits for the end of it may look. */
  onProgress(): void;
}

/** One Network Connection as its transport sees us. Once it is no longer the current one, nothing of it is heard. */
interface Link extends TransportReceiver {
  readonly transport: Transport;
  readonly reader: NetworkReader;
}

/**
 * The only place where bytes, time and the engine meet. It decides nothing about MQTT: it brings what happens to the
 * engine, writes what the engine has to write, and wakes it when it asked to be woken.
 */
export class Driver {
  readonly #engine: Engine;
  readonly #dialer: Dialer;
  readonly #host: DriverHost;
  readonly #clock: Clock;
  readonly #isPersistent: boolean;
  readonly #traffic = new Traffic();
  #link: Link | undefined = undefined;
  #wake: Wake | undefined = undefined;
  #wakeAt = Infinity;
  #maxTimerLag = 0;
  /** The state that the engine was last seen in, and since when. */
  #state: ClientState = 'offline';
  #stateAt: number;
  #flush: 'idle' | 'due' = 'idle';
  #turnAt = 0;
  #deciding: 'no' | 'yes' = 'no';
  #closing: 'no' | 'after what is written' = 'no';
  /** A link that is being closed in order, before the next connection. */
  #gracefulClose: { readonly link: Link; readonly close: GracefulClose } | undefined = undefined;
  readonly #yield = new EventLoopYield();
  readonly #flushDue: () => void;

  constructor(options: EngineOptions, host: DriverHost) {
    this.#host = host;
    this.#clock = host.clock;
    this.#isPersistent = options.persistent;
    this.#stateAt = host.clock.now();
    this.#flushDue = () => {
      this.#flush = 'idle';
      this.#written();
    };
    const effects: Effects = {
      deliver: (publish, receipt) => host.deliver(publish, receipt),
      dial: (attempt, reason, which) => {
        const left = host.select(which);
        this.#dialer.begin(attempt, reason);
        return left;
      },
      redirect: (serverReference, lasting) => host.redirect(serverReference, lasting),
      dialPhase: () => this.#dialer.phase,
      overflowed: (topicName) => host.overflowed(topicName),
      hangUp: (rest) => this.#hangUp(rest),
      closeGracefully: (rest) => this.#closeGracefully(rest),
      finish: () => {
        this.#closing = 'after what is written';
      },
      changed: (change) => host.changed(change),
    };
    const ports: EnginePorts = {
      text: portableText,
      slabs,
      allocate,
      traffic: this.#traffic,
      buffers: host.buffers,
      random: host.random,
      decide: (ask) => this.#decide(ask),
    };
    this.#engine = new Engine(options, ports, effects);
    this.#dialer = new Dialer({
      protocolVersion: options.protocolVersion,
      prepare: (context) => host.prepare(context),
      gracefulClose: () => this.gracefulClose(),
      opened: (transport, credentials) => this.#opened(transport, credentials),
      failed: (error) => {
        this.#engine.dialFailed(error, this.#clock.now());
        this.#after();
      },
    });
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

  /** How late the process was for a timer at the most, in ms: how long it was busy with something else. */
  get maxTimerLag(): number {
    return this.#maxTimerLag;
  }

  /** For how long the client has been in its present state, in ms. */
  get inState(): number {
    return this.#clock.now() - this.#stateAt;
  }

  /** Whether one more message, whatever its QoS, would go out at once. */
  get hasRoom(): boolean {
    return this.#engine.hasRoom;
  }

  /** Resolves when no link is being closed in order any more. */
  async gracefulClose(): Promise<void> {
    await this.#gracefulClose?.close.over;
  }

  connect(onFailure: 'give up' | 'retry'): void {
    // A policy is asked only where an attempt or connection is under way: whatever comes of that is the answer.
    if (this.#deciding !== 'no') return;
    this.#engine.connect(onFailure, this.#clock.now());
    this.#after();
  }

  giveUp(error: MqttError): void {
    if (this.#deciding !== 'no') return nextTick(() => this.giveUp(error));
    this.#engine.giveUp(error, this.#clock.now());
    this.#after();
  }

  disconnect(ending: DisconnectRequest): void {
    if (this.#deciding !== 'no') return nextTick(() => this.disconnect(ending));
    this.#engine.disconnect(ending, this.#clock.now());
    this.#after();
  }

  /**
   * hot: QoS 0 that can be copied into the output now. Returns what its caller has to wait for: `undefined`, the message
   * has to take the long way; a promise, the event loop is to go on first; `true`, nothing.
   */
  publishNow(message: OutgoingPublish): true | Promise<void> | undefined {
    const engine = this.#engine;
    const before = engine.outputSize;
    if (!engine.publishNow(message)) return undefined;
    const after = engine.outputSize;
    // A full chunk leaves at once: whoever awaits in a loop never lets a later flush come to its turn.
    if (after >= SLAB_SIZE) this.#writeFull();
    this.#schedule();
    return this.#yield.written(after - before);
  }

  reconfigured(): void {
    this.#engine.reconfigured(this.#turn());
  }

  publish(exchange: Exchange): void {
    this.#engine.publish(exchange, this.#turn());
  }

  /** Nobody waits for `exchange` any longer. Returns whether the message is kept. */
  withdraw(exchange: Exchange): boolean {
    return this.#engine.withdraw(exchange);
  }

  request(request: Request): void {
    this.#engine.request(request);
    this.#schedule();
  }

  withdrawRequest(request: Request): void {
    this.#engine.withdrawRequest(request);
  }

  forget(topicFilter: string): void {
    this.#engine.forget(topicFilter);
  }

  /** Whether the network is read: it is not while the application is too slow for what comes. */
  get isReading(): boolean {
    return this.#link?.reader.isStopped !== true;
  }

  /** hot: one copy of a message is done. */
  settle(receipt: Receipt, reasonCode: number): void {
    this.#engine.settle(receipt, reasonCode, this.#turn());
    this.#link?.reader.resumeIfRoom();
    this.#host.onProgress();
  }

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
    this.#engine.acknowledgements.starved();
    this.#schedule();
  }

  /** There may be room again, if reading had stopped for lack of it. */
  resumeReading(): void {
    this.#link?.reader.resumeIfRoom();
  }

  /** A planned close, and the next attempt at once. Returns whether there is one. */
  reconnect(): boolean {
    if (this.#deciding !== 'no') return false;
    const begun = this.#engine.reconnect(this.#clock.now());
    this.#after();
    return begun;
  }

  /** What the user's policy asks of its own client waits until the engine has come to the end of what it is at. */
  #decide<T>(ask: () => T): T {
    this.#deciding = 'yes';
    try {
      return ask();
    } finally {
      this.#deciding = 'no';
    }
  }

  /** The time, read once for all that is done in one turn; what is written in it leaves at its end. */
  #turn(): number {
    this.#schedule();
    return this.#turnAt;
  }

  // --- the way out ---------------------------------------------------------------------------------------------

  /** What is written in this turn leaves together: after the promises of the turn, before the event loop goes on. */
  #schedule(): void {
    if (this.#flush === 'due') return;
    this.#flush = 'due';
    this.#turnAt = this.#clock.now();
    nextTick(this.#flushDue);
  }

  /** Output is handed over: there may be room for more. */
  #written(): void {
    this.#write();
    this.resumeReading();
    this.#settleTimer();
    this.#host.onProgress();
  }

  /** Hands output over for as long as the network takes it at once. The rest waits for `drained()`. */
  #write(): void {
    const link = this.#link;
    if (link === undefined) return;
    const engine = this.#engine;
    const now = this.#clock.now();
    engine.flushRequests(now);
    const { transport } = link;
    const ending = this.#closing === 'after what is written';
    const limit = ending ? Infinity : 0;
    while (link === this.#link && transport.bytesPending <= limit) {
      const piece = engine.takeOutput(now);
      if (piece === undefined) {
        if (engine.pump(now)) continue;
        break;
      }
      this.#send(link, piece, now);
    }
    if (ending && link === this.#link) {
      this.#closing = 'no';
      transport.end();
    }
  }

  /** Hands full chunks over: the one just begun goes on being filled. */
  #writeFull(): void {
    const link = this.#link;
    if (link === undefined) return;
    const now = this.#clock.now();
    while (this.#link === link && this.#engine.outputSize >= SLAB_SIZE) {
      const piece = link.transport.bytesPending === 0 ? this.#engine.takeOutput(now) : undefined;
      if (piece === undefined) return;
      this.#send(link, piece, now);
    }
  }

  #send(link: Link, piece: Uint8Array, now: number): void {
    let byDefault: Flushed = 'at-once';
    link.transport.write(piece, (written, taken = byDefault) => {
      slabs.give(written);
      if (link !== this.#link) return;
      const later = byDefault === 'later';
      this.#engine.flushed(written, taken === 'later', later ? this.#clock.now() : now);
      if (!later) return;
      this.#settleTimer();
      if (link !== this.#link) this.#host.onProgress();
    });
    byDefault = 'later';
  }

  // --- the network ---------------------------------------------------------------------------------------------

  #opened(transport: Transport, credentials: Credentials): void {
    this.#closing = 'no';
    const engine = this.#engine;
    const reader = new NetworkReader(transport, {
      take: () => this.#take(),
      mayRead: () => engine.mayRead,
      overrun: (error) => broken(error),
    });
    const link: Link = {
      transport,
      reader,
      // What still comes on a link that is no longer ours is read, so that its end is seen, and let go.
      allocate: () => (link === this.#link ? engine.allocate() : new Uint8Array(LEFTOVER)),
      onRead: (length) => {
        if (link !== this.#link) return;
        engine.onRead(length);
        reader.arrived(length);
      },
      onData: (bytes) => {
        if (link !== this.#link) return;
        engine.onData(bytes);
        reader.arrived(bytes.length);
      },
      onDrain: () => {
        if (link === this.#link) this.#written();
      },
      onClose: (error) => {
        if (link === this.#gracefulClose?.link) this.#gracefulClose.close.closed();
        if (link !== this.#link) return;
        // What had arrived before the end and was not taken yet comes again only in a session to keep.
        if (reader.close() && !this.#isPersistent) engine.read(this.#clock.now(), 'none');
        if (link !== this.#link) return;
        this.#link = undefined;
        engine.lost(error, this.#clock.now());
        this.#after();
      },
    };
    // A transport of the application's own: nobody else would close it, nor say that it is over.
    const broken = (error: Error): void => {
      link.onClose(error);
      transport.destroy();
    };
    this.#link = link;
    engine.opened(credentials, this.#clock.now());
    try {
      transport.open(link);
    } catch (cause) {
      return broken(new ConnectError('dial', `no connection: ${messageOf(cause)}`, { cause }));
    }
    this.#after();
  }

  #hangUp(rest: readonly Uint8Array[]): void {
    this.#dialer.abandon();
    this.#leave(rest)?.transport.destroy();
  }

  /** Writes the rest to the current link, of which nothing is heard from now on. */
  #leave(rest: readonly Uint8Array[]): Link | undefined {
    const link = this.#link;
    this.#link = undefined;
    link?.reader.close();
    for (const piece of rest) link?.transport.write(piece, (written) => slabs.give(written));
    return link;
  }

  /** Closes the link in order, before the next connection takes its place. */
  #closeGracefully(rest: readonly Uint8Array[]): void {
    const link = this.#leave(rest);
    if (link === undefined) return;
    const close = new GracefulClose(link.transport, this.#clock, () => {
      this.#gracefulClose = undefined;
      this.#engine.closedGracefully();
    });
    this.#gracefulClose = { link, close };
  }

  // --- time ----------------------------------------------------------------------------------------------------

  /** Takes what has arrived: acknowledgements may be due then, and consumers have messages for this turn. */
  #take(): ReadResult {
    const result = this.#engine.read(this.#clock.now());
    this.#yield.reset();
    if (this.#engine.outputSize > 0) this.#schedule();
    this.#settleTimer();
    this.#host.onProgress();
    return result;
  }

  #after(): void {
    this.#schedule();
    this.resumeReading();
    this.#settleTimer();
    this.#host.onProgress();
  }

  #settleTimer(): void {
    if (this.#state !== this.#engine.state) {
      this.#state = this.#engine.state;
      this.#stateAt = this.#clock.now();
    }
    const at = this.#engine.nextTimeout();
    // A wake that comes too early costs less than moving it: it finds nothing due and is set anew.
    if (at >= this.#wakeAt && at !== Infinity) return;
    if (at === this.#wakeAt) return;
    this.#wake?.cancel();
    this.#wakeAt = at;
    this.#wake = at === Infinity ? undefined : this.#clock.wakeAt(at, () => this.#woken());
  }

  #woken(): void {
    const late = this.#clock.now() - this.#wakeAt;
    if (late > this.#maxTimerLag) this.#maxTimerLag = late;
    this.#wakeAt = Infinity;
    this.#wake = undefined;
    // The process was busy: the server may have answered long ago. Its answer is read before it is judged.
    if (late > LATE) setImmediate(() => this.#timeout());
    else this.#timeout();
  }

  #timeout(): void {
    this.#engine.handleTimeout(this.#clock.now());
    this.#after();
  }
}
