import { describe, expect, it } from '@jest/globals';
import { allocate, Slabs } from '../../../lib/client/runtime/memory.ts';
import { SLAB_SIZE } from '../../../lib/connection/outbox.ts';

/** Whether somebody can have `bytes` transferred to himself. Some versions of Node throw, some copy. */
function takenAway(bytes: Uint8Array): boolean {
  try {
    structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] });
  } catch (error) {
    expect((error as Error).name).toBe('DataCloneError');
  }
  return bytes.byteLength === 0;
}

describe('memory to read into', () => {
  it('is of the size asked for, has no neighbours, and cannot be taken away', () => {
    const bytes = allocate(1_000);
    expect([bytes.length, bytes.byteOffset, bytes.buffer.byteLength]).toEqual([1_000, 0, 1_000]);
    expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
    const ordinary = new Uint8Array(1_000);
    expect([takenAway(ordinary), takenAway(bytes)]).toEqual([true, false]);
  });
});

describe('slabs', () => {
  it('are whole, and are used again once the network is done with them', () => {
    const slabs = new Slabs();
    const slab = slabs.take();
    expect(slab.length).toBe(SLAB_SIZE);
    expect(slabs.take().buffer).not.toBe(slab.buffer);
    slabs.give(slab.subarray(0, 5));
    const again = slabs.take();
    expect(again.buffer).toBe(slab.buffer);
    expect(again.length).toBe(SLAB_SIZE);
  });

  it('are never made of memory that came from elsewhere, of whatever size', () => {
    const slabs = new Slabs();
    const users = new Uint8Array(SLAB_SIZE);
    slabs.give(users);
    slabs.give(users.subarray(0, 10));
    slabs.give(new Slabs().take());
    expect(slabs.take().buffer).not.toBe(users.buffer);
  });

  it('are not hoarded: beyond a few, what comes back is let go', () => {
    const slabs = new Slabs();
    const taken = Array.from({ length: 100 }, () => slabs.take());
    for (const slab of taken) slabs.give(slab);
    const known = new Set(taken.map((slab) => slab.buffer));
    const again = Array.from({ length: 100 }, () => slabs.take());
    expect(again.filter((slab) => known.has(slab.buffer))).toHaveLength(8);
    expect(new Set(again.map((slab) => slab.buffer)).size).toBe(100);
  });
});
