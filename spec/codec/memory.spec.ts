import { describe, expect, it } from '@jest/globals';
import { memoryFor } from '../../lib/codec/memory.ts';

describe('memory for packets', () => {
  it('has the requested size, is zeroed, and is returned once', () => {
    const given = Array.from({ length: 500 }, (_, i) => memoryFor(i * 5));
    for (const [i, bytes] of given.entries()) {
      expect(bytes).toHaveLength(i * 5);
      expect(bytes.every((byte) => byte === 0)).toBe(true);
      bytes.fill(i);
    }
    for (const [i, bytes] of given.entries()) expect(bytes.every((byte) => byte === (i & 0xff))).toBe(true);
  });

  it('is available after a shared ArrayBuffer was transferred', () => {
    const { buffer } = memoryFor(100);
    structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    expect(memoryFor(100)).toHaveLength(100);
  });
});
