import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

/** Package managers put brokers where only administrators look. */
const PLACES = [
  ...(process.env['PATH'] ?? '').split(delimiter),
  '/usr/sbin',
  '/usr/local/sbin',
  '/opt/homebrew/sbin',
];

/** Where a program is; undefined where it is not installed. */
export function programPath(name: string, places: readonly string[] = PLACES): string | undefined {
  return places
    .filter((place) => place !== '')
    .map((place) => join(place, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Whether specs that need Mosquitto cannot run here. */
export function mosquittoMissing(): boolean {
  return programPath('mosquitto') === undefined || programPath('mosquitto_sub') === undefined;
}

/** The line to print where there is no Mosquitto; throws where brokers are required. */
export function withoutMosquitto(name: string, required = process.env['MQTT_AWAIT_REQUIRE_BROKERS']): string {
  if (required === '1')
    throw new Error(`expected mosquitto and mosquitto_sub to be installed: "${name}" needs them`);
  return `Mosquitto is not installed: the specs of "${name}" did not run`;
}

/** `describe` for specs that need Mosquitto. Where there is none, a line says so; where brokers are required, it fails. */
export function describeWithMosquitto(name: string, specs: () => void): void {
  describe(`with Mosquitto: ${name}`, () => {
    if (!mosquittoMissing()) return specs();
    it('needs Mosquitto, which is not installed here: nothing else of this ran', () => {
      const line = withoutMosquitto(name);
      process.stdout.write(`${line}\n`);
      expect(line).toContain(name);
    });
  });
}
