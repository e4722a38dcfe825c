import { afterAll, describe, expect, it } from '@jest/globals';
import { stop } from 'esbuild';
import * as fc from 'fast-check';
import { Engine } from '../../lib/engine/engine.ts';
import { aliasFaults, faults } from '../support/faults.ts';
import { AliasWorld, steps, type Step } from './alias-world.ts';
import { engineWith } from './planting.ts';

// esbuild, which builds the engines with bugs, is a process of its own.
afterAll(() => stop());

const property = (EngineClass: typeof Engine): fc.IProperty<[Step[]]> =>
  fc.property(steps, (all) => new AliasWorld(EngineClass).run(all));

describe('v5 R6 a server that resolves Topic Aliases', () => {
  it('v5 MQTT-3.3.2-7, -9, MQTT-3.2.2-15, -17, -18 gets every message under its topic, whatever happens in whatever order', () => {
    expect(fc.defaultReportMessage(fc.check(property(Engine), { numRuns: 400 }))).toBeUndefined();
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
    const result = fc.check(property(await engineWith(fault)), { numRuns: 2_000, endOnFailure: true });
    expect(result.failed).toBe(true);
  });

  it('of every kind there is', () => {
    expect(planted).toHaveLength(8);
  });
});
