/** Reason Codes of 5.0 (2.4) and return codes of 3.1 and 3.1.1: their names, and the packets that may have them. */

import { hex, integer, violation } from './errors.ts';
import type { Packet, ProtocolVersion } from './packets.ts';
import type { Receiver } from './packet-type.ts';

type ReasonedPacket = Extract<Packet, { reasonCode: number }>['type'] | 'suback' | 'unsuback';

const NAMES: Readonly<Record<number, string>> = {
  0x00: 'Success',
  0x01: 'Granted QoS 1',
  0x02: 'Granted QoS 2',
  0x04: 'Disconnect with Will Message',
  0x10: 'No matching subscribers',
  0x11: 'No subscription existed',
  0x18: 'Continue authentication',
  0x19: 'Re-authenticate',
  0x80: 'Unspecified error',
  0x81: 'Malformed Packet',
  0x82: 'Protocol Error',
  0x83: 'Implementation specific error',
  0x84: 'Unsupported Protocol Version',
  0x85: 'Client Identifier not valid',
  0x86: 'Bad User Name or Password',
  0x87: 'Not authorized',
  0x88: 'Server unavailable',
  0x89: 'Server busy',
  0x8a: 'Banned',
  0x8b: 'Server shutting down',
  0x8c: 'Bad authentication method',
  0x8d: 'Keep Alive timeout',
  0x8e: 'Session taken over',
  0x8f: 'Topic Filter invalid',
  0x90: 'Topic Name invalid',
  0x91: 'Packet Identifier in use',
  0x92: 'Packet Identifier not found',
  0x93: 'Receive Maximum exceeded',
  0x94: 'Topic Alias invalid',
  0x95: 'Packet too large',
  0x96: 'Message rate too high',
  0x97: 'Quota exceeded',
  0x98: 'Administrative action',
  0x99: 'Payload format invalid',
  0x9a: 'Retain not supported',
  0x9b: 'QoS not supported',
  0x9c: 'Use another server',
  0x9d: 'Server moved',
  0x9e: 'Shared Subscriptions not supported',
  0x9f: 'Connection rate exceeded',
  0xa0: 'Maximum connect time',
  0xa1: 'Subscription Identifiers not supported',
  0xa2: 'Wildcard Subscriptions not supported',
};

/** CONNACK return codes of 3.1.1 (table 3.1); 3.1 has the same. */
export const RETURN_CODES: readonly string[] = [
  'Connection accepted',
  'Unacceptable protocol version',
  'Identifier rejected',
  'Server unavailable',
  'Bad user name or password',
  'Not authorized',
];

/**
 * The specification's name of a Reason Code, such as `Not authorized`.
 * @param packetType some packets have other names for a code: 0x00 in a SUBACK is `Granted QoS 0`, and 1 to 5 in a
 *   CONNACK are return codes of 3.1 and 3.1.1
 */
export function reasonCodeName(code: number, packetType?: Packet['type']): string {
  if (code === 0 && packetType === 'suback') return 'Granted QoS 0';
  if (code === 0 && packetType === 'disconnect') return 'Normal disconnection';
  if (packetType === 'connack' && code > 0) {
    const name = RETURN_CODES[code];
    if (name !== undefined) return name;
  }
  return NAMES[code] ?? `Unknown Reason Code ${hex(code)}`;
}

const PUBLISH_ACK = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const RELEASE = [0x00, 0x92];

/** 256 flags: a fast look-up for acknowledgements. */
function row(codes: readonly number[]): Uint8Array {
  const flags = new Uint8Array(256);
  for (const code of codes) flags[code] = 1;
  return flags;
}

/** The codes that a packet may have. */
const LEGAL: Readonly<Record<ReasonedPacket, Uint8Array>> = {
  // prettier-ignore
  connack: row([
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b,
    0x9c, 0x9d, 0x9f,
  ]),
  puback: row(PUBLISH_ACK),
  pubrec: row(PUBLISH_ACK),
  pubrel: row(RELEASE),
  pubcomp: row(RELEASE),
  suback: row([0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]),
  unsuback: row([0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]),
  // prettier-ignore
  disconnect: row([
    0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96,
    0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
  ]),
  auth: row([0x00, 0x18, 0x19]),
};

/** Codes that only one end may send. 0x9B in DISCONNECT is for both, as 3.3.4 tells a client to send it. */
const ONLY_FROM_CLIENT: Partial<Record<ReasonedPacket, Uint8Array>> = {
  disconnect: row([0x04]),
  auth: row([0x19]),
};
const ONLY_FROM_SERVER: Partial<Record<ReasonedPacket, Uint8Array>> = {
  puback: row([0x10]),
  pubrec: row([0x10]),
  disconnect: row([0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x9a, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2]),
  auth: row([0x00]),
};

const STATEMENT: Readonly<Record<ReasonedPacket, string>> = {
  connack: 'MQTT-3.2.2-8',
  puback: 'MQTT-3.4.2-1',
  pubrec: 'MQTT-3.5.2-1',
  pubrel: 'MQTT-3.6.2-1',
  pubcomp: 'MQTT-3.7.2-1',
  suback: 'MQTT-3.9.3-2',
  unsuback: 'MQTT-3.11.3-2',
  disconnect: 'MQTT-3.14.2-1',
  auth: 'MQTT-3.15.2-1',
};

/** Refuses a code of 5.0 that the packet must not have, or not on the way to this receiver. */
export function checkReasonCode(code: number, packet: ReasonedPacket, receiver?: Receiver): void {
  const wrongWay =
    receiver === undefined
      ? undefined
      : (receiver === 'client' ? ONLY_FROM_CLIENT : ONLY_FROM_SERVER)[packet];
  if (LEGAL[packet][code] !== 1 || wrongWay?.[code] === 1) {
    throw violation(`${packet.toUpperCase()} must not have Reason Code ${hex(code)}`, STATEMENT[packet]);
  }
}

const SUBACK_311 = [0x00, 0x01, 0x02, 0x80];

/** Refuses a code to be written that is no byte, or that the packet must not have in this version. */
export function reasonCodeToWrite(value: unknown, packet: ReasonedPacket, version: ProtocolVersion): number {
  const code = integer('reasonCode', value === undefined ? 0 : value, 0, 0xff);
  if (version === 5) {
    checkReasonCode(code, packet);
  } else if (packet === 'connack') {
    checkReturnCode(code);
  } else if (packet === 'suback') {
    checkSubackReturnCode(code, version);
  }
  return code;
}

/** Refuses the return codes that 3.1 and 3.1.1 reserve in CONNACK. */
export function checkReturnCode(code: number): void {
  if (code >= RETURN_CODES.length) throw violation(`CONNACK has the reserved return code ${code}`, '3.2.2.3');
}

/** [MQTT-3.9.3-2] "SUBACK return codes other than 0x00, 0x01, 0x02 and 0x80 are reserved"; 3.1 has no 0x80. */
export function checkSubackReturnCode(code: number, version: ProtocolVersion): void {
  if (!SUBACK_311.includes(code) || (version === 3 && code === 0x80)) {
    throw violation(`SUBACK has the reserved return code ${hex(code)}`, 'MQTT-3.9.3-2');
  }
}
