/** Scenarios of clients with a store. */
import { PUBLISH, type Scenario } from './scenario.ts';

const K = 1_000;

const COMMON: Omit<Scenario, 'id' | 'title' | 'counts' | 'workload'> = {
  job: 'throughput',
  server: 'tcp',
  contenders: ['ours'],
  metric: 'cpu',
  goals: [],
};

const BACKLOG: Omit<Scenario, 'id' | 'title'> = {
  ...COMMON,
  workload: { ...PUBLISH, qos: 1, store: 'synced' },
  counts: [1_000 * K, 0, 0],
  goals: [{ metric: 'peak', atMost: 150 }],
};

/** Publishing at full speed with and without a store, and a backlog that one process writes and the next one sends. */
export const STORED: readonly Scenario[] = [
  {
    ...COMMON,
    id: 'store-q1-none',
    title: 'no store',
    workload: { ...PUBLISH, qos: 1 },
    counts: [600 * K, 0, 0],
  },
  {
    ...COMMON,
    id: 'store-q1-unsynced',
    title: '`sync: false`',
    workload: { ...PUBLISH, qos: 1, store: 'unsynced' },
    counts: [600 * K, 0, 0],
    goals: [{ metric: 'cpu', within: 2.5, of: 'store-q1-none' }],
  },
  {
    ...COMMON,
    id: 'store-q1-synced',
    title: 'synced',
    workload: { ...PUBLISH, qos: 1, store: 'synced' },
    counts: [600 * K, 0, 0],
  },
  { ...BACKLOG, id: 'store-backlog-written', title: 'stored without a connection', job: 'backlog-written' },
  { ...BACKLOG, id: 'store-backlog-sent', title: 'sent by the next process', job: 'backlog-sent' },
];
