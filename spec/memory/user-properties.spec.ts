import { describe, expect, it } from '@jest/globals';
import type { PublishProperties } from '../../lib/codec/packets.ts';
import { readProperties } from '../../lib/codec/properties.ts';
import { Reader } from '../../lib/codec/reader.ts';
import { hex, join, properties, text } from '../support/bytes.ts';
import { collectGarbage, countInMemory } from '../support/garbage.ts';

describe('many User Properties of a PUBLISH', () => {
  it('take no memory per pair until they are read', () => {
    const section = properties(new Uint8Array(1_000_000).map((_, i) => (i % 5 === 0 ? 0x26 : 0)));
    const read = (): PublishProperties =>
      readProperties(new Reader().reset(section, 0, section.length, 5), 'publish');
    expect(read().userProperties).toHaveLength(200_000);
    collectGarbage();
    const before = process.memoryUsage();
    const held = Array.from({ length: 10 }, read);
    const after = process.memoryUsage();
    // As pairs, they would take 130 MB.
    expect(after.heapUsed - before.heapUsed).toBeLessThan(1_000_000);
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(11_000_000);
    expect(held).toHaveLength(10);
  });

  it('keep no slab in memory', async () => {
    const pairs = Array.from({ length: 20 }, (_, i) => join(hex`26`, text(`n${i}`), text(`é${i}`)));
    const section = properties(...pairs);
    const slabs: WeakRef<ArrayBuffer>[] = [];
    const held = Array.from({ length: 20 }, () => {
      const slab = new Uint8Array(1_000_000);
      slab.set(section);
      slabs.push(new WeakRef(slab.buffer));
      return readProperties(new Reader().reset(slab, 0, section.length, 5), 'publish');
    });
    expect(await countInMemory(slabs)).toBe(0);
    for (const one of held) expect(one.userProperties).toHaveLength(20);
  });
});
