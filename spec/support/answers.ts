import type { EncodablePacket, Packet, ProtocolVersion } from '../../lib/codec/packets.ts';

/** The packets of a client that a server answers. */
export type Answered = 'publish' | 'pubrel' | 'subscribe' | 'unsubscribe' | 'pingreq';

/** The answer of a server that accepts the packet. */
export function answersTo(packet: Packet, version: ProtocolVersion): EncodablePacket[] {
  switch (packet.type) {
    case 'publish':
      if (packet.packetId === undefined) return [];
      return [{ type: packet.qos === 1 ? 'puback' : 'pubrec', packetId: packet.packetId }];
    case 'pubrel':
      return [{ type: 'pubcomp', packetId: packet.packetId }];
    case 'subscribe':
      return [
        {
          type: 'suback',
          packetId: packet.packetId,
          reasonCodes: packet.subscriptions.map(({ qos }) => qos),
        },
      ];
    case 'unsubscribe':
      return [
        {
          type: 'unsuback',
          packetId: packet.packetId,
          ...(version === 5 && { reasonCodes: packet.topicFilters.map(() => 0) }),
        },
      ];
    case 'pingreq':
      return [{ type: 'pingresp' }];
    default:
      return [];
  }
}
