/**
 * UNSUBACK (3.11).
 *
 * ```
 * B0                  Remaining Length
 * Packet Identifier   u16
 * Properties          5.0
 * Reason Code         5.0: u8, one per Topic Filter of the UNSUBSCRIBE, in its order
 * ```
 */

import { notInVersion, violation, wrongType } from './errors.ts';
import { NO_PROPERTIES, type EncodablePacket, type UnsubackPacket } from './packets.ts';
import { readProperties, writeProperties } from './properties.ts';
import type { Reader } from './reader.ts';
import { checkReasonCode, reasonCodeToWrite } from './reason-codes.ts';
import type { Writer } from './writer.ts';

/** [MQTT-3.11.3-1] one Reason Code for each Topic Filter, of which there is at least one. */
const PER_FILTER = 'MQTT-3.11.3-1';

export function readUnsuback(reader: Reader): UnsubackPacket {
  const packetId = reader.packetId();
  const reasonCodes: number[] = [];
  if (reader.version !== 5) {
    reader.finish();
    return { type: 'unsuback', packetId, reasonCodes, properties: NO_PROPERTIES };
  }
  const properties = readProperties(reader, 'unsuback');
  while (reader.left > 0) {
    const code = reader.u8();
    checkReasonCode(code, 'unsuback');
    reasonCodes.push(code);
  }
  if (reasonCodes.length === 0) throw violation('UNSUBACK has no Reason Code', PER_FILTER);
  return { type: 'unsuback', packetId, reasonCodes, properties };
}

/** Writes the body. */
export function writeUnsuback(writer: Writer, packet: Extract<EncodablePacket, { type: 'unsuback' }>): void {
  const { reasonCodes = [] } = packet;
  writer.packetId(packet.packetId);
  writeProperties(writer, 'unsuback', packet.properties);
  if (!Array.isArray(reasonCodes)) throw wrongType('reasonCodes', 'an array', reasonCodes);
  if (writer.version !== 5) {
    if (reasonCodes.length > 0) throw notInVersion('reasonCodes');
    return;
  }
  if (reasonCodes.length === 0) throw violation('reasonCodes is empty', PER_FILTER);
  for (const code of reasonCodes as readonly unknown[]) {
    if (code === undefined) throw wrongType('reasonCodes', 'integers of 0 to 255', code);
    writer.u8(reasonCodeToWrite(code, 'unsuback', writer.version));
  }
}
