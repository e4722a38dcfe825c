/**
 * Compares mqtt-await with MQTT.js, and with libmosquitto if its development package is installed. See README.md.
 *
 *   npm run bench                          every scenario; half an hour
 *   npm run bench -- --quick               a few scenarios once, under a minute
 *   npm run bench -- --only pub-q1         scenarios whose id begins with this text; several with commas
 *   npm run bench -- --base DIR            also the package of another checkout, in the same run
 *   npm run bench -- --with ours,base      only these contenders
 *   npm run bench -- --profile DIR         mqtt-await only; a .cpuprofile per scenario in DIR
 */
import { availableParallelism, cpus } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Contender } from './client/task.ts';
import { killAll } from './run/children.ts';
import { buildPackages } from './run/packages.ts';
import { countOf, runOnce, runScenarios, type Machine } from './run/runner.ts';
import { Servers } from './run/servers.ts';
import { report } from './report/table.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    base: { type: 'string' },
    with: { type: 'string' },
    over: { type: 'string', default: 'tcp' },
    runs: { type: 'string' },
    scale: { type: 'string' },
    profile: { type: 'string' },
  },
});
const runs = Number(values.runs ?? (values.quick ? 1 : 5));
const scale = Number(values.scale ?? (values.quick ? 0.5 : 1));
const chosen = values.with?.split(',') as Contender[] | undefined;

function contendersOf({ contenders }: Scenario, { packages }: Machine): Contender[] {
  const all: Contender[] = packages.base === undefined ? [...contenders] : ['base', ...contenders];
  return all
    .filter(
      (contender) => contender !== 'libmosquitto' || (packages.libmosquitto !== undefined && !values.quick),
    )
    .filter((contender) => chosen?.includes(contender) ?? (contender !== 'lean' || !values.quick));
}

async function profile(machine: Machine, scenarios: readonly Scenario[], directory: string): Promise<void> {
  for (const scenario of scenarios) {
    const name = `${scenario.id}.cpuprofile`;
    const flags = [
      '--cpu-prof',
      '--cpu-prof-interval=200',
      `--cpu-prof-dir=${directory}`,
      `--cpu-prof-name=${name}`,
    ];
    const { cpu = NaN } = await runOnce(
      machine,
      scenario,
      'ours',
      countOf(scenario, 'ours', 4 * scale),
      flags,
    );
    console.log(`${cpu.toFixed(3)} s/M  ${name}`);
  }
}

const prefixes = values.only.split(',');
const scenarios = SCENARIOS.filter(
  ({ id, quick }) =>
    prefixes.some((prefix) => id.startsWith(prefix)) && (quick || !values.quick || values.only !== ''),
);
const packages = await buildPackages(values.base === undefined ? undefined : resolve(values.base));
const servers = new Servers(packages);
const machine = { packages, servers };
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    killAll();
    void servers.stop().finally(() => process.exit(1));
  });
try {
  if (values.profile === undefined) {
    const results = await runScenarios(machine, {
      scenarios,
      contenders: (scenario) => contendersOf(scenario, machine),
      runs,
      scale,
      allocations: values.quick ? ['ours', 'base'] : ['ours', 'base', 'lean', 'callback'],
    });
    report(results);
  } else await profile(machine, scenarios, resolve(values.profile));
  const model = cpus()[0]?.model ?? 'unknown';
  console.log(`Node ${process.version}, ${availableParallelism()} CPUs (${model}), ${runs} runs each`);
} finally {
  await servers.stop();
  packages.remove();
}
