import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { NO_PROPERTIES, type PublishProperties } from '../../lib/codec/packets.ts';
import {
  hasProperties,
  MAXIMUM_PROPERTY_LENGTH,
  readProperties,
  sizeOfProperties,
  writeProperties,
} from '../../lib/codec/properties.ts';
import type { PropertyHost } from '../../lib/codec/property-table.ts';
import { Reader } from '../../lib/codec/reader.ts';
import { Writer } from '../../lib/codec/writer.ts';
import { counted, hex, join, properties, text, toHex, varint } from '../support/bytes.ts';

const read = (host: PropertyHost, bytes: Uint8Array): object =>
  readProperties(new Reader().reset(bytes, 0, bytes.length, 5), host);

/** Properties as bytes, with their length. */
function write(values: object | undefined, host: PropertyHost = 'publish', version: 4 | 5 = 5): string {
  const writer = new Writer().begin(version);
  writeProperties(writer, host, values);
  return toHex(writer.finish(0x30).subarray(2));
}

const refused = (reasonCode: number): unknown =>
  expect.objectContaining({ name: 'ProtocolError', reasonCode });

describe('reading properties', () => {
  it('makes no object if there are none', () => {
    expect(read('publish', hex`00`)).toBe(NO_PROPERTIES);
  });

  it('keeps User Properties in order, with repeated names', () => {
    const bytes = hex`15 26 00 01 62 00 01 31 26 00 01 61 00 01 32 26 00 01 62 00 01 33`;
    expect(read('suback', bytes)).toEqual({
      userProperties: [
        ['b', '1'],
        ['a', '2'],
        ['b', '3'],
      ],
    });
  });

  it('takes several Subscription Identifiers in PUBLISH, one in SUBSCRIBE', () => {
    expect(read('publish', hex`05 0b 01 0b 80 01`)).toEqual({ subscriptionIdentifiers: [1, 128] });
    expect(read('subscribe', hex`02 0b 07`)).toEqual({ subscriptionIdentifier: 7 });
    expect(() => read('subscribe', hex`04 0b 07 0b 08`)).toThrow(refused(0x82));
  });

  it('leaves the reader behind them, free to read on to the end of the packet', () => {
    const reader = new Reader().reset(hex`02 01 01 ff`, 0, 4, 5);
    readProperties(reader, 'publish');
    expect([reader.at, reader.end]).toEqual([3, 4]);
  });

  it.each([
    ['unknown', 'publish', hex`02 7f 01`, 0x81],
    ['of another packet', 'puback', hex`02 01 01`, 0x81],
    ['repeated', 'publish', hex`04 01 01 01 01`, 0x82],
    ['neither 0 nor 1', 'connack', hex`02 25 02`, 0x82],
    ['0 where 0 has no meaning', 'connack', hex`03 21 00 00`, 0x82],
    ['Topic Alias 0', 'publish', hex`03 23 00 00`, 0x94],
    ['a Response Topic with a wildcard', 'publish', hex`04 08 00 01 23`, 0x82],
    ['running past Property Length', 'publish', hex`02 02 00 00 00 01`, 0x81],
    ['longer than the packet', 'publish', hex`7f 01 01`, 0x81],
  ] as const)('refuses a property that is %s', (_, host, bytes, reasonCode) => {
    expect(() => read(host, bytes)).toThrow(refused(reasonCode));
  });
});

describe('many User Properties of a PUBLISH', () => {
  const pair = (name: string, value: string): Uint8Array => join(hex`26`, text(name), text(value));
  const pairs = (count: number): Uint8Array[] =>
    Array.from({ length: count }, (_, i) => pair(`n${i}`, `é${i}`));
  const expected = (count: number): [string, string][] =>
    Array.from({ length: count }, (_, i) => [`n${i}`, `é${i}`]);
  const isHeld = (found: object): boolean =>
    Object.getOwnPropertyDescriptor(found, 'userProperties')?.get !== undefined;

  it('are kept as bytes; up to sixteen are decoded at once', () => {
    for (const count of [1, 15, 16, 17, 18, 1_000]) {
      const found = read('publish', properties(...pairs(count)));
      expect(isHeld(found)).toBe(count > 16);
      expect(found).toStrictEqual({ userProperties: expected(count) });
      expect(isHeld(found)).toBe(false);
    }
  });

  it.each(['connect', 'will', 'connack', 'suback', 'puback', 'disconnect', 'auth'] as const)(
    'are decoded at once in %s',
    (host) => {
      const found = read(host, properties(...pairs(100)));
      expect(isHeld(found)).toBe(false);
      expect(found).toEqual({ userProperties: expected(100) });
    },
  );

  it('do not change when the memory they came in is reused', () => {
    const slab = Buffer.from(properties(...pairs(20)));
    const found = read('publish', slab);
    slab.fill(0);
    expect(found).toEqual({ userProperties: expected(20) });
  });

  it('come in order, with other properties before, between and behind them', () => {
    const others = [hex`0b 05`, hex`02 00 00 00 09`, hex`0b 80 01`, hex`03 00 01 78`, hex`23 00 07`];
    const section = [...pairs(20)];
    for (const [i, other] of others.entries()) section.splice(5 * i + i, 0, other);
    const found = read('publish', properties(...section));
    expect(isHeld(found)).toBe(true);
    expect(Object.keys(found)).toEqual([
      'subscriptionIdentifiers', 'userProperties', 'messageExpiryInterval', 'contentType', 'topicAlias',
    ]); // prettier-ignore
    expect(found).toStrictEqual({
      subscriptionIdentifiers: [5, 128],
      userProperties: expected(20),
      messageExpiryInterval: 9,
      contentType: 'x',
      topicAlias: 7,
    });
  });

  const fill = Array.from({ length: 30 }, () => pair('a', 'b'));
  it.each([
    ['an ill-formed name', hex`26 00 01 ff 00 01 61`, 'MQTT-1.5.4-1', 0x81],
    ['an ill-formed value', hex`26 00 01 61 00 02 c3 28`, 'MQTT-1.5.4-1', 0x81],
    ['a surrogate', hex`26 00 00 00 03 ed a0 80`, 'MQTT-1.5.4-1', 0x81],
    ['U+0000 in a name', hex`26 00 02 61 00 00 00`, 'MQTT-1.5.4-2', 0x81],
    ['U+0000 in a value', hex`26 00 00 00 01 00`, 'MQTT-1.5.4-2', 0x81],
    ['half a pair', hex`26 00 01 61`, '2.1.4', 0x81],
    ['a value that runs past Property Length', hex`26 00 01 61 00 02 61`, '2.1.4', 0x81],
    ['a property that is not of PUBLISH', hex`1f 00 00`, '2.2.2.2', 0x81],
    ['a repeated property', hex`01 01 01 01`, '2.2.2.2', 0x82],
  ])('are refused with %s among them when the packet is read', (_, fault, statement, reasonCode) => {
    const rest = statement === '2.1.4' ? [] : fill;
    expect(() => read('publish', properties(...fill, fault, ...rest))).toThrow(
      expect.objectContaining({ name: 'ProtocolError', statement, reasonCode }),
    );
  });

  it('are refused like in other packets, with the same text', () => {
    const strings = fc.string({ unit: fc.constantFrom('a', 'é', '\u{1F600}'), maxLength: 2 });
    const lists = fc.array(fc.tuple(strings, strings), { minLength: 1, maxLength: 24, size: 'max' });
    const outcomeOf = (host: PropertyHost, bytes: Uint8Array): unknown => {
      try {
        return { ...read(host, bytes) };
      } catch (error) {
        return String(error).replace(host, 'host');
      }
    };
    fc.assert(
      fc.property(lists, fc.nat(), fc.integer({ min: 1, max: 255 }), (list, at, change) => {
        const bytes = properties(...list.map(([name, value]) => pair(name, value)));
        const place = bytes.length - 1 - (at % (bytes.length - 1));
        bytes[place]! ^= change;
        // Properties of one of the two alone: Subscription Identifier, Topic Alias, Will Delay Interval.
        fc.pre(![0x0b, 0x18, 0x23].some((id) => bytes.includes(id)));
        expect(outcomeOf('publish', bytes)).toStrictEqual(outcomeOf('will', bytes));
      }),
      { numRuns: 500 },
    );
  });
});

describe('MAXIMUM_PROPERTY_LENGTH', () => {
  const hosts = [
    'connect', 'will', 'connack', 'publish', 'puback', 'pubrec', 'pubrel', 'pubcomp',
    'subscribe', 'suback', 'unsubscribe', 'unsuback', 'disconnect', 'auth',
  ] as const satisfies readonly PropertyHost[]; // prettier-ignore

  it('is 1 MiB', () => {
    expect(MAXIMUM_PROPERTY_LENGTH).toBe(1_048_576);
  });

  it.each(hosts)('%s: a longer property section is refused before it is decoded', (host) => {
    // 0xff is no property: decoding it would be refused with 0x81.
    const section = new Uint8Array(MAXIMUM_PROPERTY_LENGTH + 1).fill(0xff);
    expect(() => read(host, join(varint(section.length), section))).toThrow(
      expect.objectContaining({
        name: 'ProtocolError',
        reasonCode: 0x95,
        message: expect.stringContaining('1048577 bytes of properties'),
      }),
    );
  });

  it.each(hosts)('%s: a property section of that length is read', (host) => {
    // 16 pairs of 65,536 bytes each: an identifier, a name of 0 bytes, and a value that fills the rest.
    const pair = join(hex`26 00 00`, counted(new Uint8Array(65_531).fill(0x61)));
    const section = join(...Array.from({ length: 16 }, () => pair));
    expect(section).toHaveLength(MAXIMUM_PROPERTY_LENGTH);
    const { userProperties } = read(host, join(varint(section.length), section)) as {
      userProperties: [string, string][];
    };
    expect(userProperties).toHaveLength(16);
    expect(userProperties.every(([name, value]) => name === '' && value === 'a'.repeat(65_531))).toBe(true);
  });

  it('does not limit writing', () => {
    const userProperties = Array.from({ length: 17 }, () => ['', 'a'.repeat(65_535)] as const);
    const writer = new Writer().begin(5);
    writeProperties(writer, 'publish', { userProperties });
    expect(writer.finish(0x30).length).toBeGreaterThan(MAXIMUM_PROPERTY_LENGTH);
  });
});

describe('sizeOfProperties', () => {
  it('is 0 if there are none', () => {
    expect(sizeOfProperties(undefined)).toBe(0);
    expect(sizeOfProperties(NO_PROPERTIES)).toBe(0);
    expect(sizeOfProperties({})).toBe(0);
    expect(sizeOfProperties({ userProperties: [], subscriptionIdentifiers: [] })).toBe(0);
  });

  it('counts strings and bytes by their length, a number as 8, a pair as 64 besides its strings', () => {
    expect(sizeOfProperties({ contentType: 'text', responseTopic: 'a/b' })).toBe(7);
    expect(sizeOfProperties({ correlationData: new Uint8Array(100) })).toBe(100);
    expect(sizeOfProperties({ payloadFormatIndicator: 0, messageExpiryInterval: 60, topicAlias: 7 })).toBe(
      24,
    );
    expect(sizeOfProperties({ subscriptionIdentifiers: [1, 2, 3] })).toBe(24);
    expect(sizeOfProperties({ userProperties: [['a', 'bc'], ['', '']] })).toBe(2 * 64 + 3); // prettier-ignore
    expect(sizeOfProperties({ topicAlias: 7, contentType: 'x', userProperties: [['a', 'b']] })).toBe(75);
  });

  it('counts the bytes of User Properties that are not decoded, and does not decode them', () => {
    const pairs = Array.from({ length: 100 }, () => hex`26 00 01 61 00 01 62`);
    const received = read('publish', properties(hex`03 00 01 78`, ...pairs)) as PublishProperties;
    expect(sizeOfProperties(received)).toBe(1 + 700);
    expect(Object.getOwnPropertyDescriptor(received, 'userProperties')).toHaveProperty('get');
    expect(received.userProperties).toHaveLength(100);
    expect(sizeOfProperties(received)).toBe(1 + 6_600);
  });

  it('counts unknown properties without refusing them', () => {
    const wrong = { a: null, b: {}, c: true, userProperties: [null, ['a'], 7, [1, 2]] };
    expect(sizeOfProperties(wrong as unknown as PublishProperties)).toBeGreaterThan(0);
  });
});

describe('writing properties', () => {
  it('[MQTT-2.2.2-1] writes length 0 for none', () => {
    expect([write(undefined), write({}), write({ topicAlias: undefined })]).toEqual(['00', '00', '00']);
  });

  it('writes a length of two bytes if necessary', () => {
    // One more byte of Remaining Length comes before.
    expect(write({ correlationData: new Uint8Array(200) }).slice(3, 17)).toBe('cb 01 09 00 c8');
  });

  it('refuses unknown names, and names of other packets', () => {
    expect(() => write({ topicAlia: 1 })).toThrow(TypeError);
    expect(() => write({ reasonString: 'x' })).toThrow(refused(0x81));
  });

  it('refuses illegal values', () => {
    expect(() => write({ topicAlias: 0 })).toThrow(refused(0x94));
    expect(() => write({ topicAlias: 65_536 })).toThrow(RangeError);
    expect(() => write({ payloadFormatIndicator: 2 })).toThrow(refused(0x82));
    expect(() => write({ userProperties: { a: 'b' } })).toThrow(TypeError);
    expect(() => write({ userProperties: [['a']] })).toThrow(TypeError);
    expect(() => write({ subscriptionIdentifiers: 1 })).toThrow(TypeError);
    expect(() => write({ responseTopic: 'a/+' })).toThrow('[MQTT-3.3.2-14]');
    expect(() => write({ retainAvailable: 1 }, 'connack')).toThrow(TypeError);
    expect(() => write(7 as unknown as object)).toThrow(TypeError);
  });

  it('never drops properties silently on 3.x', () => {
    expect(() => write({ contentType: 'x' }, 'publish', 4)).toThrow(TypeError);
    expect(write({ contentType: undefined, userProperties: [] }, 'publish', 4)).toBe('');
    expect(hasProperties({ userProperties: [] })).toBe(false);
  });
});
