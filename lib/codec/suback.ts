/**
 * SUBACK (3.9) and UNSUBACK (3.11): one shape.
 *
 * ```
 * 90 | B0             Remaining Length
 * Packet Identifier   u16
 * Properties          5.0
 * Reason Code         u8, one per Topic Filter of the request, in its order; on 3.1 and 3.1.1 UNSUBACK has none
 * ```
 */

import { notInVersion, violation, wrongType } from './errors.ts';
import { NO_PROPERTIES, type ProtocolVersion, type SubackPacket, type UnsubackPacket } from './packets.ts';
import { readProperties, writeProperties } from './properties.ts';
import type { Reader } from './reader.ts';
import { checkReasonCode, checkSubackReturnCode, reasonCodeToWrite } from './reason-codes.ts';
import type { Encodable, Writer } from './writer.ts';

type Type = 'suback' | 'unsuback';

export function readSubscriptionAck(reader: Reader, type: Type): SubackPacket | UnsubackPacket {
  const { version } = reader;
  const packetId = reader.packetId();
  const properties = version === 5 ? readProperties(reader, type) : NO_PROPERTIES;
  const reasonCodes: number[] = [];
  if (type === 'unsuback' && version !== 5) reader.finish();
  else {
    while (reader.left > 0) reasonCodes.push(readCode(reader.u8(), type, version));
    if (reasonCodes.length === 0)
      throw violation(`${type.toUpperCase()} has no Reason Code`, perFilter(type, version));
  }
  return { type, packetId, reasonCodes, properties };
}

function readCode(code: number, type: Type, version: ProtocolVersion): number {
  if (version === 5) checkReasonCode(code, type);
  else if (version === 4) checkSubackReturnCode(code, version);
  // 3.1 grants QoS 0, 1 or 2 and has no code for a refusal: every other code is read as one.
  else if (code > 2) return 0x80;
  return code;
}

/** The statement for "one Reason Code for each Topic Filter", of which there is at least one. */
function perFilter(type: Type, version: ProtocolVersion): string {
  if (type === 'unsuback') return 'MQTT-3.11.3-1';
  return version === 5 ? 'MQTT-3.8.4-6' : 'MQTT-3.8.4-5';
}

export function writeSubscriptionAck(writer: Writer, packet: Encodable<Type>): void {
  const { type } = packet;
  writer.packetId(packet.packetId);
  writeProperties(writer, type, packet.properties);
  const mayBeAbsent = type === 'unsuback' && packet.reasonCodes === undefined;
  const reasonCodes: unknown = mayBeAbsent ? [] : packet.reasonCodes;
  if (!Array.isArray(reasonCodes)) throw wrongType('reasonCodes', 'an array', reasonCodes);
  if (type === 'unsuback' && writer.version !== 5) {
    if (reasonCodes.length > 0) throw notInVersion('reasonCodes');
    return;
  }
  if (reasonCodes.length === 0) throw violation('reasonCodes is empty', perFilter(type, writer.version));
  for (const code of reasonCodes as readonly unknown[]) {
    if (code === undefined) throw wrongType('reasonCodes', 'integers of 0 to 255', code);
    writer.u8(reasonCodeToWrite(code, type, writer.version));
  }
}
