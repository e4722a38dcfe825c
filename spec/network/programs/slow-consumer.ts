/**
 * slow-consumer URL COUNT ROOM RING KINDS: runs a consumer for each of KINDS (JSON, pairs of QoS and whether the session is
 * persistent). Each buffers at most ROOM messages, or RING of QoS 0. They read COUNT messages from `warm-up`, print `warm`,
 * then read `backlog` at 100 messages per second until a message comes from `end`. Prints `taken N` when each has read as
 * many, and at the end a `Report`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { connect, type QoS, type Subscription } from '../../../lib/index.ts';
import { memoryInUse } from '../../support/garbage.ts';

/** QoS of a consumer, and whether its session is persistent. */
export type Kind = readonly [qos: QoS, persistent: boolean];

/** What one consumer observed. */
export interface Observed {
  /** Number of messages that it read. */
  readonly taken: number;
  /** Maximum number of unsettled and of waiting messages. */
  readonly unsettled: number;
  readonly depth: number;
  /** Number of messages that were dropped. */
  readonly letGo: number;
}

export interface Report {
  /** In the order of the kinds. */
  readonly consumers: readonly Observed[];
  /** Growth of memory since `warm`, for all consumers together. */
  readonly growth: number;
}

/** ms per message. */
const PACE = 10;
/** Number of messages after which a line is printed. */
const LINE = 50;

const [url = '', count = '', room = '', ring = '', json = ''] = process.argv.slice(2);
const kinds = JSON.parse(json) as readonly Kind[];

let over = false;
/** The least that any consumer has read. */
let least = 0;
const taken = kinds.map(() => 0);

function took(i: number): void {
  taken[i]!++;
  const now = Math.min(...taken);
  if (now > least && now % LINE === 0) console.log(`taken ${now}`);
  least = now;
}

/** A consumer that has subscribed. */
async function consumer([qos, persistent]: Kind, i: number) {
  const client = await connect(url, {
    receiveMaximum: Number(room),
    ...(persistent && { clientId: `slow-consumer ${i}`, cleanStart: false }),
  });
  const warmUp = await client.subscribe('warm-up', { qos });
  const backlog: Subscription = await client.subscribe('backlog', {
    qos,
    ...(qos === 0 && { buffer: { messages: Number(ring) } }),
  });
  const warm = async (): Promise<void> => {
    for (let n = 0; n < Number(count); n++) await warmUp.receive();
  };
  let [unsettled, depth] = [0, 0];
  const slow = async (): Promise<void> => {
    for await (const _ of backlog) {
      unsettled = Math.max(unsettled, client.stats().unsettled.messages);
      depth = Math.max(depth, backlog.depth);
      took(i);
      if (over) break;
      await pause(PACE);
    }
  };
  const observed = (): Observed => ({
    taken: taken[i]!,
    unsettled,
    depth,
    letGo: client.stats().overflowed + backlog.dropped,
  });
  return { warm, slow, observed, end: () => client.disconnect() };
}

const consumers = await Promise.all(kinds.map(consumer));
// On another connection: messages behind the backlog would have to wait for it.
const witness = await connect(url);
const end = await witness.subscribe('end');
console.log('ready');
await Promise.all(consumers.map(({ warm }) => warm()));
const before = await memoryInUse();
console.log('warm');

const slow = consumers.map((one) => one.slow());
await end.receive();
// Before any loop ends, as its subscription then lets go of what waits.
const growth = (await memoryInUse()) - before;
over = true;
await Promise.all(slow);
const report: Report = { consumers: consumers.map(({ observed }) => observed()), growth };
await Promise.all([witness.disconnect(), ...consumers.map((one) => one.end())]);
console.log(JSON.stringify(report));
