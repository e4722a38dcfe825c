import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { IdentifierSet, PACKET_IDENTIFIERS } from '../../lib/session/identifier-set.ts';

/** Close together, so that words of the bitmap fill up, and some at the ends. */
const packetIds = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 130 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: PACKET_IDENTIFIERS }) },
  { weight: 1, arbitrary: fc.integer({ min: PACKET_IDENTIFIERS - 40, max: PACKET_IDENTIFIERS }) },
);
const ranges = fc.tuple(packetIds, fc.integer({ min: 1, max: 2_500 }));

/** The first number from `from` on that is not in `ids`. */
function absentFrom(ids: ReadonlySet<number>, from: number): number {
  while (ids.has(from)) from++;
  return from;
}

describe('IdentifierSet', () => {
  it('behaves like a Set of numbers, and finds the next absent identifier', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), ranges, packetIds), { maxLength: 30 }), (script) => {
        const set = new IdentifierSet();
        const expected = new Set<number>();
        for (const [adds, [first, length], from] of script) {
          for (let id = first; id < first + length && id <= PACKET_IDENTIFIERS; id++) {
            if (adds) {
              set.add(id);
              expected.add(id);
            } else if (set.delete(id) !== expected.delete(id)) throw new Error(`delete(${id})`);
            if (set.has(id) !== adds) throw new Error(`has(${id})`);
          }
          expect(set.size).toBe(expected.size);
          expect(set.absentFrom(from)).toBe(absentFrom(expected, from));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('holds 1 to 65,535 after addAll(), and nothing after clear()', () => {
    const set = new IdentifierSet();
    set.addAll();
    expect(set.size).toBe(PACKET_IDENTIFIERS);
    expect(set.has(0)).toBe(false);
    expect(set.absentFrom(1)).toBeGreaterThan(PACKET_IDENTIFIERS);
    expect(set.delete(0)).toBe(false);
    expect(set.delete(PACKET_IDENTIFIERS)).toBe(true);
    expect(set.absentFrom(1)).toBe(PACKET_IDENTIFIERS);
    set.clear();
    expect(set.size).toBe(0);
    expect(set.absentFrom(7)).toBe(7);
    expect(set.delete(7)).toBe(false);
  });

  it('finds the only absent identifier wherever it is', () => {
    const set = new IdentifierSet();
    set.addAll();
    for (const id of [1, 31, 32, 33, 1_023, 1_024, 40_000, PACKET_IDENTIFIERS]) {
      set.delete(id);
      expect(set.absentFrom(1)).toBe(id);
      if (id < PACKET_IDENTIFIERS) expect(set.absentFrom(id + 1)).toBeGreaterThan(PACKET_IDENTIFIERS);
      set.add(id);
    }
  });
});
