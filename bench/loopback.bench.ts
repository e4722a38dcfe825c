/**
 * Publishes and receives through a real TCP socket, compared with MQTT.js, with a server that answers at once.
 *
 *   npm run bench:loopback                      quick, under a minute
 *   npm run bench:loopback -- --full            more runs, more messages, more scenarios
 *   npm run bench:loopback -- --only "QoS 1"    scenarios with this text in their name
 *   npm run bench:loopback -- --over tls        over tls, ws or wss instead of tcp; the goals are for tcp
 *   npm run bench:loopback -- --profile DIR     mqtt-await only; writes a .cpuprofile per scenario to DIR
 *
 * Each run has its own process, and the contenders take turns. Read the ratios, the CPU ratios first: messages per
 * second depend on other load on the machine. The goals are for one run with `--full`.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { transformSync } from 'esbuild';
import { type Installed, installedPackage } from '../spec/package/built-package.ts';
import type { Scenario, Style } from './support/contenders.ts';
import type { Figures, Task } from './support/loopback-client.ts';
import type { Listening } from './support/null-server.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const STYLES: readonly Style[] = ['ours', 'callback', 'promise'];
/** ms after which a run counts as hanging. */
const PATIENCE = 60_000;

const { values } = parseArgs({
  options: {
    full: { type: 'boolean', default: process.env['BENCH_FULL'] === '1' },
    only: { type: 'string', default: '' },
    over: { type: 'string', default: 'tcp' },
    profile: { type: 'string' },
  },
});

interface Plan {
  readonly scenario: Scenario;
  /** Factor by which CPU time must be below that of the better style of MQTT.js. */
  readonly goal: number;
  /** Thousands of messages per run, ours and theirs, so that both take about the same time. */
  readonly thousands: readonly [number, number];
  /** Only with `--full`. */
  readonly extra?: true;
}

const publish = {
  direction: 'publish',
  qos: 0,
  payload: 64,
  window: 1_000,
  intake: 'loop',
  version: 4,
} as const;
const receive = { ...publish, direction: 'receive', window: 1 } as const;

const PLANS: readonly Plan[] = [
  { scenario: { ...publish, name: 'publish QoS 0, 1000 outstanding' }, goal: 20, thousands: [400, 40] },
  { scenario: { ...publish, name: 'publish QoS 0, await each', window: 1 }, goal: 10, thousands: [400, 60] },
  {
    scenario: { ...publish, name: 'publish QoS 1, window 20', qos: 1, window: 20 },
    goal: 3.5,
    thousands: [60, 20],
  },
  { scenario: { ...publish, name: 'publish QoS 1, window 1000', qos: 1 }, goal: 20, thousands: [300, 20] },
  { scenario: { ...receive, name: 'receive QoS 0, for await' }, goal: 6, thousands: [500, 80] },
  {
    scenario: { ...receive, name: 'receive QoS 0, batches', intake: 'batches' },
    goal: 10,
    thousands: [600, 80],
  },
  { scenario: { ...receive, name: 'receive QoS 1, for await', qos: 1 }, goal: 14, thousands: [300, 30] },
  {
    scenario: { ...publish, name: 'publish QoS 0, 100 outstanding', window: 100 },
    goal: 12,
    thousands: [400, 40],
    extra: true,
  },
  {
    scenario: { ...publish, name: 'publish QoS 0, 1 KiB', payload: 1_024 },
    goal: 10,
    thousands: [200, 40],
    extra: true,
  },
  {
    scenario: { ...publish, name: 'publish QoS 1, window 100', qos: 1, window: 100 },
    goal: 7,
    thousands: [150, 20],
    extra: true,
  },
  {
    scenario: { ...publish, name: 'publish QoS 1, await each', qos: 1, window: 1 },
    goal: 1.2,
    thousands: [5, 5],
    extra: true,
  },
  {
    scenario: { ...publish, name: 'publish QoS 2, 1000 outstanding', qos: 2 },
    goal: 18,
    thousands: [200, 15],
    extra: true,
  },
  {
    scenario: { ...receive, name: 'receive QoS 0, 1 KiB, for await', payload: 1_024 },
    goal: 5,
    thousands: [200, 60],
    extra: true,
  },
  {
    scenario: { ...publish, name: 'publish QoS 0 on 5.0', version: 5 },
    goal: 20,
    thousands: [400, 40],
    extra: true,
  },
  {
    scenario: { ...publish, name: 'publish QoS 1 on 5.0, window 1000', qos: 1, version: 5 },
    goal: 20,
    thousands: [300, 20],
    extra: true,
  },
  {
    scenario: { ...receive, name: 'receive QoS 0 on 5.0, for await', version: 5 },
    goal: 6,
    thousands: [500, 80],
    extra: true,
  },
];

const RUNS = values.full ? 7 : 3;
const SCALE = values.full ? 3 : 1;

const SCHEMES = { tcp: 'mqtt', tls: 'mqtts', ws: 'ws', wss: 'wss' } as const;

/** Options of the server, with a new certificate if it uses TLS. */
async function listen(directory: string): Promise<Listening> {
  const over = values.over as Listening['over'];
  if (SCHEMES[over] === undefined) throw new TypeError(`--over: expected tcp, tls, ws or wss, got ${over}`);
  if (over === 'tcp' || over === 'ws') return { over };
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const how = ['-x509', '-nodes', '-days', '1', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  await promisify(execFile)('openssl', ['req', ...how, ...subject, '-keyout', key, '-out', cert]);
  return { over, key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}

/** Builds the package as published, and writes the programs of the bench next to it. */
async function build(): Promise<Installed> {
  const installed = await installedPackage();
  try {
    const { directory } = installed;
    writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
    for (const name of ['mqtt', 'ws']) {
      const path = join(directory, 'node_modules', name);
      if (!existsSync(path)) symlinkSync(join(ROOT, 'node_modules', name), path, 'junction');
    }
    for (const name of ['contenders', 'loopback-client', 'null-server']) {
      const source = readFileSync(join(ROOT, `bench/support/${name}.ts`), 'utf8');
      const tsconfigRaw = { compilerOptions: { verbatimModuleSyntax: true } };
      const { code } = transformSync(source, { loader: 'ts', target: 'node20', tsconfigRaw });
      writeFileSync(join(directory, `${name}.js`), code.replaceAll(/(from "\.\/[\w-]+)\.ts"/g, '$1.js"'));
    }
  } catch (error) {
    installed.remove();
    throw error;
  }
  return installed;
}

/** Starts a program of the bench. Returns it with the first line that it prints. */
async function start(
  flags: readonly string[],
  program: string,
  argument: string,
): Promise<[ChildProcess, string]> {
  const child = spawn(process.execPath, [...flags, program, argument], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
  try {
    const ended = once(child, 'exit').then(([code, signal]: (number | string | null)[]) => {
      throw new Error(`${program} ended with ${code ?? signal}: ${argument}`);
    });
    ended.catch(() => {});
    const [line] = (await Promise.race([once(child.stdout, 'data'), ended])) as [Buffer];
    return [child, line.toString()];
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Directory, server and certificate that all runs share. */
interface Ring {
  readonly directory: string;
  readonly url: string;
  readonly ca?: string | undefined;
}

async function run(
  ring: Ring,
  plan: Plan,
  style: Style,
  messages: number,
  flags: readonly string[] = [],
): Promise<Figures> {
  const task: Task = {
    url: ring.url,
    ...(ring.ca !== undefined && { ca: ring.ca }),
    style,
    scenario: plan.scenario,
    warmUp: Math.ceil(messages / 2),
    messages,
  };
  const [child, line] = await start(flags, join(ring.directory, 'loopback-client.js'), JSON.stringify(task));
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return JSON.parse(line) as Figures;
}

/** Measures our allocations, with a young generation so large that nothing is collected. */
function allocations(ring: Ring, plan: Plan): Promise<Figures> {
  const flags = ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256'];
  return run(ring, plan, 'ours', Math.min(plan.thousands[0], 100) * 1_000, flags);
}

const median = (figures: readonly Figures[], key: keyof Figures): number => {
  const sorted = figures.map((figure) => figure[key]).toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
};

type Results = ReadonlyMap<Plan, Readonly<Record<Style, Figures[]>>>;

function row(
  plan: Plan,
  results: Readonly<Record<Style, Figures[]>>,
  allocated: Figures,
): Record<string, string> {
  const cpu = (style: Style): number => median(results[style], 'cpu');
  const rate = (style: Style): number => median(results[style], 'rate');
  const ratio = Math.min(cpu('callback'), cpu('promise')) / cpu('ours');
  const faster = rate('ours') / Math.max(rate('callback'), rate('promise'));
  return {
    '64 B by default': plan.scenario.name,
    'CPU s/M ours': cpu('ours').toFixed(3),
    'MQTT.js cb': cpu('callback').toFixed(2),
    promise: cpu('promise').toFixed(2),
    'less CPU': `${ratio.toFixed(1)}x`,
    goal: `${plan.goal}x${ratio < plan.goal ? ' missed' : ''}`,
    'msg/s ours': Math.round(rate('ours')).toLocaleString('en'),
    faster: `${faster.toFixed(1)}x`,
    'writes per 1000': median(results.ours, 'writes').toFixed(1),
    'theirs ': median(results.callback, 'writes').toFixed(0),
    'bytes per msg': `${allocated.heap.toFixed(0)} + ${Math.max(0, allocated.buffers).toFixed(0)}`,
  };
}

async function compare(ring: Ring, plans: readonly Plan[]): Promise<void> {
  const results: Results = new Map(plans.map((plan) => [plan, { ours: [], callback: [], promise: [] }]));
  for (let i = 0; i < RUNS; i++) {
    for (const [plan, figures] of results) {
      // Rotate the order, as the position within a round affects the figures.
      for (let s = 0; s < STYLES.length; s++) {
        const style = STYLES[(i + s) % STYLES.length]!;
        const thousands = plan.thousands[style === 'ours' ? 0 : 1] * SCALE;
        figures[style].push(await run(ring, plan, style, thousands * 1_000));
      }
    }
    process.stderr.write(`run ${i + 1} of ${RUNS}\n`);
  }
  const rows = [];
  for (const [plan, figures] of results) rows.push(row(plan, figures, await allocations(ring, plan)));
  console.table(rows);
  console.log(
    'CPU s/M: median CPU seconds of the client process per million messages; less CPU, faster: compared with the ' +
      'better style of MQTT.js; bytes per msg: allocated by mqtt-await, heap + buffers.',
  );
}

async function profile(ring: Ring, plans: readonly Plan[], directory: string): Promise<void> {
  for (const plan of plans) {
    const name = `${plan.scenario.name.replaceAll(/\W+/g, '-')}.cpuprofile`;
    const flags = [
      '--cpu-prof',
      '--cpu-prof-interval=200',
      `--cpu-prof-dir=${directory}`,
      `--cpu-prof-name=${name}`,
    ];
    const { cpu } = await run(ring, plan, 'ours', plan.thousands[0] * 5_000, flags);
    console.log(`${cpu.toFixed(3)} s/M  ${name}`);
  }
}

const plans = PLANS.filter(
  ({ scenario, extra }) => scenario.name.includes(values.only) && (values.full || extra === undefined),
);
const installed = await build();
let server: ChildProcess | undefined;
try {
  const { directory } = installed;
  const listening = await listen(directory);
  const [child, port] = await start([], join(directory, 'null-server.js'), JSON.stringify(listening));
  server = child;
  const ring = {
    directory,
    url: `${SCHEMES[listening.over]}://127.0.0.1:${port.trim()}`,
    ca: listening.cert,
  };
  if (values.profile === undefined) await compare(ring, plans);
  else await profile(ring, plans, resolve(values.profile));
  const model = cpus()[0]?.model ?? 'unknown';
  console.log(`Node ${process.version}, ${availableParallelism()} CPUs (${model}), ${RUNS} runs each`);
} finally {
  server?.kill();
  installed.remove();
}
