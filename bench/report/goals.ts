/** Compares results with the goals. */
import type { Contender, Metric } from '../client/task.ts';
import type { Goal } from '../scenario.ts';
import type { Result } from '../run/runner.ts';

/** Units and digits of the metrics, and whether more is better. */
const MORE_IS_BETTER: ReadonlySet<Metric> = new Set(['rate']);

export interface Verdict {
  readonly goal: Goal;
  /** A factor for `times` and `within`, else the figure itself. */
  readonly value: number;
  readonly isMet: boolean;
}

export const medianOf = ({ contenders }: Result, contender: Contender, metric: Metric): number | undefined =>
  contenders[contender]?.[metric]?.median;

/** The better style of MQTT.js. */
export function bestMqttjs(result: Result, metric: Metric): number | undefined {
  const figures = (['callback', 'promise'] as const).flatMap(
    (contender) => medianOf(result, contender, metric) ?? [],
  );
  if (figures.length === 0) return undefined;
  return MORE_IS_BETTER.has(metric) ? Math.max(...figures) : Math.min(...figures);
}

/** How many times better `ours` is than `theirs`. */
export function factor(metric: Metric, ours: number | undefined, theirs: number | undefined): number {
  if (ours === undefined || theirs === undefined) return NaN;
  return MORE_IS_BETTER.has(metric) ? ours / theirs : theirs / ours;
}

/** Undefined if the run has no figures for the goal. */
export function judge(goal: Goal, result: Result, all: readonly Result[]): Verdict | undefined {
  const ours = medianOf(result, 'ours', goal.metric);
  if (ours === undefined) return undefined;
  if ('atMost' in goal) return { goal, value: ours, isMet: ours <= goal.atMost };
  if ('within' in goal) {
    const other = all.find(({ scenario }) => scenario.id === goal.of);
    const theirs = other && medianOf(other, 'ours', goal.metric);
    if (theirs === undefined) return undefined;
    const value = ours / theirs;
    return { goal, value, isMet: value <= goal.within };
  }
  const theirs =
    goal.than === undefined ? bestMqttjs(result, goal.metric) : medianOf(result, goal.than, goal.metric);
  const value = factor(goal.metric, ours, theirs);
  return Number.isNaN(value) ? undefined : { goal, value, isMet: value >= goal.times };
}
