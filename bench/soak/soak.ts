/**
 * Publishes and consumes for a long time while network and broker fail repeatedly, and reports whether the client kept
 * all its promises.
 *
 *   npm run soak                     five minutes
 *   npm run soak -- --minutes 60     an hour
 *   npm run soak -- --seed 7         other faults; the same seed gives the same faults
 *   npm run soak -- --kills 200      instead kills a program with a store 200 times
 *
 * Exit code 0: all promises were kept. Requires Mosquitto, and starts it on a free local port.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Subscription } from '../../lib/index.ts';
import { seeded } from '../../spec/network/random.ts';
import { FaultProxy } from '../../spec/support/fault-proxy.ts';
import { type Mosquitto, startMosquitto } from '../../spec/support/mosquitto.ts';
import { programPath } from '../../spec/support/program-path.ts';
import { Faults } from './faults.ts';
import { soakKills } from './kills.ts';
import { growth, handles, memory } from './gauge.ts';
import { Stream } from './ledger.ts';
import { Consumer, type Plan, Publisher } from './parties.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    kills: { type: 'string', default: '0' },
  },
});
const duration = Number(values.minutes) * 60_000;
const seed = Number(values.seed);
const kills = Number(values.kills);
if (!(duration > 0) || !Number.isInteger(seed) || !Number.isInteger(kills)) {
  console.error('expected --minutes above 0, and integers for --seed and --kills');
  process.exit(1);
}

const SAMPLE = 2_000;
const REPORT = 10_000;
/** ms in which memory may grow, while code is compiled and buffers reach their size. */
const WARM_UP = Math.min(60_000, duration / 3);
/** MiB by which memory may grow after that. */
const TOLERANCE = 8;
/** ms to wait for outstanding messages after the last fault. */
const PATIENCE = 120_000;
/** Number of complaints that are printed. All are counted. */
const SHOWN = 20;

const PLANS: readonly Plan[] = [
  { name: 'fast', qos: 0, rate: 100 },
  { name: 'batch', qos: 0, rate: 50 },
  { name: 'loop', qos: 1, rate: 40 },
  { name: 'slow', qos: 1, rate: 2 },
  { name: 'hand', qos: 1, rate: 20 },
  { name: 'one', qos: 1, rate: 10 },
  { name: 'handlers', qos: 2, rate: 20 },
  { name: 'twice', qos: 2, rate: 15 },
  { name: 'hand2', qos: 2, rate: 10 },
];
const PUBLISHERS = [
  { name: 'publisher4', options: { protocolVersion: 4 } },
  { name: 'publisher5', options: { protocolVersion: 5 } },
] as const;
const CONSUMERS = [
  { name: 'consumer4', options: { protocolVersion: 4 } },
  { name: 'consumer5', options: { protocolVersion: 5 } },
] as const;

const complaints: string[] = [];
let complained = 0;
const complain = (what: string): void => {
  complained++;
  if (complaints.length < SHOWN) complaints.push(what);
};

/** Clean-up functions, which always run at the end, last first. */
const undoing: (() => Promise<unknown> | void)[] = [];
const stopping = new AbortController();

async function undo(): Promise<void> {
  for (const one of undoing.splice(0).toReversed()) await one();
}

/** All parts of a run. */
interface Stage {
  readonly broker: Mosquitto;
  readonly proxies: readonly FaultProxy[];
  readonly publishers: readonly Publisher[];
  readonly consumers: readonly Consumer[];
  readonly streams: ReadonlyMap<string, Stream>;
  /** Readers, which end with their clients. */
  readonly reading: readonly Promise<void>[];
}

async function brokerOfRun(): Promise<Mosquitto> {
  const broker = await startMosquitto({
    persistence: true,
    // With a limited window Mosquitto 2.0.11 sends new messages before waiting ones, which breaks the order.
    config: [
      'max_queued_messages 0',
      'max_inflight_messages 0',
      // Mosquitto saves on a clean exit. Continuous saving would take all its time.
      'autosave_on_changes false',
      'autosave_interval 1800',
    ],
  });
  undoing.push(() => broker.stop());
  return broker;
}

async function setUp(random: () => number): Promise<Stage> {
  const broker = await brokerOfRun();
  const proxies: FaultProxy[] = [];
  const proxy = async (): Promise<string> => {
    const one = await FaultProxy.to(broker.port);
    undoing.push(() => one.close());
    proxies.push(one);
    return one.url;
  };
  const streams = new Map<string, Stream>();
  const consumerNames = CONSUMERS.map(({ name }) => name);
  for (const { name } of PUBLISHERS)
    for (const plan of PLANS) {
      const topic = `soak/${plan.name}/${name}`;
      streams.set(topic, new Stream(topic, plan.qos, consumerNames, complain));
    }
  const publishers: Publisher[] = [];
  for (const { name, options } of PUBLISHERS) publishers.push(new Publisher(name, await proxy(), options));
  const consumers: Consumer[] = [];
  for (const { name, options } of CONSUMERS)
    consumers.push(new Consumer(name, await proxy(), options, streams, random));
  const parties = [...publishers, ...consumers];
  undoing.push(() => Promise.all(parties.map(({ client }) => client.disconnect())));
  const reading = parties.map((party) => party.watch());
  await Promise.all(parties.map(({ client }) => client.connect()));
  for (const consumer of consumers) reading.push(...(await read(consumer)));
  for (const one of reading) one.catch((error: unknown) => complain(`a reader failed: ${String(error)}`));
  return { broker, proxies, publishers, consumers, streams, reading };
}

/** Subscribes to every stream, and reads each in a different way. */
async function read(consumer: Consumer): Promise<Promise<void>[]> {
  const subscribe = (plan: string, options: object = {}): Promise<Subscription> => {
    const { qos } = PLANS.find(({ name }) => name === plan) as Plan;
    return consumer.client.subscribe(`soak/${plan}/+`, { qos, ...options });
  };
  return [
    consumer.loop(await subscribe('fast'), 0, 0.001),
    consumer.batches(await subscribe('batch', { buffer: { messages: 100 } }), 20, 100),
    consumer.loop(await subscribe('loop'), 2, 0.01),
    consumer.loop(await subscribe('slow'), 400),
    consumer.byHand(await subscribe('hand', { ack: 'manual' }), 300),
    consumer.oneByOne(await subscribe('one')),
    consumer.handlers(await subscribe('handlers'), 20, 0.005),
    consumer.loop(await subscribe('twice'), 2, 0.01),
    consumer.byHand(await subscribe('hand2', { ack: 'manual' }), 300),
  ];
}

const summed = (records: readonly Record<string, number>[]): Record<string, number> => {
  const sums: Record<string, number> = {};
  for (const record of records)
    for (const [key, value] of Object.entries(record)) sums[key] = (sums[key] ?? 0) + value;
  return sums;
};
const inWords = (record: Record<string, number>): string =>
  Object.entries(record)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, value]) => `${key} ${value}`)
    .join(', ');

/** Messages per QoS: published, received (all copies), repeated. */
function traffic({ streams }: Stage): string {
  return [0, 1, 2]
    .map((qos) => {
      const some = [...streams.values()].filter((stream) => stream.qos === qos);
      const sum = (what: 'published' | 'arrived' | 'repeated' | 'excused' | 'missing'): number =>
        some.reduce((total, stream) => total + stream[what], 0);
      return `QoS ${qos}: ${sum('published')} published, ${sum('arrived')} received, ${sum('repeated')} repeated,${qos === 2 ? ` ${sum('excused')} repeated by restarts,` : ''} ${sum('missing')} missing`;
    })
    .join(' | ');
}

function connections({ publishers, consumers }: Stage): Record<string, number> {
  const { disconnected = 0, ...others } = summed([...publishers, ...consumers].map(({ counts }) => counts));
  const { 'session-lost': lost = 0, overflow = 0, 'ack-stalled': stalled = 0, connected = 0 } = others;
  return {
    connected,
    'lost or failed': disconnected,
    'sessions lost': lost,
    overflows: overflow,
    stalls: stalled,
  };
}

function report(stage: Stage, faults: Faults, began: number, used: number): void {
  const seconds = String(Math.round((performance.now() - began) / 1_000)).padStart(4);
  const pending = stage.publishers.reduce((sum, one) => sum + one.pending, 0);
  console.log(
    `${seconds} s  ${traffic(stage)} | ${pending} promises pending\n        connections: ${inWords(connections(stage))}` +
      ` | faults: ${inWords(faults.counts)}\n        ${used.toFixed(1)} MiB | handles: ${inWords(handles())}` +
      (complained > 0 ? ` | COMPLAINTS: ${complained}` : ''),
  );
}

/** Runs everything for the given time. Returns the memory samples after the warm-up. */
async function soak(stage: Stage): Promise<{ at: number; value: number }[]> {
  const chance = (part: number): (() => number) => seeded(seed * 1_000 + part);
  const began = performance.now();
  const faults = new Faults(
    {
      ...stage,
      random: chance(0),
      // In the first half of the run, no repetition of QoS 2 is excused.
      restartsFrom: began + duration / 2,
      onRestart: () => {
        for (const stream of stage.streams.values()) stream.restarted();
      },
    },
    stopping.signal,
  );
  const breaking = faults.run();
  const publishing = stage.publishers.map((publisher, i) =>
    publisher.run(
      PLANS.map((plan) => ({
        plan,
        stream: stage.streams.get(`soak/${plan.name}/${publisher.name}`) as Stream,
      })),
      chance(i + 1),
    ),
  );
  const samples: { at: number; value: number }[] = [];
  for (let next = REPORT, at = 0; at < duration && !stopping.signal.aborted;) {
    await pause(SAMPLE, undefined, { signal: stopping.signal }).catch(() => {});
    at = performance.now() - began;
    const value = memory();
    if (at >= WARM_UP) samples.push({ at, value });
    if (at < next) continue;
    next += REPORT;
    report(stage, faults, began, value);
  }
  stopping.abort();
  for (const publisher of stage.publishers) publisher.isStopping = true;
  await Promise.all([breaking, ...publishing]);
  if (interrupted) return samples;
  await settle(stage);
  report(stage, faults, began, memory());
  return samples;
}

/** After the last fault, waits until all messages have arrived and all promises have settled. */
async function settle({ publishers, streams }: Stage): Promise<void> {
  const busy = (): boolean =>
    publishers.some(({ pending }) => pending > 0) || [...streams.values()].some(({ missing }) => missing > 0);
  for (const end = performance.now() + PATIENCE; busy() && performance.now() < end;) await pause(100);
  // Wait for late duplicates.
  await pause(1_000);
}

function judge(stage: Stage, samples: readonly { at: number; value: number }[], quiet: string): void {
  for (const publisher of stage.publishers) {
    const { name, pending, poisoned, unexpected, acknowledged, aborted, refused } = publisher;
    console.log(
      `${name}: ${acknowledged} resolved, ${aborted} aborted or timed out, ${refused} refused, ${poisoned} poisoned`,
    );
    if (pending > 0) complain(`${name}: ${pending} promises did not settle`);
    if (poisoned > 0) complain(`${name}: ${poisoned} messages were rejected as poisoned`);
    for (const one of unexpected) complain(`${name}: ${one}`);
  }
  for (const { topic, missing } of stage.streams.values())
    if (missing > 0) complain(`${topic}: ${missing} copies are missing`);
  const grown = growth(samples);
  console.log(
    `memory: ${grown >= 0 ? '+' : ''}${grown.toFixed(2)} MiB after the warm-up (at most ${TOLERANCE})`,
  );
  if (grown > TOLERANCE) complain(`memory grew by ${grown.toFixed(1)} MiB`);
  const now = inWords(sockets());
  console.log(`handles: ${now}; at the beginning: ${quiet}`);
  if (now !== quiet) complain(`handles: ${now}, at the beginning: ${quiet}`);
}

/** Open handles without timers, as the number of timers varies. */
function sockets(): Record<string, number> {
  const { Timeout: _, ...rest } = handles();
  return rest;
}

async function run(): Promise<void> {
  const stage = await setUp(seeded(seed * 1_000 + 999));
  const quiet = inWords(sockets());
  const samples = await soak(stage);
  if (!interrupted) judge(stage, samples, quiet);
  await Promise.all([...stage.publishers, ...stage.consumers].map(({ client }) => client.drain()));
  await Promise.all(stage.reading);
}

/** Prints the verdict. The run also fails if something keeps the process alive after that. */
function conclude(): void {
  for (const one of complaints) console.log(`- ${one}`);
  if (complained > complaints.length) console.log(`- and ${complained - complaints.length} more`);
  const verdict = interrupted ? 'INTERRUPTED' : 'PASSED';
  console.log(
    complained > 0 ? `FAILED: ${complained} complaints (seed ${seed})` : `${verdict} (seed ${seed})`,
  );
  process.exitCode = complained > 0 ? 1 : interrupted ? 130 : 0;
  setTimeout(() => {
    console.log(`FAILED: these handles keep the process alive: ${inWords(handles())}`);
    process.exit(1);
  }, 5_000).unref();
}

let interrupted = false;
process.on('SIGINT', () => {
  if (interrupted) process.exit(130);
  interrupted = true;
  stopping.abort();
});
for (const event of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(event, (error: unknown) => {
    complain(`${event}: ${error instanceof Error ? error.stack : String(error)}`);
    stopping.abort();
  });
// Last resort: the broker must not outlive this process.
process.on('exit', () => {
  for (const one of undoing.splice(0)) void one();
});

if (programPath('mosquitto') === undefined) {
  console.error('Mosquitto is not installed: apt-get install mosquitto');
  process.exitCode = 1;
} else {
  try {
    if (kills > 0) await soakKills({ broker: await brokerOfRun(), rounds: kills, seed, complain, undoing });
    else await run();
  } catch (error) {
    complain(error instanceof Error ? String(error.stack) : String(error));
  } finally {
    stopping.abort();
    await undo();
  }
  conclude();
}
