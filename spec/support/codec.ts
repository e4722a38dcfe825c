import { expect } from '@jest/globals';
import { Decoder, type Packet, type ProtocolVersion, type Receiver } from '../../lib/codec/codec.ts';
import { readPacket } from '../../lib/codec/read-packet.ts';

/** Reads one packet with a Remaining Length of one byte. */
export function readBytes(
  bytes: Uint8Array,
  version: ProtocolVersion = 5,
  receiver: Receiver = 'client',
): Packet {
  return readPacket({ bytes, header: bytes[0]!, start: 2, end: bytes.length }, version, receiver);
}

/** Decodes the first packet of `bytes`, as an end of a connection does. */
export function decodeOne(
  bytes: Uint8Array,
  version: ProtocolVersion,
  receiver: Receiver = 'client',
): Packet | undefined {
  const decoder = new Decoder({ protocolVersion: version, receiver });
  decoder.push(bytes);
  return decoder.next();
}

/** Matches a ProtocolError. Without `reasonCode`: Malformed Packet. */
export function refused(statement: string, reasonCode = 0x81): unknown {
  return expect.objectContaining({ name: 'ProtocolError', statement, reasonCode });
}

/** Matches a ProtocolError whose statement contains `statement`. */
export function broken(statement = ''): unknown {
  return expect.objectContaining({ name: 'ProtocolError', statement: expect.stringContaining(statement) });
}

/** Matches a ProtocolError with `reasonCode` whose statement contains `statement`. */
export function protocolError(reasonCode: number, statement = ''): unknown {
  return expect.objectContaining({
    name: 'ProtocolError',
    reasonCode,
    statement: expect.stringContaining(statement),
  });
}

/** Matches the error for a packet that cannot be encoded: it breaks the protocol, or has a wrong type or value. */
export function notEncodable(): unknown {
  return expect.objectContaining({ name: expect.stringMatching(/^(?:Protocol|Range|Type)Error$/) });
}
