import { describe, expect, it } from '@jest/globals';
import { encode, type Receiver } from '../../lib/codec/codec.ts';
import type { EncodablePacket, Packet, QoS, SubscriptionRequest } from '../../lib/codec/packets.ts';
import { counted, hex, packet, text, toHex } from '../support/bytes.ts';
import { broken, decodeOne, notEncodable } from '../support/codec.ts';

/** MQTT 3.1.1, what a codec decides of it. */
const NOTHING = new Uint8Array();

const receive = (bytes: Uint8Array, receiver?: Receiver): Packet | undefined => decodeOne(bytes, 4, receiver);

/** Whether `bytes` are taken; what they are refused with is a ProtocolError. */
function taken(bytes: Uint8Array, receiver: 'client' | 'server' = 'client'): boolean {
  try {
    receive(bytes, receiver);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ name: 'ProtocolError' });
    return false;
  }
}

const BYTES = Array.from({ length: 256 }, (_, byte) => byte);
type Connect = Extract<EncodablePacket, { type: 'connect' }>;
const connect: Connect = { type: 'connect', clientId: 'c', cleanStart: true, keepAlive: 60 };
const publish = { type: 'publish', topic: 'a', payload: hex`68 69` } as const;

const PLACES: readonly [string, 'client' | 'server', (value: string) => EncodablePacket, (field: Uint8Array) => Uint8Array][] = [
  ['Client Identifier', 'server', (clientId) => ({ ...connect, clientId }),
    (field) => packet(0x10, hex`00 04 4d 51 54 54 04 02 00 3c`, field)],
  ['User Name', 'server', (username) => ({ ...connect, username }),
    (field) => packet(0x10, hex`00 04 4d 51 54 54 04 82 00 3c`, text('c'), field)],
  ['Will Topic', 'server', (topic) => ({ ...connect, will: { topic, payload: NOTHING } }),
    (field) => packet(0x10, hex`00 04 4d 51 54 54 04 06 00 3c`, text('c'), field, text(''))],
  ['Topic Name', 'client', (topic) => ({ ...publish, topic }), (field) => packet(0x30, field, hex`68 69`)],
  ['Topic Filter of SUBSCRIBE', 'server',
    (topicFilter) => ({ type: 'subscribe', packetId: 1, subscriptions: [{ topicFilter, qos: 0 }] }),
    (field) => packet(0x82, hex`00 01`, field, hex`00`)],
  ['Topic Filter of UNSUBSCRIBE', 'server', (topicFilter) => ({ type: 'unsubscribe', packetId: 1, topicFilters: [topicFilter] }),
    (field) => packet(0xa2, hex`00 01`, field)],
]; // prettier-ignore

describe.each(PLACES)('v4 %s', (_, receiver, send, wire) => {
  it.each(['\ud800', 'a\udfff', '\udc00\ud800'])('v4 MQTT-1.5.3-1 is not sent as %j', (value) => {
    expect(() => encode(send(value), 4)).toThrow(broken());
  });

  it.each([
    hex`c0 80`,
    hex`ed a0 80`,
    hex`ed a0 bd ed b8 80`,
    hex`80`,
    hex`61 c3`,
    hex`f4 90 80 80`,
    hex`ff`,
  ])('v4 MQTT-1.5.3-1 is refused when ill-formed (%#)', (bytes) => {
    expect(() => receive(wire(counted(bytes)), receiver)).toThrow(broken());
  });

  it.each(['\0', 'a\0b'])('v4 MQTT-1.5.3-2 refuses U+0000 in %j both ways', (value) => {
    expect(() => encode(send(value), 4)).toThrow(broken());
    expect(() => receive(wire(text(value)), receiver)).toThrow(broken());
  });

  it.each(['\ufeff', '\ufeffa\ufeff', '\u0001', '\u{2a6d4}', '\uffff'])(
    'v4 MQTT-1.5.3-3 carries %j unchanged',
    (value) => {
      expect(toHex(encode(send(value), 4))).toBe(toHex(wire(text(value))));
      expect(JSON.stringify(receive(wire(text(value)), receiver))).toContain(JSON.stringify(value));
    },
  );

  it('v4 MQTT-4.7.3-3 carries 65,535 bytes, and neither more nor a length past the end', () => {
    const longest = `${'\u00e9'.repeat(32_767)}a`;
    expect(receive(encode(send(longest), 4), receiver)).toBeDefined();
    expect(() => encode(send(`${longest}a`), 4)).toThrow(broken());
    expect(() => receive(wire(hex`ff ff 61`), receiver)).toThrow(broken());
  });
});

describe('v4 headers and lengths', () => {
  const SHARED = [0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x3a, 0x3b, 0x3c, 0x3d, 0x40, 0x50, 0x62, 0x70];
  const BODIES = [
    NOTHING, hex`00 04 4d 51 54 54 04 02 00 00 00 00`, hex`00 00`, hex`00 01 61 00 01`,
    hex`00 01`, hex`00 01`, hex`00 01`, hex`00 01`,
    hex`00 01 00 01 61 00`, hex`00 01 00`, hex`00 01 00 01 61`, hex`00 01`,
    NOTHING, NOTHING, NOTHING, NOTHING,
  ]; // prettier-ignore

  it.each([
    ['client', [0x20, ...SHARED, 0x90, 0xb0, 0xd0]],
    ['server', [0x10, ...SHARED, 0x82, 0xa2, 0xc0, 0xe0]],
  ] as const)(
    'v4 R4, MQTT-2.2.2-2, U4-2.2.1-a, MQTT-3.3.1-2, -4, MQTT-3.6.1-1 a %s accepts exactly its first bytes',
    (receiver, accepted) => {
      const bytes = BYTES.filter((first) => taken(packet(first, BODIES[first >> 4]!), receiver));
      expect(bytes).toEqual(accepted.toSorted((a, b) => a - b));
    },
  );

  it('v4 MQTT-3.14.1-1 a client refuses DISCONNECT', () => {
    expect(() => receive(hex`e0 00`)).toThrow(broken());
  });

  it.each([
    ['0 in two bytes', hex`d0 80 00`],
    ['0 in four bytes', hex`d0 80 80 80 00`],
    ['2 in three bytes', hex`40 82 80 00 00 0a`],
  ])('v4 U4-2.2.3-a takes a padded Remaining Length %s', (_, bytes) => {
    expect(receive(bytes)).toBeDefined();
  });

  it('v4 R4, U4-2.2.3-a takes lengths of four bytes and refuses more', () => {
    expect(receive(hex`30 ff ff ff 7f`)).toBeUndefined();
    expect(() => receive(hex`30 ff ff ff ff`)).toThrow(broken());
    const large = packet(0x30, text('a'), new Uint8Array(2_097_152));
    expect(receive(large)).toMatchObject({ type: 'publish', topic: 'a' });
    expect(encode(receive(large)!, 4).length).toBe(large.length);
  });

  it.each([
    ['CONNACK', hex`20 01 00`],
    ['CONNACK', hex`20 03 00 00 00`],
    ['PUBACK', hex`40 01 00`],
    ['PUBACK', hex`40 03 00 0a 00`],
    ['PUBREC', hex`50 04 00 0a 00 00`],
    ['PUBREL', hex`62 03 00 0a 00`],
    ['PUBCOMP', hex`70 03 00 0a 00`],
    ['SUBACK', hex`90 02 00 0a`],
    ['UNSUBACK', hex`b0 03 00 0a 00`],
    ['UNSUBACK', hex`b0 01 00`],
    ['PINGRESP', hex`d0 01 00`],
    ['PUBLISH', hex`30 02 00 01`],
    ['PUBLISH QoS 1', hex`32 04 00 01 61 00`],
    ['PUBLISH before another', hex`30 03 00 02 61 30 03 00 01 61`],
    ['PUBLISH QoS 1 before another', hex`32 04 00 01 61 00 30 03 00 01 61`],
  ])('v4 R4, U4-3.2.2-a refuses %s of a wrong length (%#)', (_, bytes) => {
    expect(() => receive(bytes)).toThrow(broken());
  });

  it.each([
    ['PINGREQ', hex`c0 01 00`],
    ['DISCONNECT', hex`e0 01 00`],
    ['CONNECT', packet(0x10, hex`00 04 4d 51 54 54 04 02 00 3c 00 00 00`)],
    ['SUBSCRIBE', hex`82 05 00 0a 00 01 61`],
    ['UNSUBSCRIBE', hex`a2 02 00 0a`],
  ])('v4 R4 a server refuses %s of a wrong length (%#)', (_, bytes) => {
    expect(() => receive(bytes, 'server')).toThrow(broken());
  });
});

describe('v4 Packet Identifiers', () => {
  it.each([0x32, 0x3a, 0x34, 0x3c])(
    'v4 MQTT-2.3.1-4 refuses Packet Identifier 0 in PUBLISH (first byte %d)',
    (first) => {
      expect(() => receive(packet(first, hex`00 01 61 00 00`))).toThrow(broken('2.3.1'));
    },
  );

  it.each([
    { ...publish, qos: 1, packetId: 0 },
    { ...publish, qos: 2, packetId: 0 },
    { type: 'subscribe', packetId: 0, subscriptions: [{ topicFilter: 'a', qos: 0 }] },
    { type: 'unsubscribe', packetId: 0, topicFilters: ['a'] },
  ] as EncodablePacket[])('v4 MQTT-2.3.1-1 $type is not sent with Packet Identifier 0 (%#)', (value) => {
    expect(() => encode(value, 4)).toThrow(broken('2.3.1'));
  });

  it('v4 MQTT-2.3.1-5 PUBLISH with QoS 0 has none', () => {
    expect(toHex(encode(publish, 4))).toBe('30 05 00 01 61 68 69');
    expect(receive(hex`30 05 00 01 61 68 69`)).not.toHaveProperty('packetId');
    expect(() => encode({ ...publish, packetId: 1 }, 4)).toThrow(broken('MQTT-2.3.1-5'));
  });

  it.each(['puback', 'pubrec', 'pubrel', 'pubcomp', 'unsuback'] as const)(
    'v4 MQTT-2.3.1-6, -7 %s echoes it',
    (type) => {
      const bytes = encode({ type, packetId: 0xfedc }, 4);
      expect(toHex(bytes.subarray(1))).toBe('02 fe dc');
      expect(receive(bytes)).toMatchObject({ type, packetId: 0xfedc });
    },
  );
});

describe('v4 CONNECT', () => {
  it('v4 MQTT-3.1.2-1, -2, MQTT-3.1.3-1, -3 is exactly these bytes', () => {
    const will = { topic: 'w', payload: hex`79`, qos: 2 as QoS, retain: true };
    const value: Connect = { ...connect, cleanStart: false, username: 'u', password: hex`70`, will };
    const bytes = packet(
      0x10,
      hex`00 04 4d 51 54 54 04 f4 00 3c`,
      text('c'),
      text('w'),
      text('y'),
      text('u'),
      text('p'),
    );
    expect(toHex(encode(value, 4))).toBe(toHex(bytes));
    expect(receive(bytes, 'server')).toStrictEqual({
      ...value,
      will: { ...will, properties: {} },
      properties: {},
    });
  });

  it('v4 MQTT-3.1.2-3, -9, -11, -13 to -15, -18 to -22 a server takes exactly the Connect Flags that make sense', () => {
    const flags = BYTES.filter((bits) => {
      const parts = [(bits & 4) !== 0 ? hex`00 01 77 00 00` : NOTHING, ...[0x80, 0x40].map((bit) => ((bits & bit) !== 0 ? text('x') : NOTHING))]; // prettier-ignore
      return taken(packet(0x10, hex`00 04 4d 51 54 54 04 ${bits} 00 3c`, text('c'), ...parts), 'server');
    });
    const legal = BYTES.filter(
      (bits) =>
        (bits & 1) === 0 &&
        (bits & 0x18) !== 0x18 &&
        ((bits & 4) !== 0 || (bits & 0x38) === 0) &&
        ((bits & 0x80) !== 0 || (bits & 0x40) === 0),
    );
    expect(flags).toEqual(legal);
  });

  it.each([
    [0x03, 'MQTT-3.1.2-3'],
    [0x1e, 'MQTT-3.1.2-14'],
    [0x0a, 'MQTT-3.1.2-13'],
    [0x22, 'MQTT-3.1.2-15'],
    [0x42, 'MQTT-3.1.2-22'],
  ])('v4 Connect Flags %d break %s', (flags, statement) => {
    const bytes = packet(0x10, hex`00 04 4d 51 54 54 04 ${flags} 00 3c`, text('c'), text('w'), text(''));
    expect(() => receive(bytes, 'server')).toThrow(broken(statement));
  });

  it.each(['', 'a/#', '+'])('v4 MQTT-3.1.3-10 refuses the Will Topic %j, both ways', (topic) => {
    expect(() => encode({ ...connect, will: { topic, payload: NOTHING } }, 4)).toThrow(
      broken('MQTT-3.1.3-10'),
    );
    const bytes = packet(0x10, hex`00 04 4d 51 54 54 04 06 00 3c`, text('c'), text(topic), text(''));
    expect(() => receive(bytes, 'server')).toThrow(broken('MQTT-3.1.3-10'));
  });

  it('v4 MQTT-3.1.2-22 refuses a password without user name', () => {
    expect(() => encode({ ...connect, password: hex`70` }, 4)).toThrow(broken('MQTT-3.1.2-22'));
    expect(encode({ ...connect, username: '', password: hex`` }, 4)[9]).toBe(0xc2);
  });

  it('v4 MQTT-3.1.2-14 refuses Will QoS 3', () => {
    expect(() => encode({ ...connect, will: { topic: 'w', payload: NOTHING, qos: 3 as QoS } }, 4)).toThrow(
      notEncodable(),
    );
  });

  it('v4 MQTT-3.1.3-7 an empty Client Identifier needs Clean Session', () => {
    expect(() => encode({ ...connect, clientId: '', cleanStart: false }, 4)).toThrow(broken('MQTT-3.1.3-7'));
    expect(toHex(encode({ ...connect, clientId: '' }, 4))).toBe('10 0c 00 04 4d 51 54 54 04 02 00 3c 00 00');
  });

  it('v4 MQTT-3.1.3-8 a server reads an empty Client Identifier without Clean Session, to answer with return code 2', () => {
    const bytes = hex`10 0c 00 04 4d 51 54 54 04 00 00 3c 00 00`;
    expect(receive(bytes, 'server')).toMatchObject({ clientId: '', cleanStart: false });
    expect(toHex(encode({ type: 'connack', reasonCode: 2 }, 4))).toBe('20 02 00 02');
  });
});

describe('v4 CONNACK and acknowledgements', () => {
  it('v4 U4-3.2.2-a CONNACK flags are 0 or 1', () => {
    expect(BYTES.filter((flags) => taken(hex`20 02 ${flags} 00`))).toEqual([0, 1]);
  });

  it('v4 MQTT-3.2.2-4 does not send a refusal with Session Present, and tells its return code when it comes', () => {
    expect(() => encode({ type: 'connack', sessionPresent: true, reasonCode: 5 }, 4)).toThrow(
      broken('MQTT-3.2.2-4'),
    );
    expect(receive(hex`20 02 01 05`)).toMatchObject({ reasonCode: 5 });
  });

  it('v4 R3 CONNACK has return codes 0 to 5, both ways', () => {
    expect(BYTES.filter((code) => taken(hex`20 02 00 ${code}`))).toEqual([0, 1, 2, 3, 4, 5]);
    for (const reasonCode of [0, 1, 2, 3, 4, 5]) {
      const value = { type: 'connack', sessionPresent: false, reasonCode, properties: {} } as const;
      expect(receive(hex`20 02 00 ${reasonCode}`)).toStrictEqual(value);
      expect(toHex(encode(value, 4))).toBe(`20 02 00 0${reasonCode}`);
    }
    expect(() => encode({ type: 'connack', reasonCode: 6 }, 4)).toThrow(notEncodable());
    expect(() => encode({ type: 'connack', reasonCode: 0x87 }, 4)).toThrow(notEncodable());
  });

  it('v4 MQTT-3.9.3-2 SUBACK has return codes 0, 1, 2 and 0x80, both ways', () => {
    expect(BYTES.filter((code) => taken(hex`90 04 00 0a 00 ${code}`))).toEqual([0, 1, 2, 0x80]);
    const value = { type: 'suback', packetId: 10, reasonCodes: [0, 1, 2, 0x80], properties: {} } as const;
    expect(toHex(encode(value, 4))).toBe('90 06 00 0a 00 01 02 80');
    expect(receive(encode(value, 4))).toStrictEqual(value);
    expect(() => encode({ type: 'suback', packetId: 1, reasonCodes: [3] }, 4)).toThrow(notEncodable());
    expect(() => encode({ type: 'suback', packetId: 1, reasonCodes: [0x87] }, 4)).toThrow(notEncodable());
  });

  it('v4 MQTT-3.8.4-5 SUBACK is not sent without codes', () => {
    expect(() => encode({ type: 'suback', packetId: 1, reasonCodes: [] }, 4)).toThrow(notEncodable());
  });

  it.each([
    { type: 'puback', packetId: 1, reasonCode: 0x80 },
    { type: 'unsuback', packetId: 1, reasonCodes: [0x11] },
    { type: 'disconnect', reasonCode: 4 },
    { type: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'X' } },
    { type: 'auth', reasonCode: 0 },
  ] as EncodablePacket[])('v4 does not lose a Reason Code it cannot write: $type is refused', (value) => {
    expect(() => encode(value, 4)).toThrow(notEncodable());
  });

  it.each([
    { ...connect, properties: { receiveMaximum: 1 } },
    { ...connect, will: { topic: 'w', payload: NOTHING, properties: { willDelayInterval: 1 } } },
    { type: 'connack', properties: { receiveMaximum: 1 } },
    { ...publish, properties: { contentType: 'x' } },
    { type: 'puback', packetId: 1, properties: { reasonString: 'x' } },
    {
      type: 'subscribe',
      packetId: 1,
      subscriptions: [{ topicFilter: 'a', qos: 0 }],
      properties: { subscriptionIdentifier: 1 },
    },
    { type: 'suback', packetId: 1, reasonCodes: [0], properties: { reasonString: 'x' } },
    { type: 'unsubscribe', packetId: 1, topicFilters: ['a'], properties: { userProperties: [['a', 'b']] } },
    { type: 'unsuback', packetId: 1, properties: { reasonString: 'x' } },
    { type: 'disconnect', properties: { reasonString: 'x' } },
  ] as EncodablePacket[])('v4 has no properties: $type with some is a TypeError (%#)', (value) => {
    expect(() => encode(value, 4)).toThrow(expect.objectContaining({ name: 'TypeError' }));
  });
});

describe('v4 PUBLISH, SUBSCRIBE, DISCONNECT', () => {
  it('v4 MQTT-3.3.1-2, -4 PUBLISH is not sent with DUP at QoS 0, nor with QoS 3', () => {
    expect(() => encode({ ...publish, duplicate: true }, 4)).toThrow(broken('MQTT-3.3.1-2'));
    expect(() => encode({ ...publish, qos: 3 as QoS, packetId: 1 }, 4)).toThrow(notEncodable());
  });

  it.each(['', '+', 'a/#'])('v4 MQTT-3.3.2-2, MQTT-4.7.3-1 refuses the Topic Name %j, both ways', (topic) => {
    expect(() => encode({ ...publish, topic }, 4)).toThrow(broken());
    expect(() => receive(packet(0x30, text(topic)))).toThrow(broken());
  });

  it.each([
    ['', 'MQTT-4.7.3-1'],
    ['+', 'MQTT-3.3.2-2'],
    ['a/#', 'MQTT-3.3.2-2'],
  ])('v4 the Topic Name %j breaks %s', (topic, statement) => {
    expect(() => receive(packet(0x30, text(topic)))).toThrow(broken(statement));
  });

  it.each([
    ['its Topic Name', hex`30 03 00 05 61`],
    ['its Packet Identifier', hex`32 04 00 01 61 00`],
  ])('v4 PUBLISH does not read %s from the packet behind it', (_, bytes) => {
    expect(() => receive(hex`${bytes} 62 63 64 65 66 67`)).toThrow(broken());
  });

  it.each([3, 4, 0xff])('v4 MQTT-3-8.3-4 names the QoS byte %d as what is broken', (qos) => {
    expect(() => receive(hex`82 06 00 0a 00 01 61 ${qos}`, 'server')).toThrow(broken('MQTT-3-8.3-4'));
  });

  it('v4 MQTT-3-8.3-4 the QoS byte is 0, 1 or 2, both ways', () => {
    expect(BYTES.filter((qos) => taken(hex`82 06 00 0a 00 01 61 ${qos}`, 'server'))).toEqual([0, 1, 2]);
    for (const qos of [0, 1, 2, 3] as QoS[]) {
      const run = (): string =>
        toHex(encode({ type: 'subscribe', packetId: 10, subscriptions: [{ topicFilter: 'a', qos }] }, 4));
      if ((qos as number) < 3) expect(run()).toBe(`82 06 00 0a 00 01 61 0${qos}`);
      else expect(run).toThrow(notEncodable());
    }
  });

  it.each([{ noLocal: true }, { retainAsPublished: true }, { retainHandling: 1 }])(
    'v4 has no option %j',
    (option) => {
      const request = { topicFilter: 'a', qos: 0, ...option } as SubscriptionRequest;
      expect(() => encode({ type: 'subscribe', packetId: 1, subscriptions: [request] }, 4)).toThrow(
        notEncodable(),
      );
    },
  );

  it('v4 MQTT-3.8.3-3, MQTT-3.10.3-2 at least one Topic Filter, both ways', () => {
    expect(() => encode({ type: 'subscribe', packetId: 1, subscriptions: [] }, 4)).toThrow(broken());
    expect(() => encode({ type: 'unsubscribe', packetId: 1, topicFilters: [] }, 4)).toThrow(broken());
    expect(() => receive(hex`82 02 00 0a`, 'server')).toThrow(broken());
  });

  it.each(['', 'a#', 'a/#/b', 'a+'])(
    'v4 MQTT-4.7.1-2, -3, MQTT-4.7.3-1 refuses the Topic Filter %j, both ways',
    (topicFilter) => {
      expect(() =>
        encode({ type: 'subscribe', packetId: 1, subscriptions: [{ topicFilter, qos: 0 }] }, 4),
      ).toThrow(broken());
      expect(() => receive(packet(0x82, hex`00 01`, text(topicFilter), hex`00`), 'server')).toThrow(broken());
    },
  );

  it('v4 MQTT-3.14.1-1 DISCONNECT is E0 00', () => {
    expect(toHex(encode({ type: 'disconnect' }, 4))).toBe('e0 00');
  });
});
