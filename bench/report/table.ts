/** Prints results as tables. */
import type { Contender, Metric } from '../client/task.ts';
import type { Result } from '../run/runner.ts';
import type { Goal } from '../scenario.ts';
import { sweepId, type Sweep } from '../sweeps.ts';
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

export type Row = Readonly<Record<string, string>>;

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
  const { metric } = scenario;
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
    const { metric } = scenario;
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

/** One row per scenario for the documentation. */
export const summaryRows = (results: readonly Result[]): Row[] =>
  results.map((result) => {
    const { scenario, contenders } = result;
    const { metric } = scenario;
    const ours = medianOf(result, 'ours', metric);
    const best = bestMqttjs(result, metric);
    const style = contenders.callback?.[metric]?.median === best ? contenders.callback : contenders.promise;
    const other = (name: Contender): string => ratio(factor(metric, ours, medianOf(result, name, metric)));
    return {
      '': `${scenario.title} (\`${scenario.id}\`)`,
      figure: unitOf(metric),
      'mqtt-await': main(result, 'ours'),
      'options kept': main(result, 'lean'),
      'MQTT.js': spread(metric, style?.[metric]),
      'MQTT.js / ours': ratio(factor(metric, ours, best)),
      ...(metric === 'p50' && { 'MQTT.js / ours': `${other('callback')}, with noDelay ${other('nodelay')}` }),
      'libmosquitto / ours': other('libmosquitto'),
      'per s': inUnit('rate', contenders.ours?.rate?.median),
      'writes per 1000, ours / MQTT.js': `${inUnit('writes', contenders.ours?.writes?.median)} / ${inUnit('writes', style?.writes?.median)}`,
      'B allocated': inUnit('allocated', contenders.ours?.allocated?.median),
      'MiB peak': inUnit('peak', contenders.ours?.peak?.median),
    };
  });

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

/** One row per line of a sweep, one column per point. */
export function sweepRows(sweep: Sweep, results: readonly Result[]): Row[] {
  return sweep.lines.flatMap((line) => {
    const found = sweep.points.flatMap((x) => {
      const result = results.find(({ scenario }) => scenario.id === sweepId(sweep, line, x));
      return result === undefined ? [] : [{ x, result }];
    });
    const contenders = new Set(found.flatMap(({ result }) => Object.keys(result.contenders) as Contender[]));
    return [...contenders].map((contender) => ({
      [sweep.unit]: contender === 'ours' ? line.label : `${line.label}, ${contender}`,
      ...Object.fromEntries(
        found.map(({ x, result }) => [
          `at ${x.toLocaleString('en')}`,
          spread(sweep.metric, result.contenders[contender]?.[sweep.metric]),
        ]),
      ),
    }));
  });
}

const KINDS = ['rss', 'heap', 'external'] as const;

/** One row per kind of object and contender: bytes in memory for each. */
export const memoryRows = (results: readonly Result[]): Row[] =>
  results.flatMap(({ scenario, contenders }) =>
    (Object.keys(contenders) as Contender[]).map((contender) => ({
      'bytes of': scenario.title,
      in: nameOf(contender),
      ...Object.fromEntries(
        KINDS.map((metric) => {
          const value = contenders[contender]?.[metric]?.median;
          return [metric, value === undefined ? '-' : Math.round(value).toLocaleString('en')];
        }),
      ),
    })),
  );

/** One row per scenario of clients with a store. */
export const storedRows = (results: readonly Result[]): Row[] =>
  results.map((result) => {
    const { scenario, contenders } = result;
    const { ours = {} } = contenders;
    const verdicts = scenario.goals.flatMap((goal) => judge(goal, result, results) ?? []);
    return {
      store: scenario.title,
      'messages/s': spread('rate', ours.rate),
      'CPU µs': spread('cpu', ours.cpu),
      'peak RSS, MiB': spread('peak', ours.peak),
      'ms per 100,000': inUnit('ms', ours.rate === undefined ? undefined : 1e8 / ours.rate.median),
      'until connected, ms': inUnit('ms', ours.p50 === undefined ? undefined : ours.p50.median / 1_000),
      goals: verdicts.map(({ goal, isMet, value }) => verdict(goal, isMet, value)).join(', '),
    };
  });

export const pauseRows = (results: readonly Result[]): Row[] =>
  results.flatMap(({ scenario, contenders }) =>
    (Object.keys(contenders) as Contender[]).map((contender) => ({
      'garbage collection': scenario.title,
      in: nameOf(contender),
      messages: (contender === 'callback' ? scenario.counts[1] : scenario.counts[0]).toLocaleString('en'),
      'longest pause, ms': spread('longestPause', contenders[contender]?.longestPause),
      'all pauses, ms': spread('collecting', contenders[contender]?.collecting),
      'peak RSS, MiB': spread('peak', contenders[contender]?.peak),
    })),
  );

const nameOf = (contender: Contender): string =>
  contender === 'ours' ? 'mqtt-await' : contender === 'callback' ? 'MQTT.js' : contender;

export function report(results: readonly Result[]): void {
  console.log('\nMedians of all runs. server: CPU µs of the null server for each.\n');
  console.log(aligned(details(results)));
  console.log('\nMedians (smallest–largest). CPU µs per message is CPU seconds per million messages.\n');
  console.log(aligned(ratios(results)));
}
