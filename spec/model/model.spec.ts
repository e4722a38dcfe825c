import { afterAll, describe, expect, it } from '@jest/globals';
import { stop } from 'esbuild';
import { Client } from '../../lib/client/client.ts';
import { faults, type Fault } from '../support/faults.ts';
import { readPins, tryPin } from './pins.ts';
import { clientWith } from './planting.ts';
import { explore } from './run.ts';
import { settings } from './settings.ts';

/** Random runs per setting. `npm run soak:model` runs any number. */
const RUNS = 25;
/** Tries per setting for a bug that its pin no longer finds: few at first, then more. */
const TRIES = [40, 120, 500];

// esbuild, which translates the clients with bugs, is a separate process.
afterAll(() => stop());

describe('random sequences of events', () => {
  it.each(settings.map((setting) => [setting.name, setting] as const))(
    'no message is lost, duplicated, reordered, misreported or left over: %s',
    async (_name, setting) => {
      const finding = await explore((...given) => new Client(...given), setting, { numRuns: RUNS });
      expect(finding?.text).toBeUndefined();
    },
    60_000,
  );
});

const PINS = readPins();

/** What the model finds in a client with a bug; undefined for nothing. */
async function findingOf(fault: Fault): Promise<string | undefined> {
  const makeClient = await clientWith(fault);
  const pin = PINS.get(fault.name);
  const pinned = pin && (await tryPin(makeClient, pin));
  if (pinned !== undefined) return pinned.text;
  for (const numRuns of TRIES)
    for (const setting of settings) {
      const finding = await explore(makeClient, setting, { numRuns, endOnFailure: true });
      if (finding !== undefined) return finding.text;
    }
  return undefined;
}

describe('the model', () => {
  it.each(faults.map((fault) => [fault.name, fault] as const))(
    'finds a planted bug: %s',
    async (_name, fault) => {
      expect(await findingOf(fault)).toMatch(/seed/);
    },
    180_000,
  );
});
