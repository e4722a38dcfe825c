import { readAck } from './acks.ts';
import { readAuth } from './auth.ts';
import { readConnack } from './connack.ts';
import { readConnect } from './connect.ts';
import { readDisconnect } from './disconnect.ts';
import { checkHeader, PacketType, type Frame, type Receiver } from './packet-type.ts';
import type { Packet, ProtocolVersion } from './packets.ts';
import { PublishReader, readPublish } from './publish-reader.ts';
import { Reader } from './reader.ts';
import { readSubscriptionAck } from './suback.ts';
import { readSubscribe, readUnsubscribe } from './subscribe.ts';

/** Reads one packet. The payload of a PUBLISH is a view of the bytes; everything else is copied. */
export function readPacket(frame: Frame, version: ProtocolVersion, receiver: Receiver): Packet {
  const { bytes, header, start, end } = frame;
  checkHeader(header, version, receiver);
  const type = header >> 4;
  if (type === PacketType.publish) return readPublish(new PublishReader(), frame, version, receiver);
  if (type >= PacketType.puback && type <= PacketType.pubcomp) return readAck(frame, version, receiver);
  return READERS[type]!(new Reader().reset(bytes, start, end, version), receiver);
}

/** All but PUBLISH and its acknowledgements. */
const READERS: Readonly<Record<number, (reader: Reader, receiver: Receiver) => Packet>> = {
  [PacketType.connect]: readConnect,
  [PacketType.connack]: readConnack,
  [PacketType.subscribe]: readSubscribe,
  [PacketType.suback]: (reader) => readSubscriptionAck(reader, 'suback'),
  [PacketType.unsubscribe]: readUnsubscribe,
  [PacketType.unsuback]: (reader) => readSubscriptionAck(reader, 'unsuback'),
  [PacketType.pingreq]: (reader) => readEmpty(reader, 'pingreq'),
  [PacketType.pingresp]: (reader) => readEmpty(reader, 'pingresp'),
  [PacketType.disconnect]: readDisconnect,
  [PacketType.auth]: readAuth,
};

function readEmpty(reader: Reader, type: 'pingreq' | 'pingresp'): Packet {
  reader.finish();
  return { type };
}
