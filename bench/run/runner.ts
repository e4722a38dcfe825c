/** Runs scenarios: each run in a process of its own, contenders and scenarios in turn. */
import { join } from 'node:path';
import type { Contender, Figures, Job, Metric, Task } from '../client/task.ts';
import type { Scenario } from '../scenario.ts';
import { run } from './children.ts';
import type { Packages } from './packages.ts';
import type { Servers } from './servers.ts';

/** ms after which a run counts as hanging. */
const TIMEOUT = 120_000;

/** Allocations are measured with a young generation that holds everything. */
const ALLOCATION_FLAGS = ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256'];

/** Items of which half are run before the measurement. */
const MOST_WARM_UP = 600_000;

/** Items of a run that measures allocations. */
const MOST_ALLOCATED = 50_000;

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The figures of one contender over all runs. */
export type Measured = Readonly<Partial<Record<Metric, Spread>>>;

export interface Result {
  readonly scenario: Scenario;
  readonly contenders: Readonly<Partial<Record<Contender, Measured>>>;
}

export interface Machine {
  readonly packages: Packages;
  readonly servers: Servers;
}

export interface Plan {
  readonly scenarios: readonly Scenario[];
  readonly contenders: (scenario: Scenario) => readonly Contender[];
  readonly runs: number;
  /** Factor for the number of items of each run. */
  readonly scale: number;
  /** Whose allocations are measured. */
  readonly allocations: readonly Contender[];
}

export async function runScenarios(machine: Machine, plan: Plan): Promise<Result[]> {
  const { scenarios, runs, allocations } = plan;
  const all = scenarios.map((scenario) => ({
    scenario,
    figures: new Map(plan.contenders(scenario).map((contender) => [contender, [] as Figures[]])),
  }));
  let place = 0;
  for (let i = 0; i < runs; i++) {
    for (const { scenario, figures } of all) {
      progress(`${++place} of ${runs * all.length}  ${scenario.id}`);
      // Rotate the order, as the position within a round affects the figures.
      const order = [...figures.keys()];
      for (let c = 0; c < order.length; c++) {
        const contender = order[(i + c) % order.length]!;
        const count = countOf(scenario, contender, plan.scale);
        const measured = await runOnce(machine, scenario, contender, count);
        figures.get(contender)!.push(measured);
        note(contender, measured, scenario);
      }
      process.stderr.write('\n');
    }
  }
  for (const { scenario, figures } of all) {
    if (scenario.job !== 'throughput' || scenario.workload.payload > 65_536) continue;
    const measured = [...figures].filter(([contender]) => allocations.includes(contender));
    if (measured.length === 0) continue;
    progress(`allocations  ${scenario.id}\n`);
    for (const [contender, list] of measured) {
      const count = Math.min(countOf(scenario, contender, 1), MOST_ALLOCATED);
      list.push(await runOnce(machine, scenario, contender, count, ALLOCATION_FLAGS));
    }
  }
  return all.map(({ scenario, figures }) => ({
    scenario,
    contenders: Object.fromEntries([...figures].map(([contender, list]) => [contender, summary(list)])),
  }));
}

const progress = (text: string): boolean => process.stderr.write(text);

function note(contender: Contender, figures: Figures, { metric }: Scenario): void {
  const value = figures[metric];
  if (value !== undefined) progress(`  ${contender} ${value.toPrecision(3)}`);
}

const isMqttjs = (contender: Contender): boolean =>
  contender === 'callback' || contender === 'promise' || contender === 'nodelay';

export function countOf({ counts, job }: Scenario, contender: Contender, scale: number): number {
  const count = contender === 'libmosquitto' ? counts[2] : isMqttjs(contender) ? counts[1] : counts[0];
  // A figure per client depends on the number of clients.
  return job === 'idle' || job === 'import' ? count : Math.max(2, Math.ceil(count * scale));
}

/** Runs one contender once. */
export async function runOnce(
  { packages, servers }: Machine,
  scenario: Scenario,
  contender: Contender,
  count: number,
  flags: readonly string[] = [],
): Promise<Figures> {
  const { job, workload } = scenario;
  const directory = contender === 'base' ? packages.base! : packages.ours;
  if (job === 'import') {
    const name = isMqttjs(contender) ? 'mqtt' : 'mqtt-await';
    const args = [...flags, join(directory, 'import.js'), name];
    const line = await run(process.execPath, args, TIMEOUT, { ipc: false });
    const modules = await run(process.execPath, [...args, 'modules'], TIMEOUT, { ipc: false });
    return { ...(JSON.parse(line) as Figures), ...(JSON.parse(modules) as Figures) };
  }
  const server = await servers.get(scenario.server);
  const warmUp = needsWarmUp(job) ? Math.ceil(Math.min(count, MOST_WARM_UP) / 2) : 0;
  const { url, ca } = server;
  const task: Task = { job, url, ...(ca !== undefined && { ca }), contender, workload, warmUp, count };
  const cpu = await server.cpu();
  const line =
    contender === 'libmosquitto'
      ? await run(packages.libmosquitto!, libmosquittoArguments(task), TIMEOUT, { ipc: false })
      : await run(
          process.execPath,
          [...flags, ...extraFlags(scenario), join(directory, 'program.js'), JSON.stringify(task)],
          TIMEOUT,
        );
  const used = ((await server.cpu()) - cpu) / (warmUp + count);
  const figures = JSON.parse(line) as Figures;
  return flags.length > 0 || Number.isNaN(used) ? figures : { ...figures, server: used * 1e6 };
}

/** Jobs that compare memory before and after need a collection. */
const extraFlags = ({ job }: Scenario): string[] => (needsWarmUp(job) ? [] : ['--expose-gc']);

const needsWarmUp = (job: Job): boolean =>
  job === 'throughput' || job === 'pauses' || job === 'end-to-end' || job === 'ping-pong';

function libmosquittoArguments({ url, workload, warmUp, count }: Task): string[] {
  const { direction, qos, payload, window, topics, version } = workload;
  const port = new URL(url).port;
  return [port, direction, qos, payload, window, topics, version, warmUp, count].map(String);
}

function summary(list: readonly Figures[]): Measured {
  const metrics = new Set(list.flatMap((figures) => Object.keys(figures) as Metric[]));
  return Object.fromEntries(
    [...metrics].map((metric) => {
      const sorted = list.flatMap((figures) => figures[metric] ?? []).toSorted((a, b) => a - b);
      const spread: Spread = { median: sorted[sorted.length >> 1]!, min: sorted[0]!, max: sorted.at(-1)! };
      return [metric, spread];
    }),
  );
}
