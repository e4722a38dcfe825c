import { describe, expect, it } from '@jest/globals';
import { encode, type Receiver } from '../../lib/codec/codec.ts';
import type { EncodablePacket, Packet } from '../../lib/codec/packets.ts';
import { counted, hex, packet, text, toHex } from '../support/bytes.ts';
import { broken, decodeOne } from '../support/codec.ts';

/** MQTT 3.1, where it differs from 3.1.1: strict in what is sent, lenient in what is received. */
const NOTHING = new Uint8Array();

const receive = (bytes: Uint8Array, receiver?: Receiver): Packet | undefined => decodeOne(bytes, 3, receiver);

type Connect = Extract<EncodablePacket, { type: 'connect' }>;
const connect: Connect = { type: 'connect', clientId: 'a', cleanStart: true, keepAlive: 60 };
const publish = { type: 'publish', topic: 'a', payload: hex`68 69` } as const;

describe('v3 CONNECT', () => {
  it('v3 V31-1, V31-3 starts with MQIsdp and version 3', () => {
    const will = { topic: 'w', payload: hex`79`, qos: 1, retain: true } as const;
    const value: Connect = { ...connect, cleanStart: false, username: 'u', password: hex`70`, will };
    const bytes = packet(
      0x10,
      hex`00 06 4d 51 49 73 64 70 03 ec 00 3c`,
      text('a'),
      text('w'),
      text('y'),
      text('u'),
      text('p'),
    );
    expect(toHex(encode(value, 3))).toBe(toHex(bytes));
    expect(receive(bytes, 'server')).toStrictEqual({
      ...value,
      will: { ...will, properties: {} },
      properties: {},
    });
  });

  it('v3 V31-2 is not sent with an empty Client Identifier', () => {
    expect(() => encode({ ...connect, clientId: '' }, 3)).toThrow(broken());
    expect(() => encode({ ...connect, clientId: '', cleanStart: false }, 3)).toThrow(broken());
  });

  it('v3 V31-2 carries 23 characters of Client Identifier', () => {
    const clientId = 'x'.repeat(23);
    expect(receive(encode({ ...connect, clientId }, 3), 'server')).toMatchObject({ clientId });
  });

  it('v3 V31-3 is not sent with a password and no user name', () => {
    expect(() => encode({ ...connect, password: hex`70` }, 3)).toThrow(broken());
  });

  it('v3 V31-3 a server takes the flags of user name and password without their fields', () => {
    const opening = hex`00 06 4d 51 49 73 64 70 03 c2 00 3c 00 01 61`;
    expect(receive(packet(0x10, opening), 'server')).toStrictEqual({ ...connect, properties: {} });
    expect(receive(packet(0x10, opening, text('u')), 'server')).toStrictEqual({
      ...connect,
      username: 'u',
      properties: {},
    });
    expect(receive(packet(0x10, opening, text('u'), text('p')), 'server')).toMatchObject({
      username: 'u',
      password: hex`70`,
    });
    expect(() => receive(packet(0x10, opening, hex`00`), 'server')).toThrow(broken());
  });

  it('v3 V31-14 a server refuses Will QoS 3 all the same', () => {
    const bytes = packet(0x10, hex`00 06 4d 51 49 73 64 70 03 1e 00 3c`, text('a'), text('w'), text(''));
    expect(() => receive(bytes, 'server')).toThrow(broken());
  });

  it('v3 V31-11 carries an empty Will Message', () => {
    const bytes = encode({ ...connect, will: { topic: 'w', payload: NOTHING } }, 3);
    expect(toHex(bytes.subarray(-5))).toBe('00 01 77 00 00');
    expect(receive(bytes, 'server')).toMatchObject({ will: { topic: 'w', payload: NOTHING } });
  });
});

describe('v3 CONNACK and SUBACK', () => {
  it('v3 V31-4 ignores the reserved byte: there is no Session Present', () => {
    for (let reserved = 0; reserved <= 255; reserved++) {
      expect(receive(hex`20 02 ${reserved} 00`)).toStrictEqual({
        type: 'connack',
        sessionPresent: false,
        reasonCode: 0,
        properties: {},
      });
    }
  });

  it('v3 V31-4 is not sent with Session Present', () => {
    expect(() => encode({ type: 'connack', sessionPresent: true }, 3)).toThrow(
      expect.objectContaining({ name: 'TypeError' }),
    );
    expect(toHex(encode({ type: 'connack', sessionPresent: false }, 3))).toBe('20 02 00 00');
  });

  it('v3 R3 has return codes 0 to 5', () => {
    for (const reasonCode of [0, 1, 2, 3, 4, 5]) {
      expect(receive(hex`20 02 00 ${reasonCode}`)).toMatchObject({ reasonCode });
      expect(toHex(encode({ type: 'connack', reasonCode }, 3))).toBe(`20 02 00 0${reasonCode}`);
    }
    expect(() => receive(hex`20 02 00 06`)).toThrow(broken());
  });

  it('v3 V31-5 tells granted QoS, and 0x80 where a server sends it', () => {
    expect(receive(hex`90 06 00 0a 00 01 02 80`)).toStrictEqual({
      type: 'suback',
      packetId: 10,
      reasonCodes: [0, 1, 2, 0x80],
      properties: {},
    });
  });
});

describe('v3 SUBACK', () => {
  it('v3 V31-5 tells every value it does not know as failure', () => {
    for (let code = 3; code <= 255; code++) {
      expect(receive(hex`90 04 00 0a 01 ${code}`)).toMatchObject({ reasonCodes: [1, 0x80] });
    }
  });

  it('v3 V31-5 is not sent with a failure', () => {
    for (const code of [3, 0x80]) {
      expect(() => encode({ type: 'suback', packetId: 1, reasonCodes: [code] }, 3)).toThrow(broken());
    }
  });
});

describe('v3 receiving is lenient', () => {
  it.each([0x60, 0x62, 0x68, 0x6a])('v3 V31-10 takes PUBREL with first byte %d', (first) => {
    expect(receive(hex`${first} 02 00 0a`)).toStrictEqual({
      type: 'pubrel',
      packetId: 10,
      reasonCode: 0,
      properties: {},
    });
  });

  it.each([0x80, 0x82, 0x8a])('v3 V31-10 a server takes SUBSCRIBE with first byte %d', (first) => {
    expect(receive(packet(first, hex`00 0a`, text('a'), hex`01`), 'server')).toMatchObject({
      type: 'subscribe',
    });
  });

  it.each([0xa0, 0xa2, 0xaa])('v3 V31-10 a server takes UNSUBSCRIBE with first byte %d', (first) => {
    expect(receive(packet(first, hex`00 0a`, text('a')), 'server')).toMatchObject({ type: 'unsubscribe' });
  });

  it.each([
    ['CONNACK', hex`2b 02 00 00`],
    ['PUBACK', hex`48 02 00 0a`],
    ['SUBACK', hex`9f 03 00 0a 00`],
    ['UNSUBACK', hex`b2 02 00 0a`],
    ['PINGRESP', hex`d1 00`],
  ])('v3 V31-10 does not check the unused flags of %s', (_, bytes) => {
    expect(receive(bytes)).toBeDefined();
  });

  it('v3 V31-14 takes DUP with QoS 0', () => {
    expect(receive(packet(0x38, text('a'), hex`68 69`))).toMatchObject({ qos: 0, duplicate: true });
  });

  it('v3 V31-14 takes U+0000 and ill-formed UTF-8', () => {
    expect(receive(packet(0x30, text('a\0b')))).toMatchObject({ topic: 'a\0b' });
    expect(receive(packet(0x30, counted(hex`61 ff 62`)))).toMatchObject({ topic: 'a\ufffdb' });
    expect(receive(packet(0x30, counted(hex`ef bb bf 61`)))).toMatchObject({ topic: '\ufeffa' });
  });

  it.each([0x36, 0x37, 0x3e, 0x3f])('v3 MQTT-3.3.1-4 refuses QoS 3 all the same (first byte %d)', (first) => {
    expect(() => receive(packet(first, text('a'), hex`00 01`))).toThrow(broken());
  });

  it.each([0x10, 0x82, 0xa2, 0xc0, 0xe0, 0xf0, 0x00])(
    'v3 U4-2.2.1-a refuses a packet with first byte %d all the same',
    (first) => {
      expect(() => receive(packet(first))).toThrow(broken());
    },
  );

  it('v3 U4-2.2.3-a takes a padded Remaining Length', () => {
    expect(receive(hex`d0 80 00`)).toStrictEqual({ type: 'pingresp' });
    expect(() => receive(hex`30 ff ff ff ff`)).toThrow(broken());
  });
});

describe('v3 sending is strict', () => {
  it('v3 V31-14 refuses DUP with QoS 0', () => {
    expect(() => encode({ ...publish, duplicate: true }, 3)).toThrow(broken());
  });

  it.each(['a\0', '\ud800', '', 'a/#', '+'])('v3 V31-14 refuses the Topic Name %j', (topic) => {
    expect(() => encode({ ...publish, topic }, 3)).toThrow(broken());
  });

  it('v3 V31-7 writes DUP into a resent PUBLISH', () => {
    expect(encode({ ...publish, qos: 1, packetId: 1, duplicate: true }, 3)[0]).toBe(0x3a);
    expect(encode({ ...publish, qos: 2, packetId: 1, duplicate: true }, 3)[0]).toBe(0x3c);
  });

  it('v3 V31-10 writes 62, 82 and A2', () => {
    expect(encode({ type: 'pubrel', packetId: 1 }, 3)[0]).toBe(0x62);
    expect(
      encode({ type: 'subscribe', packetId: 1, subscriptions: [{ topicFilter: 'a', qos: 0 }] }, 3)[0],
    ).toBe(0x82);
    expect(encode({ type: 'unsubscribe', packetId: 1, topicFilters: ['a'] }, 3)[0]).toBe(0xa2);
  });

  it.each([
    { ...connect, properties: { receiveMaximum: 1 } },
    { ...publish, properties: { contentType: 'x' } },
    { type: 'disconnect', properties: { reasonString: 'x' } },
  ] as EncodablePacket[])('v3 has no properties: $type with some is a TypeError', (value) => {
    expect(() => encode(value, 3)).toThrow(expect.objectContaining({ name: 'TypeError' }));
  });

  it('v3 has no AUTH', () => {
    const auth = { type: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'X' } } as const;
    expect(() => encode(auth, 3)).toThrow(
      expect.objectContaining({ name: expect.stringMatching(/^(?:Protocol|Type)Error$/) }),
    );
  });
});
