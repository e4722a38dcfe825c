import { describe, expect, it } from '@jest/globals';
import { encode, type ProtocolVersion } from '../../lib/codec/codec.ts';
import { hex, toHex } from '../support/bytes.ts';
import { readBytes } from '../support/codec.ts';

describe('CONNECT', () => {
  const connect = { type: 'connect', clientId: 'a', cleanStart: true, keepAlive: 60 } as const;
  const read = (bytes: Uint8Array): unknown => readBytes(bytes, 5, 'server');
  const written = (more: object, version: ProtocolVersion): string =>
    toHex(encode({ ...connect, ...more }, version));

  it('is written as each version has it', () => {
    expect(written({}, 3)).toBe('10 0f 00 06 4d 51 49 73 64 70 03 02 00 3c 00 01 61');
    expect(written({}, 4)).toBe('10 0d 00 04 4d 51 54 54 04 02 00 3c 00 01 61');
    expect(written({}, 5)).toBe('10 0e 00 04 4d 51 54 54 05 02 00 3c 00 00 01 61');
  });

  it('[MQTT-3.1.3-1] writes its fields in order, and reads them back', () => {
    const full = {
      ...connect,
      username: 'u',
      password: hex`70`,
      will: { topic: 'w', payload: hex`78`, qos: 2, retain: true, properties: { willDelayInterval: 5 } },
      properties: { receiveMaximum: 10 },
    } as const;
    const bytes = encode(full, 5);
    expect(toHex(bytes).slice(-72)).toBe(
      'f6 00 3c 03 21 00 0a 00 01 61 05 18 00 00 00 05 00 01 77 00 01 78 00 01 75 00 01 70'.slice(-72),
    );
    expect(read(bytes)).toEqual(full);
  });

  it('tells a server its version', () => {
    expect(() => read(hex`10 0d 00 04 4d 51 54 54 06 02 00 3c 00 01 61`)).toThrow(
      expect.objectContaining({ statement: 'MQTT-3.1.2-2', reasonCode: 0x84 }),
    );
    expect(() => read(hex`10 0d 00 04 48 54 54 50 04 02 00 3c 00 01 61`)).toThrow('[MQTT-3.1.2-1]');
  });

  it.each([
    ['the reserved flag', 0x03, 'MQTT-3.1.2-3'],
    ['Will QoS without a will', 0x0a, 'MQTT-3.1.2-13'],
    ['Will Retain without a will', 0x22, 'MQTT-3.1.2-15'],
    ['Will QoS 3', 0x1e, 'MQTT-3.1.2-14'],
    ['a password without a user name', 0x42, 'MQTT-3.1.2-22'],
  ])('refuses %s on 3.1.1', (_, flags, statement) => {
    expect(() => read(hex`10 0d 00 04 4d 51 54 54 04 ${flags} 00 3c 00 01 61`)).toThrow(
      expect.objectContaining({ statement }),
    );
  });

  it('accepts a CONNECT of 3.1 whose flags are set for absent fields', () => {
    expect(read(hex`10 0f 00 06 4d 51 49 73 64 70 03 c2 00 3c 00 01 61`)).toEqual({
      ...connect,
      properties: {},
    });
  });

  it('is not written if a server would refuse it', () => {
    expect(() => written({ clientId: '' }, 3)).toThrow(expect.objectContaining({ reasonCode: 0x85 }));
    expect(() => written({ clientId: '', cleanStart: false }, 4)).toThrow('[MQTT-3.1.3-7]');
    expect(() => written({ clientId: '' }, 4)).not.toThrow();
    expect(() => written({ password: hex`70` }, 4)).toThrow('[MQTT-3.1.2-22]');
    expect(() => written({ password: hex`70` }, 5)).not.toThrow();
    expect(() => written({ properties: { authenticationData: hex`00` } }, 5)).toThrow('[3.1.2.11.10]');
    expect(() => written({ will: { topic: 'a/#', payload: hex`` } }, 5)).toThrow('[MQTT-3.1.3-11]');
    expect(() => written({ will: 'bye' }, 5)).toThrow(TypeError);
    expect(() => written({ keepAlive: 65_536 }, 5)).toThrow(RangeError);
    expect(() => written({ cleanStart: undefined }, 5)).toThrow(TypeError);
  });
});

describe('CONNACK', () => {
  it('is read as each version has it', () => {
    const packet = { type: 'connack', sessionPresent: true, reasonCode: 0, properties: {} };
    expect(readBytes(hex`20 03 01 00 00`)).toEqual(packet);
    expect(readBytes(hex`20 02 01 00`, 4)).toEqual(packet);
    expect(readBytes(hex`20 02 ff 00`, 3)).toEqual({ ...packet, sessionPresent: false });
  });

  it('reads the refusal of a server without 5.0 as Unsupported Protocol Version', () => {
    expect(readBytes(hex`20 02 00 01`)).toMatchObject({ reasonCode: 0x84 });
    expect(() => readBytes(hex`20 02 00 05`)).toThrow(expect.objectContaining({ reasonCode: 0x81 }));
  });

  it('refuses reserved flags, codes and lengths', () => {
    expect(() => readBytes(hex`20 03 02 00 00`)).toThrow('[MQTT-3.2.2-1]');
    expect(() => readBytes(hex`20 02 02 00`, 4)).toThrow('[3.2.2.1]');
    expect(() => readBytes(hex`20 03 00 01 00`)).toThrow('[MQTT-3.2.2-8]');
    expect(() => readBytes(hex`20 02 00 06`, 4)).toThrow('[3.2.2.3]');
    expect(() => readBytes(hex`20 03 00 00 00`, 4)).toThrow('[2.1.4]');
  });

  it('is not written as a refusal with Session Present', () => {
    const refusal = { type: 'connack', sessionPresent: true, reasonCode: 0x87 } as const;
    expect(() => encode(refusal, 5)).toThrow('[MQTT-3.2.2-6]');
    expect(() => encode({ ...refusal, reasonCode: 5 }, 4)).toThrow('[MQTT-3.2.2-4]');
    expect(() => encode({ ...refusal, reasonCode: 0 }, 3)).toThrow(TypeError);
    expect(toHex(encode({ type: 'connack' }, 5))).toBe('20 03 00 00 00');
  });
});

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
      expect(readBytes(bytes)).toEqual({ type: 'disconnect', reasonCode: 0, properties: {} });
    }
  });

  it('[MQTT-3.14.2-2] from a server with a Session Expiry Interval is accepted', () => {
    expect(readBytes(hex`e0 07 8e 05 11 00 00 00 00`)).toMatchObject({ reasonCode: 0x8e });
  });

  it('from a client must not have a Server Reference', () => {
    expect(() => readBytes(hex`e0 06 00 04 1c 00 01 61`, 5, 'server')).toThrow('[3.14.2.2.5]');
  });
});

describe('AUTH', () => {
  const properties = { authenticationMethod: 'X' };

  it('is written and read with its method', () => {
    const auth = { type: 'auth', reasonCode: 0x18, properties } as const;
    expect(toHex(encode(auth, 5))).toBe('f0 06 18 04 15 00 01 58');
    expect(readBytes(encode(auth, 5))).toEqual(auth);
  });

  it('without a method is refused', () => {
    expect(() => encode({ type: 'auth', reasonCode: 0x18 }, 5)).toThrow('[3.15.2.2.2]');
    expect(() => readBytes(hex`f0 00`)).toThrow(expect.objectContaining({ reasonCode: 0x82 }));
    expect(() => readBytes(hex`f0 01 18`)).toThrow(expect.objectContaining({ reasonCode: 0x81 }));
    expect(() => readBytes(hex`f0 02 18 00`)).toThrow(expect.objectContaining({ reasonCode: 0x82 }));
  });

  it('[MQTT-3.15.2-1] has the Reason Codes that the other end may send', () => {
    expect(() => readBytes(hex`f0 06 19 04 15 00 01 58`)).toThrow('[MQTT-3.15.2-1]');
    expect(() => readBytes(hex`f0 06 00 04 15 00 01 58`, 5, 'server')).toThrow('[MQTT-3.15.2-1]');
  });

  it('does not exist on 3.x', () => {
    expect(() => encode({ type: 'auth', properties }, 4)).toThrow('[2.2.1]');
  });
});
