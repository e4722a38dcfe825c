import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { type Installed, installedPackage } from './built-package.ts';

/*
 * The declarations compile where the package is installed, with `skipLibCheck: false`, in ES modules and in CommonJS, with
 * the compilers and settings of applications.
 */

const LONG = 180_000;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const COMPILE = fileURLToPath(new URL('compile.cjs', import.meta.url));

/** Uses everything that an application needs, so that all exports are found and fit. */
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
  const store: SessionStore = levelStore('./outbox', { scope: undefined, sync: undefined });
  for (const { name, check } of storePromises({ make: () => store })) take(name, check);
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
import { levelStore, type SessionStore } from 'mqtt-await/store';
import { storePromises } from 'mqtt-await/store/conformance';
${USE}`;

const REQUIRE = `
import mqtt = require('mqtt-await');
import codec = require('mqtt-await/codec');
import stores = require('mqtt-await/store');
import conformance = require('mqtt-await/store/conformance');
const { ${NAMES} } = mqtt;
const { Decoder, encode } = codec;
const { levelStore } = stores;
const { storePromises } = conformance;
type SessionStore = stores.SessionStore;
type Client = mqtt.Client;
type MqttClient = mqtt.MqttClient;
type QoS = mqtt.QoS;
type Subscription = mqtt.Subscription;
type Packet = codec.Packet;
${USE}`;

const MODULES = { 'esm.mts': ESM, 'require.cts': REQUIRE };

/** Packages of compilers, by their versions. */
const COMPILERS = { '5.2': 'typescript-5.2', '5.9': 'typescript-5.9', '7': 'typescript' } as const;
type Version = keyof typeof COMPILERS;
type Compiler = (typeof COMPILERS)[Version];

let installed: Installed;
/** Error messages by the name of the application. */
type Messages = Readonly<Record<string, string>>;

/** Writes an application that has the package installed. Returns its directory. */
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

/** Compiles applications in one process. Returns the error messages of each. */
async function compile(compiler: Compiler, directories: readonly string[]): Promise<readonly string[]> {
  const path = join(ROOT, 'node_modules', compiler);
  if (compiler === 'typescript') return build(join(path, 'bin/tsc'), directories);
  // Each function runs a few times only: it is not worth optimizing it.
  const { stdout } = await run(process.execPath, ['--no-opt', COMPILE, path, ...directories]);
  return JSON.parse(stdout) as string[];
}

/** Compiles applications by the program of a compiler. */
async function build(tsc: string, directories: readonly string[]): Promise<readonly string[]> {
  const flags = ['-b', '--singleThreaded', '--pretty', 'false'];
  const stdout = await run(process.execPath, [tsc, ...flags, ...directories], {
    cwd: installed.directory,
  }).then(
    (ended) => ended.stdout,
    (error: { stdout: string }) => error.stdout,
  );
  // A message begins with its file, and goes on in lines with spaces in front.
  const messages = stdout.split(/^(?=\S)/m);
  const names = directories.map((directory) => `${basename(directory)}/`);
  // An error in the package itself is one for each application.
  const isCommon = (message: string): boolean => names.every((name) => !message.startsWith(name));
  return names.map((name) =>
    messages.filter((message) => message.startsWith(name) || isCommon(message)).join(''),
  );
}

/** Settings of the NestJS templates. */
const NESTJS = {
  target: 'es2022',
  emitDecoratorMetadata: true,
  experimentalDecorators: true,
  esModuleInterop: true,
};
/** `connect(7)` is the only mistake in any of them. */
const WRONG = "import { connect } from 'mqtt-await'; void connect(7);";

/** Applications in each module system, with and without exact optional properties, by name. */
function applications(compiler: Compiler): Record<string, string> {
  const exactOptionalPropertyTypes = true;
  const bundler = { module: 'esnext', moduleResolution: 'bundler', exactOptionalPropertyTypes };
  const nodenext = { ...NESTJS, module: 'nodenext', resolvePackageJsonExports: true };
  const node10 = { ...NESTJS, module: 'commonjs', moduleResolution: 'node10' };
  return {
    // If the oldest and the newest compiler agree, the one between does as well.
    ...(compiler !== 'typescript-5.9' && {
      node16: project(MODULES, { module: 'node16', exactOptionalPropertyTypes }),
      bundler: project({ 'bundled.ts': ESM }, bundler),
    }),
    nodenext: project({ ...MODULES, 'service.ts': ESM, 'wrong.mts': WRONG }, nodenext),
    // NestJS used it until version 10; TypeScript 7 has removed it.
    ...(compiler !== 'typescript' && { node10: project({ 'service.ts': ESM }, node10) }),
  };
}

/** Compiles the applications of one compiler. */
async function messagesOf(compiler: Compiler): Promise<Messages> {
  const projects = applications(compiler);
  const messages = await compile(compiler, Object.values(projects));
  return Object.fromEntries(Object.keys(projects).map((name, i) => [name, messages[i] as string]));
}

/** Call it in a `describe`. */
export function describeDeclarations(...versions: readonly Version[]): void {
  const compilers = versions.map((version) => [version, COMPILERS[version]] as const);
  let compiled: Readonly<Record<Compiler, Messages>>;

  beforeAll(async () => {
    installed = await installedPackage();
    installed.link('@types/node');
    // All compilers run at the same time.
    const entries = compilers.map(async ([, compiler]) => [compiler, await messagesOf(compiler)] as const);
    compiled = Object.fromEntries(await Promise.all(entries)) as Record<Compiler, Messages>;
  }, LONG);

  describe.each(compilers)('TypeScript %s', (_, compiler) => {
    it('compiles ES modules and CommonJS modules under node16, and an application for a bundler', () => {
      const { node16, bundler } = compiled[compiler];
      const expected = compiler === 'typescript-5.9' ? undefined : '';
      expect([node16, bundler]).toEqual([expected, expected]);
    });

    it('compiles a service under nodenext, and finds a mistake in it', () => {
      expect(compiled[compiler]['nodenext']?.trim().split(/\n(?=\S)/)).toEqual([
        expect.stringMatching(/^[^\n]*wrong\.mts.*TS2345/),
      ]);
    });

    it('compiles a service under node10, if the compiler supports it', () => {
      expect(compiled[compiler]['node10']).toBe(compiler === 'typescript' ? undefined : '');
    });
  });
}
