import type { SubscriptionRequest } from '../../codec/packets.ts';
import type { Delivery } from '../../engine/delivery.ts';
import { ClosedError, messageOf } from '../../errors.ts';
import type { Receipt } from '../../session/incoming.ts';
import { integer, checkKeys } from '../config/validate.ts';
import { withCancellation, checkCall, type CallOptions } from '../runtime/cancellation.ts';
import type { Clock } from '../runtime/clock.ts';
import { BatchIterator, type BatchesOptions } from './batch-iterator.ts';
import type { BufferPressure } from './buffer-pressure.ts';
import type { Failure, Consumer, MessageWaiter } from './consumer.ts';
import { Consumers, endWaiter } from './consumers.ts';
import { forEachMessage, type ForEachOptions } from './for-each.ts';
import { MessageBuffer, type BufferLimits, type Overflow } from './message-buffer.ts';
import { MessageIterator } from './message-iterator.ts';
import type { ReceivedMessage, Settler } from './received-message.ts';
import type { Subscription } from './subscription.ts';

/** When a QoS 1 or 2 message is acknowledged. */
export type AckMode = 'processed' | 'received' | 'manual';

/** How many handed out messages are remembered before settled ones are removed. */
const FEW = 64;

/** How a subscription treats its messages. */
export interface Intake {
  readonly ack: AckMode;
  readonly buffer: BufferLimits;
  readonly overflow: Overflow;
}

/** What a subscription needs of its client. */
export interface SubscriptionHost extends Settler {
  readonly clock: Clock;
  /** Whether the session outlives its connections, and the subscription its loops. */
  readonly persistent: boolean;
  readonly pressure: BufferPressure;
  /** `count` messages were discarded that the application has not seen. */
  discarded(count: number): void;
  /** `subscription` has dropped a message. */
  overflowed(subscription: ClientSubscription): void;
  /** Ends the subscription at the server, unless others share it. */
  unsubscribe(subscription: ClientSubscription): Promise<void>;
  /** A message is processed: `drain()` may be done. */
  onProgress(): void;
  warn(message: string): void;
}

/**
 * The subscription of one `subscribe()` call. It is also a `MessageSource`, without saying so: its internal methods are not
 * in the declarations.
 */
export class ClientSubscription implements Subscription {
  readonly topicFilters: readonly string[];
  /** The filters with their options. @internal */
  readonly entries: readonly SubscriptionRequest[];
  readonly #host: SubscriptionHost;
  readonly #ack: AckMode;
  readonly #buffer: MessageBuffer;
  readonly #consumers = new Consumers();
  /**
   * `gone`: the loops over a persistent session have ended, and nobody may come back. `stalled`: nobody has taken a
   * message for `ackStallTimeout`.
   */
  #readers: 'expected' | 'gone' | 'stalled' = 'expected';
  #granted: readonly number[] = [];
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

  /** @internal */
  constructor(entries: readonly SubscriptionRequest[], intake: Intake, host: SubscriptionHost) {
    this.entries = entries;
    this.topicFilters = entries.map((entry) => entry.topicFilter);
    this.#host = host;
    this.#ack = intake.ack;
    this.#buffer = new MessageBuffer(intake.buffer, intake.overflow, host.pressure);
  }

  get granted(): readonly number[] {
    return this.#granted;
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
    this.processed(message);
    this.onProgress();
    return message;
  }

  batches(options: BatchesOptions = {}): AsyncIterableIterator<readonly ReceivedMessage[]> {
    checkKeys('batches', options, ['max', 'linger']);
    const max = integer('max', options.max ?? 1_000, 1);
    return new BatchIterator(this, this.#host.clock, max, integer('linger', options.linger ?? 0, 0));
  }

  forEach(handler: (message: ReceivedMessage) => unknown, options: ForEachOptions = {}): Promise<void> {
    return forEachMessage(this, handler, options, this.#host.clock);
  }

  async stop(): Promise<void>;
  /** @internal */
  async stop(reason: unknown): Promise<void>;
  async stop(...reasons: readonly unknown[]): Promise<void> {
    if (this.#phase === 'ended') return;
    const error = reasons.length === 0 ? undefined : { reason: reasons[0] };
    this.#consumers.finish(error);
    if (this.#host.persistent) this.#consumers.endWaiters(error);
    else {
      this.#error = error;
      await this.unsubscribe();
    }
  }

  async unsubscribe(): Promise<void> {
    if (this.#phase === 'ended') return;
    this.end();
    await this.#host.unsubscribe(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  // --- for its consumers -----------------------------------------------------------------------------------------

  /** @internal */
  get canReject(): boolean {
    return this.#host.canReject;
  }

  /** @internal */
  addConsumer(consumer: Consumer): void {
    this.#readers = 'expected';
    this.#consumers.add(consumer);
  }

  /** In a session that ends with the connection, the subscription ends with its last consumer. @internal */
  removeConsumer(consumer: Consumer): void {
    this.#consumers.remove(consumer);
    this.onProgress();
    if (this.#consumers.size > 0 || this.#phase === 'ended') return;
    if (this.#host.persistent) {
      this.#readers = 'gone';
      for (const message of this.#unsettled()) message.markSkippable();
      return;
    }
    this.unsubscribe().catch((error: unknown) => {
      // When the client has ended, its subscriptions have ended too.
      if (!(error instanceof ClosedError)) this.#host.warn(`unsubscribe failed: ${messageOf(error)}`);
    });
  }

  /** @internal */
  request(waiter: MessageWaiter): void {
    const message = this.shift();
    if (message !== undefined) waiter.take(message);
    else if (this.#phase === 'open') {
      if (this.#readers === 'stalled') this.#readers = 'expected';
      this.#consumers.request(waiter);
    } else {
      this.end('abandon');
      endWaiter(waiter, this.#error);
    }
  }

  /** @internal */
  withdraw(waiter: MessageWaiter): void {
    this.#consumers.withdraw(waiter);
  }

  /** hot @internal */
  shift(): ReceivedMessage | undefined {
    const message = this.#buffer.shift();
    if (message !== undefined) this.#handOut(message);
    return message;
  }

  /** @internal */
  processed(message: ReceivedMessage): void {
    if (this.#ack === 'processed') message.ack();
  }

  /** @internal */
  overlapped(): void {
    this.#host.warn(
      'overlapping next() calls on one iterator settle nothing: use ack: "manual" or forEach()',
    );
  }

  /** @internal */
  giveBack(handedOut: Iterable<ReceivedMessage>, unread: readonly ReceivedMessage[] = []): void {
    if (this.#phase === 'ended') {
      for (const message of handedOut) message.ack();
      return;
    }
    const unfinished = [...handedOut].filter((message) => message.unsettled);
    const back = [...unfinished.map((message) => message.again()), ...unread];
    for (const message of back.toReversed()) this.#buffer.putBack(message); // fault: unfinished
    while (this.#buffer.depth > 0) {
      const waiter = this.#consumers.shiftWaiter();
      if (waiter === undefined) return;
      this.request(waiter);
    }
  }

  /** @internal */
  onProgress(): void {
    this.#host.onProgress();
  }

  // --- for the client --------------------------------------------------------------------------------------------

  /** SUBACK arrived. @internal */
  grant(reasonCodes: readonly number[]): void {
    this.#granted = reasonCodes;
  }

  /** Calls `then` when the subscription has ended. @internal */
  onEnd(then: () => void): void {
    if (this.#phase === 'ended') then();
    else this.#onEnd = then;
  }

  /** hot: takes a message in. @internal */
  push(message: ReceivedMessage): Delivery {
    const isReleased = message.unsettled && this.#acknowledgesOnReceipt;
    if (isReleased) message.release();
    const waiter = this.#consumers.shiftWaiter();
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
    if (this.#buffer.dropped !== before) this.#host.overflowed(this);
    // Consumers that took nothing in their last turn are too slow: another turn would not help.
    if (room === 'room' || this.#taken === this.#takenAtTurn) return isReleased ? 'acknowledge' : 'taken';
    this.#takenAtTurn = this.#taken;
    return isReleased ? 'acknowledge-full' : 'taken-full';
  }

  /** A message for it was acknowledged and dropped as a last resort. @internal */
  missed(): void {
    this.#missed++;
    this.#host.overflowed(this);
  }

  /** No message will arrive for some time: consumers hand out what they have collected. @internal */
  flush(): void {
    this.#consumers.flush();
  }

  /**
   * Ends it: loops end, or throw `error`. Its unsettled messages are acknowledged, so that they do not fill the window,
   * or abandoned, so that the server sends them again. @internal
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
    this.#host.discarded(waiting.length);
    this.#consumers.endWaiters(this.#error);
  }

  /** Ends it when its buffer is empty. @internal */
  endAfterBuffer(error?: unknown): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'draining';
    if (error !== undefined) this.#error = { reason: error };
    if (this.#buffer.depth === 0) this.end('abandon', error);
  }

  /** Waiting messages cannot be acknowledged any more: only the limits of the buffer hold from now on. @internal */
  sessionLost(): void {
    this.#buffer.release(() => true);
  }

  /** Nobody has taken a message for `ackStallTimeout`: its messages hold up no others from now on. @internal */
  markStalled(): void {
    this.#readers = 'stalled';
    for (const message of this.#unsettled()) message.markStalled();
  }

  /**
   * Releases its unsettled messages, including those in hand: all, or those of `receipts`. They stay, within the limits
   * of the buffer. Returns their receipts. @internal
   */
  release(receipts?: ReadonlySet<Receipt>): Receipt[] {
    const isMeant = ({ receipt }: ReceivedMessage): boolean =>
      receipt !== undefined && (receipts === undefined || receipts.has(receipt));
    const held = this.#consumers.held().filter(isMeant);
    return [...held.flatMap((message) => message.release() ?? []), ...this.#buffer.release(isMeant)];
  }

  /** Whether nobody works on its messages, or waits for one. @internal */
  get isUnread(): boolean {
    return this.#consumers.isEmpty;
  }

  /** Whether a request waits while no consumer has a message in hand. @internal */
  get isAwaited(): boolean {
    return this.#consumers.isAwaited;
  }

  /** Whether a loop works on a message, or has messages waiting. @internal */
  get busy(): boolean {
    if (this.#consumers.size === 0) return false;
    return this.#buffer.depth > 0 || this.#consumers.held().some((message) => !message.isDone);
  }

  /** Messages taken so far. @internal */
  get progress(): number {
    return this.#taken;
  }

  /** @internal */
  hasUnsettled(): boolean {
    return this.#unsettled().length > 0;
  }

  /** Whether it has the message of `receipt`, unsettled. @internal */
  has(receipt: Receipt): boolean {
    return this.#unsettled().some((message) => message.receipt === receipt);
  }

  /**
   * Whether its messages are acknowledged when they arrive. In a session that ends with the connection, this includes
   * messages that nobody reads: otherwise each would delay the others for another `ackStallTimeout`.
   */
  get #acknowledgesOnReceipt(): boolean {
    return (
      this.#ack === 'received' || (this.#readers === 'stalled' && !this.#host.persistent && this.isUnread)
    );
  }

  #unsettled(): ReceivedMessage[] {
    return [...this.#consumers.held(), ...this.#buffer.values()].filter((message) => message.unsettled);
  }

  #handOut(message: ReceivedMessage): void {
    this.#taken++;
    if (this.#readers === 'stalled') this.#readers = 'expected';
    if (this.#ack !== 'manual' || this.#host.persistent || !message.unsettled) return;
    if (this.#handedOut.length >= this.#handedOutLimit) {
      this.#handedOut = this.#handedOut.filter((one) => one.unsettled);
      this.#handedOutLimit = Math.max(FEW, 2 * this.#handedOut.length);
    }
    this.#handedOut.push(message);
  }
}
