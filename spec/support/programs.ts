import { describe, expect, it } from '@jest/globals';
import { programPath } from './program-path.ts';

export { programPath } from './program-path.ts';

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
