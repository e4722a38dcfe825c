/**
 * AUTH (3.15), only on 5.0.
 *
 * ```
 * F0              Remaining Length
 * Reason Code     00 | 18 | 19
 * Properties      Authentication Method is one of them
 * ```
 */

import type { ProtocolError } from '../errors.ts';
import { violation } from './errors.ts';
import type { Receiver } from './packet-type.ts';
import { NO_PROPERTIES, type AuthPacket, type AuthProperties } from './packets.ts';
import { readProperties, writeProperties } from './properties.ts';
import type { Reader } from './reader.ts';
import { checkReasonCode, reasonCodeToWrite } from './reason-codes.ts';
import type { Encodable, Writer } from './writer.ts';

export function readAuth(reader: Reader, receiver: Receiver): AuthPacket {
  // Remaining Length 0 would mean success without properties (3.15.2.1), but there is no AUTH without a method.
  if (reader.left === 0) throw noMethod();
  const reasonCode = reader.u8();
  const properties = readProperties(reader, 'auth');
  reader.finish();
  checkReasonCode(reasonCode, 'auth', receiver);
  checkMethod(properties);
  return { type: 'auth', reasonCode, properties };
}

export function writeAuth(writer: Writer, packet: Encodable<'auth'>): void {
  if (writer.version !== 5) throw violation('AUTH exists only in MQTT 5.0', '2.2.1');
  writer.u8(reasonCodeToWrite(packet.reasonCode, 'auth', writer.version));
  checkMethod(packet.properties ?? NO_PROPERTIES);
  writeProperties(writer, 'auth', packet.properties);
}

/** 3.15.2.2.2: "It is a Protocol Error to omit the Authentication Method". */
function checkMethod(properties: AuthProperties): void {
  if (properties.authenticationMethod === undefined) throw noMethod();
}

function noMethod(): ProtocolError {
  return violation('AUTH has no Authentication Method', '3.15.2.2.2');
}
