import { Ring } from '../session/ring.ts';
import type { Receipt } from '../session/incoming.ts';
import type { Clock, Wake } from './clock.ts';
import { Keeping } from './keeping.ts';
import type { ReceivedPublish } from './router.ts';
import type { Subscription } from './subscription.ts';

/** How much may be parked. */
const MOST_MESSAGES = 1_000;
const MOST_BYTES = 16 * 1_048_576;

/** How long a parked message may keep the acknowledgements behind it waiting, in ms. */
const PATIENCE = 10_000;

/** A message that nobody has subscribed to yet. */
interface Parked {
  readonly publish: ReceivedPublish;
  readonly topicName: string;
  readonly receipt: Receipt;
  readonly since: number;
}

/** What parking needs of its client. */
export interface ParkingHost {
  readonly clock: Clock;
  settle(receipt: Receipt, reasonCode: number): void;
  giveWay(receipt: Receipt): void;
  /** Messages were left to the server, the smallest of this size: they are to be asked for once there is room. */
  fetch(size: number): void;
  warn(message: string): void;
}

/**
 * QoS 1 and 2 messages for which there is no subscription yet: a session that is resumed delivers before `subscribe()`
 * was called. They wait unacknowledged for the first subscription that matches.
 */
export class Parking {
  readonly #host: ParkingHost;
  readonly #parked = new Ring<Parked>();
  readonly #keeping = new Keeping();
  #bytes = 0;
  /** The size of the smallest message that this connection brought and there was no room for; Infinity: none. */
  #leftOut = Infinity;
  #wake: Wake | undefined = undefined;

  constructor(host: ParkingHost) {
    this.#host = host;
  }

  /** Messages parked. */
  get depth(): number {
    return this.#parked.length;
  }

  /** Takes a message in. Returns false where there is no room for it. */
  park(
    { bytes, qos, retain, duplicate, properties }: ReceivedPublish,
    topicName: string,
    receipt: Receipt,
  ): boolean {
    const { size } = receipt;
    if (this.#parked.length >= MOST_MESSAGES || this.#bytes + size > MOST_BYTES) {
      this.#leftOut = Math.min(this.#leftOut, size);
      return false;
    }
    receipt.payload = this.#keeping.keep(receipt.payload, bytes);
    const publish = { bytes, qos, retain, duplicate, properties, payload: () => receipt.payload };
    this.#parked.push({ publish, topicName, receipt, since: this.#host.clock.now() });
    this.#bytes += size;
    this.#watch();
    return true;
  }

  /** Hands over what `subscription` has filters for, in order of arrival. */
  handOver(subscription: Subscription, matches: (topicName: string) => boolean): void {
    const before = this.#parked.length;
    if (before === 0) return;
    for (const parked of this.#parked.takeAll()) {
      if (!matches(parked.topicName)) {
        this.#parked.push(parked);
        continue;
      }
      const { publish, topicName, receipt } = parked;
      const { bytes, qos, retain, duplicate, properties } = publish;
      this.#bytes -= receipt.size;
      const mine = subscription.settlesOnReceipt ? undefined : receipt;
      subscription.push(topicName, receipt.payload, bytes, qos, retain, duplicate, properties, mine);
      if (mine === undefined) this.#host.settle(receipt, 0);
    }
    if (this.#parked.length === 0) this.#stop();
    if (this.#parked.length === before || this.#leftOut === Infinity) return;
    this.#host.fetch(this.#leftOut);
    this.#leftOut = Infinity;
  }

  /** A new connection: what was left out comes again. */
  connected(): void {
    this.#leftOut = Infinity;
  }

  /** Lets go of everything: the connection or session it came in is over, and what counts comes again. */
  clear(): void {
    this.#parked.clear();
    this.#bytes = 0;
    this.#stop();
  }

  #watch(): void {
    const first = this.#parked.peek();
    if (this.#wake !== undefined || first === undefined) return;
    this.#wake = this.#host.clock.wakeAt(first.since + PATIENCE, () => this.#late());
  }

  /** What has waited too long no longer keeps others waiting; it stays here all the same, for who comes late. */
  #late(): void {
    this.#wake = undefined;
    const now = this.#host.clock.now();
    let passedOver = 0;
    let next = Infinity;
    for (const { receipt, since } of this.#parked) {
      if (since + PATIENCE > now) next = Math.min(next, since + PATIENCE);
      else if (!receipt.givesWay) {
        this.#host.giveWay(receipt);
        passedOver++;
      }
    }
    if (passedOver > 0)
      this.#host.warn(
        `${passedOver} messages have had no subscription for ${PATIENCE} ms and are passed over`,
      );
    if (next < Infinity) this.#wake = this.#host.clock.wakeAt(next, () => this.#late());
  }

  #stop(): void {
    this.#wake?.cancel();
    this.#wake = undefined;
  }
}
