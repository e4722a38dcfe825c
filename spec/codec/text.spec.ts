import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { isUtf8, portableText, readLossy } from '../../lib/codec/text.ts';
import { hex } from '../support/bytes.ts';
import { codePoints } from '../support/code-points.ts';

const wellFormed = fc.string({ unit: codePoints, maxLength: 60 });

/** One of each way to be ill-formed. */
const ILL_FORMED = [
  hex`80`,
  hex`c0 80`,
  hex`c3`,
  hex`e0 80 80`,
  hex`ed a0 80`,
  hex`ed a0 bd ed b8 80`,
  hex`f0 80 80 80`,
  hex`f4 90 80 80`,
  hex`f5 80 80 80`,
  hex`61 62 e2 82`,
];

describe('portable text', () => {
  it('reads what it wrote, and knows the length before', () => {
    fc.assert(
      fc.property(wellFormed, (s) => {
        const target = new Uint8Array(4 * s.length + 2);
        const length = portableText.write(s, target, 1);
        expect([length, target[length + 1], portableText.read(target, 1, 1 + length)]).toEqual([
          portableText.byteLength(s),
          0,
          s,
        ]);
      }),
    );
  });

  it('keeps EF BB BF as U+FEFF, at the start too', () => {
    expect(portableText.read(hex`ef bb bf 61`, 0, 4)).toBe('\uFEFFa');
  });

  it('returns undefined for ill-formed bytes, short or long', () => {
    for (const bytes of ILL_FORMED) {
      expect(portableText.read(bytes, 0, bytes.length)).toBeUndefined();
      const long = new Uint8Array(100).fill(0x61);
      long.set(bytes, 90 - bytes.length);
      expect(portableText.read(long, 0, 90)).toBeUndefined();
    }
  });

  it('reads any text of MQTT 3.1', () => {
    expect(readLossy(hex`61 ff 62`, 0, 3)).toBe('a\uFFFDb');
  });
});

describe('isUtf8', () => {
  it('agrees with the platform about any bytes', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    const agrees = (bytes: Uint8Array): boolean => {
      try {
        decoder.decode(bytes);
        return isUtf8(bytes);
      } catch {
        return !isUtf8(bytes);
      }
    };
    for (const bytes of ILL_FORMED) expect(agrees(bytes)).toBe(true);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 8 }), agrees), { numRuns: 500 });
    fc.assert(fc.property(wellFormed, (s) => isUtf8(new TextEncoder().encode(s))));
  });

  it('checks only the given range', () => {
    const bytes = hex`ff 61 c3 a9 ff`;
    expect(isUtf8(bytes, 1, 4)).toBe(true);
    expect(isUtf8(bytes, 1, 3)).toBe(false);
    expect(isUtf8(bytes, 3, 4)).toBe(false);
    expect(isUtf8(bytes, 4)).toBe(false);
    expect(isUtf8(bytes, 5)).toBe(true);
  });
});
