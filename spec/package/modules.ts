import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { endPrograms, startNode } from '../network/children.ts';
import { type LocalBroker, startAedes } from '../support/aedes.ts';
import { freePort } from '../support/ports.ts';
import { leakGuard } from '../support/leaks.ts';
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

/** Stores a record, and opens the store twice. */
const STORE = `
  const store = levelStore('./outbox');
  await store.open('a');
  await store.commit([{ type: 'put', key: 'k', value: new Uint8Array(1) }], { sync: true });
  for (const { key } of await store.read({ after: '', before: '~', limit: 10 })) console.log(key);
  console.log((await levelStore('./outbox').open('a').catch((error) => error)).code);
  await store.clear();
  await store.close();`;

/** Runs a program that has the package installed. */
async function run(name: string, source: string, flags: readonly string[] = []): Promise<unknown> {
  const path = join(installed.directory, name);
  writeFileSync(path, source);
  return startNode([...flags, path, broker.url, nowhere], installed.directory).ended;
}

/** Call it in a `describe`. */
export function describeModules(): void {
  beforeAll(async () => {
    installed = await installedPackage();
  }, LONG);

  beforeEach(async () => {
    broker = await startAedes();
    nowhere = `mqtt://127.0.0.1:${await freePort()}`;
  });

  afterEach(async () => {
    await endPrograms();
    await broker.close();
  });

  leakGuard();

  describe('import', () => {
    it(
      'finds the package and its codec by their names',
      async () => {
        const source = `
          import { connect, MqttError } from 'mqtt-await';
          import { encode } from 'mqtt-await/codec';
          const client = await connect(process.argv[2]);
          const subscription = await client.subscribe('spec/+', { qos: 1 });
          await client.publish('spec/a', 'built', { qos: 1 });
          for await (const message of subscription) {
            console.log(message.text());
            message.ack();
            break;
          }
          await client.disconnect();
          console.log(typeof encode, new MqttError('ERR_MQTT_CLOSED', 'a').name);`;
        expect(await run('program.mjs', source)).toEqual({
          code: 0,
          lines: ['built', 'function MqttError'],
          complaint: '',
        });
      },
      LONG,
    );

    it(
      'finds the store, which names the package that a path needs',
      async () => {
        const source = `
          import { StoreError } from 'mqtt-await';
          import { levelStore } from 'mqtt-await/store';
          const store = levelStore('./outbox');
          const error = await store.open('a').catch((error) => error);
          console.log(error instanceof StoreError, error.message);`;
        expect(await run('store-alone.mjs', source)).toEqual({
          code: 0,
          lines: [
            'true levelStore() with a path needs the package classic-level, which is not installed: npm install classic-level',
          ],
          complaint: '',
        });
        expect(existsSync(join(installed.directory, 'outbox'))).toBe(false);
        installed.link('classic-level');
        expect(await run('store.mjs', `import { levelStore } from 'mqtt-await/store';${STORE}`)).toEqual({
          code: 0,
          lines: ['k', 'ERR_MQTT_STORE_LOCKED'],
          complaint: '',
        });
      },
      LONG,
    );

    it(
      'finds the promises of a store',
      async () => {
        const source = `
          import { storePromises } from 'mqtt-await/store/conformance';
          const [promise] = storePromises({ make: () => { throw new Error('none'); } });
          console.log(promise.name, await promise.check().catch((error) => error.message));`;
        expect(await run('promises.mjs', source)).toEqual({
          code: 0,
          lines: ['a new session is empty none'],
          complaint: '',
        });
      },
      LONG,
    );

    it(
      'loads no package, and of Node.js what every connection over TCP needs',
      async () => {
        const source = `
          import { readFileSync } from 'node:fs';
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
          console.log([...loaded].filter((name) => !name.startsWith('file:')).sort().join(' '));`;
        expect(await run('static.mjs', source)).toEqual({
          code: 0,
          lines: ['node:async_hooks node:net node:perf_hooks node:timers node:util'],
          complaint: '',
        });
      },
      LONG,
    );

    it(
      'loads neither ws nor TLS when a program does not use them',
      async () => {
        const source = `
          import 'mqtt-await';
          console.log(process.moduleLoadList.filter((name) => /NativeModule (tls|_tls_wrap|https|worker_threads|dns)$/.test(name)).join());`;
        expect(await run('light.mjs', source)).toEqual({ code: 0, lines: [''], complaint: '' });
      },
      LONG,
    );
  });

  describe('require()', () => {
    it(
      'loads the whole package without loading an ES module',
      async () => {
        const source = `
        const { Client, connect, isPublishFailure } = require('mqtt-await');
        const { encode, Decoder } = require('mqtt-await/codec');
        (async () => {
          const client = await connect(process.argv[2]);
          const subscription = await client.subscribe('spec/+', { qos: 1 });
          await client.publish('spec/a', 'required', { qos: 1 });
          await subscription.forEach(async (message) => {
            console.log(message.text());
            await subscription.stop();
          });
          const offline = new Client(process.argv[3]);
          const error = await offline.publish('spec/a', 'x', { timeout: 1 }).catch((error) => error);
          console.log(isPublishFailure(error), error.name);
          await client.disconnect();
          console.log(encode({ type: 'pingreq' }, 4).length, typeof Decoder);
        })();`;
        // As before Node.js could require() an ES module.
        expect(await run('program.cjs', source, ['--no-experimental-require-module'])).toEqual({
          code: 0,
          lines: ['required', 'true TimeoutError', '2 function'],
          complaint: '',
        });
      },
      LONG,
    );

    it(
      'loads neither ws nor TLS when a program does not use them',
      async () => {
        const source = `
        require('mqtt-await');
        const loaded = process.moduleLoadList.filter((name) => /NativeModule (tls|_tls_wrap|https)$/.test(name));
        console.log(loaded.join() + Object.keys(require.cache).filter((path) => /[\\\\/]ws[\\\\/]/.test(path)).join());`;
        expect(await run('light.cjs', source)).toEqual({ code: 0, lines: [''], complaint: '' });
      },
      LONG,
    );

    it(
      'finds the store',
      async () => {
        installed.link('classic-level');
        const source = `
        const { levelStore } = require('mqtt-await/store');
        const { storePromises } = require('mqtt-await/store/conformance');
        if (storePromises({}).length < 10) throw new Error('too few');
        (async () => {${STORE}})();`;
        expect(await run('store.cjs', source, ['--no-experimental-require-module'])).toEqual({
          code: 0,
          lines: ['k', 'ERR_MQTT_STORE_LOCKED'],
          complaint: '',
        });
      },
      LONG,
    );

    it(
      "works together with import in one program: errors are instances of each other's classes",
      async () => {
        const source = `
        const required = require('mqtt-await');
        (async () => {
          const imported = await import('mqtt-await');
          const error = await new required.Client(process.argv[3]).connect().catch((error) => error);
          const other = await new imported.Client(process.argv[3]).connect().catch((error) => error);
          console.log(required.MqttError === imported.MqttError);
          console.log(error instanceof imported.ConnectError, other instanceof required.ConnectError);
          console.log(error instanceof imported.TimeoutError, other instanceof required.TimeoutError);
        })();`;
        expect(await run('both.cjs', source)).toEqual({
          code: 0,
          lines: ['false', 'true true', 'false false'],
          complaint: '',
        });
      },
      LONG,
    );
  });

  describe('Jest without settings', () => {
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
