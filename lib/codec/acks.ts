/**
 * PUBACK, PUBREC, PUBREL and PUBCOMP (3.4 to 3.7): one shape.
 *
 * ```
 * 40 | 50 | 62 | 70   Remaining Length
 * Packet Identifier   u16
 * Reason Code         u8      5.0; may be left out with the properties: 00
 * Properties                  5.0; may be left out: none
 * ```
 */

import { malformed, notInVersion } from './errors.ts';
import { packetTitle, PacketType, wrongFlags, type Frame, type Receiver } from './packet-type.ts';
import { NO_PROPERTIES, type AckPacket, type AckProperties, type ProtocolVersion } from './packets.ts';
import { hasProperties, readProperties, refuseProperties, writeProperties } from './properties.ts';
import { Reader, zeroPacketId } from './reader.ts';
import { checkReasonCode, reasonCodeToWrite } from './reason-codes.ts';
import type { Encodable, Writer } from './writer.ts';

const TYPES = ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const;

/** Reads one acknowledgement after another into the same fields. */
export class AckReader {
  packetId = 0;
  reasonCode = 0;
  properties: AckProperties = NO_PROPERTIES;
  /** Made for the first acknowledgement that is not in the short form. */
  #reader: Reader | undefined;

  /** hot: reads the acknowledgement with first byte `header` and body `bytes[start, end)`. */
  read(bytes: Uint8Array, header: number, start: number, end: number, version: ProtocolVersion): void {
    const flags = header & 0x0f;
    // [MQTT-2.1.3-1], [MQTT-3.6.1-1] flags are 0010 in PUBREL, 0000 in the others. 3.1 has no such rule.
    if (flags !== (header >> 4 === PacketType.pubrel ? 2 : 0) && version !== 3)
      throw wrongFlags(header, version);
    if (end - start < 2)
      throw malformed(`${packetTitle(header)} ends before the end of its Packet Identifier`, '2.1.4');
    const packetId = (bytes[start]! << 8) | bytes[start + 1]!;
    if (packetId === 0) throw zeroPacketId(version);
    this.packetId = packetId;
    this.reasonCode = 0;
    this.properties = NO_PROPERTIES;
    if (end - start > 2) this.#readRest(bytes, header, start + 2, end, version);
  }

  #readRest(bytes: Uint8Array, header: number, start: number, end: number, version: ProtocolVersion): void {
    const reader = (this.#reader ??= new Reader()).reset(bytes, start, end, version);
    if (version === 5) {
      const type = TYPES[(header >> 4) - PacketType.puback]!;
      const reasonCode = reader.u8();
      checkReasonCode(reasonCode, type);
      this.reasonCode = reasonCode;
      if (reader.left > 0) this.properties = readProperties(reader, type);
    }
    reader.finish();
  }
}

export function readAck(
  { bytes, header, start, end }: Frame,
  version: ProtocolVersion,
  receiver: Receiver,
): AckPacket {
  const ack = new AckReader();
  ack.read(bytes, header, start, end, version);
  const type = TYPES[(header >> 4) - PacketType.puback]!;
  if (version === 5) checkReasonCode(ack.reasonCode, type, receiver);
  return { type, packetId: ack.packetId, reasonCode: ack.reasonCode, properties: ack.properties };
}

/**
 * hot: writes the short form: success, no properties.
 * @param header 0x40, 0x50, 0x62 or 0x70
 * @returns the offset behind the packet
 */
export function writeAck(target: Uint8Array, at: number, header: number, packetId: number): number {
  target[at] = header;
  target[at + 1] = 2;
  target[at + 2] = packetId >>> 8;
  target[at + 3] = packetId;
  return at + 4;
}

/** Writes Reason Code and properties in the shortest form. */
export function writeReason(writer: Writer, packet: Encodable<AckPacket['type'] | 'disconnect'>): void {
  const { type, properties } = packet;
  const reasonCode = reasonCodeToWrite(packet.reasonCode, type, writer.version);
  if (writer.version !== 5) {
    if (reasonCode !== 0) throw notInVersion('reasonCode');
    refuseProperties(properties, writer.version);
  } else if (hasProperties(properties)) {
    writer.u8(reasonCode);
    writeProperties(writer, type, properties);
  } else if (reasonCode !== 0) {
    writer.u8(reasonCode);
  }
}
