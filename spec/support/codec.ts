import { expect } from '@jest/globals';
import type { Packet, ProtocolVersion, Receiver } from '../../lib/codec/codec.ts';
import { readPacket } from '../../lib/codec/read-packet.ts';

/** Reads one packet with a Remaining Length of one byte. */
export function readBytes(
  bytes: Uint8Array,
  version: ProtocolVersion = 5,
  receiver: Receiver = 'client',
): Packet {
  return readPacket({ bytes, header: bytes[0]!, start: 2, end: bytes.length }, version, receiver);
}

/** Matches a ProtocolError. Without `reasonCode`: Malformed Packet. */
export function refused(statement: string, reasonCode = 0x81): unknown {
  return expect.objectContaining({ name: 'ProtocolError', statement, reasonCode });
}
