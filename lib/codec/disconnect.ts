/**
 * DISCONNECT (3.14).
 *
 * ```
 * E0              Remaining Length
 * Reason Code     5.0; may be left out with the properties: 00
 * Properties      5.0; may be left out: none
 * ```
 */

import { violation } from './errors.ts';
import type { Receiver } from './packet-type.ts';
import { NO_PROPERTIES, type DisconnectPacket, type DisconnectProperties } from './packets.ts';
import { readProperties } from './properties.ts';
import type { Reader } from './reader.ts';
import { checkReasonCode } from './reason-codes.ts';

export function readDisconnect(reader: Reader, receiver: Receiver): DisconnectPacket {
  let reasonCode = 0;
  let properties: DisconnectProperties = NO_PROPERTIES;
  if (reader.version === 5 && reader.left > 0) {
    reasonCode = reader.u8();
    checkReasonCode(reasonCode, 'disconnect', receiver);
    if (reader.left > 0) properties = readProperties(reader, 'disconnect');
  }
  reader.finish();
  // Server Reference is "sent by the Server" (3.14.2.2.5). A Session Expiry Interval from a server is also a breach
  // [MQTT-3.14.2-2], but it is accepted, so that the application gets the Reason Code.
  if (receiver === 'server' && properties.serverReference !== undefined) {
    throw violation('DISCONNECT from a client has a Server Reference', '3.14.2.2.5');
  }
  return { type: 'disconnect', reasonCode, properties };
}
