import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { IdentifierTable } from '../../lib/session/identifier-table.ts';

interface Entry {
  readonly packetId: number;
}

const ids = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 65_535 }));
const steps = fc.array(fc.tuple(fc.constantFrom('set', 'set', 'delete', 'clear', 'delete a stranger'), ids), {
  maxLength: 200,
  size: 'max',
});

describe('IdentifierTable', () => {
  it('behaves like a Map for all identifiers', () => {
    fc.assert(
      fc.property(steps, (script) => {
        const table = new IdentifierTable<Entry>();
        const model = new Map<number, Entry>();
        for (const [what, packetId] of script) {
          const entry = { packetId };
          const known = model.get(packetId);
          if (what === 'set') {
            table.set(entry);
            model.set(packetId, entry);
          } else if (what === 'delete') {
            expect(table.delete(known ?? entry)).toBe(model.delete(packetId));
          } else if (what === 'delete a stranger') expect(table.delete(entry)).toBe(false);
          else if (packetId % 20 === 0) {
            table.clear();
            model.clear();
          }
          expect(table.size).toBe(model.size);
          expect(table.get(packetId)).toBe(model.get(packetId));
        }
        expect(new Set(table.values())).toEqual(new Set(model.values()));
        for (const [packetId, entry] of model) expect(table.get(packetId)).toBe(entry);
      }),
      { numRuns: 50 },
    );
  });

  it('holds all 65,535 identifiers at once', () => {
    const table = new IdentifierTable<Entry>();
    for (let packetId = 1; packetId <= 65_535; packetId++) table.set({ packetId });
    expect(table.size).toBe(65_535);
    expect(table.get(1)?.packetId).toBe(1);
    expect(table.get(65_535)?.packetId).toBe(65_535);
    expect(table.get(0)).toBeUndefined();
  });

  it('keeps two identifiers apart that are as far from each other as possible', () => {
    const table = new IdentifierTable<Entry>();
    const [low, high] = [{ packetId: 1 }, { packetId: 32_769 }];
    table.set(low);
    table.set(high);
    expect([table.get(1), table.get(32_769)]).toEqual([low, high]);
    expect(table.delete(low)).toBe(true);
    expect([table.get(1), table.get(32_769)]).toEqual([undefined, high]);
  });
});
