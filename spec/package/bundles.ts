import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { build, type BuildOptions, stop } from 'esbuild';
import { type Ended, endPrograms, startNode } from '../network/children.ts';
import { type LocalBroker, startAedes } from '../support/aedes.ts';
import { watchLeaks } from '../support/leaks.ts';
import { SocksProxy } from '../support/socks-proxy.ts';
import { type Installed, installedPackage } from './built-package.ts';

/*
 * A program that is bundled with the package by esbuild, without special settings: docs/bundling.md. The packages socks
 * and proxy-from-env are not installed.
 */

const LONG = 180_000;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const MAIN = `
  async function main([, , ...servers]) {
    for (const server of servers) await use(...server.split(' by ')).catch(report);
  }
  async function use(url, proxy) {
    const client = await connect(url, { ...(proxy && { proxy }) });
    const subscription = await client.subscribe('spec/+', { qos: 1 });
    await client.publish('spec/a', 'from a bundle', { qos: 1 });
    console.log((await subscription.receive()).text());
    await client.disconnect();
  }
  const report = (error) => console.log(error.name, error.phase, error.message);
  main(process.argv);
`;

const SUCCESS = 'from a bundle';
const IMPORTS = `import { connect } from 'mqtt-await';${MAIN}`;
const REQUIRES = `const { connect } = require('mqtt-await');${MAIN}`;

/** Defines \`require()\` in an ES module, for packages that are not ES modules. */
const BANNER = {
  js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
};

/** How a bundle reaches its broker. */
type Way = 'TCP' | 'WebSocket' | 'SOCKS' | 'environment';

interface Bundle {
  readonly program: string;
  readonly options: BuildOptions;
  /** Where it runs: without any package, with `socks` only, or with the dependencies of the package. */
  readonly place: 'bare' | 'with socks' | 'installed';
  /** One after the other. */
  readonly ways: readonly Way[];
}

const CJS = { format: 'cjs' } as const;
const ESM = { format: 'esm' } as const;
const ALL = ['TCP', 'WebSocket', 'SOCKS', 'environment'] as const;

/** Each is made once, and uses all its ways in one process. */
const BUNDLES = {
  'CommonJS that imports': { program: IMPORTS, options: CJS, place: 'bare', ways: ALL },
  'CommonJS that requires': { program: REQUIRES, options: CJS, place: 'bare', ways: ALL },
  'an ES module that imports': { program: IMPORTS, options: ESM, place: 'bare', ways: ALL },
  'with socks: CommonJS that imports': {
    program: IMPORTS,
    options: CJS,
    place: 'with socks',
    ways: ['SOCKS'],
  },
  'with socks: CommonJS that requires': {
    program: REQUIRES,
    options: CJS,
    place: 'with socks',
    ways: ['SOCKS'],
  },
  'with socks: an ES module that imports': {
    program: IMPORTS,
    options: ESM,
    place: 'with socks',
    ways: ['SOCKS'],
  },
  'with ws: an ES module': {
    program: IMPORTS,
    options: ESM,
    place: 'installed',
    ways: ['TCP', 'WebSocket'],
  },
  'with require(): an ES module': {
    program: IMPORTS,
    options: { ...ESM, banner: BANNER },
    place: 'bare',
    ways: ['WebSocket'],
  },
} as const satisfies Readonly<Record<string, Bundle>>;
type Name = keyof typeof BUNDLES;

/** What a bundle did. */
interface Outcome extends Ended {
  readonly warnings: readonly unknown[];
  /** Requests at its own SOCKS proxy. */
  readonly asked: number;
}

const temporary: string[] = [];
function directoryOf({ place }: Bundle, { directory }: Installed): string {
  if (place === 'installed') return directory;
  const path = mkdtempSync(join(tmpdir(), 'mqtt-await-bundle-'));
  temporary.push(path);
  if (place === 'with socks') {
    mkdirSync(join(path, 'node_modules'));
    symlinkSync(join(ROOT, 'node_modules/socks'), join(path, 'node_modules/socks'), 'junction');
  }
  return path;
}

/** Makes a bundle, and runs it. */
async function run(bundle: Bundle, installed: Installed, brokers: Brokers): Promise<Outcome> {
  const { program, options, ways } = bundle;
  const directory = directoryOf(bundle, installed);
  const entry = join(installed.directory, program === IMPORTS ? 'program.mjs' : 'program.cjs');
  const outfile = join(directory, options.format === 'esm' ? 'bundle.mjs' : 'bundle.cjs');
  const { warnings } = await build({
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    target: 'node20',
    logLevel: 'silent',
    outfile,
    ...options,
  });
  const proxy = await SocksProxy.start();
  try {
    const servers = {
      TCP: brokers.tcp.url,
      WebSocket: brokers.webSockets.url,
      SOCKS: `${brokers.tcp.url} by ${proxy.url}`,
      environment: `${brokers.tcp.url} by environment`,
    };
    const ended = await startNode([outfile, ...ways.map((way) => servers[way])], directory).ended;
    return { ...ended, warnings, asked: proxy.asked.length };
  } finally {
    await proxy.close();
  }
}

interface Brokers {
  readonly tcp: LocalBroker;
  readonly webSockets: LocalBroker;
}

/** Runs all bundles. */
async function runAll(): Promise<ReadonlyMap<Name, Outcome>> {
  const installed = await installedPackage();
  writeFileSync(join(installed.directory, 'program.mjs'), IMPORTS);
  writeFileSync(join(installed.directory, 'program.cjs'), REQUIRES);
  const leaked = watchLeaks();
  const brokers = { tcp: await startAedes(), webSockets: await startAedes({ over: 'ws' }) };
  try {
    const names = Object.keys(BUNDLES) as Name[];
    const runs = names.map(async (name) => [name, await run(BUNDLES[name], installed, brokers)] as const);
    return new Map(await Promise.all(runs));
  } finally {
    await endPrograms();
    await brokers.tcp.close();
    await brokers.webSockets.close();
    for (const directory of temporary) rmSync(directory, { recursive: true });
    // esbuild is a process of its own.
    await stop();
    expect(await leaked()).toEqual([]);
  }
}

/** Call it in a `describe`. */
export function describeBundles(): void {
  let outcomes: ReadonlyMap<Name, Outcome>;

  /** What a bundle printed for these ways, if it was made without a warning and ended well. */
  const told = (name: Name, ...ways: readonly Way[]): unknown => {
    const { code, complaint, warnings, lines } = outcomes.get(name) as Outcome;
    expect({ code, complaint, warnings }).toEqual({ code: 0, complaint: '', warnings: [] });
    const all: readonly Way[] = BUNDLES[name].ways;
    expect(lines).toHaveLength(all.length);
    return ways.map((way) => lines[all.indexOf(way)]);
  };

  beforeAll(async () => {
    outcomes = await runAll();
  }, LONG);

  describe.each([
    ['that imports', 'CommonJS that imports'],
    ['that requires', 'CommonJS that requires'],
  ] as const)('a bundle as CommonJS of a program %s the package', (_, name) => {
    it('runs on its own, over TCP and WebSocket', () => {
      expect(told(name, 'TCP', 'WebSocket')).toEqual([SUCCESS, SUCCESS]);
    });
  });

  describe('a bundle as an ES module', () => {
    it('runs on its own over TCP, and loads ws from where it runs', () => {
      expect(told('with ws: an ES module', 'TCP', 'WebSocket')).toEqual([SUCCESS, SUCCESS]);
    });

    it('names the missing package', () => {
      const needsWs =
        'ConnectError websocket no connection: WebSocket needs the package ws, which is not installed: npm install ws';
      expect(told('an ES module that imports', 'TCP', 'WebSocket')).toEqual([SUCCESS, needsWs]);
    });

    it('runs on its own over WebSocket, too, if it defines require()', () => {
      expect(told('with require(): an ES module', 'WebSocket')).toEqual([SUCCESS]);
    });
  });

  describe.each([
    ['an ES module that imports'],
    ['CommonJS that imports'],
    ['CommonJS that requires'],
  ] as const)('a bundle as %s the package', (name) => {
    it('names the missing optional package', () => {
      const needs = (use: string, missing: string) =>
        `ConnectError dial no connection: proxy: ${use} needs the package ${missing}, which is not installed: npm install ${missing}`;
      expect(told(name, 'SOCKS', 'environment')).toEqual([
        needs('SOCKS', 'socks'),
        needs('"environment"', 'proxy-from-env'),
      ]);
    });

    it('loads an optional package from where it runs', () => {
      expect(told(`with socks: ${name}`, 'SOCKS')).toEqual([SUCCESS]);
      expect(outcomes.get(`with socks: ${name}`)?.asked).toBe(1);
    });
  });
}
