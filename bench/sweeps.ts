/** How figures grow: the same scenario with a number that changes. And what is held in memory. */
import type { Contender, Metric, Workload } from './client/task.ts';
import { PUBLISH, RECEIVE, type Scenario } from './scenario.ts';

export interface Line {
  readonly label: string;
  readonly scenario: (x: number) => Pick<Scenario, 'job' | 'workload'>;
}

export interface Sweep {
  readonly name: string;
  readonly title: string;
  /** What `points` count. */
  readonly unit: string;
  readonly metric: Metric;
  readonly points: readonly number[];
  /** Messages or clients per run, ours. */
  readonly count: (x: number) => number;
  readonly lines: readonly Line[];
}

const MIB = 2 ** 20;

const throughput =
  (workload: Workload, change: (x: number) => Partial<Workload>): Line['scenario'] =>
  (x) => ({ job: 'throughput', workload: { ...workload, ...change(x) } });

const subscriptions = (filters: Workload['filters']): Line => ({
  label: filters === 'exact' ? 'exact' : filters === 'plus' ? '+' : '#',
  scenario: throughput(RECEIVE, (topics) => ({ topics, filters })),
});

export const SWEEPS: readonly Sweep[] = [
  {
    name: 'topics',
    title: 'CPU per message, topics in turn',
    unit: 'topics',
    metric: 'cpu',
    points: [1, 10, 100, 1_000, 10_000],
    count: () => 200_000,
    lines: [
      { label: 'publish', scenario: throughput(PUBLISH, (topics) => ({ topics })) },
      { label: 'receive', scenario: throughput(RECEIVE, (topics) => ({ topics })) },
    ],
  },
  {
    name: 'subscriptions',
    title: 'CPU per received message, a topic each',
    unit: 'subscriptions',
    metric: 'cpu',
    points: [1, 10, 100, 1_000, 10_000],
    count: () => 200_000,
    lines: (['exact', 'plus', 'hash'] as const).map(subscriptions),
  },
  {
    name: 'in-flight',
    title: 'CPU per message, QoS 1',
    unit: 'messages in flight',
    metric: 'cpu',
    points: [1, 10, 100, 1_000, 10_000, 65_535],
    count: (x) => (x < 10 ? 5_000 : x < 100 ? 40_000 : 200_000),
    lines: [{ label: 'publish', scenario: throughput(PUBLISH, (window) => ({ window, qos: 1 })) }],
  },
  {
    name: 'queued',
    title: 'CPU per message, queued and then sent, QoS 1',
    unit: 'messages queued',
    metric: 'cpu',
    points: [100, 1_000, 10_000, 100_000, 1_000_000],
    count: (x) => x,
    lines: [{ label: 'queued', scenario: () => ({ job: 'queued', workload: { ...PUBLISH, qos: 1 } }) }],
  },
  {
    name: 'clients',
    title: 'CPU to connect a client',
    unit: 'clients in a process',
    metric: 'cpu',
    points: [1, 10, 100, 1_000, 5_000],
    count: (x) => x,
    lines: [{ label: 'connect', scenario: () => ({ job: 'idle', workload: PUBLISH }) }],
  },
  {
    name: 'payload',
    title: 'CPU per message, QoS 0',
    unit: 'bytes of payload',
    metric: 'cpu',
    points: [0, 64, 1_024, 16_384, 16_385, 65_536, MIB, 16 * MIB, 64 * MIB],
    count: (x) => Math.max(4, Math.min(100_000, Math.floor((256 * MIB) / Math.max(1, x)))),
    lines: [
      { label: 'publish', scenario: throughput(PUBLISH, (payload) => ({ payload, window: 8 })) },
      { label: 'receive', scenario: throughput(RECEIVE, (payload) => ({ payload })) },
    ],
  },
  {
    name: 'latest-per-topic',
    title: 'CPU per message that replaces a waiting one',
    unit: 'messages waiting',
    metric: 'cpu',
    points: [10, 100, 1_000, 10_000],
    count: (x) => (x < 10_000 ? 50_000 : 10_000),
    lines: [
      {
        label: 'receive',
        scenario: (topics) => ({
          job: 'latest-per-topic',
          workload: { ...RECEIVE, topics, order: 'random' },
        }),
      },
    ],
  },
];

/** The id of a scenario of a sweep: `topics/publish@100`. */
export const sweepId = ({ name }: Sweep, { label }: Line, x: number): string => `${name}/${label}@${x}`;

export function scenariosOf(sweep: Sweep): Scenario[] {
  return sweep.points.flatMap((x) =>
    sweep.lines.map((line): Scenario => ({
      id: sweepId(sweep, line, x),
      title: `${sweep.title}: ${line.label}, ${x} ${sweep.unit}`,
      server: 'tcp',
      contenders: ['ours'],
      counts: [sweep.count(x), sweep.count(x), sweep.count(x)],
      metric: sweep.metric,
      goals: [],
      ...line.scenario(x),
    })),
  );
}

const BOTH: readonly Contender[] = ['ours', 'callback'];

/** What `--memory` measures. Bytes are per client, message or payload. */
export const MEMORY: readonly Scenario[] = (
  [
    ['mem-idle', 'an idle client', 'idle', PUBLISH, BOTH, 1_000, 'rss'],
    ['mem-idle-5000', 'one of 5,000 idle clients', 'idle', PUBLISH, BOTH, 5_000, 'rss'],
    ['mem-queued', 'a queued message of 64 B', 'queued', { ...PUBLISH, qos: 1 }, BOTH, 50_000, 'heap'],
    [
      'mem-in-flight',
      'a message of 64 B in flight',
      'in-flight',
      { ...PUBLISH, qos: 1 },
      BOTH,
      50_000,
      'heap',
    ],
    ['mem-kept', 'a kept payload of 64 B, one message in a thousand', 'kept', RECEIVE, BOTH, 500, 'external'],
    ['mem-kept-copy', 'the same kept with `copy()`', 'kept-copies', RECEIVE, ['ours'], 500, 'external'],
  ] as const
).map(([id, title, job, workload, contenders, count, metric]) => ({
  id,
  title,
  job,
  workload,
  server: 'tcp',
  contenders,
  counts: [count, count, 0],
  metric,
  goals: [],
}));

/** Messages in which the longest pause of the garbage collector is looked for: ours, and of MQTT.js. */
const MANY = [10_000_000, 1_000_000, 0] as const;

export const PAUSES: readonly Scenario[] = (
  [
    ['gc-pub-q0', 'publish QoS 0', PUBLISH],
    ['gc-pub-q1', 'publish QoS 1, 1,000 outstanding', { ...PUBLISH, qos: 1 }],
    ['gc-recv-q0', 'receive QoS 0, `for await`', RECEIVE],
    ['gc-recv-q1', 'receive QoS 1', { ...RECEIVE, qos: 1 }],
  ] as const
).map(([id, title, workload]) => ({
  id,
  title,
  job: 'pauses',
  workload,
  server: 'tcp',
  contenders: BOTH,
  counts: MANY,
  metric: 'longestPause',
  goals: [],
}));
