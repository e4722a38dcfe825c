import { describe, expect, it } from '@jest/globals';
import { encode } from '../../lib/codec/codec.ts';
import {
  NO_PROPERTIES,
  type ProtocolVersion,
  type PublishProperties,
  type QoS,
} from '../../lib/codec/packets.ts';
import { PublishReader, PublishWriter, qosOf, type OutgoingPublish } from '../../lib/codec/publish.ts';
import { hex, toHex } from '../support/bytes.ts';

const refused = (statement: string, reasonCode: number): unknown =>
  expect.objectContaining({ name: 'ProtocolError', statement, reasonCode });

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

  it('reads into the same fields, properties and Packet Identifier only where they are', () => {
    const reader = new PublishReader();
    read(hex`3b 0b 00 01 61 00 0a 03 23 00 07 68 69`, 5, reader);
    expect(reader).toMatchObject({ topic: 'a', qos: 1, retain: true, duplicate: true, packetId: 10 });
    expect(reader.properties).toEqual({ topicAlias: 7 });
    read(hex`30 04 00 01 62 00`, 5, reader);
    expect(reader).toMatchObject({ topic: 'b', qos: 0, retain: false, duplicate: false, packetId: 0 });
    expect(reader.properties).toBe(NO_PROPERTIES);
    expect(reader.payload()).toHaveLength(0);
  });

  it('says about what the properties take in memory, from packet to packet', () => {
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
    topicAlias = 0,
  ): string {
    const size = writer.measure(message, topicName, version, topicAlias);
    const target = new Uint8Array(size + 2);
    expect(writer.write(target, 1, message, 10, false, true)).toBe(1 + size);
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
        expect(write(writer, messageOf(topic), 4)).toBe(fresh);
        expect(write(writer, messageOf(topic), 4)).toBe(fresh);
      }
    }
  });

  it('takes an alias beside the message and leaves the topic out', () => {
    const writer = new PublishWriter();
    expect(write(writer, messageOf('a'), 5, 'a', 7)).toBe('30 09 00 01 61 03 23 00 07 68 69');
    expect(write(writer, messageOf('a'), 5, '', 7)).toBe('30 08 00 00 03 23 00 07 68 69');
    expect(write(writer, messageOf('a'), 5)).toBe('30 06 00 01 61 00 68 69');
    const aliased = messageOf('a', '', 0, { topicAlias: 1 });
    expect(() => writer.measure(aliased, 'a', 5, 7)).toThrow(refused('3.3.2.3.4', 0x82));
  });

  it('writes everything but the payload where that goes out by itself', () => {
    const writer = new PublishWriter();
    const message = messageOf('a', new Uint8Array(100_000), 1);
    const size = writer.measure(message, 'a', 4);
    const target = new Uint8Array(32);
    expect(writer.write(target, 0, message, 10, true, false)).toBe(size - writer.payloadLength);
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

  it('refuses topics that are none', () => {
    const writer = new PublishWriter();
    expect(() => writer.measure(messageOf('a/+'), 'a/+', 5)).toThrow(refused('MQTT-3.3.2-2', 0x90));
    expect(() => writer.measure(messageOf(''), '', 5)).toThrow(refused('MQTT-4.7.3-1', 0x90));
    expect(() => writer.measure(messageOf('', '', 0, { topicAlias: 1 }), '', 4)).toThrow('[MQTT-4.7.3-1]');
    expect(() => writer.measure(messageOf('\uD800'), '\uD800', 4)).toThrow(refused('MQTT-1.5.3-1', 0x81));
  });

  it('refuses payloads that are not what they say', () => {
    const writer = new PublishWriter();
    const utf8 = { payloadFormatIndicator: 1 } as const;
    expect(() => writer.measure(messageOf('a', hex`ff`, 0, utf8), 'a', 5)).toThrow(
      refused('3.3.2.3.2', 0x99),
    );
    expect(() => writer.measure(messageOf('a', '\uD800'), 'a', 5)).toThrow(TypeError);
  });
});

describe('qosOf', () => {
  it('[MQTT-3.3.1-4] knows 0, 1 and 2', () => {
    expect([qosOf('qos', undefined), qosOf('qos', 2)]).toEqual([0, 2]);
    expect(() => qosOf('qos', 3)).toThrow(refused('MQTT-3.3.1-4', 0x81));
    expect(() => qosOf('qos', 4)).toThrow(RangeError);
    expect(() => qosOf('qos', '1')).toThrow(TypeError);
  });
});
