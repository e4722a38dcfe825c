import { describe, expect, it } from '@jest/globals';
import { encode, type EncodablePacket, type Receiver } from '../../lib/codec/codec.ts';
import { readPacket } from '../../lib/codec/read-packet.ts';
import { hex, join } from '../support/bytes.ts';

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

describe('readPacket', () => {
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
