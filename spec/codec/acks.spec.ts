import { describe, expect, it } from '@jest/globals';
import { AckReader, writeAck } from '../../lib/codec/acks.ts';
import { encode } from '../../lib/codec/codec.ts';
import { readPacket } from '../../lib/codec/read-packet.ts';
import { NO_PROPERTIES, type ProtocolVersion } from '../../lib/codec/packets.ts';
import { hex, toHex } from '../support/bytes.ts';

function read(bytes: Uint8Array, version: ProtocolVersion = 5, reader = new AckReader()): AckReader {
  reader.read(bytes, bytes[0]!, 2, bytes.length, version);
  return reader;
}

describe('AckReader', () => {
  it('reads the short forms and the long one into the same fields', () => {
    const reader = new AckReader();
    read(hex`40 08 00 0a 87 04 1f 00 01 78`, 5, reader);
    expect(reader).toMatchObject({ packetId: 10, reasonCode: 0x87, properties: { reasonString: 'x' } });
    read(hex`50 03 00 0b 10`, 5, reader);
    expect(reader).toMatchObject({ packetId: 11, reasonCode: 0x10 });
    expect(reader.properties).toBe(NO_PROPERTIES);
    read(hex`62 02 00 0c`, 5, reader);
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
    expect(() => read(bytes, version)).toThrow(expect.objectContaining({ name: 'ProtocolError' }));
  });

  it('accepts a repeated PUBREL with DUP on 3.1', () => {
    expect(read(hex`6a 02 00 0a`, 3).packetId).toBe(10);
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
    expect(() =>
      readPacket({ bytes: hex`40 03 00 0a 10`, header: 0x40, start: 2, end: 5 }, 5, 'server'),
    ).toThrow('[MQTT-3.4.2-1]');
  });
});
