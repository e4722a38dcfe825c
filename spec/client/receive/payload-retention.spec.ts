import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { PayloadRetention } from '../../../lib/client/receive/payload-retention.ts';

const SLAB = 65_536;

describe('a payload that waits', () => {
  it('keeps alive at most sixteen times what waits, and is always what it was', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ slab: fc.nat(3), size: fc.nat(3_000) }), { maxLength: 60 }),
        fc.constantFrom('in-order' as const, 'scattered' as const),
        (payloads, what) => {
          const keeping = new PayloadRetention(what);
          let [slab, memory] = [-1, new Uint8Array(0)];
          let changed = 0;
          let [waits, pinned] = [0, new Set<ArrayBufferLike>()];
          for (const one of payloads) {
            if (one.slab !== slab) [slab, memory] = [one.slab, new Uint8Array(SLAB).fill(one.slab)];
            const payload = memory.subarray(0, one.size);
            const kept = keeping.retain(payload, memory);
            if (Buffer.compare(kept, payload) !== 0) changed++;
            waits += one.size;
            pinned.add(kept.buffer);
          }
          expect(changed).toBe(0);
          const alive = [...pinned].reduce((sum, { byteLength }) => sum + byteLength, 0);
          expect(alive).toBeLessThanOrEqual(17 * waits);
        },
      ),
    );
  });

  it('is copied, if it is small, however many there are, where it is not known which will stay', () => {
    const keeping = new PayloadRetention('scattered');
    const memory = new Uint8Array(SLAB);
    const sizes = Array.from({ length: SLAB / 64 }, (_, i) => {
      const kept = keeping.retain(memory.subarray(i * 64, (i + 1) * 64), memory);
      return kept.buffer.byteLength;
    });
    expect(sizes.filter((size) => size !== 64)).toEqual([]);
    expect(keeping.retain(memory.subarray(0, SLAB / 16), memory).buffer).toBe(memory.buffer);
  });
});
