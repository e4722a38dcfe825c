import { describe, expect, it } from '@jest/globals';
import { memoryFor } from '../../lib/codec/memory.ts';

describe('memory for packets', () => {
  it('is of the size that was asked for, zeroed, and given out once', () => {
    const given = Array.from({ length: 500 }, (_, i) => memoryFor(i * 5));
    for (const [i, bytes] of given.entries()) {
      expect(bytes).toHaveLength(i * 5);
      expect(bytes.every((byte) => byte === 0)).toBe(true);
      bytes.fill(i);
    }
    for (const [i, bytes] of given.entries()) expect(bytes.every((byte) => byte === (i & 0xff))).toBe(true);
  });

  it('is there also after someone transferred a shared ArrayBuffer away', () => {
    const { buffer } = memoryFor(100);
    structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    expect(memoryFor(100)).toHaveLength(100);
  });
});
