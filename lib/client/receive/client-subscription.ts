import type { SubscriptionRequest } from '../../codec/packets.ts';
import type { Delivery } from '../../engine/delivery.ts';
import type { Receipt } from '../../session/incoming.ts';
import { ClosedError, messageOf } from '../../errors.ts';
import { Ring } from '../../session/ring.ts';
import { BatchIterator, type BatchesOptions } from './batch-iterator.ts';
import { MessageBuffer, type BufferLimits, type Overflow } from './message-buffer.ts';
import { withCancellation, checkCall, type CallOptions } from '../runtime/cancellation.ts';
import { integer, checkKeys } from '../config/validate.ts';
import type { Clock } from '../runtime/clock.ts';
import { forEachMessage, type ForEachOptions } from './for-each.ts';
import { MessageIterator } from './message-iterator.ts';
import type { ReceivedMessage, Settler } from './received-message.ts';
import type { BufferPressure } from './buffer-pressure.ts';
import type { Failure, Consumer, MessageWaiter } from './consumer.ts';
import type { Subscription } from './subscription.ts';

/** When a QoS 1 or 2 message is acknowledged. */
export type AckMode = 'processed' | 'received' | 'manual';

/** So many messages may be remembered without a look at which are settled. */
const FEW = 64;

/** How a subscription treats what it gets. */
export interface Intake {
  readonly ack: AckMode;
  readonly buffer: BufferLimits;
  readonly overflow: Overflow;
}

/** What a subscription needs of its client. */
export interface SubscriptionHost extends Settler {
  readonly clock: Clock;
  /** Whether the subscription lives on at the server when nobody reads it. */
  readonly persistent: boolean;
  /** Messages were discarded without having been with the application. */
  discarded(count: number): void;
  /** `subscription` has dropped a message. */
  overflowed(subscription: ClientSubscription): void;
  /** Buffers that stop the reading while they are full. */
  readonly pausing: BufferPressure;
  /** Ends the subscription at the server, unless others share it. */
  unsubscribe(subscription: ClientSubscription): Promise<void>;
  /** A loop has asked for its next message: whoever waits for that may look. */
  onProgress(): void;
  warn(message: string): void;
}

/**
 * What one `subscribe()` call yields: its messages, in order of arrival. Iterate it as often as you like; several
 * loops share the work. Asking for the next message says that the one before is processed (see `AckMode`).
 */
export class ClientSubscription implements Subscription {
  readonly topicFilters: readonly string[];
  /** What the application asked for. @internal */
  readonly entries: readonly SubscriptionRequest[];
  readonly #host: SubscriptionHost;
  readonly #ack: AckMode;
  readonly #buffer: MessageBuffer;
  readonly #waiters = new Ring<MessageWaiter>();
  readonly #consumers = new Set<Consumer>();
  /** `left`: loops have ended, and nobody may come back; `stalled`: nobody has taken a message for long. */
  #read: 'maybe soon' | 'left' | 'stalled' = 'maybe soon';
  #granted: readonly number[] = [];
  /** `draining`: it ends when what waits has been taken; `ended`: for good. */
  #phase: 'open' | 'draining' | 'ended' = 'open';
  /** Messages taken so far, and how many they were when its readers last had a turn because its buffer was full. */
  #taken = 0;
  #takenAtTurn = -1;
  /**
   * `ack: 'manual'` in a clean session: what the application has and may not have settled. It is acknowledged at the end, as
   * nothing else ever would. A session to keep leaves it to the application.
   */
  #handedOut: ReceivedMessage[] = [];
  #handedOutMost = FEW;
  /** Messages that were dropped before they came here. */
  #missed = 0;
  #onEnd: (() => void) | undefined = undefined;
  #error: Failure | undefined = undefined;

  /** @internal */
  constructor(entries: readonly SubscriptionRequest[], intake: Intake, host: SubscriptionHost) {
    this.entries = entries;
    this.topicFilters = entries.map((entry) => entry.topicFilter);
    this.#host = host;
    this.#ack = intake.ack;
    this.#buffer = new MessageBuffer(intake.buffer, intake.overflow, host.pausing);
  }

  /** Per filter: granted QoS, or the Reason Code that refused it (`partial: true`). Empty before SUBACK. */
  get granted(): readonly number[] {
    return this.#granted;
  }

  /** Messages waiting here. */
  get depth(): number {
    return this.#buffer.depth;
  }

  /** Messages dropped, by the limits of `buffer` or as a last resort: see docs/backpressure.md. */
  get dropped(): number {
    return this.#buffer.dropped + this.#missed;
  }

  [Symbol.asyncIterator](): AsyncIterator<ReceivedMessage> {
    const loop = new MessageIterator(this);
    this.addConsumer(loop);
    return loop;
  }

  /** One message, acknowledged as it is handed over (with `ack: "manual"`: not). */
  async receive(options: CallOptions = {}): Promise<ReceivedMessage> {
    checkKeys('receive', options, ['signal', 'timeout']);
    checkCall(options);
    const message = await new Promise<ReceivedMessage | undefined>((resolve, reject) => {
      const done = withCancellation(options, this.#host.clock, 'receive', (reason) => {
        this.withdraw(waiter);
        reject(reason);
      });
      const waiter: MessageWaiter = {
        take: (taken) => (done(), resolve(taken)),
        end: () => (done(), resolve(undefined)),
        fail: (error) => (done(), reject(error)),
      };
      this.request(waiter);
    });
    if (message === undefined) throw new ClosedError('the subscription has ended');
    if (this.#ack === 'processed') message.ack();
    this.#host.onProgress();
    return message;
  }

  /**
   * What is waiting, at once, and at least one message: several times cheaper than one by one. With `linger` a batch
   * waits for more, so that it is worth a write. A batch is acknowledged when the next one is asked for.
   */
  batches(options: BatchesOptions = {}): AsyncIterableIterator<readonly ReceivedMessage[]> {
    checkKeys('batches', options, ['max', 'linger']);
    const max = integer('max', options.max ?? 1_000, 1);
    return new BatchIterator(this, this.#host.clock, max, integer('linger', options.linger ?? 0, 0));
  }

  /**
   * Calls `handler` for each message, up to `concurrency` at once, and settles each when its handler has finished.
   * Resolves when the subscription ends. A handler that throws: see `ForEachOptions.onError`.
   */
  forEach(handler: (message: ReceivedMessage) => unknown, options: ForEachOptions = {}): Promise<void> {
    return forEachMessage(this, handler, options, this.#host.clock);
  }

  /**
   * Loops end after the message in hand. In a persistent session the subscription stays at the server and a later
   * loop goes on here; in a clean one this is `unsubscribe()`.
   */
  async stop(): Promise<void>;
  /** @internal */
  async stop(reason: unknown): Promise<void>;
  async stop(...reasons: readonly unknown[]): Promise<void> {
    if (this.#phase === 'ended') return;
    const error = reasons.length === 0 ? undefined : { reason: reasons[0] };
    for (const reader of this.#consumers) reader.finish(error);
    if (this.#host.persistent) for (const waiter of this.#waiters.takeAll()) finishWaiter(waiter, error);
    else {
      this.#error = error;
      await this.unsubscribe();
    }
  }

  /** Ends the subscription for good: at the server too, unless another subscription has the same filters. */
  async unsubscribe(): Promise<void> {
    if (this.#phase === 'ended') return;
    this.end();
    await this.#host.unsubscribe(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  // --- for the client ------------------------------------------------------------------------------------------

  /** Calls `then` when it has ended for good. @internal */
  onEnd(then: () => void): void {
    if (this.#phase === 'ended') then();
    else this.#onEnd = then;
  }

  /** SUBACK came. @internal */
  grant(reasonCodes: readonly number[]): void {
    this.#granted = reasonCodes;
  }

  /**
   * Whether its messages are acknowledged when they arrive. In a session that ends with the connection, this includes
   * messages that nobody reads: otherwise each would delay the others for another `ackStallTimeout`.
   */
  get #acknowledgesOnReceipt(): boolean {
    return this.#ack === 'received' || (this.#read === 'stalled' && !this.#host.persistent && this.isUnread);
  }

  /** Whether nobody is at work on its messages, or waits for one. @internal */
  get isUnread(): boolean {
    return this.#consumers.size === 0 && this.#waiters.length === 0;
  }

  /** Whether a message of it is with a loop that has not settled it, or waits for one that runs. @internal */
  get busy(): boolean {
    if (this.#consumers.size === 0) return false;
    if (this.#buffer.depth > 0) return true;
    return [...this.#consumers].some((reader) => reader.held.some((message) => !message.isDone));
  }

  /** @internal */
  get canReject(): boolean {
    return this.#host.canReject;
  }

  /** hot: takes a message in. @internal */
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
      if (this.#read === 'left') message.markSkippable();
      else if (this.#read === 'stalled') message.markStalled();
      return 'taken';
    }
    if (this.#buffer.dropped !== before) this.#host.overflowed(this);
    // Consumers that took nothing in their last turn are too slow: another turn would not help.
    if (room === 'room' || this.#taken === this.#takenAtTurn) return isReleased ? 'acknowledge' : 'taken';
    this.#takenAtTurn = this.#taken;
    return isReleased ? 'acknowledge-full' : 'taken-full';
  }

  /** A message of it was acknowledged and dropped before it came here. @internal */
  missed(): void {
    this.#missed++;
    this.#host.overflowed(this);
  }

  /**
   * Ends it here: loops finish, or throw `error`. What nobody will settle is acknowledged, so that nothing of it holds the
   * window, or left to the session at the server, which sends it again. @internal
   */
  end(unsettled: 'acknowledge' | 'leave' = 'acknowledge', error?: unknown): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#onEnd?.();
    if (error !== undefined) this.#error = { reason: error };
    const waiting = this.#buffer.takeAll();
    for (const message of [...this.#handedOut, ...waiting])
      if (unsettled === 'acknowledge') message.ack();
      else message.abandon();
    this.#handedOut = [];
    this.#host.discarded(waiting.length);
    for (const waiter of this.#waiters.takeAll()) finishWaiter(waiter, this.#error);
  }

  /** Ends it here after what waits has been taken: then loops finish, or throw `error`. @internal */
  endAfterBuffer(error?: unknown): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'draining';
    if (error !== undefined) this.#error = { reason: error };
    if (this.#buffer.depth === 0) this.end('leave', error);
  }

  /**
   * The server has lost the session: what waits can no longer be acknowledged, and only the buffer limits it from now on.
   * @internal
   */
  sessionLost(): void {
    this.#buffer.release(() => true);
  }

  /** Whoever asks for the next message gets it through `waiter`. @internal */
  request(waiter: MessageWaiter): void {
    const message = this.shift();
    if (message !== undefined) waiter.take(message);
    else if (this.#phase === 'open') {
      if (this.#read === 'stalled') this.#read = 'maybe soon';
      this.#waiters.push(waiter);
    } else {
      this.end('leave');
      finishWaiter(waiter, this.#error);
    }
  }

  /** @internal */
  withdraw(waiter: MessageWaiter): void {
    while (this.#waiters.removeFirst((one) => one === waiter) !== undefined);
  }

  /** hot: what waits, if anything. @internal */
  shift(): ReceivedMessage | undefined {
    const message = this.#buffer.shift();
    if (message !== undefined) this.#handOut(message);
    return message;
  }

  #handOut(message: ReceivedMessage): void {
    this.#taken++;
    if (this.#read === 'stalled') this.#read = 'maybe soon';
    if (this.#ack !== 'manual' || this.#host.persistent || !message.unsettled) return;
    const handedOut = this.#handedOut;
    if (handedOut.length >= this.#handedOutMost) {
      this.#handedOut = handedOut.filter((one) => one.unsettled);
      this.#handedOutMost = Math.max(FEW, 2 * this.#handedOut.length);
    }
    this.#handedOut.push(message);
  }

  /** Whether somebody waits for a message with none in hand. @internal */
  get isAwaited(): boolean {
    return this.#waiters.length > 0 && [...this.#consumers].every((reader) => reader.held.length === 0);
  }

  /** Nobody has taken a message for long: what waits, and what comes, holds up no other message. @internal */
  markStalled(): void {
    this.#read = 'stalled';
    for (const message of this.#unsettled()) message.markStalled();
  }

  /** Messages taken so far. @internal */
  get progress(): number {
    return this.#taken;
  }

  /** Whether it has messages that are still to be acknowledged. @internal */
  hasUnsettled(): boolean {
    return this.#unsettled().length > 0;
  }

  /**
   * Its messages, those in hand included, are acknowledged whatever becomes of them here: all, or those that `receipts`
   * stand for. They stay, within the limits of the buffer. Returns what they were to be acknowledged with. @internal
   */
  release(receipts?: ReadonlySet<Receipt>): Receipt[] {
    const meant = ({ receipt }: ReceivedMessage): boolean =>
      receipt !== undefined && (receipts === undefined || receipts.has(receipt));
    const held = [...this.#consumers].flatMap((reader) => reader.held.filter(meant));
    return [...held.flatMap((message) => message.release() ?? []), ...this.#buffer.release(meant)];
  }

  /** A loop asks for its next message: the one it had is processed. @internal */
  processed(message: ReceivedMessage): void {
    if (this.#ack === 'processed') message.ack();
  }

  /** @internal */
  onProgress(): void {
    this.#host.onProgress();
  }

  /** @internal */
  overlapped(): void {
    this.#host.warn(
      'overlapping next() calls on one iterator settle nothing: use ack: "manual" or forEach()',
    );
  }

  /** @internal */
  giveBack(handedOut: Iterable<ReceivedMessage>, unread: readonly ReceivedMessage[] = []): void {
    if (this.#phase === 'ended') for (const message of handedOut) message.ack();
    else {
      const unfinished = [...handedOut].filter((message) => message.unsettled);
      const back = [...unfinished.map((message) => message.again()), ...unread];
      for (const message of back.toReversed()) this.#buffer.putBack(message);
      this.#serve();
    }
  }

  /** No message will come for some time: readers hand out what they have collected. @internal */
  flush(): void {
    for (const reader of this.#consumers) reader.flush?.();
  }

  /** Whether it has what `receipt` stands for, unsettled. @internal */
  has(receipt: Receipt): boolean {
    return this.#unsettled().some((message) => message.receipt === receipt);
  }

  /** Takers wait only as long as nothing else does. */
  #serve(): void {
    while (this.#buffer.depth > 0) {
      const waiter = this.#waiters.shift();
      if (waiter === undefined) return;
      this.request(waiter);
    }
  }

  #unsettled(): ReceivedMessage[] {
    const held = [...this.#consumers].flatMap((reader) => reader.held);
    return [...held, ...this.#buffer.values()].filter((message) => message.unsettled);
  }

  /** Somebody begins to work through the messages. @internal */
  addConsumer(reader: Consumer): void {
    this.#read = 'maybe soon';
    this.#consumers.add(reader);
  }

  /** The last reader of a subscription in a clean session takes the subscription with it. @internal */
  removeConsumer(reader: Consumer): void {
    this.#consumers.delete(reader);
    this.#host.onProgress();
    if (this.#consumers.size > 0 || this.#phase === 'ended') return;
    if (this.#host.persistent) {
      // Nobody may come back for them, nor for what still comes: those behind are not to wait.
      this.#read = 'left';
      for (const message of this.#unsettled()) message.markSkippable();
      return;
    }
    this.unsubscribe().catch((error: unknown) => {
      // Where the client has ended, so have its subscriptions.
      if (!(error instanceof ClosedError)) this.#host.warn(`unsubscribe failed: ${messageOf(error)}`);
    });
  }
}

function finishWaiter(waiter: MessageWaiter, error: Failure | undefined): void {
  if (error === undefined) waiter.end();
  else waiter.fail(error.reason);
}
