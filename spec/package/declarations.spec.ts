import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Installed, installBuilt } from './built-package.ts';

/*
 * The declarations compile where the package is installed, with `skipLibCheck: false`: in ES modules and in CommonJS,
 * by the compilers and settings that applications have.
 */

const LONG = 60_000;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const COMPILE = fileURLToPath(new URL('compile.cjs', import.meta.url));

/** What is used in an application: everything that the package exports has to be found and to fit. */
const USE = `
interface Configuration {
  clientId: string | undefined;
  username: string | undefined;
  qos: QoS | undefined;
}
const configuration: Configuration = { clientId: undefined, username: undefined, qos: undefined };

async function main(): Promise<void> {
  const client: Client = await connect('mqtt://localhost:1883', {
    clientId: configuration.clientId,
    username: configuration.username,
    tls: undefined,
  });
  await client.publish('a', '1', { qos: configuration.qos, properties: { contentType: undefined } });
  const subscription: Subscription = await client.subscribe('a', { qos: configuration.qos });
  for await (const message of subscription) take(message);
  for await (const message of client.subscribe([{ topicFilter: 'b', qos: configuration.qos }])) take(message);
  for await (const outcome of client.publishMany([{ topic: 'a', payload: 'x', qos: configuration.qos }]))
    if (isPublishFailure(outcome.error)) take(outcome.error.delivery);
  const service: MqttClient = client;
  await service.drain();
  const packet: Packet | undefined = new Decoder().next();
  take(encode({ type: 'pingreq' }, 5), packet, new MqttError('ERR_MQTT_CLOSED', 'a').code);
}
function take(..._: unknown[]): void {}
void main;
`;
const NAMES = 'connect, isPublishFailure, MqttError';
const TYPES = 'Client, MqttClient, QoS, Subscription';

const ESM = `
import { ${NAMES}, type ${TYPES.replaceAll(', ', ', type ')} } from 'mqtt-await';
import { Decoder, encode, type Packet } from 'mqtt-await/codec';
${USE}`;

const REQUIRE = `
import mqtt = require('mqtt-await');
import codec = require('mqtt-await/codec');
const { ${NAMES} } = mqtt;
const { Decoder, encode } = codec;
type Client = mqtt.Client;
type MqttClient = mqtt.MqttClient;
type QoS = mqtt.QoS;
type Subscription = mqtt.Subscription;
type Packet = codec.Packet;
${USE}`;

const MODULES = { 'esm.mts': ESM, 'require.cts': REQUIRE };

const COMPILERS = [
  ['5.2', 'typescript-5.2'],
  ['5.9', 'typescript-5.9'],
  ['7', 'typescript'],
] as const;
type Compiler = (typeof COMPILERS)[number][1];

let installed: Installed;

beforeAll(async () => {
  installed = await installBuilt();
  installed.link('@types/node');
}, LONG);

afterAll(() => installed.remove());

/** Writes an application that has the package installed. Returns where. */
function project(
  sources: Readonly<Record<string, string>>,
  options: Readonly<Record<string, unknown>>,
): string {
  const directory = mkdtempSync(join(installed.directory, 'project-'));
  for (const [name, source] of Object.entries(sources)) writeFileSync(join(directory, name), source);
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2022', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    ...options,
  };
  const files = Object.keys(sources);
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  return directory;
}

const run = promisify(execFile);

/** What a compiler has to say about each of these applications. */
async function compile(compiler: Compiler, directories: readonly string[]): Promise<string[]> {
  const path = join(ROOT, 'node_modules', compiler);
  if (compiler !== 'typescript') {
    const { stdout } = await run(process.execPath, [COMPILE, path, ...directories]);
    return JSON.parse(stdout) as string[];
  }
  const said: string[] = [];
  for (const directory of directories)
    said.push(
      await run(process.execPath, [join(path, 'bin/tsc'), '-p', directory, '--pretty', 'false']).then(
        ({ stdout }) => stdout,
        (error: { stdout: string }) => error.stdout,
      ),
    );
  return said;
}

/** An application of each kind under each setting, by its name. */
function applications(): Record<string, string> {
  const made: Record<string, string> = {};
  for (const exactOptionalPropertyTypes of [true, false]) {
    const exact = exactOptionalPropertyTypes ? 'exact' : 'not exact';
    for (const module of ['node16', 'nodenext'])
      made[`${module}, ${exact}`] = project(MODULES, { module, exactOptionalPropertyTypes });
    const bundler = { module: 'esnext', moduleResolution: 'bundler', exactOptionalPropertyTypes };
    made[`bundler, ${exact}`] = project({ 'bundled.ts': ESM }, bundler);
  }
  return made;
}

const NESTJS = {
  target: 'es2022',
  emitDecoratorMetadata: true,
  experimentalDecorators: true,
  esModuleInterop: true,
};
/** What the templates of NestJS have had until version 10, and from 11 on. */
const NODE10 = { ...NESTJS, module: 'commonjs', moduleResolution: 'node10' };
const NODENEXT = { ...NESTJS, module: 'nodenext', resolvePackageJsonExports: true };

function services(compiler: Compiler): Record<string, string> {
  return {
    'service, nodenext': project({ 'service.ts': ESM }, NODENEXT),
    // TypeScript 7 has no node10 any more.
    ...(compiler !== 'typescript' && { 'service, node10': project({ 'service.ts': ESM }, NODE10) }),
  };
}

const WRONG = "import { connect } from 'mqtt-await'; void connect(7);";

describe.each(COMPILERS)('with TypeScript %s', (_, compiler) => {
  let said: Readonly<Record<string, string>>;

  beforeAll(async () => {
    const made = {
      ...applications(),
      ...services(compiler),
      wrong: project({ 'wrong.mts': WRONG }, NODENEXT),
    };
    const all = await compile(compiler, Object.values(made));
    said = Object.fromEntries(Object.keys(made).map((name, i) => [name, all[i] as string]));
  }, LONG);

  /** What the compiler has to say about the applications whose names begin so. */
  const about = (name: string): string[] =>
    Object.entries(said).flatMap(([one, text]) => (one.startsWith(name) ? [text] : []));

  it.each(['node16', 'nodenext'])('ES modules and CommonJS modules compile under %s', (module) => {
    expect(about(module)).toEqual(['', '']);
  });

  it('an application for a bundler compiles', () => {
    expect(about('bundler')).toEqual(['', '']);
  });

  it('a CommonJS service in the style of NestJS compiles', () => {
    expect(new Set(about('service'))).toEqual(new Set(['']));
  });

  it('what is wrong is found', () => {
    expect(about('wrong')).toEqual([expect.stringContaining('TS2345')]);
  });
});
