import { encode } from '../codec/codec.ts';
import type { Connection } from '../connection/connection.ts';
import type { ProtocolError } from '../errors.ts';
import { sendableCode } from './connect-errors.ts';
import type { DisconnectRequest, EngineOptions } from './options.ts';

/**
 * The DISCONNECT of `disconnect()`. On 3.x it has no fields and always deletes the Will [v4 MQTT-3.14.4-3]. Without a
 * connection the request is only checked.
 * @throws TypeError or ProtocolError where the request breaks the protocol
 */
export function disconnectPacket(
  options: EngineOptions,
  connection: Connection | undefined,
  { reasonCode, properties }: DisconnectRequest,
): Uint8Array {
  if (options.protocolVersion < 5) return encode({ type: 'disconnect' }, options.protocolVersion);
  // U-3.14.2-a: a Session Expiry Interval of 0 in CONNECT cannot be raised by DISCONNECT.
  if (options.sessionExpiryInterval === 0 && (properties.sessionExpiryInterval ?? 0) > 0)
    throw new TypeError(
      `sessionExpiryInterval: expected none, as CONNECT had none, got ${properties.sessionExpiryInterval}`,
    );
  const packet = encode({ type: 'disconnect', reasonCode, properties }, 5);
  if (packet.length <= (connection?.negotiated?.maximumPacketSize ?? Infinity)) return packet;
  // [MQTT-3.14.2-3, MQTT-3.14.2-4] Properties that only explain are left out of a packet that is too large.
  const { reasonString: _, userProperties: __, ...needed } = properties;
  return encode({ type: 'disconnect', reasonCode, properties: needed }, 5);
}

/** DISCONNECT for a packet of the server that broke the protocol (4.13.1); 3.x has none. Nothing is written after it. */
export function writeErrorDisconnect(connection: Connection, error: ProtocolError): void {
  if (connection.protocolVersion < 5) return;
  connection.outbox.append(encode({ type: 'disconnect', reasonCode: sendableCode(error.reasonCode) }, 5));
}
