import { existsSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { programPath } from './program-path.ts';

export { programPath } from './program-path.ts';

/** Software that some specs need: its name and its programs. */
const PROGRAMS = {
  Mosquitto: ['mosquitto', 'mosquitto_sub'],
  OpenSSL: ['openssl'],
  // A compiler, and the headers of Mosquitto for its plugins.
  'mosquitto-dev': ['cc', '/usr/include/mosquitto_broker.h', '/usr/include/mosquitto.h'],
  ejabberd: ['ejabberdctl', 'erl'],
  NATS: ['nats-server'],
  RabbitMQ: ['rabbitmq-server', 'epmd'],
} as const;
type Name = keyof typeof PROGRAMS;

/** RabbitMQ takes longer to start than its specs to run: they run where this variable is 1, and fail without RabbitMQ. */
const RABBITMQ = 'MQTT_AWAIT_RABBITMQ';
/** Where this variable is 1, specs fail without any other software. */
const ALL = 'MQTT_AWAIT_REQUIRE_BROKERS';

const isInstalled = (name: Name): boolean =>
  PROGRAMS[name].every((one) => (one.startsWith('/') ? existsSync(one) : programPath(one) !== undefined));

const isAsked = (name: Name, env: NodeJS.ProcessEnv): boolean => name !== 'RabbitMQ' || env[RABBITMQ] === '1';

const runsHere = (name: Name): boolean => isAsked(name, process.env) && isInstalled(name);

/** The line to print if specs cannot run without software, or are not asked for. Throws if they have to run. */
export function without(name: Name, specs: string, env: NodeJS.ProcessEnv = process.env): string {
  if (!isAsked(name, env)) return `${name} runs only with ${RABBITMQ}=1: the specs of "${specs}" did not run`;
  if (name === 'RabbitMQ' || env[ALL] === '1')
    throw new Error(`expected ${PROGRAMS[name].join(' and ')} to be installed: "${specs}" needs that`);
  return `${name} is not installed: the specs of "${specs}" did not run`;
}

/** Replaces specs that do not run here. */
function describeMissing(name: Name, specs: string): void {
  describe(`${specs}:`, () => {
    it(`needs ${name}, and did not run without`, () => {
      const line = without(name, specs);
      process.stdout.write(`${line}\n`);
      expect(line).toContain(specs);
    });
  });
}

/** `describe` for specs that need this software. Without it, prints a line, or fails if the software is required. */
export function describeWith(names: readonly Name[], name: string, specs: () => void): void {
  const missing = names.find((one) => !runsHere(one));
  if (missing !== undefined) return describeMissing(missing, name);
  describe(`with ${names[0]}: ${name}`, () => {
    specs();
  });
}

/** The same for specs that need Mosquitto. */
export const describeWithMosquitto = (name: string, specs: () => void): void =>
  describeWith(['Mosquitto'], name, specs);

/** The same for specs that need a plugin of Mosquitto, which they compile. */
export const describeWithMosquittoPlugins = (name: string, specs: () => void): void =>
  describeWith(['Mosquitto', 'mosquitto-dev'], name, specs);

/** The same for specs that need Mosquitto and certificates. */
export const describeWithSecureMosquitto = (name: string, specs: () => void): void =>
  describeWith(['Mosquitto', 'OpenSSL'], name, specs);

/** The same for specs that need certificates only. */
export const describeWithOpenSsl: Pick<typeof describe, 'each'> &
  ((name: string, specs: () => void) => void) = !runsHere('OpenSSL')
  ? Object.assign((name: string): void => describeMissing('OpenSSL', name), {
      each: (() => (name: string) => describeMissing('OpenSSL', name)) as unknown as typeof describe.each,
    })
  : describe;
