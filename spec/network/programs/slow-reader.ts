/**
 * slow-reader PLAN: subscribes, says `ready`, and reads numbered messages as PLAN says (JSON, see `Plan`): a few quickly,
 * then slowly until it is told on its input that all are `published`, and the rest as fast as it can. It ends when it has
 * all of them, or when nothing has come for a while, and says what it saw.
 */
import { setTimeout as pause } from 'node:timers/promises';
import {
  type ClientOptions,
  connect,
  type Message,
  type QoS,
  type Subscription,
} from '../../../lib/index.ts';
import { memoryInUse } from './memory-in-use.ts';

/** What a slow reader does. */
export interface Plan {
  readonly url: string;
  readonly options: ClientOptions;
  readonly topicFilter: string;
  readonly qos: QoS;
  readonly reading: 'loop' | 'manual' | 'batches' | 'forEach';
  /** Messages that are to come. */
  readonly count: number;
  /** Messages that it takes quickly before it is slow. */
  readonly warmUp: number;
  /** ms for each message, as long as it is slow. */
  readonly pace: number;
  /** ms that it is slow for at the least, and messages at the most. */
  readonly slowFor: number;
  readonly slowTurns: number;
  /** In every so many turns it awaits a publish of QoS 1. 0 = never. */
  readonly publishEvery: number;
}

/** What a slow reader saw. */
export interface Report {
  readonly received: number;
  readonly lost: number;
  readonly twice: number;
  /** Messages that came after one with a higher number in the same topic. */
  readonly outOfOrder: number;
  /** Messages that the client says it has let go. */
  readonly dropped: number;
  /** Status events that tell of trouble, by their type. */
  readonly events: Readonly<Record<string, number>>;
  /** Messages of its own that were acknowledged, and what the others came to. */
  readonly published: number;
  readonly unpublished: readonly string[];
  /** Bytes of memory in use beyond those before the first message: the most that was seen. */
  readonly growth: number;
}

/** ms without a message, after all were published, after which no more are expected. */
const SILENCE = 3_000;
/** ms that it is slow for at the most: a broker may have publishers wait for it. */
const SLOW = 5_000;
/** ms after the last message in which one could come twice. */
const AFTERMATH = 150;
const QUIET = new Set(['connecting', 'connected', 'closed']);

const plan = JSON.parse(process.argv[2] ?? '') as Plan;
const client = await connect(plan.url, plan.options);
const events: Record<string, number> = {};
void (async () => {
  for await (const { type } of client.status()) if (!QUIET.has(type)) events[type] = (events[type] ?? 0) + 1;
})();

/** The number of a message: at the front of its payload, or the third level of its topic where it has none. */
function numberOf({ payload, topic }: Message): number {
  const text = payload.length > 0 ? Buffer.from(payload.subarray(0, 12)).toString() : topic.split('/')[2];
  return Number.parseInt(text ?? '', 10);
}

const seen = new Uint8Array(plan.count);
/** The highest number of each topic; messages without payload are one row, whatever their topics. */
const highest = new Map<string, number>();
const unpublished: string[] = [];
let [received, twice, outOfOrder, published, growth, atWork, slowTurns] = [0, 0, 0, 0, 0, 0, 0];
/** When it began to be slow, when something happened last, and when there was nothing left to be published. */
let [begun, last, allPublished] = [0, 0, Infinity];

function count(message: Message): void {
  received++;
  const number = numberOf(message);
  if (seen[number] !== 0) twice++;
  seen[number] = 1;
  const row = message.payload.length > 0 ? message.topic : '';
  const before = highest.get(row) ?? -1;
  if (number < before) outOfOrder++;
  else highest.set(row, number);
}

async function work(message: Message): Promise<void> {
  atWork++;
  count(message);
  const turn = received;
  if (plan.publishEvery > 0 && turn % plan.publishEvery === 0)
    await client.publish('own/publish', String(turn), { qos: 1 }).then(
      () => published++,
      (error: unknown) => unpublished.push(String(error)),
    );
  if (isSlow()) await pause(plan.pace);
  else if (begun > 0 && growth === 0) await measure();
  last = performance.now();
  atWork--;
}

function isSlow(): boolean {
  if (received <= plan.warmUp || slowTurns === plan.slowTurns) return false;
  if (begun === 0) begun = performance.now();
  const since = performance.now() - begun;
  if (since > SLOW || (since > plan.slowFor && allPublished < Infinity)) return false;
  slowTurns++;
  return true;
}

async function measure(): Promise<void> {
  growth = 1;
  growth = Math.max(growth, (await memoryInUse()) - before);
}

async function read(subscription: Subscription): Promise<void> {
  switch (plan.reading) {
    case 'loop':
      for await (const message of subscription) await work(message);
      break;
    case 'manual':
      for await (const message of subscription) {
        await work(message);
        message.ack();
      }
      break;
    case 'batches':
      for await (const batch of subscription.batches({ max: 100 }))
        for (const message of batch) await work(message);
      break;
    case 'forEach':
      await subscription.forEach(work, { concurrency: 4 });
      break;
  }
}

const { topicFilter, qos, reading } = plan;
// A server may send all it has right behind SUBACK: nothing is awaited between that and reading.
const before = await memoryInUse();
const subscription = await client.subscribe(topicFilter, {
  qos,
  ...(reading === 'manual' && { ack: 'manual' }),
});
console.log('ready');
process.stdin.once('data', () => {
  allPublished = performance.now();
  process.stdin.destroy();
});
const done = read(subscription);
const isSilent = (): boolean => atWork === 0 && performance.now() - Math.max(last, allPublished) > SILENCE;
while (received < plan.count && !isSilent()) await pause(50);
await pause(AFTERMATH);
const most = Math.max(growth, (await memoryInUse()) - before);
const dropped = subscription.dropped + client.stats().overflowed;
await subscription.unsubscribe();
await done;
await client.disconnect();
const lost = plan.count - seen.reduce((sum, one) => sum + one, 0);
console.log(
  JSON.stringify({
    received,
    lost,
    twice,
    outOfOrder,
    dropped,
    events,
    published,
    unpublished: unpublished.slice(0, 3),
    growth: most,
  } satisfies Report),
);
