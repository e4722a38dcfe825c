import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { bufferText } from '../../../lib/client/runtime/buffer-text.ts';
import { portableText } from '../../../lib/codec/text.ts';
import { codePoints } from '../../support/code-points.ts';

const strings = fc.oneof(
  fc.string({ unit: codePoints, maxLength: 80 }),
  fc.string({ unit: 'binary-ascii', maxLength: 300 }),
);

describe('text by the functions of Node.js', () => {
  it('writes the same bytes as portable text, and knows their number before', () => {
    fc.assert(
      fc.property(strings, (s) => {
        const [ours, portable] = [new Uint8Array(3 * s.length + 2), new Uint8Array(3 * s.length + 2)];
        const length = bufferText.write(s, ours, 1);
        expect(length).toBe(portableText.write(s, portable, 1));
        expect(ours).toEqual(portable);
        expect(bufferText.byteLength(s)).toBe(length);
        expect(bufferText.read(ours, 1, 1 + length)).toBe(s);
      }),
    );
  });

  it('reads any bytes as portable text does', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat({ max: 5 }), (bytes, start) => {
        const from = Math.min(start, bytes.length);
        expect(bufferText.read(bytes, from, bytes.length)).toBe(portableText.read(bytes, from, bytes.length));
      }),
    );
  });

  it('reads ASCII as it is, and never takes another byte for ASCII', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    for (const text of [bufferText, portableText]) {
      expect(text.readAscii(bytes, 0, 128)).toBe(String.fromCharCode(...bytes.subarray(0, 128)));
      for (let byte = 128; byte < 256; byte++)
        expect(text.readAscii(bytes, byte, byte + 1)).not.toMatch(/^[\0-\x7f]*$/);
    }
  });
});
