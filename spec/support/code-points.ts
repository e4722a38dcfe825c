import * as fc from 'fast-check';

/**
 * Any code point but surrogates, the unit of well-formed strings. `unit: 'binary'` of fast-check makes the same, but
 * lists all 1.1 million of them first, which takes more than a second in each spec.
 */
export const codePoints: fc.Arbitrary<string> = fc
  .integer({ min: 0, max: 0x10_f7ff })
  .map((n) => String.fromCodePoint(n < 0xd800 ? n : n + 0x800));
