/**
 * SUBACK (3.9).
 *
 * ```
 * 90                  Remaining Length
 * Packet Identifier   u16
 * Properties          5.0
 * Reason Code         u8, one per Topic Filter of the SUBSCRIBE, in its order
 * ```
 */

import { violation, wrongType } from './errors.ts';
import { NO_PROPERTIES, type EncodablePacket, type ProtocolVersion, type SubackPacket } from './packets.ts';
import { readProperties, writeProperties } from './properties.ts';
import type { Reader } from './reader.ts';
import { checkReasonCode, checkSubackReturnCode, reasonCodeToWrite } from './reason-codes.ts';
import type { Writer } from './writer.ts';

export function readSuback(reader: Reader): SubackPacket {
  const { version } = reader;
  const packetId = reader.packetId();
  const properties = version === 5 ? readProperties(reader, 'suback') : NO_PROPERTIES;
  const reasonCodes: number[] = [];
  while (reader.left > 0) reasonCodes.push(readCode(reader.u8(), version));
  if (reasonCodes.length === 0) throw noCodes('SUBACK has no Reason Code', version);
  return { type: 'suback', packetId, reasonCodes, properties };
}

function readCode(code: number, version: ProtocolVersion): number {
  if (version === 5) checkReasonCode(code, 'suback');
  else if (version === 4) checkSubackReturnCode(code, version);
  // 3.1 grants QoS 0, 1 or 2 and has no code for a refusal: any other code is read as one.
  else if (code > 2) return 0x80;
  return code;
}

/** [MQTT-3.8.4-6] (3.1.1: [MQTT-3.8.4-5]) "one Reason Code for each Topic Filter", of which there is at least one. */
function noCodes(message: string, version: ProtocolVersion): Error {
  return violation(message, version === 5 ? 'MQTT-3.8.4-6' : 'MQTT-3.8.4-5');
}

/** Writes the body. */
export function writeSuback(writer: Writer, packet: Extract<EncodablePacket, { type: 'suback' }>): void {
  const { reasonCodes } = packet;
  writer.packetId(packet.packetId);
  writeProperties(writer, 'suback', packet.properties);
  if (!Array.isArray(reasonCodes)) throw wrongType('reasonCodes', 'an array', reasonCodes);
  if (reasonCodes.length === 0) throw noCodes('reasonCodes is empty', writer.version);
  for (const code of reasonCodes as readonly unknown[]) {
    if (code === undefined) throw wrongType('reasonCodes', 'integers of 0 to 255', code);
    writer.u8(reasonCodeToWrite(code, 'suback', writer.version));
  }
}
