/** What a scenario is. */
import type { Contender, Job, Metric, Over, Workload } from './client/task.ts';

/**
 * `times`: how many times better than the better style of MQTT.js, or than `than`. `within`: at most that many times the
 * figure of our own scenario `of`, in the same run.
 */
export type Goal =
  | { readonly metric: Metric; readonly times: number; readonly than?: Contender }
  | { readonly metric: Metric; readonly atMost: number }
  | { readonly metric: Metric; readonly within: number; readonly of: string };

export interface Scenario {
  readonly id: string;
  readonly title: string;
  readonly job: Job;
  readonly workload: Workload;
  readonly server: Over | 'mosquitto';
  readonly contenders: readonly Contender[];
  /** Items per run: for us, for MQTT.js, and for libmosquitto, so that all take about the same time. */
  readonly counts: readonly [ours: number, mqttjs: number, libmosquitto: number];
  /** The figure that the table of ratios and the chart show. */
  readonly metric: Metric;
  readonly goals: readonly Goal[];
  /** Part of `--quick`. */
  readonly quick?: true;
}

export const PUBLISH: Workload = {
  direction: 'publish',
  qos: 0,
  payload: 64,
  window: 1_000,
  topics: 1,
  order: 'in-turn',
  intake: 'loop',
  filters: 'one',
  version: 4,
  store: 'none',
};
export const RECEIVE: Workload = { ...PUBLISH, direction: 'receive', window: 1 };

const PUBLISHERS = ['ours', 'lean', 'callback', 'promise', 'libmosquitto'] as const;
const RECEIVERS = ['ours', 'callback', 'promise', 'libmosquitto'] as const;
export const STYLES = ['ours', 'callback', 'promise'] as const;

export type Part = Pick<Scenario, 'id' | 'title' | 'counts'> &
  Partial<Omit<Scenario, 'workload'>> & { readonly times: number; readonly workload?: Partial<Workload> };

/** CPU time below that of MQTT.js by a factor, and below that of libmosquitto. */
export const times = (factor: number): Goal[] => [
  { metric: 'cpu', times: factor },
  { metric: 'cpu', times: 1, than: 'libmosquitto' },
];

/** Publishes to the null server. */
export const publish = ({ times: factor, workload, ...rest }: Part): Scenario => ({
  job: 'throughput',
  server: 'tcp',
  contenders: PUBLISHERS,
  metric: 'cpu',
  goals: times(factor),
  ...rest,
  workload: { ...PUBLISH, ...workload },
});

/** Receives from the null server. */
export const receive = ({ times: factor, workload, ...rest }: Part): Scenario => ({
  job: 'throughput',
  server: 'tcp',
  contenders: RECEIVERS,
  metric: 'cpu',
  goals: times(factor),
  ...rest,
  workload: { ...RECEIVE, ...workload },
});
