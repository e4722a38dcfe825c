import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { IdentifierSet, PACKET_IDENTIFIERS } from '../../lib/session/identifier-set.ts';
import { IdentifierTable } from '../../lib/session/identifier-table.ts';
import { OrphanedIds, PacketIdentifiers } from '../../lib/session/packet-identifiers.ts';

describe('PacketIdentifiers', () => {
  it('v5 MQTT-2.2.1-3, v4 MQTT-2.3.1-1, -2, peers P7 never gives out an identifier that is in use, nor 0', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat()), { maxLength: 400, size: 'max' }), (script) => {
        const identifiers = new PacketIdentifiers();
        const used: number[] = [];
        for (const [take, choice] of script) {
          if (take || used.length === 0) {
            const packetId = identifiers.take();
            assert.ok(packetId > 0 && packetId <= 65_535 && !used.includes(packetId));
            used.push(packetId);
          } else identifiers.free(used.splice(choice % used.length, 1)[0] as number);
          assert.equal(identifiers.inUse, used.length);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('skips identifiers that stay in use', () => {
    const identifiers = new PacketIdentifiers();
    const longLived = [identifiers.take(), identifiers.take()];
    for (let i = 0; i < 200_000; i++) {
      const packetId = identifiers.take();
      if (packetId === 0 || longLived.includes(packetId)) throw new Error(`${packetId} was given out`);
      identifiers.free(packetId);
    }
    expect(identifiers.inUse).toBe(2);
    identifiers.free(1);
    const seen = new Set(Array.from({ length: PACKET_IDENTIFIERS - 1 }, () => identifiers.take()));
    expect(seen.has(1)).toBe(true);
    expect(seen.has(2)).toBe(false);
  });

  it('uses a freed identifier again only after all others', () => {
    const identifiers = new PacketIdentifiers();
    identifiers.free(identifiers.take());
    expect(identifiers.take()).toBe(2);
  });

  it('returns 0 if all are in use, and goes on with the first that is freed', () => {
    const identifiers = new PacketIdentifiers();
    for (let i = 0; i < PACKET_IDENTIFIERS; i++) identifiers.take();
    expect(identifiers.take()).toBe(0);
    identifiers.free(40_000);
    identifiers.free(40_000);
    expect(identifiers.inUse).toBe(PACKET_IDENTIFIERS - 1);
    expect(identifiers.take()).toBe(40_000);
    expect(identifiers.take()).toBe(0);
  });

  it('ignores the freeing of an identifier that is not in use', () => {
    const identifiers = new PacketIdentifiers();
    identifiers.free(0);
    identifiers.free(7);
    expect(identifiers.inUse).toBe(0);
  });
});

describe('OrphanedIds', () => {
  const taken = (orphaned: OrphanedIds): boolean[] => [1, 5, 65_535].map((id) => orphaned.take(id));

  it('has an identifier that was added once, and no other', () => {
    const orphaned = new OrphanedIds();
    expect(taken(orphaned)).toEqual([false, false, false]);
    orphaned.add(5);
    expect(taken(orphaned)).toEqual([false, true, false]);
    expect(taken(orphaned)).toEqual([false, false, false]);
  });

  it('has every identifier once after a session was resumed that another client may have used', () => {
    const orphaned = new OrphanedIds();
    orphaned.addAll();
    expect(taken(orphaned)).toEqual([true, true, true]);
    expect(taken(orphaned)).toEqual([false, false, false]);
  });

  it('has none after the server lost the session', () => {
    const orphaned = new OrphanedIds();
    orphaned.addAll();
    orphaned.add(5);
    orphaned.clear();
    expect(taken(orphaned)).toEqual([false, false, false]);
  });
});

describe('IdentifierTable', () => {
  interface Entry {
    readonly packetId: number;
  }

  const ids = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 65_535 }));
  const steps = fc.array(
    fc.tuple(fc.constantFrom('set', 'set', 'delete', 'clear', 'delete a stranger'), ids),
    {
      maxLength: 200,
      size: 'max',
    },
  );

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
            assert.equal(table.delete(known ?? entry), model.delete(packetId));
          } else if (what === 'delete a stranger') assert.equal(table.delete(entry), false);
          else if (packetId % 20 === 0) {
            table.clear();
            model.clear();
          }
          assert.equal(table.size, model.size);
          assert.equal(table.get(packetId), model.get(packetId));
        }
        assert.deepEqual(new Set(table.values()), new Set(model.values()));
        for (const [packetId, entry] of model) assert.equal(table.get(packetId), entry);
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

describe('IdentifierSet', () => {
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
