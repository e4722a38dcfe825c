import { describe, expect, it } from '@jest/globals';
import { encode, type EncodablePacket, type Packet } from '../../lib/codec/codec.ts';
import { NO_PROPERTIES } from '../../lib/codec/packets.ts';
import { PacketType } from '../../lib/codec/packet-type.ts';

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
