import { describe, expect, it } from '@jest/globals';
import { encode, type Receiver } from '../../lib/codec/codec.ts';
import { readPacket } from '../../lib/codec/read-packet.ts';
import { hex, toHex } from '../support/bytes.ts';

const read = (bytes: Uint8Array, receiver: Receiver = 'client'): unknown =>
  readPacket({ bytes: bytes, header: 0xe0, start: 2, end: bytes.length }, 5, receiver);

describe('DISCONNECT', () => {
  it('uses the shortest form, and reads every form', () => {
    const disconnect = { type: 'disconnect' } as const;
    expect(toHex(encode(disconnect, 5))).toBe('e0 00');
    expect(toHex(encode({ ...disconnect, reasonCode: 0x82 }, 5))).toBe('e0 01 82');
    expect(toHex(encode({ ...disconnect, properties: { sessionExpiryInterval: 0 } }, 5))).toBe(
      'e0 07 00 05 11 00 00 00 00',
    );
    expect(() => encode({ ...disconnect, reasonCode: 4 }, 4)).toThrow(TypeError);
    for (const bytes of [hex`e0 00`, hex`e0 01 00`, hex`e0 02 00 00`]) {
      expect(read(bytes)).toEqual({ type: 'disconnect', reasonCode: 0, properties: {} });
    }
  });

  it('[MQTT-3.14.2-2] from a server with a Session Expiry Interval is accepted', () => {
    expect(read(hex`e0 07 8e 05 11 00 00 00 00`)).toMatchObject({ reasonCode: 0x8e });
  });

  it('from a client must not have a Server Reference', () => {
    expect(() => read(hex`e0 06 00 04 1c 00 01 61`, 'server')).toThrow('[3.14.2.2.5]');
  });
});
