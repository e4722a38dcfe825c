/** Writes tables and charts of the documentation from the results. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../run/packages.ts';
import { SCENARIOS } from '../scenarios.ts';
import { MEMORY, PAUSES, scenariosOf, SWEEPS } from '../sweeps.ts';
import { comparison, growth } from './chart.ts';
import { load, type Origin } from './results.ts';
import { memoryRows, pauseRows, summaryRows, sweepRows, type Row } from './table.ts';

function markdown(rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = (row: readonly string[]): string => `| ${row.join(' | ')} |`;
  return [
    cells(names),
    cells(names.map((_, i) => (i === 0 ? '---' : '---:'))),
    ...rows.map((row) => cells(names.map((name) => row[name] ?? '-'))),
  ].join('\n');
}

function origin(origins: readonly Origin[]): string {
  const texts = origins.map(
    ({ date, node, machine, runs }) =>
      `${date}, Node ${node}, ${machine}, ${runs} ${runs === 1 ? 'run' : 'runs'} each`,
  );
  return `Measured: ${[...new Set(texts)].join('; ')}.`;
}

/** Replaces the text between two markers. */
function fill(page: string, name: string, content: string): string {
  const [begin, end] = [
    `<!-- ${name}: written by npm run bench -- --write-docs -->`,
    `<!-- end of ${name} -->`,
  ];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`expected the markers of ${name} in the page`);
  return `${page.slice(0, from + begin.length)}\n${content}\n${page.slice(to)}`;
}

const imageOf = (path: string): string =>
  `![CPU time per message of mqtt-await, MQTT.js and libmosquitto, by scenario](${path})`;

/** Replaces what has results; the rest of the page stays. */
export function writeDocs(path: string): void {
  const file = join(ROOT, 'docs/performance.md');
  let page = readFileSync(file, 'utf8');
  const scenarios = load(path, SCENARIOS);
  if (scenarios.results.length > 0) {
    const table = markdown(summaryRows(scenarios.results));
    const image = imageOf('performance.svg');
    page = fill(page, 'scenarios', `${image}\n\n${origin(scenarios.origins)}\n\n${table}`);
    const readme = join(ROOT, 'README.md');
    writeFileSync(readme, fill(readFileSync(readme, 'utf8'), 'chart', imageOf('docs/performance.svg')));
    writeFileSync(join(ROOT, 'docs/performance.svg'), comparison(scenarios.results));
  }
  const sweeps = load(path, SWEEPS.flatMap(scenariosOf));
  if (sweeps.results.length > 0) {
    const tables = SWEEPS.flatMap((sweep) => {
      const rows = sweepRows(sweep, sweeps.results);
      return rows.length === 0 ? [] : [`**${sweep.title}**, µs:\n\n${markdown(rows)}`];
    });
    const image =
      '![CPU time per message by number of topics, subscriptions, messages, clients and bytes](performance-growth.svg)';
    page = fill(page, 'sweeps', `${image}\n\n${origin(sweeps.origins)}\n\n${tables.join('\n\n')}`);
    writeFileSync(join(ROOT, 'docs/performance-growth.svg'), growth(SWEEPS, sweeps.results));
  }
  const memory = load(path, MEMORY);
  const pauses = load(path, PAUSES);
  if (memory.results.length + pauses.results.length > 0) {
    const tables = [memoryRows(memory.results), pauseRows(pauses.results)].filter((rows) => rows.length > 0);
    const content = tables.map(markdown).join('\n\n');
    page = fill(page, 'memory', `${origin([...memory.origins, ...pauses.origins])}\n\n${content}`);
  }
  writeFileSync(file, page);
}
