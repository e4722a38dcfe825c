import { describe, expect, it } from '@jest/globals';
import { Decoder, type EncodablePacket, encode } from '../../lib/codec/codec.ts';
import { flag, hex as hexOf, integer, malformed, qosOf, show, violation } from '../../lib/codec/errors.ts';
import { checkHeader, Header, packetTitle, PacketType, type Receiver } from '../../lib/codec/packet-type.ts';
import { NO_PROPERTIES, type Packet, type ProtocolVersion } from '../../lib/codec/packets.ts';
import {
  HOST_PROPERTIES,
  type Property,
  PROPERTY_NAMES,
  type Values,
} from '../../lib/codec/property-table.ts';
import { readPacket } from '../../lib/codec/read-packet.ts';
import {
  checkReasonCode,
  checkReturnCode,
  checkSubackReturnCode,
  reasonCodeName,
  reasonCodeToWrite,
} from '../../lib/codec/reason-codes.ts';
import { byByte, fromHex, hex, join, splits, toHex } from '../support/bytes.ts';

describe('packets', () => {
  it('share one frozen object for no properties', () => {
    expect(NO_PROPERTIES).toEqual({});
    expect(Object.isFrozen(NO_PROPERTIES)).toBe(true);
  });

  it('may be encoded in the smallest form that their types allow', () => {
    const smallest: { [Type in Packet['type']]: Extract<EncodablePacket, { type: Type }> } = {
      connect: { type: 'connect', clientId: '', cleanStart: true, keepAlive: 0 },
      connack: { type: 'connack' },
      publish: { type: 'publish', topic: 'a', payload: new Uint8Array(0) },
      puback: { type: 'puback', packetId: 1 },
      pubrec: { type: 'pubrec', packetId: 1 },
      pubrel: { type: 'pubrel', packetId: 1 },
      pubcomp: { type: 'pubcomp', packetId: 1 },
      subscribe: { type: 'subscribe', packetId: 1, subscriptions: [{ topicFilter: 'a', qos: 0 }] },
      suback: { type: 'suback', packetId: 1, reasonCodes: [0] },
      unsubscribe: { type: 'unsubscribe', packetId: 1, topicFilters: ['a'] },
      unsuback: { type: 'unsuback', packetId: 1, reasonCodes: [0] },
      pingreq: { type: 'pingreq' },
      pingresp: { type: 'pingresp' },
      disconnect: { type: 'disconnect' },
      auth: { type: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'X' } },
    };
    for (const packet of Object.values(smallest)) {
      expect(encode(packet, 5)[0]! >> 4).toBe(PacketType[packet.type]);
    }
  });
});

describe('the sample packets', () => {
  /** The sample packets, as bytes and as values. */
  interface Sample {
    readonly name: string;
    readonly versions: readonly ProtocolVersion[];
    /** The ends that may receive it. */
    readonly receivers: readonly ('client' | 'server')[];
    readonly bytes: string;
    readonly packet: Packet;
    /** Other bytes with the same meaning, which `encode()` may write instead. */
    readonly forms?: readonly string[];
  }

  const BOTH = ['client', 'server'] as const;
  const SERVER = ['server'] as const;
  const CLIENT = ['client'] as const;
  const HI = new TextEncoder().encode('hi');

  const connect = (clientId: string): Packet => ({
    type: 'connect',
    clientId,
    cleanStart: true,
    keepAlive: 60,
    properties: {},
  });
  const publish = (fields: Partial<Extract<Packet, { type: 'publish' }>>): Packet => ({
    type: 'publish',
    topic: 'a/b',
    payload: HI,
    qos: 0,
    retain: false,
    duplicate: false,
    properties: {},
    ...fields,
  });
  const ack = (type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp', reasonCode = 0): Packet => ({
    type,
    packetId: 10,
    reasonCode,
    properties: {},
  });
  const [noMatch3, noMatch4] = ['40 03 00 0A 10', '40 04 00 0A 10 00'];

  // prettier-ignore
  const SAMPLES: readonly Sample[] = [
    { name: 'CONNECT, clean, 60 s, empty id', versions: [5], receivers: SERVER,
      bytes: '10 0D 00 04 4D 51 54 54 05 02 00 3C 00 00 00', packet: connect('') },
    { name: 'CONNECT, clean, 60 s, empty id', versions: [4], receivers: SERVER,
      bytes: '10 0C 00 04 4D 51 54 54 04 02 00 3C 00 00', packet: connect('') },
    { name: 'CONNECT, id a', versions: [3], receivers: SERVER,
      bytes: '10 0F 00 06 4D 51 49 73 64 70 03 02 00 3C 00 01 61', packet: connect('a') },
    { name: 'CONNACK, Session Present', versions: [5], receivers: CLIENT,
      bytes: '20 03 01 00 00', packet: { type: 'connack', sessionPresent: true, reasonCode: 0, properties: {} } },
    { name: 'CONNACK, Session Present', versions: [4], receivers: CLIENT,
      bytes: '20 02 01 00', packet: { type: 'connack', sessionPresent: true, reasonCode: 0, properties: {} } },
    { name: 'CONNACK', versions: [3, 4], receivers: CLIENT,
      bytes: '20 02 00 00', packet: { type: 'connack', sessionPresent: false, reasonCode: 0, properties: {} } },
    { name: 'PUBLISH QoS 0', versions: [5], receivers: BOTH,
      bytes: '30 08 00 03 61 2F 62 00 68 69', packet: publish({}) },
    { name: 'PUBLISH QoS 0', versions: [3, 4], receivers: BOTH,
      bytes: '30 07 00 03 61 2F 62 68 69', packet: publish({}) },
    { name: 'PUBLISH QoS 1, resent', versions: [5], receivers: BOTH,
      bytes: '3A 0A 00 03 61 2F 62 00 0A 00 68 69', packet: publish({ qos: 1, duplicate: true, packetId: 10 }) },
    { name: 'PUBLISH QoS 1, resent', versions: [3, 4], receivers: BOTH,
      bytes: '3A 09 00 03 61 2F 62 00 0A 68 69', packet: publish({ qos: 1, duplicate: true, packetId: 10 }) },
    { name: 'PUBLISH QoS 0, Topic Alias 1 only', versions: [5], receivers: BOTH,
      bytes: '30 08 00 00 03 23 00 01 68 69', packet: publish({ topic: '', properties: { topicAlias: 1 } }) },
    { name: 'PUBACK', versions: [3, 4, 5], receivers: BOTH, bytes: '40 02 00 0A', packet: ack('puback') },
    { name: 'PUBACK 0x10, short', versions: [5], receivers: CLIENT, bytes: noMatch3, forms: [noMatch4], packet: ack('puback', 0x10) },
    { name: 'PUBACK 0x10, full', versions: [5], receivers: CLIENT, bytes: noMatch4, forms: [noMatch3], packet: ack('puback', 0x10) },
    { name: 'PUBREC', versions: [3, 4, 5], receivers: BOTH, bytes: '50 02 00 0A', packet: ack('pubrec') },
    { name: 'PUBREL', versions: [3, 4, 5], receivers: BOTH, bytes: '62 02 00 0A', packet: ack('pubrel') },
    { name: 'PUBCOMP', versions: [3, 4, 5], receivers: BOTH, bytes: '70 02 00 0A', packet: ack('pubcomp') },
    { name: 'SUBSCRIBE a/b, QoS 1', versions: [5], receivers: SERVER,
      bytes: '82 09 00 0A 00 00 03 61 2F 62 01',
      packet: { type: 'subscribe', packetId: 10, properties: {}, subscriptions: [
        { topicFilter: 'a/b', qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 }] } },
    { name: 'SUBSCRIBE a/b, QoS 1', versions: [3, 4], receivers: SERVER,
      bytes: '82 08 00 0A 00 03 61 2F 62 01',
      packet: { type: 'subscribe', packetId: 10, properties: {}, subscriptions: [{ topicFilter: 'a/b', qos: 1 }] } },
    { name: 'SUBACK, granted QoS 1', versions: [5], receivers: CLIENT,
      bytes: '90 04 00 0A 00 01', packet: { type: 'suback', packetId: 10, reasonCodes: [1], properties: {} } },
    { name: 'SUBACK, granted QoS 1', versions: [3, 4], receivers: CLIENT,
      bytes: '90 03 00 0A 01', packet: { type: 'suback', packetId: 10, reasonCodes: [1], properties: {} } },
    { name: 'UNSUBSCRIBE a/b', versions: [5], receivers: SERVER,
      bytes: 'A2 08 00 0A 00 00 03 61 2F 62',
      packet: { type: 'unsubscribe', packetId: 10, topicFilters: ['a/b'], properties: {} } },
    { name: 'UNSUBSCRIBE a/b', versions: [3, 4], receivers: SERVER,
      bytes: 'A2 07 00 0A 00 03 61 2F 62',
      packet: { type: 'unsubscribe', packetId: 10, topicFilters: ['a/b'], properties: {} } },
    { name: 'UNSUBACK', versions: [5], receivers: CLIENT,
      bytes: 'B0 04 00 0A 00 00', packet: { type: 'unsuback', packetId: 10, reasonCodes: [0], properties: {} } },
    { name: 'UNSUBACK', versions: [3, 4], receivers: CLIENT,
      bytes: 'B0 02 00 0A', packet: { type: 'unsuback', packetId: 10, reasonCodes: [], properties: {} } },
    { name: 'PINGREQ', versions: [3, 4, 5], receivers: SERVER, bytes: 'C0 00', packet: { type: 'pingreq' } },
    { name: 'PINGRESP', versions: [3, 4, 5], receivers: CLIENT, bytes: 'D0 00', packet: { type: 'pingresp' } },
    { name: 'DISCONNECT, normal', versions: [3, 4], receivers: SERVER,
      bytes: 'E0 00', packet: { type: 'disconnect', reasonCode: 0, properties: {} } },
    { name: 'DISCONNECT, normal', versions: [5], receivers: BOTH,
      bytes: 'E0 00', packet: { type: 'disconnect', reasonCode: 0, properties: {} } },
    { name: 'DISCONNECT 0x82', versions: [5], receivers: BOTH,
      bytes: 'E0 01 82', forms: ['E0 02 82 00'], packet: { type: 'disconnect', reasonCode: 0x82, properties: {} } },
    { name: 'DISCONNECT with Session Expiry Interval 0', versions: [5], receivers: SERVER,
      bytes: 'E0 07 00 05 11 00 00 00 00',
      packet: { type: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 0 } } },
    { name: 'AUTH 0x18', versions: [5], receivers: BOTH,
      bytes: 'F0 06 18 04 15 00 01 58',
      packet: { type: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'X' } } },
  ];

  const ROWS = SAMPLES.flatMap((sample) =>
    sample.versions.map((version): [string, Sample, ProtocolVersion] => [
      `v${version} R9 ${sample.name}`,
      sample,
      version,
    ]),
  );

  function decode(
    chunks: readonly Uint8Array[],
    protocolVersion: ProtocolVersion,
    receiver: 'client' | 'server',
  ) {
    const decoder = new Decoder({ protocolVersion, receiver });
    const packets: Packet[] = [];
    for (const chunk of chunks) {
      decoder.push(chunk);
      for (let next = decoder.next(); next !== undefined; next = decoder.next()) packets.push(next);
    }
    return packets;
  }

  it.each(ROWS)('%s: its bytes are decoded to its fields', (_, { bytes, receivers, packet }, version) => {
    for (const receiver of receivers) {
      expect(decode([fromHex(bytes)], version, receiver)).toStrictEqual([packet]);
    }
  });

  it.each(ROWS)('%s: its fields are encoded to its bytes', (_, { bytes, forms = [], packet }, version) => {
    expect([bytes, ...forms].map((form) => form.toLowerCase())).toContain(toHex(encode(packet, version)));
  });

  it.each(ROWS)(
    '%s: it is decoded the same however it is cut',
    (_, { bytes, receivers, packet }, version) => {
      for (const chunks of [byByte(fromHex(bytes)), ...splits(fromHex(bytes))]) {
        expect(decode(chunks, version, receivers[0]!)).toStrictEqual([packet]);
      }
    },
  );
});

describe('readPacket', () => {
  const PACKETS: readonly (readonly [Receiver, EncodablePacket])[] = [
    ['server', { type: 'connect', clientId: 'a', cleanStart: true, keepAlive: 60 }],
    ['client', { type: 'connack' }],
    ['client', { type: 'publish', topic: 'a', payload: hex`68 69` }],
    ['client', { type: 'puback', packetId: 1 }],
    ['client', { type: 'pubrec', packetId: 1 }],
    ['client', { type: 'pubrel', packetId: 1 }],
    ['client', { type: 'pubcomp', packetId: 1 }],
    ['server', { type: 'subscribe', packetId: 1, subscriptions: [{ topicFilter: 'a', qos: 1 }] }],
    ['client', { type: 'suback', packetId: 1, reasonCodes: [1] }],
    ['server', { type: 'unsubscribe', packetId: 1, topicFilters: ['a'] }],
    ['client', { type: 'unsuback', packetId: 1, reasonCodes: [0] }],
    ['server', { type: 'pingreq' }],
    ['client', { type: 'pingresp' }],
    ['client', { type: 'disconnect' }],
    ['client', { type: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'm' } }],
  ];

  it.each(PACKETS)('reads for a %s, between other bytes: %j', (receiver, packet) => {
    const encoded = encode(packet, 5);
    const bytes = join(hex`ff ff`, encoded, hex`ff`);
    const frame = { bytes, header: encoded[0]!, start: 4, end: 2 + encoded.length };
    expect(readPacket(frame, 5, receiver)).toMatchObject(packet);
  });

  it.each([
    ['server', hex`20 03 00 00 00`],
    ['client', hex`c0 00`],
  ] as const)('refuses what only the other end of a %s may get', (receiver, bytes) => {
    const frame = { bytes, header: bytes[0]!, start: 2, end: bytes.length };
    expect(() => readPacket(frame, 5, receiver)).toThrow('[2.1.2]');
  });

  it('copies everything but the payload of a PUBLISH', () => {
    const bytes = encode({ type: 'publish', topic: 'a', payload: hex`68 69` }, 5);
    const packet = readPacket({ bytes, header: 0x30, start: 2, end: bytes.length }, 5, 'client');
    bytes.fill(0x7a);
    expect(packet).toMatchObject({ topic: 'a', payload: hex`7a 7a` });
  });
});

describe('first bytes', () => {
  const accepts = (header: number, version: 3 | 4 | 5, receiver: Receiver): boolean => {
    try {
      checkHeader(header, version, receiver);
      return true;
    } catch {
      return false;
    }
  };
  const accepted = (version: 3 | 4 | 5, receiver: Receiver): string[] =>
    Object.entries(Header)
      .filter(([, header]) => accepts(header, version, receiver))
      .map(([name]) => name);

  const both = ['publish', 'puback', 'pubrec', 'pubrel', 'pubcomp'];

  it('allows a client the packets of servers', () => {
    const client = ['connack', ...both, 'suback', 'unsuback', 'pingresp'];
    expect(accepted(3, 'client')).toEqual(client);
    expect(accepted(4, 'client')).toEqual(client);
    expect(accepted(5, 'client')).toEqual([...client, 'disconnect', 'auth']);
  });

  it('allows a server the packets of clients', () => {
    const server = ['connect', ...both, 'subscribe', 'unsubscribe', 'pingreq', 'disconnect'];
    expect(accepted(4, 'server')).toEqual(server);
    expect(accepted(5, 'server')).toEqual([...server, 'auth']);
  });

  it('[MQTT-2.1.3-1] refuses other flags, except on 3.1', () => {
    expect(accepts(0x60, 5, 'client')).toBe(false);
    expect(accepts(0x6a, 4, 'client')).toBe(false);
    expect(accepts(0x6a, 3, 'client')).toBe(true);
    expect(accepts(0x8a, 3, 'server')).toBe(true);
  });

  it('names the types as the specification does', () => {
    expect(packetTitle(0x62)).toBe('PUBREL');
    expect(Object.values(PacketType)).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
  });
});

describe('Reason Codes', () => {
  it('have names', () => {
    expect(reasonCodeName(0x87)).toBe('Not authorized');
    expect(reasonCodeName(0)).toBe('Success');
    expect(reasonCodeName(0, 'suback')).toBe('Granted QoS 0');
    expect(reasonCodeName(0, 'disconnect')).toBe('Normal disconnection');
    expect(reasonCodeName(5, 'connack')).toBe('Not authorized');
    expect(reasonCodeName(0x7e)).toBe('Unknown Reason Code 0x7E');
  });

  it('are refused in packets that must not have them', () => {
    expect(() => checkReasonCode(0x92, 'puback')).toThrow('[MQTT-3.4.2-1]');
    expect(() => checkReasonCode(0x92, 'pubcomp')).not.toThrow();
  });

  it('are refused if only the other end may send them', () => {
    expect(() => checkReasonCode(0x04, 'disconnect', 'client')).toThrow('[MQTT-3.14.2-1]');
    expect(() => checkReasonCode(0x04, 'disconnect', 'server')).not.toThrow();
    expect(() => checkReasonCode(0x10, 'puback', 'server')).toThrow('[MQTT-3.4.2-1]');
    expect(() => checkReasonCode(0x19, 'auth', 'client')).toThrow('[MQTT-3.15.2-1]');
  });

  it('are 0 if they are left out', () => {
    expect(reasonCodeToWrite(undefined, 'puback', 5)).toBe(0);
    expect(() => reasonCodeToWrite(null, 'puback', 5)).toThrow(TypeError);
  });

  it('of 3.x are checked against other sets', () => {
    expect(() => checkReturnCode(5)).not.toThrow();
    expect(() => checkReturnCode(6)).toThrow('[3.2.2.3]');
    expect(() => checkSubackReturnCode(0x80, 4)).not.toThrow();
    expect(() => checkSubackReturnCode(0x80, 3)).toThrow('[MQTT-3.9.3-2]');
    expect(() => checkSubackReturnCode(0x03, 4)).toThrow('[MQTT-3.9.3-2]');
  });
});

describe('the table of properties', () => {
  const all: readonly (readonly [string, Property])[] = Object.entries(HOST_PROPERTIES).flatMap(
    ([host, { byName }]) => Array.from(byName.values(), (property) => [host, property] as const),
  );

  it('finds the same property by identifier and by name, in every host', () => {
    for (const { byId, byName } of Object.values(HOST_PROPERTIES)) {
      expect(byId.filter((property) => property !== undefined)).toHaveLength(byName.size);
      for (const property of byName.values()) expect(byId[property.id]).toBe(property);
    }
  });

  it('stores each value under the name of its property', () => {
    for (const [, { name, set }] of all) {
      const values: Values = {};
      set(values, 7);
      expect(values).toEqual({ [name]: 7 });
    }
  });

  it('has 27 identifiers, as table 2-4 has, and User Properties everywhere', () => {
    expect(new Set(all.map(([, { id }]) => id)).size).toBe(27);
    expect(all.filter(([, { name }]) => name === 'userProperties')).toHaveLength(14);
    expect(PROPERTY_NAMES.size).toBe(28);
    expect(
      new Set(Array.from(PROPERTY_NAMES, (name) => all.find(([, p]) => p.name === name)?.[1].bit)).size,
    ).toBe(28);
  });
});

describe('errors of the codec', () => {
  it('carry the Reason Code and the statement', () => {
    expect(malformed('x', 'MQTT-1')).toMatchObject({
      reasonCode: 0x81,
      statement: 'MQTT-1',
      message: 'x [MQTT-1]',
    });
    expect(violation('x', 'MQTT-1').reasonCode).toBe(0x82);
    expect(hexOf(10)).toBe('0x0A');
  });

  it('never show the text of a string, which may be a password', () => {
    expect(show('secret')).toBe('a string of 6 characters');
    expect([show(null), show(7), show([1]), show({})]).toEqual(['null', '7', 'an array of 1', 'object']);
  });

  it('distinguish a wrong type from a wrong value', () => {
    expect(() => integer('keepAlive', '7', 0, 9)).toThrow(TypeError);
    expect(() => integer('keepAlive', 7.5, 0, 9)).toThrow(
      'keepAlive: expected an integer of 0 to 9, got 7.5',
    );
    expect(() => flag('retain', 1)).toThrow('retain: expected a boolean, got 1');
    expect(flag('retain', undefined)).toBe(false);
  });
});

describe('qosOf', () => {
  it('[MQTT-3.3.1-4] accepts 0, 1 and 2', () => {
    expect([qosOf('qos', undefined), qosOf('qos', 2)]).toEqual([0, 2]);
    expect(() => qosOf('qos', 3)).toThrow(
      expect.objectContaining({ statement: 'MQTT-3.3.1-4', reasonCode: 0x81 }),
    );
    expect(() => qosOf('qos', 4)).toThrow(RangeError);
    expect(() => qosOf('qos', '1')).toThrow(TypeError);
  });
});
