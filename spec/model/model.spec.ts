import { afterAll, describe, expect, it } from '@jest/globals';
import { stop } from 'esbuild';
import * as fc from 'fast-check';
import { Client } from '../../lib/client/client.ts';
import { Engine } from '../../lib/engine/engine.ts';
import { aliasFaults, faults, overlapFaults, type Fault } from '../support/faults.ts';
import { AliasWorld, steps, type Step } from './alias-world.ts';
import { exploreOverlaps, STYLES } from './overlaps.ts';
import { readPins, tryPin } from './pins.ts';
import { clientWith, engineWith } from './planting.ts';
import { explore } from './run.ts';
import { settings } from './settings.ts';

/*
 * All models are in one file, as the library is translated once for all planted bugs.
 */

/** Random runs per setting. `npm run soak:model` runs any number. */
const RUNS = 12;
/** Tries per setting for a bug that its pin no longer finds: few at first, then more. */
const TRIES = [40, 120, 500];
/** Random runs for each style of delivery of overlapping subscriptions. */
const OVERLAP_RUNS = 50;
/** Runs for each style until a planted bug has to be found. They are the same each time, so that this does not depend on luck. */
const OVERLAP_TRIES = { numRuns: 1_500, seed: 1, endOnFailure: true };
/** Bugs that show rarely: the first of these runs that finds them. The search begins there. */
const BEGINNINGS: Readonly<Record<string, string>> = {
  'a copy that another one was left to is dropped with its filter': '665',
};
/** Random runs with Topic Aliases. */
const ALIAS_RUNS = 100;

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

describe('overlapping Topic Filters', () => {
  it.each(STYLES)(
    'neither lose, duplicate nor leak a message, whatever changes meanwhile: %s',
    async (style) => {
      const finding = await exploreOverlaps((...given) => new Client(...given), style, {
        numRuns: OVERLAP_RUNS,
      });
      expect(finding).toBeUndefined();
    },
    60_000,
  );
});

describe('the model of overlapping Topic Filters', () => {
  it.each(overlapFaults.map((fault) => [fault.name, fault] as const))(
    'finds a planted bug: %s',
    async (_name, fault) => {
      const makeClient = await clientWith(fault);
      let finding: string | undefined;
      const tries = { ...OVERLAP_TRIES, path: BEGINNINGS[fault.name] ?? '' };
      for (const style of STYLES) finding ??= await exploreOverlaps(makeClient, style, tries);
      expect(finding).toMatch(/seed/);
    },
    120_000,
  );
});

const aliasProperty = (EngineClass: typeof Engine): fc.IProperty<[Step[]]> =>
  fc.property(steps, (all) => new AliasWorld(EngineClass).run(all));

describe('v5 R6 a server that resolves Topic Aliases', () => {
  it('v5 MQTT-3.3.2-7, -9, MQTT-3.2.2-15, -17, -18 gets every message under its topic, whatever happens in whatever order', () => {
    expect(fc.defaultReportMessage(fc.check(aliasProperty(Engine), { numRuns: ALIAS_RUNS }))).toBeUndefined();
  });

  it('gets most topics of a client that repeats them as aliases', () => {
    const world = new AliasWorld();
    const step = { do: 'publish', topic: 'site/7/line/3', qos: 1, size: 0, named: 0 } as const;
    world.run(Array.from({ length: 50 }, () => step));
    expect(world.shortened).toBe(49);
  });
});

describe('it tells of a planted bug', () => {
  const planted = [...faults.filter(({ name }) => name.includes('Topic Alias')), ...aliasFaults];

  it.each(planted.map((fault) => [fault.name, fault] as const))('%s', async (_, fault) => {
    const result = fc.check(aliasProperty(await engineWith(fault)), { numRuns: 2_000, endOnFailure: true });
    expect(result.failed).toBe(true);
  });

  it('of every kind there is', () => {
    expect(planted).toHaveLength(8);
  });
});
