import { describe, expect, it } from '@jest/globals';
import { encode } from '../../lib/codec/codec.ts';
import { NO_PROPERTIES, type ProtocolVersion, type PublishProperties } from '../../lib/codec/packets.ts';
import { PublishReader } from '../../lib/codec/publish-reader.ts';
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

  it('reads into the same fields, and resets properties and Packet Identifier', () => {
    const reader = new PublishReader();
    read(hex`3b 0b 00 01 61 00 0a 03 23 00 07 68 69`, 5, reader);
    expect(reader).toMatchObject({ topic: 'a', qos: 1, retain: true, duplicate: true, packetId: 10 });
    expect(reader.properties).toEqual({ topicAlias: 7 });
    read(hex`30 04 00 01 62 00`, 5, reader);
    expect(reader).toMatchObject({ topic: 'b', qos: 0, retain: false, duplicate: false, packetId: 0 });
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
