/** The file that holds the results: each row with the run that it is from. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Result } from '../run/runner.ts';
import type { Scenario } from '../scenario.ts';

export const RESULTS = fileURLToPath(new URL('../results.json', import.meta.url));

/** The run that a row is from. */
export interface Origin {
  readonly date: string;
  readonly node: string;
  readonly machine: string;
  readonly runs: number;
  readonly scale: number;
}

interface Saved extends Origin {
  readonly contenders: Result['contenders'];
}

type File = Readonly<Record<string, Saved>>;

export const originOf = (runs: number, scale: number): Origin => ({
  date: new Date().toISOString().slice(0, 10),
  node: process.version,
  machine: `${availableParallelism()} cores, ${cpus()[0]?.model ?? 'unknown'}`,
  runs,
  scale,
});

const read = (path: string): File =>
  existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as File) : {};

/** Writes results. Rows of other scenarios stay. */
export function save(path: string, results: readonly Result[], origin: Origin): void {
  const rows = results.map(({ scenario, contenders }): [string, Saved] => [
    scenario.id,
    { ...origin, contenders },
  ]);
  const text = JSON.stringify({ ...read(path), ...Object.fromEntries(rows) }, (_, value: unknown) =>
    typeof value === 'number' ? Number(value.toPrecision(5)) : value,
  );
  // One row per line.
  writeFileSync(path, `${text.replaceAll(/("[^"]+":\{"date")/g, '\n  $1').replace(/\}$/, '\n}')}\n`);
}

export interface Loaded {
  readonly results: Result[];
  readonly origins: Origin[];
}

/** Reads the results of some scenarios. */
export function load(path: string, scenarios: readonly Scenario[]): Loaded {
  const file = read(path);
  const found = scenarios.flatMap((scenario) => {
    const saved = file[scenario.id];
    return saved === undefined ? [] : [{ scenario, saved }];
  });
  return {
    results: found.map(({ scenario, saved }) => ({ scenario, contenders: saved.contenders })),
    origins: found.map(({ saved }) => saved),
  };
}
