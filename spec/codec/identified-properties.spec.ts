import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { encode } from '../../lib/codec/codec.ts';
import { IdentifiedProperties } from '../../lib/codec/identified-properties.ts';
import { PublishReader } from '../../lib/codec/publish-reader.ts';
import { readProperties } from '../../lib/codec/properties.ts';
import { Reader } from '../../lib/codec/reader.ts';
import { hex } from '../support/bytes.ts';
import { publish } from '../support/packets.ts';

/*
 * The properties of most messages from a server with Subscription Identifiers: one of them, and nothing else.
 */

/** What the reader of all properties says. */
function slowly(bytes: Uint8Array): { properties: object; at: number; size: number } | 'refused' {
  const reader = new Reader().reset(bytes, 0, bytes.length, 5);
  try {
    const properties = readProperties(reader, 'publish');
    return { properties, at: reader.at, size: reader.at + reader.overhead };
  } catch {
    return 'refused';
  }
}

describe('a single Subscription Identifier', () => {
  it.each([1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455])(
    'v5 U-3.3.2-c %d is read as any properties are',
    (identifier) => {
      const properties = { subscriptionIdentifiers: [identifier] };
      const body = encode(publish({ properties }), 5).subarray(7);
      expect(new IdentifiedProperties().read(body, 0, body.length)).toEqual({
        properties,
        length: slowly(body) === 'refused' ? 0 : (slowly(body) as { at: number }).at,
        size: (slowly(body) as { size: number }).size,
      });
    },
  );

  it('is recognised only where the reader of all properties agrees', () => {
    const byte = fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 0x0b, 0x7f, 0x80, 0x81, 0xff), fc.nat(255));
    const first = fc.constantFrom(2, 3, 4, 5, 6, 0, 1);
    const sections = fc
      .tuple(first, fc.constantFrom(0x0b, 0x0b, 0x0b, 1), fc.array(byte, { maxLength: 7 }))
      .map(([length, id, rest]) => Uint8Array.of(length, id, ...rest));
    fc.assert(
      fc.property(sections, (bytes) => {
        const found = new IdentifiedProperties().read(bytes, 0, bytes.length);
        if (found === undefined) return;
        const { properties, length: at, size } = found;
        expect(slowly(bytes)).toEqual({ properties, at, size });
      }),
      { numRuns: 5_000 },
    );
  });

  it.each([
    ['0', '02 0b 00'],
    ['with a byte too many', '03 0b 81 00'],
    ['of five bytes', '06 0b 81 81 81 81 01'],
    ['that is cut off', '03 0b 81'],
    ['longer than its section', '02 0b 81 01'],
    ['shorter than its section', '03 0b 01 01'],
    ['twice', '04 0b 01 0b 02'],
    ['with another property', '04 01 01 0b 02'],
  ])('%s is left to the reader of all properties', (_, bytes) => {
    const section = hex([bytes] as unknown as TemplateStringsArray);
    expect(new IdentifiedProperties().read(section, 0, section.length)).toBeUndefined();
  });

  it('is one frozen object while it repeats, also between others', () => {
    const reader = new PublishReader();
    const read = (identifier: number): object => {
      const bytes = encode(publish({ properties: { subscriptionIdentifiers: [identifier] } }), 5);
      reader.read(bytes, bytes[0]!, 2, bytes.length, 5);
      expect(reader.properties).toEqual({ subscriptionIdentifiers: [identifier] });
      expect(
        Object.isFrozen(reader.properties) && Object.isFrozen(reader.properties.subscriptionIdentifiers),
      ).toBe(true);
      return reader.properties;
    };
    const one = read(1);
    expect([read(1), read(2), read(1)]).toEqual([one, expect.anything(), one]);
    expect(read(1)).toBe(one);
    // 65 takes the place of 1.
    read(65);
    expect(read(1)).toEqual(one);
  });
});
