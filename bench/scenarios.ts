/** What the bench runs, and the goals. */
import { publish, PUBLISH, receive, RECEIVE, type Scenario, STYLES, times } from './scenario.ts';

const K = 1_000;
const MIB = 2 ** 20;

const THROUGHPUT: readonly Scenario[] = [
  publish({
    id: 'pub-q0-64',
    title: 'publish QoS 0, 64 B, 1,000 outstanding',
    counts: [400 * K, 40 * K, 100 * K],
    times: 20,
    quick: true,
  }),
  publish({
    id: 'pub-q0-w100',
    title: 'publish QoS 0, 64 B, 100 outstanding',
    workload: { window: 100 },
    counts: [400 * K, 40 * K, 100 * K],
    times: 12,
  }),
  publish({
    id: 'pub-q0-await',
    title: 'publish QoS 0, 64 B, await each',
    workload: { window: 1 },
    counts: [400 * K, 60 * K, 100 * K],
    times: 10,
    quick: true,
  }),
  publish({
    id: 'pub-q0-1k',
    title: 'publish QoS 0, 1 KiB',
    workload: { payload: 1_024 },
    counts: [200 * K, 40 * K, 100 * K],
    times: 10,
  }),
  publish({
    id: 'pub-q0-topics',
    title: 'publish QoS 0, 64 B, 10,000 topics in turn',
    workload: { topics: 10_000 },
    counts: [300 * K, 40 * K, 100 * K],
    times: 12,
    quick: true,
  }),
  publish({
    id: 'pub-q1-w20',
    title: 'publish QoS 1, 20 outstanding',
    workload: { qos: 1, window: 20 },
    counts: [60 * K, 20 * K, 60 * K],
    times: 3.5,
  }),
  publish({
    id: 'pub-q1-w100',
    title: 'publish QoS 1, 100 outstanding',
    workload: { qos: 1, window: 100 },
    counts: [150 * K, 20 * K, 60 * K],
    times: 7,
  }),
  publish({
    id: 'pub-q1-w1000',
    title: 'publish QoS 1, 1,000 outstanding',
    workload: { qos: 1 },
    counts: [300 * K, 20 * K, 60 * K],
    times: 20,
    quick: true,
  }),
  publish({
    id: 'pub-q1-w65535',
    title: 'publish QoS 1, 65,535 outstanding',
    workload: { qos: 1, window: 65_535 },
    counts: [300 * K, 70 * K, 70 * K],
    contenders: ['ours', 'lean', 'callback', 'promise'],
    times: 2,
  }),
  publish({
    id: 'pub-q1-await',
    title: 'publish QoS 1, await each',
    workload: { qos: 1, window: 1 },
    counts: [5 * K, 5 * K, 5 * K],
    times: 1.2,
  }),
  publish({
    id: 'pub-q2',
    title: 'publish QoS 2, 1,000 outstanding',
    workload: { qos: 2 },
    counts: [200 * K, 15 * K, 40 * K],
    times: 18,
  }),
  receive({
    id: 'recv-q0-64',
    title: 'receive QoS 0, 64 B, `for await`',
    counts: [500 * K, 80 * K, 200 * K],
    times: 6,
    quick: true,
  }),
  receive({
    id: 'recv-q0-batch',
    title: 'receive QoS 0, 64 B, `batches()`',
    workload: { intake: 'batches' },
    counts: [600 * K, 80 * K, 200 * K],
    times: 10,
  }),
  receive({
    id: 'recv-q0-1k',
    title: 'receive QoS 0, 1 KiB, `for await`',
    workload: { payload: 1_024 },
    counts: [200 * K, 60 * K, 100 * K],
    times: 5,
  }),
  receive({
    id: 'recv-q0-topics',
    title: 'receive QoS 0, 64 B, 10,000 topics in turn',
    workload: { topics: 10_000 },
    counts: [300 * K, 80 * K, 200 * K],
    times: 3,
    quick: true,
  }),
  receive({
    id: 'recv-q1',
    title: 'receive QoS 1, acknowledged when processed',
    workload: { qos: 1 },
    counts: [300 * K, 30 * K, 80 * K],
    times: 18,
    quick: true,
  }),
  receive({
    id: 'recv-q2',
    title: 'receive QoS 2, acknowledged when processed',
    workload: { qos: 2 },
    counts: [200 * K, 15 * K, 40 * K],
    times: 30,
  }),
];

/** Scenarios of 3.1.1 again with MQTT 5, without properties. */
const VERSION_5 = ['pub-q0-64', 'pub-q1-w1000', 'recv-q0-64', 'recv-q1'].map((of): Scenario => {
  const scenario = THROUGHPUT.find(({ id }) => id === of)!;
  const { quick: _, ...rest } = scenario;
  return {
    ...rest,
    id: `v5-${of}`,
    title: `${scenario.title}, MQTT 5`,
    workload: { ...scenario.workload, version: 5 },
    goals: [...scenario.goals, { metric: 'cpu', within: 1.1, of }],
  };
});

/** Scenarios over TCP again over TLS and WebSocket. MQTT.js writes each message there in several pieces. */
const OVER = (['tls', 'ws'] as const).flatMap((over) =>
  ['pub-q0-64', 'pub-q1-w1000', 'recv-q0-64', 'recv-q1'].map((of): Scenario => {
    const { quick: _, counts, ...rest } = THROUGHPUT.find(({ id }) => id === of)!;
    const isWs = over === 'ws' && rest.workload.direction === 'publish';
    return {
      ...rest,
      id: `${over}-${of}`,
      title: `${rest.title}, ${over === 'tls' ? 'TLS' : 'WebSocket'}`,
      server: over,
      contenders: STYLES,
      counts: [counts[0] / 2, counts[1] / (isWs ? 8 : 2), 0],
      goals: times(3),
    };
  }),
);

const BROKER: readonly Scenario[] = [
  {
    id: 'e2e-q0',
    title: 'through Mosquitto, QoS 0: one publishes, one receives',
    job: 'end-to-end',
    workload: PUBLISH,
    server: 'mosquitto',
    contenders: STYLES,
    counts: [60 * K, 40 * K, 0],
    metric: 'cpu',
    goals: [
      { metric: 'cpu', times: 1.5 },
      { metric: 'rate', times: 0.9 },
    ],
  },
  {
    id: 'e2e-q1',
    title: 'through Mosquitto, QoS 1: one publishes, one receives',
    job: 'end-to-end',
    workload: { ...PUBLISH, qos: 1 },
    server: 'mosquitto',
    contenders: STYLES,
    counts: [30 * K, 15 * K, 0],
    metric: 'cpu',
    goals: [
      { metric: 'cpu', times: 1.5 },
      { metric: 'rate', times: 1.2 },
    ],
  },
  ...([0, 1] as const).map((qos): Scenario => ({
    id: `ping-pong-q${qos}`,
    title: `ping-pong through Mosquitto, QoS ${qos}`,
    job: 'ping-pong',
    workload: { ...PUBLISH, qos, window: 1 },
    server: 'mosquitto',
    contenders: ['ours', 'callback', 'nodelay'],
    counts: [3 * K, qos === 0 ? 3 * K : 100, 0],
    metric: 'p50',
    goals: [
      { metric: 'p50', times: 0.95, than: 'nodelay' },
      { metric: 'p50', atMost: 1_000 },
      { metric: 'cpu', times: qos === 0 ? 1.1 : 1.25, than: 'nodelay' },
    ],
  })),
];

const LARGE = { payload: 16 * MIB, window: 1 };

const REST: readonly Scenario[] = [
  {
    id: 'idle-1000',
    title: '1,000 idle clients, each',
    job: 'idle',
    workload: PUBLISH,
    server: 'tcp',
    contenders: ['ours', 'callback'],
    counts: [K, K, 0],
    metric: 'rss',
    goals: [
      { metric: 'rss', atMost: 30 * 1_024 },
      { metric: 'cpu', atMost: 500 },
      { metric: 'ms', atMost: 160 },
    ],
    quick: true,
  },
  {
    id: 'large-pub',
    title: 'publish 16 MiB, await each',
    job: 'throughput',
    workload: { ...PUBLISH, ...LARGE },
    server: 'tcp',
    contenders: ['ours', 'callback', 'promise'],
    counts: [40, 20, 0],
    metric: 'perGigabyte',
    goals: [
      { metric: 'perGigabyte', times: 3 },
      { metric: 'peak', atMost: 80 },
    ],
  },
  {
    id: 'large-recv',
    title: 'receive 16 MiB, `for await`',
    job: 'throughput',
    workload: { ...RECEIVE, ...LARGE },
    server: 'tcp',
    contenders: ['ours', 'callback', 'promise'],
    counts: [40, 20, 0],
    metric: 'perGigabyte',
    goals: [{ metric: 'perGigabyte', atMost: 0.45 }],
  },
  {
    id: 'import',
    title: '`import` over bare node',
    job: 'import',
    workload: PUBLISH,
    server: 'tcp',
    contenders: ['ours', 'callback'],
    counts: [1, 1, 0],
    metric: 'ms',
    goals: [
      { metric: 'ms', atMost: 10 },
      { metric: 'rss', atMost: 3 * MIB },
    ],
    quick: true,
  },
];

export const SCENARIOS: readonly Scenario[] = [...THROUGHPUT, ...VERSION_5, ...OVER, ...BROKER, ...REST];
