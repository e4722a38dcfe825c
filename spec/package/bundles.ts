import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { build, type BuildOptions } from 'esbuild';
import { endPrograms, startNode } from '../network/children.ts';
import { type LocalBroker, startAedes } from '../support/aedes.ts';
import { leakGuard } from '../support/leaks.ts';
import { SocksProxy } from '../support/socks-proxy.ts';
import { type Installed, installedPackage } from './built-package.ts';

/*
 * A program that is bundled with the package by esbuild, without special settings: docs/bundling.md. The packages socks
 * and proxy-from-env are not installed.
 */

const LONG = 180_000;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const MAIN = `
  async function main([, , url, proxy]) {
    const client = await connect(url, { ...(proxy && { proxy }) });
    const subscription = await client.subscribe('spec/+', { qos: 1 });
    await client.publish('spec/a', 'from a bundle', { qos: 1 });
    console.log((await subscription.receive()).text());
    await client.disconnect();
  }
  main(process.argv).catch((error) => console.log(error.name, error.phase, error.message));
`;

const IMPORTS = `import { connect } from 'mqtt-await';${MAIN}`;
const REQUIRES = `const { connect } = require('mqtt-await');${MAIN}`;

/** Defines \`require()\` in an ES module, for packages that are not ES modules. */
const BANNER = {
  js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
};

let installed: Installed;
let broker: LocalBroker;
let webSockets: LocalBroker;
/** A directory without packages. */
let bare: string;

/** Bundles a program without warnings, and returns the path of the bundle. */
async function bundle(directory: string, program: string, options: BuildOptions): Promise<string> {
  const entry = join(installed.directory, program === IMPORTS ? 'program.mjs' : 'program.cjs');
  writeFileSync(entry, program);
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
  expect(warnings).toEqual([]);
  return outfile;
}

const run = (path: string, ...args: readonly string[]): Promise<unknown> =>
  startNode([path, ...args], bare).ended;

const SUCCESS = { code: 0, lines: ['from a bundle'], complaint: '' };
const failure = (line: string) => ({ code: 0, lines: [line], complaint: '' });

/** Call it in a `describe`. */
export function describeBundles(): void {
  beforeAll(async () => {
    installed = await installedPackage();
  }, LONG);

  beforeEach(async () => {
    broker = await startAedes();
    webSockets = await startAedes({ over: 'ws' });
    bare = mkdtempSync(join(tmpdir(), 'mqtt-await-bare-'));
  });

  afterEach(async () => {
    await endPrograms();
    await broker.close();
    await webSockets.close();
    rmSync(bare, { recursive: true });
  });

  leakGuard();

  describe.each([
    ['that imports', IMPORTS],
    ['that requires', REQUIRES],
  ])('a bundle as CommonJS of a program %s the package', (_, program) => {
    it(
      'runs on its own, over TCP and WebSocket',
      async () => {
        const path = await bundle(bare, program, { format: 'cjs' });
        const runs = [run(path, broker.url), run(path, webSockets.url)];
        expect(await Promise.all(runs)).toEqual([SUCCESS, SUCCESS]);
      },
      LONG,
    );
  });

  describe('a bundle as an ES module', () => {
    it(
      'runs on its own over TCP, and loads ws from where it runs',
      async () => {
        const path = await bundle(installed.directory, IMPORTS, { format: 'esm' });
        const runs = [run(path, broker.url), run(path, webSockets.url)];
        expect(await Promise.all(runs)).toEqual([SUCCESS, SUCCESS]);
      },
      LONG,
    );

    it(
      'names the missing package',
      async () => {
        const path = await bundle(bare, IMPORTS, { format: 'esm' });
        const runs = [run(path, broker.url), run(path, webSockets.url)];
        const needsWs = failure(
          'ConnectError websocket no connection: WebSocket needs the package ws, which is not installed: npm install ws',
        );
        expect(await Promise.all(runs)).toEqual([SUCCESS, needsWs]);
      },
      LONG,
    );

    it(
      'runs on its own over WebSocket, too, if it defines require()',
      async () => {
        const path = await bundle(bare, IMPORTS, { format: 'esm', banner: BANNER });
        expect(await run(path, webSockets.url)).toEqual(SUCCESS);
      },
      LONG,
    );
  });

  describe.each([
    ['an ES module that imports', IMPORTS, 'esm'],
    ['CommonJS that imports', IMPORTS, 'cjs'],
    ['CommonJS that requires', REQUIRES, 'cjs'],
  ] as const)('a bundle as %s the package', (_, program, format) => {
    it(
      'names the missing optional package',
      async () => {
        const path = await bundle(bare, program, { format });
        const needs = (use: string, name: string) =>
          failure(
            `ConnectError dial no connection: proxy: ${use} needs the package ${name}, which is not installed: npm install ${name}`,
          );
        const socks = broker.url.replace('mqtt:', 'socks5:');
        const runs = [run(path, broker.url, socks), run(path, broker.url, 'environment')];
        expect(await Promise.all(runs)).toEqual([
          needs('SOCKS', 'socks'),
          needs('"environment"', 'proxy-from-env'),
        ]);
      },
      LONG,
    );

    it(
      'loads an optional package from where it runs',
      async () => {
        mkdirSync(join(bare, 'node_modules'));
        symlinkSync(join(ROOT, 'node_modules/socks'), join(bare, 'node_modules/socks'), 'junction');
        const path = await bundle(bare, program, { format });
        const proxy = await SocksProxy.start();
        try {
          expect(await run(path, broker.url, proxy.url)).toEqual(SUCCESS);
          expect(proxy.asked).toHaveLength(1);
        } finally {
          await proxy.close();
        }
      },
      LONG,
    );
  });
}
