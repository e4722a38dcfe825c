/** Prints results as tables. */
import type { Contender, Metric } from '../client/task.ts';
import type { Result } from '../run/runner.ts';
import type { Goal } from '../scenarios.ts';
import { bestMqttjs, factor, judge, medianOf } from './goals.ts';
import { digits, inUnit, spread, unitOf } from './units.ts';

const DETAILS: readonly Metric[] = [
  'rate',
  'writes',
  'reads',
  'peak',
  'allocated',
  'buffers',
  'heap',
  'external',
  'modules',
];

type Row = Readonly<Record<string, string>>;

/** Rows as aligned text. */
export function aligned(rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [names, ...rows.map((row) => names.map((name) => row[name] ?? '-'))];
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map((line) =>
      line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
    )
    .join('\n');
}

export function goalText(goal: Goal): string {
  if ('times' in goal)
    return `${goal.times}x ${goal.metric === 'rate' ? 'the rate' : `less ${unitOf(goal.metric)}`}${goal.than === undefined ? '' : ` than ${goal.than}`}`;
  if ('atMost' in goal) return `<= ${inUnit(goal.metric, goal.atMost)} ${unitOf(goal.metric)}`;
  return `<= ${goal.within} times ${goal.of}`;
}

/** The figure of `contender` that the first goal is about. */
const main = ({ scenario, contenders }: Result, contender: Contender): string => {
  const { metric } = scenario.goals[0];
  return spread(metric, contenders[contender]?.[metric]);
};

/** One row per scenario: the main figure of each contender, ratios and goals. */
export function ratios(results: readonly Result[]): Row[] {
  const present = (contender: Contender): boolean =>
    results.some(({ contenders }) => contenders[contender] !== undefined);
  const columns = (
    ['base', 'ours', 'lean', 'callback', 'promise', 'nodelay', 'libmosquitto'] as const
  ).filter(present);
  return results.map((result) => {
    const { scenario } = result;
    const { metric } = scenario.goals[0];
    const ours = medianOf(result, 'ours', metric);
    const verdicts = scenario.goals.flatMap((goal) => judge(goal, result, results) ?? []);
    return {
      scenario: scenario.id,
      figure: unitOf(metric),
      ...Object.fromEntries(columns.map((contender) => [contender, main(result, contender)])),
      ...(present('base') && { 'base/ours': ratio(factor(metric, ours, medianOf(result, 'base', metric))) }),
      'MQTT.js/ours': ratio(factor(metric, ours, bestMqttjs(result, metric))),
      ...(present('libmosquitto') && {
        'C/ours': ratio(factor(metric, ours, medianOf(result, 'libmosquitto', metric))),
      }),
      goals: verdicts.map(({ goal, isMet, value }) => verdict(goal, isMet, value)).join(', '),
    };
  });
}

const ratio = (value: number): string => (Number.isNaN(value) ? '-' : `${digits(value)}x`);

function verdict(goal: Goal, isMet: boolean, value: number): string {
  if (isMet) return goalText(goal);
  return `${goalText(goal)} MISSED (${'atMost' in goal ? inUnit(goal.metric, value) : digits(value)})`;
}

/** One row per scenario and contender: everything else that was measured. */
export function details(results: readonly Result[]): Row[] {
  return results.flatMap(({ scenario, contenders }) =>
    Object.entries(contenders).map(([contender, measured]) => ({
      scenario: scenario.id,
      contender,
      ...Object.fromEntries(
        DETAILS.map((metric) => [unitOf(metric), inUnit(metric, measured[metric]?.median)]),
      ),
      server: inUnit('server', measured.server?.median),
    })),
  );
}

export function report(results: readonly Result[]): void {
  console.log('\nMedians of all runs. server: CPU µs of the null server for each.\n');
  console.log(aligned(details(results)));
  console.log('\nMedians (smallest–largest). CPU µs per message is CPU seconds per million messages.\n');
  console.log(aligned(ratios(results)));
}
