import { isUnclaimed } from '../../engine/delivery.ts';
import { Ring } from '../../session/ring.ts';
import type { Logger } from '../logger.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Driver } from '../runtime/driver.ts';
import type { BufferPressure } from './buffer-pressure.ts';
import type { ClientSubscription } from './client-subscription.ts';
import { DelayedCheck } from './delayed-check.ts';
import { PayloadRetention } from './payload-retention.ts';
import type { ReceivedMessage } from './received-message.ts';

/** How much may be held without being late. */
const MAX_MESSAGES = 1_000;
const MAX_BYTES = 16 * 1_048_576;

/** How long a held message may hold up others, in ms. Then it is late. */
const HOLD_TIME = 10_000;

interface HeldMessage {
  readonly message: ReceivedMessage;
  readonly since: number;
}

interface UnmatchedMessagesParts {
  readonly clock: Clock;
  readonly driver: Pick<Driver, 'settle' | 'reconnect'>;
  readonly logger: Pick<Logger, 'warn'>;
  readonly pressure: BufferPressure;
}

/**
 * Holds QoS 1 and 2 messages without a subscription: a resumed session delivers before `subscribe()` is called. They
 * stay unacknowledged until a subscription matches. When the limits are reached, the client stops reading. After
 * `HOLD_TIME` a message is late: it does not hold up others any more and does not count against the limits. The oldest
 * late messages are abandoned when new ones need the room.
 */
export class UnmatchedMessages {
  readonly #parts: UnmatchedMessagesParts;
  /** In order of arrival: late messages come first. */
  readonly #held = new Ring<HeldMessage>();
  readonly #retention = new PayloadRetention();
  readonly #check: DelayedCheck;
  #bytes = 0;
  #late = 0;
  #lateBytes = 0;
  /** Messages abandoned on this connection. */
  #abandoned = 0;
  #room: 'free' | 'full' = 'free';

  constructor(parts: UnmatchedMessagesParts) {
    this.#parts = parts;
    this.#check = new DelayedCheck(parts.clock, () => this.#markLate());
  }

  get depth(): number {
    return this.#held.length;
  }

  hold(message: ReceivedMessage): void {
    message.keepPayload(this.#retention);
    this.#held.push({ message, since: this.#parts.clock.now() });
    this.#bytes += message.size;
    this.#makeRoom();
    this.#scheduleCheck();
  }

  /** Hands over the messages that `subscription` matches, in order of arrival. */
  handOver(subscription: ClientSubscription, matches: (topicName: string) => boolean): void {
    const before = this.#held.length;
    if (before === 0) return;
    const late = this.#late;
    const all = this.#takeAll();
    for (const [i, held] of all.entries()) {
      const { message } = held;
      const { receipt, size } = message;
      if (!matches(message.topic)) {
        this.#held.push(held);
        this.#bytes += size;
        if (i < late) this.#countLate(size);
      } else if (isUnclaimed(subscription.push(message)) && receipt !== undefined)
        this.#parts.driver.settle(receipt, 0); // fault: held-settled
    }
    if (this.#held.length === 0) this.#check.cancel();
    this.#updateRoom();
    if (this.#held.length === before || this.#abandoned === 0) return;
    this.#abandoned = 0;
    // The server sends abandoned messages again.
    this.#parts.driver.reconnect();
  }

  /** A new connection: the server sends abandoned messages again. */
  connected(): void {
    this.#abandoned = 0;
  }

  /** Forgets everything: the server sends the messages again if its session lasts. */
  clear(): void {
    this.#takeAll();
    this.#check.cancel();
    this.#updateRoom();
  }

  #takeAll(): HeldMessage[] {
    this.#bytes = 0;
    this.#late = 0;
    this.#lateBytes = 0;
    return this.#held.takeAll();
  }

  #countLate(size: number): void {
    this.#late++;
    this.#lateBytes += size;
  }

  /** Abandons late messages that are beyond the limits. Without late messages, the client stops reading. */
  #makeRoom(): void {
    while (this.#late > 0 && (this.#held.length > MAX_MESSAGES || this.#bytes > MAX_BYTES)) {
      const { message } = this.#held.shift() as HeldMessage;
      this.#bytes -= message.size;
      this.#late--;
      this.#lateBytes -= message.size;
      this.#abandoned++;
      message.abandon();
    }
    this.#updateRoom();
  }

  #updateRoom(): void {
    const isFull =
      this.#held.length - this.#late >= MAX_MESSAGES || this.#bytes - this.#lateBytes >= MAX_BYTES;
    if (isFull && this.#room === 'free') {
      this.#room = 'full';
      this.#parts.pressure.filled();
    } else if (!isFull && this.#room === 'full') {
      this.#room = 'free';
      this.#parts.pressure.emptied();
    }
  }

  #scheduleCheck(): void {
    const first = this.#held.length > this.#late ? this.#held.at(this.#late) : undefined;
    if (first !== undefined) this.#check.scheduleAt(first.since + HOLD_TIME);
  }

  #markLate(): void {
    const now = this.#parts.clock.now();
    const before = this.#late;
    for (;;) {
      const held = this.#held.at(this.#late);
      if (held === undefined || held.since + HOLD_TIME > now) break;
      held.message.markStalled();
      this.#countLate(held.message.size);
    }
    const count = this.#late - before;
    if (count > 0)
      this.#parts.logger.warn(
        `${count} messages have had no subscription for ${HOLD_TIME} ms: they no longer hold up others`,
      );
    this.#makeRoom();
    this.#scheduleCheck();
  }
}
