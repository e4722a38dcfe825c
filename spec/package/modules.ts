import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { endPrograms, startNode } from '../network/children.ts';
import { type LocalBroker, startAedes } from '../support/aedes.ts';
import { freePort } from '../support/ports.ts';
import { leakGuard, watchLeaks } from '../support/leaks.ts';
import { type Installed, installedPackage } from './built-package.ts';

/*
 * The package by `import`, by `require()`, and in Jest without settings.
 */

const LONG = 180_000;
const JEST = fileURLToPath(new URL('../../node_modules/jest/bin/jest.js', import.meta.url));

let installed: Installed;
let broker: LocalBroker;
/** The URL of a server that does not exist. */
let nowhere: string;

/** What a program found out: the result of each of its functions, or the error. */
type Facts = Readonly<Record<string, unknown>>;

/** Reports what each function of `facts` returns, one after the other. Each fails on its own. */
const REPORT = `
  async function report(facts) {
    const found = {};
    for (const [name, find] of Object.entries(facts))
      found[name] = await (async () => find())().catch((error) => String(error.stack));
    console.log(JSON.stringify(found));
  }`;

/** Stores a record, and opens the store twice. */
const STORE = `
  const store = levelStore('./outbox');
  await store.open('a');
  await store.commit([{ type: 'put', key: 'k', value: new Uint8Array(1) }], { sync: true });
  const records = await store.read({ after: '', before: '~', limit: 10 });
  const error = await levelStore('./outbox').open('a').catch((error) => error);
  await store.clear();
  await store.close();
  return [...records.map(({ key }) => key), error.code];`;

/** Before the packages for the store are installed. */
const IMPORTS = `
  import { connect, MqttError, StoreError } from 'mqtt-await';
  const heavy = () =>
    process.moduleLoadList.filter((name) => /NativeModule (tls|_tls_wrap|https|worker_threads|dns)$/.test(name));
  const loadedAtFirst = heavy();
  const { readFileSync } = await import('node:fs');
  const { encode } = await import('mqtt-await/codec');
  const { levelStore } = await import('mqtt-await/store');
  const { storePromises } = await import('mqtt-await/store/conformance');
  ${REPORT}
  await report({
    loadedAtFirst: () => loadedAtFirst,
    imports: () => {
      const loaded = new Set();
      const follow = (url) => {
        if (loaded.has(url)) return;
        loaded.add(url);
        const text = readFileSync(new URL(url), 'utf8');
        for (const [, name] of text.matchAll(/^(?:import|export)\\b[^'"]*?["']([^"']+)["'];$/gm))
          if (name.startsWith('.')) follow(new URL(name, url).href);
          else loaded.add(name);
      };
      follow(import.meta.resolve('mqtt-await'));
      return [...loaded].filter((name) => !name.startsWith('file:')).sort();
    },
    message: async () => {
      const client = await connect(process.argv[2]);
      const subscription = await client.subscribe('spec/+', { qos: 1 });
      await client.publish('spec/a', 'built', { qos: 1 });
      let text;
      for await (const message of subscription) {
        text = message.text();
        message.ack();
        break;
      }
      await client.disconnect();
      return text;
    },
    names: () => [typeof encode, new MqttError('ERR_MQTT_CLOSED', 'a').name],
    storeAlone: async () => {
      const error = await levelStore('./outbox').open('a').catch((error) => error);
      return [error instanceof StoreError, error.message];
    },
    promises: async () => {
      const [promise] = storePromises({ make: () => { throw new Error('none'); } });
      return [promise.name, await promise.check().catch((error) => error.message)];
    },
  });`;

const STORE_IMPORTS = `
  import { levelStore } from 'mqtt-await/store';
  ${REPORT}
  await report({ store: async () => {${STORE}} });`;

const REQUIRES = `
  const required = require('mqtt-await');
  const loadedAtFirst = [
    ...process.moduleLoadList.filter((name) => /NativeModule (tls|_tls_wrap|https)$/.test(name)),
    ...Object.keys(require.cache).filter((path) => /[\\\\/]ws[\\\\/]/.test(path)),
  ];
  const { Client, connect, isPublishFailure } = required;
  const { encode, Decoder } = require('mqtt-await/codec');
  const { levelStore } = require('mqtt-await/store');
  const { storePromises } = require('mqtt-await/store/conformance');
  const nowhere = process.argv[3];
  ${REPORT}
  report({
    loadedAtFirst: () => loadedAtFirst,
    message: async () => {
      const client = await connect(process.argv[2]);
      const subscription = await client.subscribe('spec/+', { qos: 1 });
      await client.publish('spec/a', 'required', { qos: 1 });
      let text;
      await subscription.forEach(async (message) => {
        text = message.text();
        await subscription.stop();
      });
      await client.disconnect();
      return text;
    },
    failure: async () => {
      const error = await new Client(nowhere).publish('spec/a', 'x', { timeout: 1 }).catch((error) => error);
      return [isPublishFailure(error), error.name];
    },
    codec: () => [encode({ type: 'pingreq' }, 4).length, typeof Decoder],
    promises: () => storePromises({}).length,
    store: async () => {${STORE}},
    // Last: only this imports.
    both: async () => {
      const imported = await import('mqtt-await');
      const error = await new required.Client(nowhere).connect().catch((error) => error);
      const other = await new imported.Client(nowhere).connect().catch((error) => error);
      return {
        same: required.MqttError === imported.MqttError,
        connectErrors: [error instanceof imported.ConnectError, other instanceof required.ConnectError],
        timeoutErrors: [error instanceof imported.TimeoutError, other instanceof required.TimeoutError],
      };
    },
  });`;

/** Runs a program that has the package installed, and returns the facts that it reports. */
async function factsOf(name: string, source: string, flags: readonly string[] = []): Promise<Facts> {
  const path = join(installed.directory, name);
  writeFileSync(path, source);
  const { code, complaint, lines } = await startNode(
    [...flags, path, broker.url, nowhere],
    installed.directory,
  ).ended;
  expect({ code, complaint, lines }).toEqual({ code: 0, complaint: '', lines: [expect.any(String)] });
  return JSON.parse(lines[0] as string) as Facts;
}

/** Call it in a `describe`. */
export function describeModules(): void {
  let imports: Facts;
  let outboxWithoutPackage: boolean;
  let storeImports: Facts;
  let requires: Facts;

  beforeAll(async () => {
    installed = await installedPackage();
    const leaked = watchLeaks();
    broker = await startAedes();
    nowhere = `mqtt://127.0.0.1:${await freePort()}`;
    try {
      imports = await factsOf('imports.mjs', IMPORTS);
      outboxWithoutPackage = existsSync(join(installed.directory, 'outbox'));
      installed.link('classic-level');
      storeImports = await factsOf('store.mjs', STORE_IMPORTS);
      // As before Node.js could require() an ES module.
      requires = await factsOf('requires.cjs', REQUIRES, ['--no-experimental-require-module']);
    } finally {
      await endPrograms();
      await broker.close();
      expect(await leaked()).toEqual([]);
    }
  }, LONG);

  describe('import', () => {
    it('finds the package and its codec by their names', () => {
      expect(imports).toMatchObject({ message: 'built', names: ['function', 'MqttError'] });
    });

    it('finds the store, which names the package that a path needs', () => {
      expect(imports['storeAlone']).toEqual([
        true,
        'levelStore() with a path needs the package classic-level, which is not installed: npm install classic-level',
      ]);
      expect(outboxWithoutPackage).toBe(false);
      expect(storeImports['store']).toEqual(['k', 'ERR_MQTT_STORE_LOCKED']);
    });

    it('finds the promises of a store', () => {
      expect(imports['promises']).toEqual(['a new session is empty', 'none']);
    });

    it('loads no package, and of Node.js what every connection over TCP needs', () => {
      expect(imports['imports']).toEqual([
        'node:async_hooks',
        'node:net',
        'node:perf_hooks',
        'node:timers',
        'node:util',
      ]);
    });

    it('loads neither ws nor TLS when a program does not use them', () => {
      expect(imports['loadedAtFirst']).toEqual([]);
    });
  });

  describe('require()', () => {
    it('loads the whole package without loading an ES module', () => {
      expect(requires).toMatchObject({
        message: 'required',
        failure: [true, 'TimeoutError'],
        codec: [2, 'function'],
      });
    });

    it('loads neither ws nor TLS when a program does not use them', () => {
      expect(requires['loadedAtFirst']).toEqual([]);
    });

    it('finds the store', () => {
      expect(requires['promises']).toBeGreaterThanOrEqual(10);
      expect(requires['store']).toEqual(['k', 'ERR_MQTT_STORE_LOCKED']);
    });

    it("works together with import in one program: errors are instances of each other's classes", () => {
      expect(requires['both']).toEqual({
        same: false,
        connectErrors: [true, true],
        timeoutErrors: [false, false],
      });
    });
  });

  describe('Jest without settings', () => {
    beforeEach(async () => {
      broker = await startAedes();
    });

    afterEach(async () => {
      await endPrograms();
      await broker.close();
    });

    leakGuard();

    it(
      'runs tests that require() the package, over TCP and WebSocket',
      async () => {
        const webSockets = await startAedes({ over: 'ws' });
        try {
          const project = join(installed.directory, 'jest-project');
          const test = join(project, 'test/client.test.js');
          mkdirSync(dirname(test), { recursive: true });
          writeFileSync(join(project, 'package.json'), '{ "name": "service" }');
          writeFileSync(
            test,
            `
          const { connect, Client, ConnectError } = require('mqtt-await');
          const { encode } = require('mqtt-await/codec');

          test.each(${JSON.stringify([broker.url, webSockets.url])})('a message over %s', async (url) => {
            const client = await connect(url);
            const subscription = await client.subscribe('spec/+', { qos: 1 });
            await client.publish('spec/a', 'from Jest', { qos: 1 });
            expect((await subscription.receive()).text()).toBe('from Jest');
            await client.disconnect();
          });

          test('an error', async () => {
            await expect(new Client('${nowhere}').connect()).rejects.toBeInstanceOf(ConnectError);
            expect(encode({ type: 'pingreq' }, 4)).toHaveLength(2);
          });

          test('a proxy, and a package for it that is not installed', async () => {
            const client = new Client('${nowhere}', { proxy: ${JSON.stringify(
              broker.url.replace('mqtt:', 'socks5:'),
            )} });
            await expect(client.connect()).rejects.toThrow('npm install socks');
          });
        `,
          );
          const { code, complaint } = await startNode([JEST, '--rootDir', project, '--ci'], project).ended;
          expect({ code, complaint }).toEqual({
            code: 0,
            complaint: expect.stringMatching(/^Tests:\s+4 passed, 4 total$/m),
          });
        } finally {
          await webSockets.close();
        }
      },
      LONG,
    );
  });
}
