import { Ring } from '../../session/ring.ts';
import type { Receipt } from '../../session/incoming.ts';
import type { Clock, Wake } from '../runtime/clock.ts';
import { PayloadRetention } from './payload-retention.ts';
import type { BufferPressure } from './buffer-pressure.ts';
import { isUnclaimed } from '../../engine/delivery.ts';
import type { ReceivedMessage } from './received-message.ts';
import type { ClientSubscription } from './client-subscription.ts';

/** How much may be parked. */
const MOST_MESSAGES = 1_000;
const MOST_BYTES = 16 * 1_048_576;

/** How long a parked message may hold up others, in ms. */
const HOLD_TIME = 10_000;

/** A message that nobody has subscribed to yet. */
interface HeldMessage {
  readonly message: ReceivedMessage;
  readonly since: number;
}

/** What parking needs of its client. */
export interface UnmatchedMessagesHost {
  readonly clock: Clock;
  /** Buffers that stop the reading while they are full. */
  readonly pausing: BufferPressure;
  settle(receipt: Receipt, reasonCode: number): void;
  /** Messages were left to the server and somebody has subscribed since: a planned reconnect asks for them. */
  fetch(): void;
  warn(message: string): void;
}

/**
 * QoS 1 and 2 messages without a subscription yet: a session that is resumed delivers before `subscribe()` was called.
 * They wait unacknowledged for the first subscription that matches. Reading stops when there is no room for more. After
 * `PATIENCE` they hold up nothing any more, and the oldest of these make room for new ones: the server sends them again
 * on the next connection.
 */
export class UnmatchedMessages {
  readonly #host: UnmatchedMessagesHost;
  readonly #held = new Ring<HeldMessage>();
  readonly #retention = new PayloadRetention();
  #bytes = 0;
  /** The oldest of them that have waited for longer than `PATIENCE`, and their bytes. */
  #late = 0;
  #lateBytes = 0;
  /** Messages of this connection that were left to the server. */
  #abandoned = 0;
  #room: 'free' | 'full' = 'free';
  #wake: Wake | undefined = undefined;

  constructor(host: UnmatchedMessagesHost) {
    this.#host = host;
  }

  /** Messages parked. */
  get depth(): number {
    return this.#held.length;
  }

  /** Takes a message in. */
  hold(message: ReceivedMessage): void {
    message.keepPayload(this.#retention);
    this.#held.push({ message, since: this.#host.clock.now() });
    this.#bytes += message.size;
    this.#makeRoom();
    this.#watch();
  }

  /** Hands over what `subscription` has filters for, in order of arrival. */
  handOver(subscription: ClientSubscription, matches: (topicName: string) => boolean): void {
    const before = this.#held.length;
    if (before === 0) return;
    const late = this.#late;
    this.#forget();
    for (const [i, held] of this.#held.takeAll().entries()) {
      const { message } = held;
      if (!matches(message.topic)) {
        this.#held.push(held);
        this.#bytes += message.size;
        if (i < late) this.#countLate(message);
        continue;
      }
      const { receipt } = message;
      if (isUnclaimed(subscription.push(message)) && receipt !== undefined) this.#host.settle(receipt, 0);
    }
    if (this.#held.length === 0) this.#stop();
    this.#followRoom();
    if (this.#held.length === before || this.#abandoned === 0) return;
    this.#abandoned = 0;
    this.#host.fetch();
  }

  /** A new connection: what was left to the server comes again. */
  connected(): void {
    this.#abandoned = 0;
  }

  /** Forgets everything: the server sends the messages again if its session lasts. */
  clear(): void {
    this.#held.takeAll();
    this.#forget();
    this.#stop();
    this.#followRoom();
  }

  #forget(): void {
    this.#bytes = 0;
    this.#late = 0;
    this.#lateBytes = 0;
  }

  #countLate({ size }: ReceivedMessage): void {
    this.#late++;
    this.#lateBytes += size;
  }

  /** Messages that have waited for long make room. Where there are none, reading stops. */
  #makeRoom(): void {
    while (this.#late > 0 && (this.#held.length > MOST_MESSAGES || this.#bytes > MOST_BYTES)) {
      const { message } = this.#held.shift() as HeldMessage;
      this.#bytes -= message.size;
      this.#late--;
      this.#lateBytes -= message.size;
      this.#abandoned++;
      message.abandon();
    }
    this.#followRoom();
  }

  #followRoom(): void {
    const isFull =
      this.#held.length - this.#late >= MOST_MESSAGES || this.#bytes - this.#lateBytes >= MOST_BYTES;
    if (isFull && this.#room === 'free') {
      this.#room = 'full';
      this.#host.pausing.filled();
    } else if (!isFull && this.#room === 'full') {
      this.#room = 'free';
      this.#host.pausing.emptied();
    }
  }

  #watch(): void {
    const first = this.#held.length > this.#late ? this.#held.at(this.#late) : undefined;
    if (this.#wake !== undefined || first === undefined) return;
    this.#wake = this.#host.clock.wakeAt(first.since + HOLD_TIME, () => this.#whenLate());
  }

  /** What has waited too long no longer holds up others; it stays here all the same, for a late `subscribe()`. */
  #whenLate(): void {
    this.#wake = undefined;
    const now = this.#host.clock.now();
    const before = this.#late;
    for (let at = before; ; at++) {
      const held = this.#held.at(at);
      if (held === undefined || held.since + HOLD_TIME > now) break;
      held.message.markStalled();
      this.#countLate(held.message);
    }
    const count = this.#late - before;
    if (count > 0)
      this.#host.warn(
        `${count} messages have had no subscription for ${HOLD_TIME} ms: they no longer hold up others`,
      );
    this.#makeRoom();
    this.#watch();
  }

  #stop(): void {
    this.#wake?.cancel();
    this.#wake = undefined;
  }
}
