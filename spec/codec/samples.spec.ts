import { describe, expect, it } from '@jest/globals';
import { Decoder, encode } from '../../lib/codec/codec.ts';
import type { Packet, ProtocolVersion } from '../../lib/codec/packets.ts';
import { byByte, fromHex, splits, toHex } from '../support/bytes.ts';

/** The sample packets of the conformance checklist, as bytes and as values. */
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
    `v${version} ${sample.name}`,
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

describe('the sample packets', () => {
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
