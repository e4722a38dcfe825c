import { afterAll, describe, expect, it } from '@jest/globals';
import { stop } from 'esbuild';
import { Client } from '../../lib/client/client.ts';
import { faults } from '../support/faults.ts';
import { clientWith } from './planting.ts';
import { explore } from './run.ts';
import { settings } from './settings.ts';

/** Tries per setting for a fault: few at first, as most are found at once, more where it hides. */
const TRIES = [15, 40, 120, 500];

// What builds the clients with bugs is a process of its own.
afterAll(() => stop());

describe('whatever happens, in whatever order', () => {
  it.each(settings.map((setting) => [setting.name, setting] as const))(
    'nothing is lost, doubled, out of order, untrue or left over: %s',
    async (_name, setting) => {
      const finding = await explore((...given) => new Client(...given), setting, { numRuns: 45 });
      expect(finding?.text).toBeUndefined();
    },
    60_000,
  );
});

/** How a client with a bug is found out; undefined where it is not. */
async function whatFinds(fault: (typeof faults)[number]): Promise<string | undefined> {
  const makeClient = await clientWith(fault);
  for (const numRuns of TRIES)
    for (const setting of settings) {
      const finding = await explore(makeClient, setting, { numRuns, endOnFailure: true });
      if (finding !== undefined) return finding.text;
    }
  return undefined;
}

describe('the model', () => {
  it.each(faults.map((fault) => [fault.name, fault] as const))(
    'finds: %s',
    async (_name, fault) => {
      expect(await whatFinds(fault)).toMatch(/seed/);
    },
    180_000,
  );
});
