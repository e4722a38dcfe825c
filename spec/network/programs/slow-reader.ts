/**
 * slow-reader PLAN…: runs a client for each PLAN (JSON, see `Plan`). They subscribe and read numbered messages: some
 * quickly, then slowly until a line on stdin says that all are `published`, and the rest as fast as they can. A reader
 * ends when it has all its messages, or when nothing has come for a while. Prints `ready`, and a `Report` at the end.
 */
import { setTimeout as pause } from 'node:timers/promises';
import {
  type Client,
  type ClientOptions,
  connect,
  type Message,
  type QoS,
  type Subscription,
} from '../../../lib/index.ts';
import { memoryInUse } from '../../support/garbage.ts';

/** What a slow reader does. */
export interface Plan {
  readonly url: string;
  readonly options: ClientOptions;
  readonly topicFilter: string;
  readonly qos: QoS;
  readonly reading: 'loop' | 'manual' | 'batches' | 'forEach';
  /** Expected number of messages. */
  readonly count: number;
  /** Number of messages that it reads quickly at first. */
  readonly warmUp: number;
  /** ms for each message while it is slow. */
  readonly pace: number;
  /** Minimum ms and maximum number of messages of the slow phase. */
  readonly slowFor: number;
  readonly slowTurns: number;
  /** Awaits a publish of QoS 1 after this number of messages. 0 = never. */
  readonly publishEvery: number;
}

/** What one reader observed. */
export interface Observed {
  readonly received: number;
  readonly lost: number;
  readonly twice: number;
  /** Messages that came after one with a higher number in the same topic. */
  readonly outOfOrder: number;
  /** Messages that the client reports as dropped. */
  readonly dropped: number;
  /** Status events that indicate trouble, by type. */
  readonly events: Readonly<Record<string, number>>;
  /** Number of acknowledged publishes, and the errors of the others. */
  readonly published: number;
  readonly unpublished: readonly string[];
}

export interface Report {
  /** In the order of the plans. */
  readonly readers: readonly Observed[];
  /** Maximum growth of memory in bytes since the first message, for all readers together. */
  readonly growth: number;
}

/** ms without a message after which no more are expected, once all were published. */
const SILENCE = 3_000;
/** Maximum ms of the slow phase, as a broker may block publishers. */
const SLOW = 5_000;
/** ms after the last message in which a duplicate could come. */
const AFTERMATH = 150;
const QUIET = new Set(['connecting', 'connected', 'closed']);

/** When all messages were published. */
let allPublished = Infinity;
let [before, growth] = [0, 0];
let measuring: Promise<void> | undefined;

/** Measures the growth of memory. Readers that ask meanwhile wait for the same measurement: it is of the whole process. */
function measure(): Promise<void> {
  return (measuring ??= (async () => {
    growth = Math.max(growth, (await memoryInUse()) - before);
    measuring = undefined;
  })());
}

/** The number of a message: at the front of its payload, or in the third topic level if it has no payload. */
function numberOf({ payload, topic }: Message): number {
  const text = payload.length > 0 ? Buffer.from(payload.subarray(0, 12)).toString() : topic.split('/')[2];
  return Number.parseInt(text ?? '', 10);
}

class Reader {
  readonly #plan: Plan;
  readonly #client: Client;
  readonly #events: Record<string, number> = {};
  readonly #seen: Uint8Array;
  /** The highest number of each topic. Messages without payload count as one topic. */
  readonly #highest = new Map<string, number>();
  readonly #unpublished: string[] = [];
  #received = 0;
  #twice = 0;
  #outOfOrder = 0;
  #published = 0;
  #atWork = 0;
  #slowTurns = 0;
  #isMeasured = false;
  /** Times of the first slow message and of the last message. */
  #begun = 0;
  #last = 0;

  constructor(plan: Plan, client: Client) {
    this.#plan = plan;
    this.#client = client;
    this.#seen = new Uint8Array(plan.count);
    void this.#countEvents();
  }

  /** Subscribes, and starts to read. The returned function resolves at the end. */
  async start(): Promise<() => Promise<Observed>> {
    const { topicFilter, qos, reading } = this.#plan;
    const subscription = await this.#client.subscribe(topicFilter, {
      qos,
      ...(reading === 'manual' && { ack: 'manual' }),
    });
    // A server may send all its messages right after SUBACK, so nothing is awaited before reading starts.
    const done = this.#read(subscription);
    return () => this.#end(subscription, done);
  }

  async #end(subscription: Subscription, done: Promise<void>): Promise<Observed> {
    while (this.#received < this.#plan.count && !this.#isSilent()) await pause(50);
    await pause(AFTERMATH);
    const dropped = subscription.dropped + this.#client.stats().overflowed;
    await subscription.unsubscribe();
    await done;
    await this.#client.disconnect();
    return {
      received: this.#received,
      lost: this.#plan.count - this.#seen.reduce((sum, one) => sum + one, 0),
      twice: this.#twice,
      outOfOrder: this.#outOfOrder,
      dropped,
      events: this.#events,
      published: this.#published,
      unpublished: this.#unpublished.slice(0, 3),
    };
  }

  async #countEvents(): Promise<void> {
    for await (const { type } of this.#client.status())
      if (!QUIET.has(type)) this.#events[type] = (this.#events[type] ?? 0) + 1;
  }

  async #read(subscription: Subscription): Promise<void> {
    switch (this.#plan.reading) {
      case 'loop':
        for await (const message of subscription) await this.#work(message);
        break;
      case 'manual':
        for await (const message of subscription) {
          await this.#work(message);
          message.ack();
        }
        break;
      case 'batches':
        for await (const batch of subscription.batches({ max: 100 }))
          for (const message of batch) await this.#work(message);
        break;
      case 'forEach':
        await subscription.forEach((message) => this.#work(message), { concurrency: 4 });
        break;
    }
  }

  async #work(message: Message): Promise<void> {
    this.#atWork++;
    this.#count(message);
    const { publishEvery, pace } = this.#plan;
    const turn = this.#received;
    if (publishEvery > 0 && turn % publishEvery === 0)
      await this.#client.publish('own/publish', String(turn), { qos: 1 }).then(
        () => this.#published++,
        (error: unknown) => this.#unpublished.push(String(error)),
      );
    if (this.#isSlow()) await pause(pace);
    else if (this.#begun > 0 && !this.#isMeasured) {
      this.#isMeasured = true;
      await measure();
    }
    this.#last = performance.now();
    this.#atWork--;
  }

  #count(message: Message): void {
    this.#received++;
    const number = numberOf(message);
    if (this.#seen[number] !== 0) this.#twice++;
    this.#seen[number] = 1;
    const row = message.payload.length > 0 ? message.topic : '';
    const highest = this.#highest.get(row) ?? -1;
    if (number < highest) this.#outOfOrder++;
    else this.#highest.set(row, number);
  }

  #isSlow(): boolean {
    const { warmUp, slowTurns, slowFor } = this.#plan;
    if (this.#received <= warmUp || this.#slowTurns === slowTurns) return false;
    if (this.#begun === 0) this.#begun = performance.now();
    const since = performance.now() - this.#begun;
    if (since > SLOW || (since > slowFor && allPublished < Infinity)) return false;
    this.#slowTurns++;
    return true;
  }

  #isSilent(): boolean {
    return this.#atWork === 0 && performance.now() - Math.max(this.#last, allPublished) > SILENCE;
  }
}

const plans = process.argv.slice(2).map((plan) => JSON.parse(plan) as Plan);
const readers = await Promise.all(
  plans.map(async (plan) => new Reader(plan, await connect(plan.url, plan.options))),
);
before = await memoryInUse();
const ends = await Promise.all(readers.map((reader) => reader.start()));
console.log('ready');
process.stdin.once('data', () => {
  allPublished = performance.now();
  process.stdin.destroy();
});
const observed = await Promise.all(ends.map((end) => end()));
await measure();
console.log(JSON.stringify({ readers: observed, growth } satisfies Report));
