import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type LocalBroker, startAedes } from '../support/aedes.ts';
import { leakGuard } from '../support/leaks.ts';
import { freePort } from '../support/mosquitto.ts';
import { type Installed, installBuilt } from '../package/built-package.ts';
import { endPrograms, startNode, startProgram } from './children.ts';

/*
 * Programs end when their work is done: nothing of the client keeps a process alive. None of them calls process.exit().
 */

const LONG = 60_000;

let broker: LocalBroker;
let published: string[];

beforeEach(async () => {
  broker = await startAedes();
  published = [];
  broker.aedes.on('publish', ({ topic, payload }) => {
    if (topic.startsWith('spec/')) published.push(payload.toString());
  });
});

afterEach(async () => {
  await endPrograms();
  await broker.close();
});

leakGuard();

describe('a program', () => {
  it(
    'that connects, publishes and disconnects ends by itself',
    async () => {
      const { code, lines, complaint } = await startProgram('publishes-and-disconnects', broker.url).ended;
      expect({ code, lines, complaint }).toEqual({ code: 0, lines: ['done'], complaint: '' });
      expect(published).toEqual(['published']);
    },
    LONG,
  );

  it(
    'ends when its client goes out of scope, with a subscription open',
    async () => {
      const { code, lines, complaint } = await startProgram('leaves-its-scope', broker.url).ended;
      expect({ code, lines, complaint }).toEqual({ code: 0, lines: ['published', 'done'], complaint: '' });
    },
    LONG,
  );

  it(
    'that finds nobody to connect to ends with an error it can catch',
    async () => {
      const url = `mqtt://127.0.0.1:${await freePort()}`;
      const { code, lines, complaint } = await startProgram('never-connects', url).ended;
      expect({ code, lines, complaint }).toEqual({ code: 0, lines: ['ConnectError'], complaint: '' });
    },
    LONG,
  );

  it(
    'that gives one signal to many calls at once is not warned of a leak',
    async () => {
      const { code, lines, complaint } = await startProgram('one-signal', broker.url).ended;
      expect({ code, lines, complaint }).toEqual({ code: 0, lines: ['20'], complaint: '' });
    },
    LONG,
  );

  it(
    'that transfers the memory of payloads away too early loses those messages, and goes on',
    async () => {
      const { code, lines, complaint } = await startProgram('takes-payloads-back', broker.url).ended;
      // Up to 16 KiB they are copied as they are published.
      const small = Array.from({ length: 3 }, () => 'published');
      const large = Array.from({ length: 9 }, () => 'not-sent');
      expect({ code, lines, complaint }).toEqual({
        code: 0,
        lines: [...small, ...large, '0'],
        complaint: '',
      });
      expect(published).toEqual(['published']);
    },
    LONG,
  );

  it(
    'that throws in its loop ends with its own error',
    async () => {
      const { code, complaint } = await startProgram('breaks-off', broker.url).ended;
      expect(code).toBe(1);
      expect(complaint).toContain('a mistake with published');
    },
    LONG,
  );
});

describe('the built package', () => {
  let installed: Installed;

  beforeAll(async () => {
    installed = await installBuilt();
  }, LONG);

  afterAll(() => installed.remove());

  /** Runs a program that has the package installed. */
  const run = async (name: string, source: string): Promise<unknown> => {
    const path = join(installed.directory, name);
    writeFileSync(path, source);
    const { code, lines, complaint } = await startNode([path, broker.url], installed.directory).ended;
    return { code, lines, complaint };
  };

  const USE = `
    const client = await connect(process.argv[2]);
    const subscription = await client.subscribe('spec/+', { qos: 1 });
    await client.publish('spec/ending', 'built', { qos: 1 });
    for await (const message of subscription) {
      console.log(message.text());
      message.ack();
      break;
    }
    await client.disconnect();
    console.log(typeof encode, new MqttError('ERR_MQTT_CLOSED', 'a').name);`;

  const OUTCOME = { code: 0, lines: ['built', 'function MqttError'], complaint: '' };

  it(
    'is imported by its name, and its codec by its own',
    async () => {
      const imports =
        "import { connect, MqttError } from 'mqtt-await'; import { encode } from 'mqtt-await/codec';";
      expect(await run('program.mjs', imports + USE)).toEqual(OUTCOME);
    },
    LONG,
  );

  it(
    'is loaded by require() without a warning',
    async () => {
      const requires =
        "const { connect, MqttError } = require('mqtt-await'); const { encode } = require('mqtt-await/codec');";
      const main = `(async () => {${USE}\n})();`;
      expect(await run('program.cjs', requires + main)).toEqual(OUTCOME);
    },
    LONG,
  );

  it('loads neither ws nor TLS where a program does not use them', async () => {
    const source = `
      import 'mqtt-await';
      console.log(process.moduleLoadList.filter((name) => /NativeModule (tls|_tls_wrap|https)$/.test(name)).join());`;
    expect(await run('light.mjs', source)).toEqual({ code: 0, lines: [''], complaint: '' });
  });
});
