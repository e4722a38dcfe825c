/**
 * Compares mqtt-await with MQTT.js, and with libmosquitto if its development package is installed. See README.md.
 *
 *   npm run bench                          every scenario; half an hour
 *   npm run bench -- --quick               a few scenarios once, under a minute
 *   npm run bench -- --only pub-q1         what has an id that begins with this text; several with commas
 *   npm run bench -- --over tls            the scenarios of TCP over tls, ws or wss
 *   npm run bench -- --with ours,lean      only these contenders
 *   npm run bench -- --base DIR            also the package of another checkout, in the same run
 *   npm run bench -- --sweep [NAME]        how figures grow
 *   npm run bench -- --memory              what clients and messages hold, and the longest pauses
 *   npm run bench -- --store               clients with a store, and a backlog of 1,000,000 messages
 *   npm run bench -- --profile DIR         mqtt-await only; a .cpuprofile per scenario in DIR
 *   npm run bench -- --json FILE           writes the results to FILE instead of bench/results.json
 *   npm run bench -- --write-docs          runs nothing; fills docs/performance.md and its charts from the results
 *
 * `--runs N` and `--scale FACTOR` change the number of runs, and of messages per run.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Contender, Over } from './client/task.ts';
import { writeDocs } from './report/docs.ts';
import { originOf, RESULTS, save } from './report/results.ts';
import { aligned, memoryRows, pauseRows, report, storedRows, sweepRows } from './report/table.ts';
import { killAll } from './run/children.ts';
import { buildPackages } from './run/packages.ts';
import { countOf, runOnce, runScenarios, type Machine } from './run/runner.ts';
import { Servers } from './run/servers.ts';
import type { Scenario } from './scenario.ts';
import { STORED } from './stored.ts';
import { SCENARIOS } from './scenarios.ts';
import { MEMORY, PAUSES, scenariosOf, SWEEPS } from './sweeps.ts';

const OVER: readonly Over[] = ['tcp', 'tls', 'ws', 'wss'];

// `--sweep` may stand alone.
const args = process.argv.slice(2).flatMap((arg, i, all) => {
  const next = all[i + 1];
  return arg === '--sweep' && (next === undefined || next.startsWith('--')) ? ['--sweep='] : [arg];
});
const { values } = parseArgs({
  args,
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    base: { type: 'string' },
    with: { type: 'string' },
    over: { type: 'string' },
    runs: { type: 'string' },
    scale: { type: 'string' },
    sweep: { type: 'string' },
    memory: { type: 'boolean', default: false },
    store: { type: 'boolean', default: false },
    profile: { type: 'string' },
    json: { type: 'string' },
    'write-docs': { type: 'boolean', default: false },
  },
});
const isMain = values.sweep === undefined && !values.memory && !values.store;
const runs = positive('runs', values.runs ?? (values.quick ? '1' : isMain ? '5' : '3'));
const scale = positive('scale', values.scale ?? (values.quick ? '0.5' : '1'));
const chosen = values.with?.split(',') as Contender[] | undefined;
const over = values.over as Over | undefined;
if (over !== undefined && !OVER.includes(over)) usage(`--over: expected ${OVER.join(', ')}, got ${over}`);

function usage(text: string): never {
  console.error(text);
  process.exit(1);
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) usage(`--${name}: expected a number above 0, got ${text}`);
  return value;
}

function contendersOf({ contenders, server }: Scenario, { packages }: Machine): Contender[] {
  const all: Contender[] = packages.base === undefined ? [...contenders] : ['base', ...contenders];
  const hasC = packages.libmosquitto !== undefined && !values.quick && server === 'tcp';
  return all
    .filter((contender) => contender !== 'libmosquitto' || hasC)
    .filter((contender) => chosen?.includes(contender) ?? (contender !== 'lean' || !values.quick));
}

/** The scenarios that the arguments name. */
function named(): Scenario[] {
  const sweeps = SWEEPS.filter(({ name }) => values.sweep === '' || values.sweep === name);
  if (values.sweep !== undefined && sweeps.length === 0)
    usage(`--sweep: expected ${SWEEPS.map(({ name }) => name).join(', ')}, got ${values.sweep}`);
  const all = [
    ...(isMain ? SCENARIOS : sweeps.flatMap(scenariosOf)),
    ...(values.memory ? [...MEMORY, ...PAUSES] : []),
    ...(values.store ? STORED : []),
  ];
  const prefixes = values.only.split(',');
  const isPart = ({ id, quick }: Scenario): boolean =>
    prefixes.some((prefix) => id.startsWith(prefix)) &&
    (quick === true || !values.quick || values.only !== '' || !isMain);
  const found = all.filter(isPart);
  if (found.length === 0) usage(`--only: expected the beginning of ${all.map(({ id }) => id).join(', ')}`);
  return over === undefined
    ? found
    : // The goals are for TCP.
      found
        .filter(({ server }) => server === 'tcp')
        .map((scenario) => ({ ...scenario, server: over, goals: over === 'tcp' ? scenario.goals : [] }));
}

async function profile(machine: Machine, scenarios: readonly Scenario[], directory: string): Promise<void> {
  for (const scenario of scenarios) {
    const name = `${scenario.id.replaceAll('/', '-')}.cpuprofile`;
    const flags = [
      '--cpu-prof',
      '--cpu-prof-interval=200',
      `--cpu-prof-dir=${directory}`,
      `--cpu-prof-name=${name}`,
    ];
    const count = countOf(scenario, 'ours', 4 * scale);
    const { cpu = NaN } = await runOnce(machine, scenario, 'ours', count, flags);
    console.log(`${cpu.toFixed(3)} s/M  ${name}`);
  }
}

async function compare(machine: Machine, scenarios: readonly Scenario[]): Promise<void> {
  const results = await runScenarios(machine, {
    scenarios,
    contenders: (scenario) => contendersOf(scenario, machine),
    runs,
    scale,
    allocations: !isMain ? [] : values.quick ? ['ours', 'base'] : ['ours', 'base', 'lean', 'callback'],
  });
  const origin = originOf(runs, scale);
  const isWhole = !values.quick && values.base === undefined && chosen === undefined && over === undefined;
  if (values.json !== undefined) save(resolve(values.json), results, origin);
  else if (isWhole) save(RESULTS, results, origin);
  if (isMain) report(results);
  for (const sweep of SWEEPS) {
    const rows = sweepRows(sweep, results);
    if (rows.length > 0) console.log(`\n${sweep.title}, µs\n\n${aligned(rows)}`);
  }
  const memory = results.filter(({ scenario }) => MEMORY.includes(scenario));
  if (memory.length > 0) console.log(`\n${aligned(memoryRows(memory))}`);
  const pauses = results.filter(({ scenario }) => PAUSES.includes(scenario));
  if (pauses.length > 0) console.log(`\n${aligned(pauseRows(pauses))}`);
  const stored = results.filter(({ scenario }) => STORED.includes(scenario));
  if (stored.length > 0) console.log(`\n${aligned(storedRows(stored))}`);
  console.log(`\n${origin.date}, Node ${origin.node}, ${origin.machine}, ${runs} runs each`);
}

async function main(): Promise<void> {
  const scenarios = named();
  const packages = await buildPackages(values.base === undefined ? undefined : resolve(values.base));
  const servers = new Servers(packages);
  const machine = { packages, servers };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      killAll();
      void servers.stop().finally(() => process.exit(1));
    });
  try {
    if (values.profile === undefined) await compare(machine, scenarios);
    else await profile(machine, scenarios, resolve(values.profile));
  } finally {
    await servers.stop();
    packages.remove();
  }
}

if (values['write-docs']) writeDocs(values.json === undefined ? RESULTS : resolve(values.json));
else await main();
