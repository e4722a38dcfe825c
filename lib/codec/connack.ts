/**
 * CONNACK (3.2).
 *
 * ```
 * 20                          Remaining Length
 * Connect Acknowledge Flags   0000000s, s = Session Present; 3.1: reserved
 * Reason Code                 5.0; return code on 3.1 and 3.1.1
 * Properties                  5.0
 * ```
 */

import { flag, hex, malformed, notInVersion, violation } from './errors.ts';
import { NO_PROPERTIES, type ConnackPacket } from './packets.ts';
import { checkAuthentication, readProperties, writeProperties } from './properties.ts';
import type { Reader } from './reader.ts';
import { checkReasonCode, checkReturnCode, reasonCodeToWrite } from './reason-codes.ts';
import type { Encodable, Writer } from './writer.ts';

/** Unsupported Protocol Version on 5.0, and the return code of 3.1.1 for it. */
const UNSUPPORTED_VERSION = 0x84;
const UNACCEPTABLE_LEVEL = 0x01;

export function readConnack(reader: Reader): ConnackPacket {
  const flags = reader.u8();
  const reasonCode = reader.u8();
  // A server without 5.0 answers in its own version, `20 02 00 01`: a refusal, not a malformed packet.
  if (reader.version === 5 && reader.left === 0 && flags === 0 && reasonCode === UNACCEPTABLE_LEVEL) {
    return {
      type: 'connack',
      sessionPresent: false,
      reasonCode: UNSUPPORTED_VERSION,
      properties: NO_PROPERTIES,
    };
  }
  // [MQTT-3.2.2-1] "Bits 7-1 are reserved and MUST be set to 0". 3.1 reserves the whole byte without a rule.
  if (flags > 1 && reader.version !== 3) {
    throw malformed(
      `CONNACK has Acknowledge Flags ${hex(flags)}`,
      reader.version === 5 ? 'MQTT-3.2.2-1' : '3.2.2.1',
    );
  }
  const properties = reader.version === 5 ? readProperties(reader, 'connack') : NO_PROPERTIES;
  reader.finish();
  if (reader.version === 5) checkReasonCode(reasonCode, 'connack');
  else checkReturnCode(reasonCode);
  checkAuthentication(properties);
  // A refusal with Session Present breaks [MQTT-3.2.2-6]. It is accepted, so that the application gets the Reason Code.
  const sessionPresent = flags === 1 && reader.version !== 3;
  return { type: 'connack', sessionPresent, reasonCode, properties };
}

export function writeConnack(writer: Writer, packet: Encodable<'connack'>): void {
  const { version } = writer;
  const sessionPresent = flag('sessionPresent', packet.sessionPresent);
  const reasonCode = reasonCodeToWrite(packet.reasonCode, 'connack', version);
  if (sessionPresent && version === 3) throw notInVersion('sessionPresent');
  // [MQTT-3.2.2-6] (3.1.1: [MQTT-3.2.2-4]) "a non-zero Reason Code MUST set Session Present to 0".
  if (sessionPresent && reasonCode !== 0) {
    throw violation(
      'sessionPresent is true with a Reason Code other than 0',
      version === 5 ? 'MQTT-3.2.2-6' : 'MQTT-3.2.2-4',
    );
  }
  writer.u8(sessionPresent ? 1 : 0);
  writer.u8(reasonCode);
  checkAuthentication(packet.properties ?? NO_PROPERTIES);
  writeProperties(writer, 'connack', packet.properties);
}
