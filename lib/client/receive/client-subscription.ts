import type { Delivery } from '../../engine/delivery.ts';
import { ClosedError, messageOf, type FilterResult } from '../../errors.ts';
import type { Receipt } from '../../session/incoming.ts';
import { Ring } from '../../session/ring.ts';
import { checkObject, integerIn, type Checks } from '../config/validate.ts';
import { withCancellation, checkCall, type CallOptions, type Failure } from '../runtime/cancellation.ts';
import type { Logger } from '../logger.ts';
import type { Clock } from '../runtime/clock.ts';
import { BatchIterator, type BatchesOptions } from './batch-iterator.ts';
import type { BufferPressure } from './buffer-pressure.ts';
import type { Consumer, MessageSource, MessageWaiter } from './consumer.ts';
import type { FilterEntry } from './filter-entry.ts';
import { forEachMessage, type ForEachOptions } from './for-each.ts';
import { MessageBuffer, type BufferLimits, type Overflow } from './message-buffer.ts';
import { MessageIterator } from './message-iterator.ts';
import type { ReceivedMessage, Settler } from './received-message.ts';
import type { OverflowReports } from './overflow-reports.ts';
import type { AckMode, Subscription } from './subscription.ts';

const BATCH_CHECKS: Checks<BatchesOptions> = { max: integerIn(1), linger: integerIn(0) };

/** How many handed out messages are remembered before settled ones are removed. */
const FEW = 64;

export interface Intake {
  readonly ack: AckMode;
  readonly buffer: BufferLimits;
  readonly overflow: Overflow;
}

export interface SubscriptionParts {
  readonly clock: Clock;
  readonly counters: { discarded: number };
  readonly drain: { checkDone(): void };
  readonly driver: Pick<Settler, 'canReject'>;
  readonly logger: Pick<Logger, 'debug' | 'warn'>;
  readonly overflowReports: Pick<OverflowReports, 'dropped'>;
  /** Whether the session outlives its connections, and the subscription its loops. */
  readonly persistent: boolean;
  readonly pressure: BufferPressure;
}

/** Ends a subscription at the server, unless others share it. */
type Unsubscribe = (subscription: ClientSubscription) => Promise<void>;

/** The subscription of one `subscribe()` call. */
export class ClientSubscription implements Subscription, MessageSource {
  readonly topicFilters: readonly string[];
  /** The filters with their options. */
  readonly entries: readonly FilterEntry[];
  readonly #parts: SubscriptionParts;
  readonly #unsubscribe: Unsubscribe;
  readonly #ack: AckMode;
  readonly #buffer: MessageBuffer;
  /** Loops; a single `receive()` is none. */
  readonly #consumers = new Set<Consumer>();
  /** Requests that wait for a message. */
  readonly #waiters = new Ring<MessageWaiter>();
  /**
   * `gone`: the loops over a persistent session have ended, and nobody may come back. `stalled`: nobody has taken a
   * message for `ackStallTimeout`.
   */
  #readers: 'expected' | 'gone' | 'stalled' = 'expected';
  #granted: readonly number[] = [];
  #results: readonly FilterResult[] = [];
  /** `draining`: it ends when its buffer is empty. */
  #phase: 'open' | 'draining' | 'ended' = 'open';
  /** Messages taken so far, and how many there were when a full buffer last gave the consumers a turn. */
  #taken = 0;
  #takenAtTurn = -1;
  /**
   * `ack: 'manual'` in a session that ends with the connection: messages that the application may not have settled. They
   * are acknowledged when the subscription ends, since nothing else would.
   */
  #handedOut: ReceivedMessage[] = [];
  #handedOutLimit = FEW;
  /** Messages that were dropped as a last resort. */
  #missed = 0;
  #onEnd: (() => void) | undefined = undefined;
  #error: Failure | undefined = undefined;

  constructor(
    entries: readonly FilterEntry[],
    intake: Intake,
    parts: SubscriptionParts,
    unsubscribe: Unsubscribe,
  ) {
    this.entries = entries;
    this.topicFilters = entries.map((entry) => entry.topicFilter);
    this.#parts = parts;
    this.#unsubscribe = unsubscribe;
    this.#ack = intake.ack;
    this.#buffer = new MessageBuffer(intake.buffer, intake.overflow, parts.pressure);
  }

  get granted(): readonly number[] {
    return this.#granted;
  }

  get results(): readonly FilterResult[] {
    return this.#results;
  }

  get depth(): number {
    return this.#buffer.depth;
  }

  get dropped(): number {
    return this.#buffer.dropped + this.#missed;
  }

  [Symbol.asyncIterator](): AsyncIterator<ReceivedMessage> {
    const loop = new MessageIterator(this);
    this.addConsumer(loop);
    return loop;
  }

  async receive(options: CallOptions = {}): Promise<ReceivedMessage> {
    checkCall('receive', options);
    const message = await new Promise<ReceivedMessage>((resolve, reject) => {
      const done = withCancellation(options, this.#parts.clock, 'receive', (reason) => {
        this.withdraw(waiter);
        reject(reason);
      });
      const waiter: MessageWaiter = {
        take: (taken) => (done(), resolve(taken)),
        end: (error) => {
          done();
          reject(error === undefined ? new ClosedError('the subscription has ended') : error.reason);
        },
      };
      this.request(waiter);
    });
    this.processed(message);
    this.onProgress();
    return message;
  }

  batches(options: BatchesOptions = {}): AsyncIterableIterator<readonly ReceivedMessage[]> {
    const { max = 1_000, linger = 0 } = checkObject<BatchesOptions>('batches', options, BATCH_CHECKS, '');
    return new BatchIterator(this, this.#parts.clock, max, linger);
  }

  forEach(handler: (message: ReceivedMessage) => unknown, options: ForEachOptions = {}): Promise<void> {
    return forEachMessage(this, handler, options, this.#parts.clock);
  }

  async stop(): Promise<void> {
    await this.finish(undefined);
  }

  /** `stop()`. `error`: what loops throw then. */
  async finish(error: Failure | undefined): Promise<void> {
    if (this.#phase === 'ended') return;
    for (const consumer of this.#consumers) consumer.finish(error);
    if (this.#parts.persistent) this.#endWaiters(error);
    else {
      this.#error = error;
      await this.unsubscribe();
    }
  }

  async unsubscribe(): Promise<void> {
    if (this.#phase === 'ended') return;
    this.end();
    await this.#unsubscribe(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  // --- for its consumers -----------------------------------------------------------------------------------------

  get canReject(): boolean {
    return this.#parts.driver.canReject;
  }

  addConsumer(consumer: Consumer): void {
    this.#readers = 'expected';
    this.#consumers.add(consumer);
  }

  /** In a session that ends with the connection, the subscription ends with its last consumer. */
  removeConsumer(consumer: Consumer): void {
    this.#consumers.delete(consumer);
    this.onProgress();
    if (this.#consumers.size > 0 || this.#phase === 'ended') return;
    if (this.#parts.persistent) {
      this.#readers = 'gone';
      for (const message of this.#unsettled()) message.markSkippable();
      return;
    }
    this.unsubscribe().catch((error: unknown) => {
      // When the client has ended, its subscriptions have ended too.
      if (!(error instanceof ClosedError)) this.#parts.logger.warn(`unsubscribe failed: ${messageOf(error)}`);
    });
  }

  request(waiter: MessageWaiter): void {
    const message = this.shift();
    if (message !== undefined) waiter.take(message);
    else if (this.#phase === 'open') {
      if (this.#readers === 'stalled') this.#readers = 'expected';
      this.#waiters.push(waiter);
    } else {
      this.end('abandon');
      waiter.end(this.#error);
    }
  }

  withdraw(waiter: MessageWaiter): void {
    while (this.#waiters.removeFirst((one) => one === waiter) !== undefined);
  }

  /** hot */
  shift(): ReceivedMessage | undefined {
    const message = this.#buffer.shift();
    if (message !== undefined) this.#handOut(message);
    return message;
  }

  processed(message: ReceivedMessage): void {
    if (this.#ack === 'processed') message.ack();
  }

  overlapped(): void {
    this.#parts.logger.warn(
      'overlapping next() calls on one iterator settle nothing: use ack: "manual" or forEach()',
    );
  }

  giveBack(handedOut: Iterable<ReceivedMessage>, unread: readonly ReceivedMessage[] = []): void {
    if (this.#phase === 'ended') {
      for (const message of handedOut) message.ack();
      return;
    }
    const unfinished = [...handedOut].filter((message) => message.unsettled);
    const back = [...unfinished.map((message) => message.again()), ...unread];
    for (const message of back.toReversed()) this.#buffer.putBack(message); // fault: unfinished
    while (this.#buffer.depth > 0) {
      const waiter = this.#waiters.shift();
      if (waiter === undefined) return;
      this.request(waiter);
    }
  }

  onProgress(): void {
    this.#parts.drain.checkDone();
  }

  // --- for the client --------------------------------------------------------------------------------------------

  /** SUBACK arrived. */
  grant(results: readonly FilterResult[]): void {
    this.#results = results;
    this.#granted = results.map(({ reasonCode }) => reasonCode);
  }

  onEnd(then: () => void): void {
    if (this.#phase === 'ended') then();
    else this.#onEnd = then;
  }

  /** hot: takes a message in. */
  push(message: ReceivedMessage): Delivery {
    const isReleased = message.unsettled && this.#acknowledgesOnReceipt;
    if (isReleased) message.release();
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      this.#handOut(message);
      waiter.take(message);
      return isReleased ? 'acknowledge' : 'taken';
    }
    const before = this.#buffer.dropped;
    const room = this.#buffer.push(message);
    if (message.unsettled) {
      if (this.#readers === 'gone') message.markSkippable();
      else if (this.#readers === 'stalled') message.markStalled();
      return 'taken';
    }
    if (this.#buffer.dropped !== before) this.#parts.overflowReports.dropped(this);
    // Consumers that took nothing in their last turn are too slow: another turn would not help.
    if (room === 'room' || this.#taken === this.#takenAtTurn) return isReleased ? 'acknowledge' : 'taken';
    this.#takenAtTurn = this.#taken;
    return isReleased ? 'acknowledge-full' : 'taken-full';
  }

  /** A message for it was acknowledged and dropped as a last resort. */
  missed(): void {
    this.#missed++;
    this.#parts.overflowReports.dropped(this);
  }

  /** No message will arrive for some time: consumers hand out what they have collected. */
  flush(): void {
    for (const consumer of this.#consumers) consumer.flush?.();
  }

  /**
   * Ends it: loops end, or throw `error`. Its unsettled messages are acknowledged, so that they do not fill the window,
   * or abandoned, so that the server sends them again.
   */
  end(unsettled: 'acknowledge' | 'abandon' = 'acknowledge', error?: unknown): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#onEnd?.();
    if (error !== undefined) this.#error = { reason: error };
    const waiting = this.#buffer.takeAll();
    for (const message of [...this.#handedOut, ...waiting])
      if (unsettled === 'acknowledge') message.ack();
      else message.abandon();
    this.#handedOut = [];
    const { length } = waiting;
    this.#parts.counters.discarded += length;
    if (length > 0) this.#parts.logger.debug(`${length} messages were discarded with their subscription`);
    this.#endWaiters(this.#error);
  }

  endAfterBuffer(error?: unknown): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'draining';
    if (error !== undefined) this.#error = { reason: error };
    if (this.#buffer.depth === 0) this.end('abandon', error);
  }

  /** Waiting messages cannot be acknowledged any more: only the limits of the buffer hold from now on. */
  sessionLost(): void {
    this.#buffer.release(() => true);
  }

  /** Nobody has taken a message for `ackStallTimeout`: its messages hold up no others from now on. */
  markStalled(): void {
    this.#readers = 'stalled';
    for (const message of this.#unsettled()) message.markStalled();
  }

  /**
   * Releases its unsettled messages, including those in hand: all, or those of `receipts`. They stay, within the limits
   * of the buffer. Returns their receipts.
   */
  release(receipts?: ReadonlySet<Receipt>): Receipt[] {
    const isMeant = ({ receipt }: ReceivedMessage): boolean =>
      receipt !== undefined && (receipts === undefined || receipts.has(receipt));
    const held = this.#held().filter(isMeant);
    return [...held.flatMap((message) => message.release() ?? []), ...this.#buffer.release(isMeant)];
  }

  /** Whether nobody works on its messages, or waits for one. */
  get isUnread(): boolean {
    return this.#consumers.size === 0 && this.#waiters.length === 0;
  }

  /** Whether a request waits while no consumer has a message in hand. */
  get isAwaited(): boolean {
    return this.#waiters.length > 0 && this.#held().length === 0;
  }

  /** Whether a loop works on a message, or has messages waiting. */
  get busy(): boolean {
    if (this.#consumers.size === 0) return false;
    return this.#buffer.depth > 0 || this.#held().some((message) => !message.isDone);
  }

  get progress(): number {
    return this.#taken;
  }

  hasUnsettled(): boolean {
    return this.#unsettled().length > 0;
  }

  /** Whether it has the message of `receipt`, unsettled. */
  has(receipt: Receipt): boolean {
    return this.#unsettled().some((message) => message.receipt === receipt);
  }

  /**
   * Whether its messages are acknowledged when they arrive. In a session that ends with the connection, this includes
   * messages that nobody reads: otherwise each would delay the others for another `ackStallTimeout`.
   */
  get #acknowledgesOnReceipt(): boolean {
    return (
      this.#ack === 'received' || (this.#readers === 'stalled' && !this.#parts.persistent && this.isUnread)
    );
  }

  /** The messages in hand. */
  #held(): ReceivedMessage[] {
    return [...this.#consumers].flatMap((consumer) => consumer.held);
  }

  #endWaiters(error: Failure | undefined): void {
    for (const waiter of this.#waiters.takeAll()) waiter.end(error);
  }

  #unsettled(): ReceivedMessage[] {
    return [...this.#held(), ...this.#buffer.values()].filter((message) => message.unsettled);
  }

  #handOut(message: ReceivedMessage): void {
    this.#taken++;
    if (this.#readers === 'stalled') this.#readers = 'expected';
    if (this.#ack !== 'manual' || this.#parts.persistent || !message.unsettled) return;
    if (this.#handedOut.length >= this.#handedOutLimit) {
      this.#handedOut = this.#handedOut.filter((one) => one.unsettled);
      this.#handedOutLimit = Math.max(FEW, 2 * this.#handedOut.length);
    }
    this.#handedOut.push(message);
  }
}
