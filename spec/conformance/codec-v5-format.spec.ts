import { describe, expect, it } from '@jest/globals';
import { encode, type Receiver } from '../../lib/codec/codec.ts';
import type { EncodablePacket, Packet } from '../../lib/codec/packets.ts';
import { fromHex, hex, join, packet, properties, text, toHex } from '../support/bytes.ts';
import { decodeOne, protocolError } from '../support/codec.ts';

/** MQTT 5.0, 1.5.5 and chapter 2: Variable Byte Integers, fixed headers, lengths, Packet Identifiers. */
const NOTHING = new Uint8Array();

const receive = (bytes: Uint8Array, receiver?: Receiver): Packet | undefined => decodeOne(bytes, 5, receiver);

/** The Reason Code that `bytes` are refused with; 0 when they are not. */
function refusal(bytes: Uint8Array, receiver: 'client' | 'server'): number {
  try {
    receive(bytes, receiver);
    return 0;
  } catch (error) {
    expect(error).toMatchObject({ name: 'ProtocolError' });
    return (error as { reasonCode: number }).reasonCode;
  }
}

const publish = (length: number): EncodablePacket => ({
  type: 'publish',
  topic: '',
  payload: new Uint8Array(length),
  properties: { topicAlias: 1 },
});
/** Bytes of a {@link publish} besides its payload: Topic Name, Property Length, Topic Alias. */
const REST = 6;

describe('v5 R4 Variable Byte Integers', () => {
  const boundaries: [number, string][] = [
    [1, '01'],
    [127, '7f'],
    [128, '80 01'],
    [16_383, 'ff 7f'],
    [16_384, '80 80 01'],
    [2_097_151, 'ff ff 7f'],
    [2_097_152, '80 80 80 01'],
  ];

  it.each([...boundaries, [268_435_455, 'ff ff ff 7f'] as [number, string]])(
    'v5 MQTT-1.5.5-1 a Subscription Identifier %d is %s, both ways',
    (subscriptionIdentifier, bytes) => {
      const wire = packet(0x82, hex`00 01`, properties(hex`0b`, fromHex(bytes)), text('a'), hex`00`);
      const subscriptions = [{ topicFilter: 'a', qos: 0 as const }];
      const value = { type: 'subscribe', packetId: 1, subscriptions } as const;
      expect(toHex(encode({ ...value, properties: { subscriptionIdentifier } }, 5))).toBe(toHex(wire));
      expect(receive(wire, 'server')).toMatchObject({ properties: { subscriptionIdentifier } });
    },
  );

  it.each(boundaries.slice(1))('v5 MQTT-1.5.5-1 a Remaining Length %d is %s, both ways', (length, bytes) => {
    const wire = join(hex`30`, fromHex(bytes), hex`00 00 03 23 00 01`, new Uint8Array(length - REST));
    const sent = encode(publish(length - REST), 5);
    expect(sent.length).toBe(wire.length);
    expect(toHex(sent.subarray(0, 12))).toBe(toHex(wire.subarray(0, 12)));
    expect(receive(wire)).toMatchObject({ type: 'publish', topic: '' });
  });

  it.each([127, 128, 16_383, 16_384])(
    'v5 MQTT-1.5.5-1 a Property Length %d is coded in the fewest bytes',
    (length) => {
      const contentType = 'x'.repeat(length - 3);
      const wire = packet(0x30, text('t'), properties(hex`03`, text(contentType)));
      expect(
        toHex(encode({ type: 'publish', topic: 't', payload: NOTHING, properties: { contentType } }, 5)),
      ).toBe(toHex(wire));
      expect(receive(wire)).toMatchObject({ properties: { contentType } });
    },
  );

  it.each([
    ['Remaining Length 0', hex`d0 80 00`],
    ['Remaining Length 4', hex`40 84 80 00 00 01 00 00`],
    ['Remaining Length 2 in four bytes', hex`40 82 80 80 00 00 01`],
    ['Property Length 0', hex`30 05 00 01 61 80 00`],
    ['Property Length 3', hex`30 08 00 01 61 83 00 23 00 01`],
    ['Subscription Identifier 1', hex`30 07 00 01 61 03 0b 81 00`],
    ['Property Identifier 1', hex`30 07 00 01 61 03 81 00 01`],
  ])('v5 MQTT-1.5.5-1 refuses a padded %s', (_, bytes) => {
    expect(() => receive(bytes)).toThrow(protocolError(0x81, '1.5.5'));
  });

  it.each([hex`30 ff ff ff ff`, hex`30 80 80 80 80`, hex`30 ff ff ff 80 01`])(
    'v5 U-1.5.5-a refuses a fourth byte with bit 7 of Remaining Length before more comes (%#)',
    (bytes) => {
      expect(() => receive(bytes)).toThrow(protocolError(0x81, '1.5.5'));
    },
  );

  it.each([
    ['Property Length', hex`30 08 00 01 61 80 80 80 80 00`],
    ['Subscription Identifier', hex`30 09 00 01 61 05 0b ff ff ff ff`],
  ])('v5 U-1.5.5-a refuses a %s of more than four bytes', (_, bytes) => {
    expect(() => receive(bytes)).toThrow(protocolError(0x81));
  });

  it('v5 U-1.5.5-a waits for 268,435,455 bytes, and for a length that is not complete', () => {
    expect(receive(hex`30 ff ff ff 7f`)).toBeUndefined();
    expect(receive(hex`30 ff ff ff`)).toBeUndefined();
  });

  it('v5 U-1.5.5-a refuses to send more than 268,435,455 bytes', () => {
    expect(() => encode(publish(268_435_456 - REST), 5)).toThrow(
      expect.objectContaining({ name: 'ProtocolError' }),
    );
  });
});

describe('v5 R4 fixed headers', () => {
  /** A body that is legal in every packet of that type. */
  const BODIES: readonly Uint8Array[] = [
    NOTHING,
    hex`00 04 4d 51 54 54 05 02 00 00 00 00 00`,
    hex`00 00 00`,
    hex`00 01 61 00 01 00`,
    hex`00 01`,
    hex`00 01`,
    hex`00 01`,
    hex`00 01`,
    hex`00 01 00 00 01 61 00`,
    hex`00 01 00 00`,
    hex`00 01 00 00 01 61`,
    hex`00 01 00 00`,
    NOTHING,
    NOTHING,
    NOTHING,
    hex`18 04 15 00 01 58`,
  ];
  const SHARED = [
    0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x3a, 0x3b, 0x3c, 0x3d, 0x40, 0x50, 0x62, 0x70, 0xe0, 0xf0,
  ];
  const TO_CLIENT = [0x20, 0x90, 0xb0, 0xd0];
  const TO_SERVER = [0x10, 0x82, 0xa2, 0xc0];
  const FIRST_BYTES = Array.from({ length: 256 }, (_, first) => first);
  const refusals = (receiver: 'client' | 'server'): number[] =>
    FIRST_BYTES.map((first) => refusal(packet(first, BODIES[first >> 4]!), receiver));

  it.each([
    ['client', [...SHARED, ...TO_CLIENT]],
    ['server', [...SHARED, ...TO_SERVER]],
  ] as const)(
    'v5 MQTT-2.1.3-1, MQTT-3.14.1-1, MQTT-3.15.1-1 a %s accepts exactly its first bytes',
    (receiver, accepted) => {
      const codes = refusals(receiver);
      expect(FIRST_BYTES.filter((first) => codes[first] === 0)).toEqual(accepted.toSorted((a, b) => a - b));
    },
  );

  it.each([
    ['client', TO_SERVER],
    ['server', TO_CLIENT],
  ] as const)(
    'v5 MQTT-2.1.3-1 a %s answers reserved flag bits with Malformed Packet',
    (receiver, foreign) => {
      const codes = refusals(receiver);
      const own = (first: number): boolean =>
        first > 0x0f && !foreign.some((other) => other >> 4 === first >> 4);
      expect(
        FIRST_BYTES.filter((first) => own(first) && codes[first] !== 0 && codes[first] !== 0x81),
      ).toEqual([]);
    },
  );

  it.each([
    ['client', [0x00, ...TO_SERVER]],
    ['server', [0x00, ...TO_CLIENT]],
  ] as const)('v5 U-2.1.2-a a %s answers types it must not get with Protocol Error', (receiver, foreign) => {
    expect(foreign.map((first) => refusal(packet(first, BODIES[first >> 4]!), receiver))).toEqual(
      foreign.map(() => 0x82),
    );
  });

  it.each([
    [{ type: 'pubrel', packetId: 1 }, 0x62],
    [{ type: 'subscribe', packetId: 1, subscriptions: [{ topicFilter: 'a', qos: 0 }] }, 0x82],
    [{ type: 'unsubscribe', packetId: 1, topicFilters: ['a'] }, 0xa2],
    [{ type: 'connect', clientId: '', cleanStart: true, keepAlive: 0 }, 0x10],
    [{ type: 'connack' }, 0x20],
    [{ type: 'puback', packetId: 1 }, 0x40],
    [{ type: 'pubrec', packetId: 1 }, 0x50],
    [{ type: 'pubcomp', packetId: 1 }, 0x70],
    [{ type: 'suback', packetId: 1, reasonCodes: [0] }, 0x90],
    [{ type: 'unsuback', packetId: 1, reasonCodes: [0] }, 0xb0],
    [{ type: 'pingreq' }, 0xc0],
    [{ type: 'pingresp' }, 0xd0],
    [{ type: 'disconnect' }, 0xe0],
    [{ type: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'X' } }, 0xf0],
  ] as [EncodablePacket, number][])('v5 MQTT-2.1.3-1 writes the first byte of %j', (value, first) => {
    expect(encode(value, 5)[0]).toBe(first);
  });
});

describe('v5 R4 Remaining Length', () => {
  /** Packets, and the shorter Remaining Lengths at which they are still whole. */
  const WHOLE: readonly [string, 'client' | 'server', Uint8Array, readonly number[]][] = [
    ['CONNECT', 'server', packet(0x10, hex`00 04 4d 51 54 54 05 c6 00 00 03 21 00 01 00 01 63
      00 00 01 77 00 01 70 00 01 75 00 01 70`), []],
    ['CONNACK', 'client', packet(0x20, hex`00 00 03 21 00 01`), []],
    ['PUBLISH', 'client', packet(0x32, hex`00 01 61 00 01 03 23 00 01 68 69`), [9, 10]],
    ['PUBACK', 'client', packet(0x40, hex`00 01 80 04 1f 00 01 61`), [2, 3]],
    ['PUBREC', 'client', packet(0x50, hex`00 01 80 04 1f 00 01 61`), [2, 3]],
    ['PUBREL', 'client', packet(0x62, hex`00 01 92 04 1f 00 01 61`), [2, 3]],
    ['PUBCOMP', 'client', packet(0x70, hex`00 01 92 04 1f 00 01 61`), [2, 3]],
    ['SUBSCRIBE', 'server', packet(0x82, hex`00 01 02 0b 01 00 01 61 00 00 01 62 00`), [9]],
    ['SUBACK', 'client', packet(0x90, hex`00 01 00 01 02`), [4]],
    ['UNSUBSCRIBE', 'server', packet(0xa2, hex`00 01 00 00 01 61 00 01 62`), [6]],
    ['UNSUBACK', 'client', packet(0xb0, hex`00 01 00 00 11`), [4]],
    ['DISCONNECT', 'client', packet(0xe0, hex`80 04 1f 00 01 61`), [0, 1]],
    ['AUTH', 'client', packet(0xf0, hex`18 04 15 00 01 58`), []],
  ]; // prettier-ignore

  it.each(WHOLE)('v5 U-2.1.4-a bounds %s: cut short, it is refused', (_, receiver, bytes, accepted) => {
    const body = bytes.subarray(2);
    const lengths = Array.from(body.keys());
    const codes = lengths.map((length) => refusal(packet(bytes[0]!, body.subarray(0, length)), receiver));
    expect(lengths.filter((length) => codes[length] === 0)).toEqual(accepted);
    expect(codes.filter((code) => code !== 0 && code !== 0x81 && code !== 0x82)).toEqual([]);
  });

  it.each(WHOLE.filter(([name]) => name !== 'PUBLISH'))(
    'v5 U-2.1.4-a bounds %s: it does not read into the packet behind it',
    (_, receiver, bytes, accepted) => {
      const body = bytes.subarray(2);
      for (let length = 0; length < body.length; length++) {
        const cut = join(packet(bytes[0]!, body.subarray(0, length)), body.subarray(length));
        expect([length, refusal(cut, receiver) === 0]).toEqual([length, accepted.includes(length)]);
      }
    },
  );

  it.each([
    ['CONNECT', 'server', packet(0x10, hex`00 04 4d 51 54 54 05 02 00 00 00 00 00`)],
    ['CONNACK', 'client', packet(0x20, hex`00 00 00`)],
    ['PUBACK', 'client', packet(0x40, hex`00 01 00 00`)],
    ['PUBREC', 'client', packet(0x50, hex`00 01 00 00`)],
    ['PUBREL', 'client', packet(0x62, hex`00 01 00 00`)],
    ['PUBCOMP', 'client', packet(0x70, hex`00 01 00 00`)],
    ['PINGREQ', 'server', hex`c0 00`],
    ['PINGRESP', 'client', hex`d0 00`],
    ['DISCONNECT', 'client', packet(0xe0, hex`80 00`)],
    ['AUTH', 'client', packet(0xf0, hex`18 04 15 00 01 58`)],
  ] as const)('v5 U-2.1.4-a bytes left over in %s are Malformed', (_, receiver, bytes) => {
    expect(refusal(bytes, receiver)).toBe(0);
    expect(() => receive(packet(bytes[0]!, bytes.subarray(2), hex`00`), receiver)).toThrow(
      protocolError(0x81),
    );
  });

  it.each([
    ['CONNECT', 'server', packet(0x10, hex`00 04 4d 51 54 54 05 02 00 00`, hex`00 00`)],
    ['CONNACK', 'client', hex`20 02 00 00`],
    ['PUBLISH', 'client', hex`30 05 00 03 61 2f 62`],
    ['PUBLISH QoS 1', 'client', hex`32 07 00 03 61 2f 62 00 01`],
    ['SUBSCRIBE', 'server', hex`82 08 00 0a 00 03 61 2f 62 01`],
    ['SUBACK', 'client', hex`90 03 00 0a 01`],
    ['UNSUBSCRIBE', 'server', hex`a2 07 00 0a 00 03 61 2f 62`],
    ['UNSUBACK', 'client', hex`b0 02 00 0a`],
  ] as const)('v5 MQTT-2.2.2-1 %s without its Property Length is refused', (_, receiver, bytes) => {
    expect([0x81, 0x82]).toContain(refusal(bytes, receiver));
  });

  it.each([
    [
      { type: 'connect', clientId: '', cleanStart: true, keepAlive: 0 },
      '10 0d 00 04 4d 51 54 54 05 02 00 00 00 00 00',
    ],
    [{ type: 'connack' }, '20 03 00 00 00'],
    [{ type: 'publish', topic: 'a', payload: NOTHING }, '30 04 00 01 61 00'],
    [
      { type: 'subscribe', packetId: 1, subscriptions: [{ topicFilter: 'a', qos: 0 }] },
      '82 07 00 01 00 00 01 61 00',
    ],
    [{ type: 'suback', packetId: 1, reasonCodes: [0] }, '90 04 00 01 00 00'],
    [{ type: 'unsubscribe', packetId: 1, topicFilters: ['a'] }, 'a2 06 00 01 00 00 01 61'],
    [{ type: 'unsuback', packetId: 1, reasonCodes: [0] }, 'b0 04 00 01 00 00'],
  ] as [EncodablePacket, string][])('v5 MQTT-2.2.2-1 writes Property Length 0 in %j', (value, bytes) => {
    expect(toHex(encode(value, 5))).toBe(bytes);
    expect(toHex(encode({ ...value, properties: {} } as EncodablePacket, 5))).toBe(bytes);
  });

  it('v5 MQTT-2.2.2-1 writes Property Length 0 in Will Properties', () => {
    const will = { topic: 'w', payload: NOTHING };
    const bytes = encode({ type: 'connect', clientId: '', cleanStart: true, keepAlive: 0, will }, 5);
    expect(toHex(bytes.subarray(12))).toBe('00 00 00 00 00 01 77 00 00');
  });
});

describe('v5 Packet Identifiers', () => {
  const NEEDING: readonly [string, (packetId: number) => EncodablePacket][] = [
    ['PUBLISH QoS 1', (packetId) => ({ type: 'publish', topic: 'a', payload: NOTHING, qos: 1, packetId })],
    ['PUBLISH QoS 2', (packetId) => ({ type: 'publish', topic: 'a', payload: NOTHING, qos: 2, packetId })],
    [
      'SUBSCRIBE',
      (packetId) => ({ type: 'subscribe', packetId, subscriptions: [{ topicFilter: 'a', qos: 0 }] }),
    ],
    ['UNSUBSCRIBE', (packetId) => ({ type: 'unsubscribe', packetId, topicFilters: ['a'] })],
  ];

  it.each(NEEDING)('v5 MQTT-2.2.1-3 %s is not sent with Packet Identifier 0', (_, send) => {
    expect(() => encode(send(0), 5)).toThrow(
      expect.objectContaining({ name: 'ProtocolError', statement: expect.stringContaining('2.2.1-3') }),
    );
  });

  it.each(NEEDING)('v5 MQTT-2.2.1-3 %s is not sent with what is no 16-bit number', (_, send) => {
    for (const wrong of [-1, 65_536, 1.5, Number.NaN, '1', undefined] as number[]) {
      expect(() => encode(send(wrong), 5)).toThrow(
        expect.objectContaining({ name: expect.stringMatching(/^(?:Protocol|Range|Type)Error$/) }),
      );
    }
  });

  it.each(NEEDING)('v5 MQTT-2.2.1-3 %s is sent with 1 and with 65,535', (_, send) => {
    for (const packetId of [1, 65_535]) {
      expect(receive(encode(send(packetId), 5), 'server')).toMatchObject({ packetId });
    }
  });

  it('v5 MQTT-2.2.1-2 a PUBLISH with QoS 0 has none, on the wire and decoded', () => {
    expect(toHex(encode({ type: 'publish', topic: 'a', payload: hex`01 02`, qos: 0 }, 5))).toBe(
      '30 06 00 01 61 00 01 02',
    );
    expect(receive(hex`30 06 00 01 61 00 01 02`)).not.toHaveProperty('packetId');
    expect(() => encode({ type: 'publish', topic: 'a', payload: NOTHING, qos: 0, packetId: 1 }, 5)).toThrow(
      expect.objectContaining({ name: 'ProtocolError', statement: 'MQTT-2.2.1-2' }),
    );
  });

  it.each([0x32, 0x3a, 0x34, 0x3c])(
    'v5 MQTT-2.2.1-4 a PUBLISH (first byte %d) with Packet Identifier 0 is a Protocol Error',
    (first) => {
      expect(() => receive(packet(first, hex`00 01 61 00 00 00`))).toThrow(protocolError(0x82, '2.2.1'));
    },
  );

  it.each([
    ['SUBSCRIBE', packet(0x82, hex`00 00 00 00 01 61 00`)],
    ['UNSUBSCRIBE', packet(0xa2, hex`00 00 00 00 01 61`)],
  ])('v5 MQTT-2.2.1-3 %s with Packet Identifier 0 is a Protocol Error', (_, bytes) => {
    expect(() => receive(bytes, 'server')).toThrow(protocolError(0x82, '2.2.1'));
  });

  it.each(['puback', 'pubrec', 'pubrel', 'pubcomp'] as const)(
    'v5 MQTT-2.2.1-5 %s carries the one it is given',
    (type) => {
      expect(toHex(encode({ type, packetId: 0xfedc }, 5).subarray(2))).toBe('fe dc');
      expect(receive(encode({ type, packetId: 0xfedc }, 5))).toMatchObject({ type, packetId: 0xfedc });
    },
  );

  it.each(['suback', 'unsuback'] as const)('v5 MQTT-2.2.1-6 %s carries the one it is given', (type) => {
    const bytes = encode({ type, packetId: 0xfedc, reasonCodes: [0] }, 5);
    expect(toHex(bytes.subarray(2, 4))).toBe('fe dc');
    expect(receive(bytes)).toMatchObject({ type, packetId: 0xfedc });
  });
});
