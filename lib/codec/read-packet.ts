import { readAck } from './acks.ts';
import { readAuth } from './auth.ts';
import { readConnack } from './connack.ts';
import { readConnect } from './connect.ts';
import { readDisconnect } from './disconnect.ts';
import { checkHeader, PacketType, type Frame, type Receiver } from './packet-type.ts';
import type { Packet, ProtocolVersion } from './packets.ts';
import { PublishReader, readPublish } from './publish-reader.ts';
import { Reader } from './reader.ts';
import { readSuback } from './suback.ts';
import { readSubscribe } from './subscribe.ts';
import { readUnsuback } from './unsuback.ts';
import { readUnsubscribe } from './unsubscribe.ts';

/** Reads one packet. The payload of a PUBLISH is a view of the bytes; everything else is copied. */
export function readPacket(frame: Frame, version: ProtocolVersion, receiver: Receiver): Packet {
  const { bytes, header, start, end } = frame;
  checkHeader(header, version, receiver);
  const type = header >> 4;
  if (type === PacketType.publish) return readPublish(new PublishReader(), frame, version, receiver);
  if (type >= PacketType.puback && type <= PacketType.pubcomp) return readAck(frame, version, receiver);
  return readOther(new Reader().reset(bytes, start, end, version), header, receiver);
}

function readOther(reader: Reader, header: number, receiver: Receiver): Packet {
  switch (header >> 4) {
    case PacketType.connect:
      return readConnect(reader);
    case PacketType.connack:
      return readConnack(reader);
    case PacketType.subscribe:
      return readSubscribe(reader);
    case PacketType.suback:
      return readSuback(reader);
    case PacketType.unsubscribe:
      return readUnsubscribe(reader);
    case PacketType.unsuback:
      return readUnsuback(reader);
    case PacketType.pingreq:
      reader.finish();
      return { type: 'pingreq' };
    case PacketType.pingresp:
      reader.finish();
      return { type: 'pingresp' };
    case PacketType.disconnect:
      return readDisconnect(reader, receiver);
    default:
      return readAuth(reader, receiver);
  }
}
