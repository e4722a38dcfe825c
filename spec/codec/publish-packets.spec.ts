import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { AckReader, writeAck } from '../../lib/codec/acks.ts';
import { encode } from '../../lib/codec/codec.ts';
import {
  NO_PROPERTIES,
  type ProtocolVersion,
  type PublishProperties,
  type QoS,
  type UserProperties,
} from '../../lib/codec/packets.ts';
import { PublishReader } from '../../lib/codec/publish-reader.ts';
import { type OutgoingPublish, PublishWriter } from '../../lib/codec/publish-writer.ts';
import { TopicCache } from '../../lib/codec/topic-cache.ts';
import { deferUserProperties, undecodedSizeOf } from '../../lib/codec/user-properties.ts';
import { hex, toHex } from '../support/bytes.ts';
import { readBytes, refused } from '../support/codec.ts';

describe('PublishReader', () => {
  /** Reads a packet with a Remaining Length of one byte. */
  function read(
    bytes: Uint8Array,
    version: ProtocolVersion = 5,
    reader = new PublishReader(),
  ): PublishReader {
    reader.read(bytes, bytes[0]!, 2, bytes.length, version);
    return reader;
  }

  it('reads into the same fields, and resets properties and Packet Identifier', () => {
    const reader = new PublishReader();
    read(hex`3b 0b 00 01 61 00 0a 03 23 00 07 68 69`, 5, reader);
    expect(reader).toMatchObject({ topic: 'a', qos: 1, retain: true, duplicate: true, packetId: 10 });
    expect(reader.topicAlias).toBe(7);
    read(hex`30 04 00 01 62 00`, 5, reader);
    expect(reader).toMatchObject({ topic: 'b', qos: 0, retain: false, duplicate: false, packetId: 0 });
    expect(reader.topicAlias).toBe(0);
    expect(reader.properties).toBe(NO_PROPERTIES);
    expect(reader.payload()).toHaveLength(0);
  });

  it('estimates the memory of the properties of each packet', () => {
    const reader = new PublishReader();
    const sizeOf = (properties: PublishProperties, version: ProtocolVersion = 5): number => {
      const bytes = encode({ type: 'publish', topic: 'a', payload: hex`01`, properties }, version);
      const start = bytes.findIndex((byte, i) => i > 0 && byte < 0x80) + 1;
      reader.read(bytes, bytes[0]!, start, bytes.length, version);
      return reader.propertiesSize;
    };
    const pairs = (count: number): [string, string][] => Array.from({ length: count }, () => ['', '']);
    // Bytes, Property Length included; 8 more for each Subscription Identifier, 64 for each pair that is decoded.
    expect(sizeOf({ contentType: 'json' })).toBe(8);
    expect(sizeOf({})).toBe(0);
    expect(sizeOf({ subscriptionIdentifiers: [1, 2, 300] })).toBe(8 + 3 * 8);
    expect(sizeOf({}, 4)).toBe(0);
    expect(sizeOf({ contentType: 'json', userProperties: pairs(16) })).toBe(8 + 16 * 5 + 16 * 64);
    expect(sizeOf({ userProperties: pairs(17) })).toBe(1 + 17 * 5);
    expect(sizeOf({ userProperties: pairs(12_000) })).toBe(3 + 60_000);
    expect(sizeOf({ contentType: 'json' })).toBe(8);
    expect(sizeOf({}, 3)).toBe(0);
  });

  it('gives the payload as a plain view of the bytes, which may be a Buffer in a pool', () => {
    const bytes = Buffer.from(hex`30 05 00 01 61 68 69`);
    const payload = read(bytes, 4).payload();
    expect(payload.constructor).toBe(Uint8Array);
    expect(toHex(payload)).toBe('68 69');
    expect(payload.buffer).toBe(bytes.buffer);
  });

  it('checks a topic again under the rules of another version', () => {
    const reader = new PublishReader();
    const bytes = hex`30 04 00 02 61 00`;
    for (let i = 0; i < 3; i++) expect(read(bytes, 3, reader).topic).toBe('a\0');
    expect(() => read(bytes, 4, reader)).toThrow(refused('MQTT-1.5.3-2', 0x81));
  });

  it.each([
    ['QoS 3', hex`36 06 00 01 61 00 01 00`, 'MQTT-3.3.1-4', 0x81],
    ['DUP with QoS 0', hex`38 04 00 01 61 00`, 'MQTT-3.3.1-2', 0x81],
    ['a wildcard', hex`30 04 00 01 2b 00`, 'MQTT-3.3.2-2', 0x82],
    ['Packet Identifier 0', hex`32 06 00 01 61 00 00 00`, 'MQTT-2.2.1-4', 0x82],
    ['no topic and no alias', hex`30 03 00 00 00`, '3.3.2.1', 0x82],
    ['half a topic length', hex`30 01 00`, '2.1.4', 0x81],
    ['half a topic', hex`30 03 00 02 61`, '2.1.4', 0x81],
    ['half a Packet Identifier', hex`32 04 00 01 61 00`, '2.1.4', 0x81],
    ['no Property Length', hex`30 03 00 01 61`, '2.1.4', 0x81],
  ])('refuses %s', (_, bytes, statement, reasonCode) => {
    expect(() => read(bytes)).toThrow(refused(statement, reasonCode));
  });

  it('lets 3.1 set DUP with QoS 0', () => {
    expect(read(hex`38 03 00 01 61`, 3).topic).toBe('a');
    expect(() => read(hex`30 03 00 01 2b`, 3)).toThrow(refused('MQTT-3.3.2-2', 0x82));
  });
});

describe('PublishWriter', () => {
  const messageOf = (
    topicName: string,
    payload: Uint8Array | string = hex`68 69`,
    qos: QoS = 0,
    properties?: PublishProperties,
  ): OutgoingPublish => ({ topicName, payload, qos, retain: false, properties });

  /** Measures and writes, and checks that both agree. */
  function write(
    writer: PublishWriter,
    message: OutgoingPublish,
    version: ProtocolVersion = 5,
    topicName = message.topicName,
  ): string {
    const size = writer.measure(message, topicName, version);
    const target = new Uint8Array(size + 2);
    expect(writer.write(target, 1, message, 10, false)).toBe(1 + size);
    expect([target[0], target[size + 1]]).toEqual([0, 0]);
    return toHex(target.subarray(1, 1 + size));
  }

  it('writes what it measured, on every version', () => {
    const writer = new PublishWriter();
    expect(write(writer, messageOf('a/b'), 4)).toBe('30 07 00 03 61 2f 62 68 69');
    expect(write(writer, messageOf('a/b'), 5)).toBe('30 08 00 03 61 2f 62 00 68 69');
    expect(write(writer, messageOf('a/b', '', 2), 3)).toBe('34 07 00 03 61 2f 62 00 0a');
    expect(write(writer, messageOf('é', 'ü\u{1F600}', 1), 4)).toBe(
      '32 0c 00 02 c3 a9 00 0a c3 bc f0 9f 98 80',
    );
  });

  it('writes a topic the same, cached or not', () => {
    const writer = new PublishWriter();
    const topics = [...Array.from({ length: 300 }, (_, i) => `topic/${i}/é`), 'x'.repeat(2_000)];
    for (let round = 0; round < 2; round++) {
      for (const topic of topics) {
        const fresh = write(new PublishWriter(), messageOf(topic), 4);
        assert.equal(write(writer, messageOf(topic), 4), fresh);
        assert.equal(write(writer, messageOf(topic), 4), fresh);
      }
    }
  });

  it('leaves the topic out if the Topic Alias of the message stands for it', () => {
    const writer = new PublishWriter();
    const aliased = messageOf('a', undefined, 0, { topicAlias: 7 });
    expect(write(writer, aliased)).toBe('30 09 00 01 61 03 23 00 07 68 69');
    expect(write(writer, aliased, 5, '')).toBe('30 08 00 00 03 23 00 07 68 69');
    expect(write(writer, messageOf('a'), 5)).toBe('30 06 00 01 61 00 68 69');
  });

  it('writes the header without the payload', () => {
    const writer = new PublishWriter();
    const message = messageOf('a', new Uint8Array(100_000), 1);
    const size = writer.measure(message, 'a', 4);
    const target = new Uint8Array(32);
    expect(writer.writeHeader(target, 0, message, 10, true)).toBe(size - writer.payloadLength);
    expect(toHex(target.subarray(0, 9))).toBe('3a a5 8d 06 00 01 61 00 0a');
  });

  it('writes properties of one length, of another, and after a message it refused', () => {
    const writer = new PublishWriter();
    const typed = (contentType: string): OutgoingPublish => messageOf('a', '', 0, { contentType });
    expect(write(writer, typed('x'))).toBe('30 08 00 01 61 04 03 00 01 78');
    expect(write(writer, typed('y'))).toBe('30 08 00 01 61 04 03 00 01 79');
    expect(write(writer, typed('yz'))).toBe('30 09 00 01 61 05 03 00 02 79 7a');
    expect(() => write(writer, typed(`${'x'.repeat(10_000)}\0`))).toThrow(refused('MQTT-1.5.4-2', 0x81));
    expect(write(writer, typed('ab'))).toBe('30 09 00 01 61 05 03 00 02 61 62');
  });

  it('refuses illegal topics', () => {
    const writer = new PublishWriter();
    expect(() => writer.measure(messageOf('a/+'), 'a/+', 5)).toThrow(refused('MQTT-3.3.2-2', 0x90));
    expect(() => writer.measure(messageOf(''), '', 5)).toThrow(refused('MQTT-4.7.3-1', 0x90));
    expect(() => writer.measure(messageOf('', '', 0, { topicAlias: 1 }), '', 4)).toThrow('[MQTT-4.7.3-1]');
    expect(() => writer.measure(messageOf('\uD800'), '\uD800', 4)).toThrow(refused('MQTT-1.5.3-1', 0x81));
  });

  it('refuses payloads that are not UTF-8', () => {
    const writer = new PublishWriter();
    const utf8 = { payloadFormatIndicator: 1 } as const;
    expect(() => writer.measure(messageOf('a', hex`ff`, 0, utf8), 'a', 5)).toThrow(
      refused('3.3.2.3.2', 0x99),
    );
    expect(() => writer.measure(messageOf('a', '\uD800'), 'a', 5)).toThrow(TypeError);
  });
});

function readAck(bytes: Uint8Array, version: ProtocolVersion = 5, reader = new AckReader()): AckReader {
  reader.read(bytes, bytes[0]!, 2, bytes.length, version);
  return reader;
}

describe('AckReader', () => {
  it('reads the short forms and the long one into the same fields', () => {
    const reader = new AckReader();
    readAck(hex`40 08 00 0a 87 04 1f 00 01 78`, 5, reader);
    expect(reader).toMatchObject({ packetId: 10, reasonCode: 0x87, properties: { reasonString: 'x' } });
    readAck(hex`50 03 00 0b 10`, 5, reader);
    expect(reader).toMatchObject({ packetId: 11, reasonCode: 0x10 });
    expect(reader.properties).toBe(NO_PROPERTIES);
    readAck(hex`62 02 00 0c`, 5, reader);
    expect(reader).toMatchObject({ packetId: 12, reasonCode: 0 });
  });

  it.each([
    ['other flags', hex`60 02 00 0a`, 5],
    ['other flags', hex`42 02 00 0a`, 4],
    ['Packet Identifier 0', hex`40 02 00 00`, 5],
    ['half a Packet Identifier', hex`40 01 00`, 5],
    ['a code of another packet', hex`40 03 00 0a 92`, 5],
    ['a code on 3.1.1', hex`40 03 00 0a 00`, 4],
    ['bytes behind the properties', hex`40 05 00 0a 00 00 00`, 5],
  ] as const)('refuses %s (%#)', (_, bytes, version) => {
    expect(() => readAck(bytes, version)).toThrow(expect.objectContaining({ name: 'ProtocolError' }));
  });

  it('accepts a repeated PUBREL with DUP on 3.1', () => {
    expect(readAck(hex`6a 02 00 0a`, 3).packetId).toBe(10);
  });
});

describe('writing acknowledgements', () => {
  it('takes four bytes for success', () => {
    const target = new Uint8Array(6);
    expect(writeAck(target, 1, 0x62, 0x1234)).toBe(5);
    expect(toHex(target)).toBe('00 62 02 12 34 00');
  });

  it('uses the shortest form', () => {
    const puback = { type: 'puback', packetId: 10 } as const;
    expect(toHex(encode(puback, 5))).toBe('40 02 00 0a');
    expect(toHex(encode({ ...puback, reasonCode: 0x10 }, 5))).toBe('40 03 00 0a 10');
    expect(toHex(encode({ ...puback, properties: { reasonString: '' } }, 5))).toBe(
      '40 07 00 0a 00 03 1f 00 00',
    );
    expect(() => encode({ ...puback, reasonCode: 0x10 }, 4)).toThrow(TypeError);
  });

  it('refuses, for a server, a code that only a server sends', () => {
    expect(() => readBytes(hex`40 03 00 0a 10`, 5, 'server')).toThrow('[MQTT-3.4.2-1]');
  });
});

describe('TopicCache', () => {
  const encoder = new TextEncoder();

  /** A cache, and the strings that it decoded, in order. */
  function counting(): { cache: TopicCache; decoded: string[] } {
    const decoded: string[] = [];
    const decoder = new TextDecoder();
    const cache = new TopicCache((bytes, start, end) => {
      const s = decoder.decode(bytes.subarray(start, end));
      decoded.push(s);
      return s;
    });
    return { cache, decoded };
  }

  function get(cache: TopicCache, s: string): string {
    const bytes = encoder.encode(`##${s}##`);
    return cache.get(bytes, 2, bytes.length - 2);
  }

  it('decodes a string twice, then not again while it is the last one', () => {
    const { cache, decoded } = counting();
    for (let i = 0; i < 10; i++) expect(get(cache, 'site/7/temperature')).toBe('site/7/temperature');
    expect(decoded).toHaveLength(2);
  });

  it('keeps many strings that alternate', () => {
    const { cache, decoded } = counting();
    const topics = Array.from({ length: 100 }, (_, i) => `site/${i}/temperature`);
    for (let round = 0; round < 20; round++) for (const topic of topics) get(cache, topic);
    // A few share a place and miss alternately.
    expect(decoded.length).toBeLessThan(20 * 20 + 200);
  });

  it('does not rewrite its places when more strings alternate than it can keep', () => {
    const { cache, decoded } = counting();
    for (let i = 0; i < 3; i++) get(cache, 'kept');
    const before = decoded.length;
    for (let i = 0; i < 20_000; i++) get(cache, `other/${i}`);
    get(cache, 'kept');
    expect(decoded.slice(before).filter((s) => s === 'kept')).toHaveLength(0);
  });

  it('decodes long strings each time, so that they cannot fill the memory', () => {
    const { cache, decoded } = counting();
    for (let i = 0; i < 4; i++) get(cache, 'x'.repeat(257));
    expect(decoded).toHaveLength(4);
  });

  it('caches nothing that could not be decoded', () => {
    let attempts = 0;
    const cache = new TopicCache(() => {
      attempts++;
      throw new Error('no');
    });
    for (let i = 0; i < 4; i++) expect(() => get(cache, 'a/b')).toThrow('no');
    expect(attempts).toBe(4);
  });

  it('drops everything when it is cleared', () => {
    const { cache, decoded } = counting();
    for (let i = 0; i < 4; i++) get(cache, 'a/b');
    cache.clear();
    get(cache, 'a/b');
    expect(decoded).toHaveLength(3);
  });

  it('returns the right string for any bytes, in any order and place', () => {
    const letters = fc.string({
      unit: fc.constantFrom('a', 'b', '/', '\0', 'é'),
      minLength: 1,
      maxLength: 9,
    });
    fc.assert(
      fc.property(fc.array(letters, { minLength: 1, maxLength: 60 }), fc.boolean(), (strings, together) => {
        const { cache } = counting();
        const parts = strings.map((s) => encoder.encode(s));
        const all = encoder.encode(strings.join(''));
        for (let round = 0; round < 3; round++) {
          let at = 0;
          for (const [i, s] of strings.entries()) {
            const part = parts[i]!;
            assert.equal(
              together ? cache.get(all, at, at + part.length) : cache.get(part, 0, part.length),
              s,
            );
            at += part.length;
          }
        }
      }),
    );
  });
});

describe('User Properties that are kept as bytes', () => {
  const BYTES = Uint8Array.of(1, 2, 3);
  const PAIRS: UserProperties = [
    ['a', '1'],
    ['b', '2'],
  ];
  const PLAIN = { contentType: 'x', userProperties: PAIRS, topicAlias: 7 };

  /** Properties that hold PAIRS, and how often they were decoded. */
  function holding(): {
    properties: PublishProperties & { userProperties?: UserProperties };
    decoded: string[];
  } {
    const decoded: string[] = [];
    const decode = (bytes: Uint8Array): UserProperties => {
      decoded.push(toHex(bytes));
      return [...PAIRS];
    };
    const plain = { contentType: 'x', userProperties: ['replaced'], topicAlias: 7 };
    return { properties: deferUserProperties(plain, BYTES, decode), decoded };
  }

  it('are decoded once, on first access, and are the same array every time', () => {
    const { properties, decoded } = holding();
    expect(properties.contentType).toBe('x');
    expect(Object.keys(properties)).toEqual(Object.keys(PLAIN));
    expect('userProperties' in properties).toBe(true);
    expect(Object.hasOwn(properties, 'userProperties')).toBe(true);
    expect(decoded).toEqual([]);
    const first = properties.userProperties;
    expect(first).toEqual(PAIRS);
    expect(properties.userProperties).toBe(first);
    expect(decoded).toEqual(['01 02 03']);
  });

  it('are a plain property from then on', () => {
    const { properties } = holding();
    const value = properties.userProperties;
    expect(Object.getOwnPropertyDescriptor(properties, 'userProperties')).toEqual({
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  });

  const copies: [string, (properties: PublishProperties) => unknown][] = [
    ['a spread copy', (properties) => ({ ...properties })],
    ['Object.assign', (properties) => Object.assign({}, properties)],
    ['the entries', (properties) => Object.fromEntries(Object.entries(properties))],
    ['JSON', (properties) => JSON.parse(JSON.stringify(properties))],
    ['structuredClone', (properties) => structuredClone(properties)],
    ['for…in', (properties) => {
      const copy: Record<string, unknown> = {};
      for (const name in properties) copy[name] = properties[name as keyof PublishProperties];
      return copy;
    }],
    ['what is left of a pattern', ({ contentType, ...rest }) => ({ contentType, ...rest })],
  ]; // prettier-ignore
  it.each(copies)('are in %s like any property', (_, copy) => {
    const result = copy(holding().properties) as object;
    expect(result).toStrictEqual(PLAIN);
    expect(Object.keys(result)).toEqual(Object.keys(PLAIN));
    expect(Reflect.ownKeys(result)).toEqual(Object.keys(PLAIN));
    expect(Object.getOwnPropertyDescriptor(result, 'userProperties')).toHaveProperty('value');
  });

  it('compare like any property', () => {
    expect(holding().properties).toStrictEqual(PLAIN);
    expect(PLAIN).toStrictEqual(holding().properties);
    expect(holding().properties).toEqual(holding().properties);
    expect(holding().properties).not.toEqual({ ...PLAIN, userProperties: [] });
  });

  it('work behind a Proxy, and in objects that inherit', () => {
    expect(new Proxy(holding().properties, {}).userProperties).toEqual(PAIRS);
    expect((Object.create(holding().properties) as PublishProperties).userProperties).toEqual(PAIRS);
  });

  it('are the same array every time in frozen properties', () => {
    const { properties, decoded } = holding();
    Object.freeze(properties);
    const first = properties.userProperties;
    expect(first).toEqual(PAIRS);
    expect(properties.userProperties).toBe(first);
    expect(decoded).toHaveLength(1);
    expect(() => Object.assign(properties, { userProperties: [] })).toThrow(TypeError);
    expect(properties.userProperties).toBe(first);
  });

  it('can be replaced undecoded', () => {
    const { properties, decoded } = holding();
    Object.assign(properties, { userProperties: [['c', '3']] });
    expect(properties).toStrictEqual({ ...PLAIN, userProperties: [['c', '3']] });
    expect(undecodedSizeOf(properties)).toBe(0);
    expect(decoded).toEqual([]);
  });

  it('have the size of their bytes until they are decoded', () => {
    const { properties, decoded } = holding();
    expect(undecodedSizeOf(properties)).toBe(3);
    expect(decoded).toEqual([]);
    expect(properties.userProperties).toEqual(PAIRS);
    expect(undecodedSizeOf(properties)).toBe(0);
    expect(undecodedSizeOf(PLAIN)).toBe(0);
  });
});
