/** The first byte of a Control Packet (tables 2-1 and 2-2): type in the high four bits, flags in the low four. */

import type { ProtocolError } from '../errors.ts';
import { hex, malformed, violation } from './errors.ts';
import type { ProtocolVersion } from './packets.ts';

/** First bytes: all but PUBLISH have fixed flags, 0010 for PUBREL, SUBSCRIBE and UNSUBSCRIBE, else 0000. */
export const Header = {
  connect: 0x10,
  connack: 0x20,
  publish: 0x30,
  puback: 0x40,
  pubrec: 0x50,
  pubrel: 0x62,
  pubcomp: 0x70,
  subscribe: 0x82,
  suback: 0x90,
  unsubscribe: 0xa2,
  unsuback: 0xb0,
  pingreq: 0xc0,
  pingresp: 0xd0,
  disconnect: 0xe0,
  auth: 0xf0,
} as const;

/** The numbers of the Control Packet types (2.1.2). */
export const PacketType = Object.fromEntries(
  Object.entries(Header).map(([name, header]) => [name, header >> 4]),
) as Readonly<Record<keyof typeof Header, number>>;

/** The end of the connection that decodes. */
export type Receiver = 'client' | 'server';

/** One packet among bytes: a `Framer` at the packet that it found. */
export interface Frame {
  readonly bytes: Uint8Array;
  /** The first byte of the packet: type and flags. */
  readonly header: number;
  /** The body, behind Remaining Length, is `bytes[start, end)`. */
  readonly start: number;
  readonly end: number;
}

const TITLES: readonly string[] = [
  'a packet of type 0',
  ...Object.keys(Header).map((name) => name.toUpperCase()),
];

/** The name of the packet type in a first byte, for error messages. */
export function packetTitle(header: number): string {
  return TITLES[header >> 4] ?? '';
}

const HEADERS: readonly number[] = [0, ...Object.values(Header)];

const bits = (...types: readonly (keyof typeof Header)[]): number =>
  types.reduce((mask, type) => mask | (1 << PacketType[type]), 0);

const BOTH_WAYS = bits('publish', 'puback', 'pubrec', 'pubrel', 'pubcomp');
/** The packets that each end may receive in every version, */
const LEGAL = {
  client: BOTH_WAYS | bits('connack', 'suback', 'unsuback', 'pingresp'),
  server: BOTH_WAYS | bits('connect', 'subscribe', 'unsubscribe', 'pingreq', 'disconnect'),
};
/** and on 5.0. */
const ALSO_LEGAL_ON_5 = { client: bits('disconnect', 'auth'), server: bits('auth') };

/** Refuses a first byte that this receiver must not get. The flags of a PUBLISH are checked by its reader. */
export function checkHeader(header: number, version: ProtocolVersion, receiver: Receiver): void {
  const type = header >> 4;
  const legal = LEGAL[receiver] | (version === 5 ? ALSO_LEGAL_ON_5[receiver] : 0);
  if ((legal & (1 << type)) === 0) {
    throw violation(
      `${packetTitle(header)} must not be sent to a ${receiver}`,
      version === 5 ? '2.1.2' : '2.2.1',
    );
  }
  // On 3.1 these flags are "unused", and DUP may mark a repeated PUBREL, SUBSCRIBE or UNSUBSCRIBE.
  if (version === 3 || type === PacketType.publish) return;
  if (header !== HEADERS[type]) throw wrongFlags(header, version);
}

/** [MQTT-2.1.3-1] (3.1.1: [MQTT-2.2.2-2]) "Where a flag bit is marked as Reserved it MUST be set to the value listed". */
export function wrongFlags(header: number, version: ProtocolVersion): ProtocolError {
  const statement = version === 5 ? 'MQTT-2.1.3-1' : 'MQTT-2.2.2-2';
  return malformed(`${packetTitle(header)} has first byte ${hex(header)}`, statement);
}
