/** The publishers and consumers of the soak. Together they use every way to publish, to read and to cancel. */
import { setTimeout as pause } from 'node:timers/promises';
import {
  Client,
  type ClientOptions,
  ClosedError,
  type Message,
  MqttError,
  PoisonedMessageError,
  type PublishOptions,
  type QoS,
  type Subscription,
  TimeoutError,
} from '../../lib/index.ts';
import type { Stream } from './ledger.ts';

type Random = () => number;

/** A client that counts its events. */
export class Party {
  readonly name: string;
  readonly client: Client;
  readonly counts: Record<string, number> = {};

  constructor(name: string, url: string, options: ClientOptions) {
    this.name = name;
    this.client = new Client(url, {
      clientId: name,
      cleanStart: false,
      ...(options.protocolVersion === 5 && { sessionExpiryInterval: 3_600 }),
      keepAlive: 5,
      connectTimeout: 3_000,
      reconnect: { minDelay: 50, maxDelay: 1_000, retryInitial: true },
      ...options,
    });
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  /** Counts the status events until the client is closed. */
  async watch(): Promise<void> {
    for await (const { type } of this.client.status()) this.count(type);
  }
}

/** How a stream is published. */
export interface Plan {
  readonly name: string;
  readonly qos: QoS;
  /** Messages per second. */
  readonly rate: number;
}

/** Maximum number of pending promises per publisher. Beyond it, messages are not published. */
const MOST_PENDING = 1_000;
const TICK = 20;

/** Publishes streams at their rates until `isStopping` is set. */
export class Publisher extends Party {
  acknowledged = 0;
  aborted = 0;
  refused = 0;
  poisoned = 0;
  pending = 0;
  isStopping = false;
  readonly unexpected: string[] = [];

  async run(streams: readonly { plan: Plan; stream: Stream }[], random: Random): Promise<void> {
    const lines = streams.map(({ plan, stream }) => ({ rate: plan.rate, stream, credit: 0 }));
    let last = performance.now();
    while (!this.isStopping) {
      await pause(TICK);
      const now = performance.now();
      // After a pause of the machine, do not catch up.
      const elapsed = Math.min(now - last, 200) / 1_000;
      last = now;
      for (const line of lines) {
        line.credit = Math.min(line.credit + elapsed * line.rate, line.rate);
        for (; line.credit >= 1 && this.pending < MOST_PENDING; line.credit--)
          this.#publish(line.stream, random);
      }
    }
  }

  #publish(stream: Stream, random: Random): void {
    const number = stream.begin();
    const chance = random();
    // Most payloads are small; some are too large to be copied into the output.
    const size = chance < 0.005 ? 20_000 : Math.floor(random() * 200);
    const options: { -readonly [Key in keyof PublishOptions]: PublishOptions[Key] } = { qos: stream.qos };
    if (chance > 0.99) options.timeout = Math.floor(random() * 300);
    else if (chance > 0.98) options.signal = AbortSignal.timeout(Math.floor(random() * 300));
    this.pending++;
    this.client
      .publish(stream.topic, `${number} ${'.'.repeat(size)}`, options)
      .then(
        () => void this.acknowledged++,
        (error: unknown) => this.#failed(stream, number, error),
      )
      .finally(() => void this.pending--);
  }

  #failed(stream: Stream, number: number, error: unknown): void {
    const fate = error instanceof MqttError ? (error as { delivery?: string; kept?: boolean }) : undefined;
    if (fate?.delivery === undefined) {
      // The reason of a signal says nothing about the message.
      this.aborted++;
      stream.unknown(number);
      if (!(error instanceof DOMException)) this.unexpected.push(`${stream.topic}: ${String(error)}`);
      return;
    }
    if (error instanceof TimeoutError) this.aborted++;
    else if (error instanceof PoisonedMessageError) this.poisoned++;
    else this.refused++;
    if (fate.kept === true) return;
    if (fate.delivery === 'not-sent') stream.gone(number);
    else stream.unknown(number);
    if (stream.qos > 0 && !(error instanceof TimeoutError) && !(error instanceof PoisonedMessageError))
      this.unexpected.push(`${stream.topic}: ${String(error)}`);
  }
}

const numberOf = (message: Message): number => Number.parseInt(message.text(), 10);

/** The error that a failing handler throws. */
class Mishap extends Error {}

/** Reads each stream in a different way. */
export class Consumer extends Party {
  readonly #streams: ReadonlyMap<string, Stream>;
  readonly #random: Random;
  readonly #acknowledging = new Set<Promise<void>>();
  received = 0;

  constructor(
    name: string,
    url: string,
    options: ClientOptions,
    streams: ReadonlyMap<string, Stream>,
    random: Random,
  ) {
    super(name, url, { receiveMaximum: 5_000, ...options });
    this.#streams = streams;
    this.#random = random;
  }

  /** A loop whose body takes up to `ms`. With probability `leaving` it breaks, with the message unacknowledged. */
  async loop(subscription: Subscription, ms: number, leaving = 0): Promise<void> {
    for (let left = true; left;) {
      left = false;
      for await (const message of subscription) {
        this.#took(message);
        if (ms > 0) await pause(this.#random() * ms);
        if (this.#random() >= leaving) continue;
        left = true;
        if (message.qos > 0) this.#gaveBack(message);
        break;
      }
      if (left) await pause(this.#random() * 200);
    }
  }

  async batches(subscription: Subscription, max: number, ms: number): Promise<void> {
    for await (const batch of subscription.batches({ max })) {
      for (const message of batch) this.#took(message);
      await pause(ms);
    }
  }

  /** Acknowledges after up to `ms`, in any order. */
  async byHand(subscription: Subscription, ms: number): Promise<void> {
    for await (const message of subscription) {
      this.#took(message);
      const acknowledging = pause(this.#random() * ms).then(() => message.ack());
      this.#acknowledging.add(acknowledging);
      void acknowledging.finally(() => this.#acknowledging.delete(acknowledging));
    }
    await Promise.all(this.#acknowledging);
  }

  /** Concurrent handlers, some of which throw. Their message arrives again. */
  async handlers(subscription: Subscription, ms: number, failing: number): Promise<void> {
    const handle = async (message: Message): Promise<void> => {
      this.#took(message);
      await pause(this.#random() * ms);
      if (this.#random() >= failing) return;
      this.#gaveBack(message);
      throw new Mishap();
    };
    for (;;)
      try {
        await subscription.forEach(handle, { concurrency: 8 });
        return;
      } catch (error) {
        if (!(error instanceof Mishap)) throw error;
      }
  }

  async oneByOne(subscription: Subscription): Promise<void> {
    for (;;)
      try {
        this.#took(await subscription.receive({ timeout: 100 }));
      } catch (error) {
        if (error instanceof ClosedError) return;
        if (!(error instanceof TimeoutError)) throw error;
      }
  }

  #took(message: Message): void {
    this.received++;
    this.#stream(message).took(this.name, numberOf(message));
  }

  #gaveBack(message: Message): void {
    this.#stream(message).gaveBack(this.name, numberOf(message));
  }

  #stream(message: Message): Stream {
    const stream = this.#streams.get(message.topic);
    if (stream === undefined) throw new Error(`no publisher for the topic ${message.topic}`);
    return stream;
  }
}
