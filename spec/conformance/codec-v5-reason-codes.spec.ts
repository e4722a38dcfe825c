import { describe, expect, it } from '@jest/globals';
import { encode, type Receiver } from '../../lib/codec/codec.ts';
import type { EncodablePacket, Packet } from '../../lib/codec/packets.ts';
import { hex, packet } from '../support/bytes.ts';
import { decodeOne } from '../support/codec.ts';

/** MQTT 5.0, 2.4: which Reason Codes each packet has, over all 256 of them. */
interface Row {
  readonly name: string;
  readonly id: string;
  readonly receiver: 'client' | 'server';
  readonly wire: (code: number) => Uint8Array;
  readonly codes: readonly number[];
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);
const ALL = range(0, 255);

const CONNACK = [0x00, ...range(0x80, 0x8a), 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f];
const PUBACK = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const PUBREL = [0x00, 0x92];
const SUBACK = [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2];
const UNSUBACK = [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91];
/** All but 0x04, which only a client sends; 0x8C is in the common table of the standard and not in DISCONNECT's. */
const DISCONNECT = [
  0x00,
  ...range(0x80, 0x83),
  0x87,
  0x89,
  0x8b,
  0x8c,
  0x8d,
  0x8e,
  0x8f,
  0x90,
  ...range(0x93, 0xa2),
];
/** What a client may send; the table has 0x9B as the server's, but 3.3.4 tells a client to send it. */
const CLIENT_DISCONNECT = [0x00, 0x04, ...range(0x80, 0x83), 0x90, ...range(0x93, 0x99), 0x9b];
/** 0x10 is the server's. */
const CLIENT_PUBACK = PUBACK.filter((code) => code !== 0x10);

const METHOD = hex`04 15 00 01 58`;
const full = (first: number) => (code: number) => packet(first, hex`00 01 ${code} 00`);
const short = (first: number) => (code: number) => packet(first, hex`00 01 ${code}`);
const auth = (code: number): Uint8Array => packet(0xf0, hex`${code} ${METHOD}`);

// prettier-ignore
const ROWS: readonly Row[] = [
  { name: 'CONNACK', id: 'MQTT-3.2.2-8', receiver: 'client', wire: (code) => packet(0x20, hex`00 ${code} 00`), codes: CONNACK },
  { name: 'PUBACK', id: 'MQTT-3.4.2-1', receiver: 'client', wire: full(0x40), codes: PUBACK },
  { name: 'short PUBACK', id: 'MQTT-3.4.2-1', receiver: 'client', wire: short(0x40), codes: PUBACK },
  { name: 'PUBREC', id: 'MQTT-3.5.2-1', receiver: 'client', wire: full(0x50), codes: PUBACK },
  { name: 'short PUBREC', id: 'MQTT-3.5.2-1', receiver: 'client', wire: short(0x50), codes: PUBACK },
  { name: 'PUBREL', id: 'MQTT-3.6.2-1', receiver: 'client', wire: full(0x62), codes: PUBREL },
  { name: 'PUBREL', id: 'MQTT-3.6.2-1', receiver: 'server', wire: full(0x62), codes: PUBREL },
  { name: 'short PUBREL', id: 'MQTT-3.6.2-1', receiver: 'client', wire: short(0x62), codes: PUBREL },
  { name: 'PUBCOMP', id: 'MQTT-3.7.2-1', receiver: 'client', wire: full(0x70), codes: PUBREL },
  { name: 'PUBCOMP', id: 'MQTT-3.7.2-1', receiver: 'server', wire: full(0x70), codes: PUBREL },
  { name: 'short PUBCOMP', id: 'MQTT-3.7.2-1', receiver: 'client', wire: short(0x70), codes: PUBREL },
  { name: 'SUBACK', id: 'MQTT-3.9.3-2', receiver: 'client', wire: (code) => packet(0x90, hex`00 01 00 ${code}`), codes: SUBACK },
  { name: 'a later SUBACK entry', id: 'MQTT-3.9.3-2', receiver: 'client', wire: (code) => packet(0x90, hex`00 01 00 00 ${code} 00`), codes: SUBACK },
  { name: 'UNSUBACK', id: 'MQTT-3.11.3-2', receiver: 'client', wire: (code) => packet(0xb0, hex`00 01 00 ${code}`), codes: UNSUBACK },
  { name: 'a later UNSUBACK entry', id: 'MQTT-3.11.3-2', receiver: 'client', wire: (code) => packet(0xb0, hex`00 01 00 00 ${code} 00`), codes: UNSUBACK },
  { name: 'DISCONNECT', id: 'MQTT-3.14.2-1', receiver: 'client', wire: (code) => packet(0xe0, hex`${code} 00`), codes: DISCONNECT },
  { name: 'short DISCONNECT', id: 'MQTT-3.14.2-1', receiver: 'client', wire: (code) => packet(0xe0, hex`${code}`), codes: DISCONNECT },
  { name: 'DISCONNECT', id: 'MQTT-3.14.2-1', receiver: 'server', wire: (code) => packet(0xe0, hex`${code}`), codes: CLIENT_DISCONNECT },
  { name: 'PUBACK', id: 'MQTT-3.4.2-1', receiver: 'server', wire: full(0x40), codes: CLIENT_PUBACK },
  { name: 'PUBREC', id: 'MQTT-3.5.2-1', receiver: 'server', wire: short(0x50), codes: CLIENT_PUBACK },
  { name: 'AUTH', id: 'MQTT-3.15.2-1', receiver: 'client', wire: auth, codes: [0x00, 0x18] },
  { name: 'AUTH', id: 'MQTT-3.15.2-1', receiver: 'server', wire: auth, codes: [0x18, 0x19] },
];

const receive = (bytes: Uint8Array, receiver: Receiver): Packet | undefined => decodeOne(bytes, 5, receiver);

/** Whether `run` does not throw; what it throws is a ProtocolError, 0x82 or 0x81 where it comes from decoding. */
function passes(run: () => unknown, reasonCodes: readonly number[]): boolean {
  try {
    run();
    return true;
  } catch (error) {
    const { name, reasonCode } = error as { name: string; reasonCode: number };
    if (name !== 'ProtocolError' || !reasonCodes.includes(reasonCode)) throw error;
    return false;
  }
}

describe('v5 R2 Reason Codes', () => {
  it.each(ROWS)(
    'v5 $id U-2.4-a $name received by a $receiver has its codes and no others',
    ({ wire, receiver, codes }) => {
      expect(ALL.filter((code) => passes(() => receive(wire(code), receiver), [0x82, 0x81]))).toEqual(codes);
    },
  );

  it.each(ROWS)(
    'v5 U-2.4-b $name received by a $receiver tells its code as it came',
    ({ wire, receiver, codes }) => {
      const untold = codes.filter((code) => {
        const decoded = receive(wire(code), receiver);
        if (decoded === undefined) return true;
        if ('reasonCodes' in decoded) return !decoded.reasonCodes.includes(code);
        return !('reasonCode' in decoded) || decoded.reasonCode !== code;
      });
      expect(untold).toEqual([]);
    },
  );

  const properties = { authenticationMethod: 'X' };
  it.each([
    ['MQTT-3.2.2-8 CONNACK', (reasonCode: number) => ({ type: 'connack', reasonCode }), CONNACK],
    ['MQTT-3.4.2-1 PUBACK', (reasonCode: number) => ({ type: 'puback', packetId: 1, reasonCode }), PUBACK],
    ['MQTT-3.5.2-1 PUBREC', (reasonCode: number) => ({ type: 'pubrec', packetId: 1, reasonCode }), PUBACK],
    ['MQTT-3.6.2-1 PUBREL', (reasonCode: number) => ({ type: 'pubrel', packetId: 1, reasonCode }), PUBREL],
    ['MQTT-3.7.2-1 PUBCOMP', (reasonCode: number) => ({ type: 'pubcomp', packetId: 1, reasonCode }), PUBREL],
    [
      'MQTT-3.9.3-2 SUBACK',
      (code: number) => ({ type: 'suback', packetId: 1, reasonCodes: [0, code] }),
      SUBACK,
    ],
    [
      'MQTT-3.11.3-2 UNSUBACK',
      (code: number) => ({ type: 'unsuback', packetId: 1, reasonCodes: [0, code] }),
      UNSUBACK,
    ],
    [
      'MQTT-3.14.2-1 DISCONNECT',
      (reasonCode: number) => ({ type: 'disconnect', reasonCode }),
      [0x00, 0x04, ...DISCONNECT.slice(1)],
    ],
    [
      'MQTT-3.15.2-1 AUTH',
      (reasonCode: number) => ({ type: 'auth', reasonCode, properties }),
      [0x00, 0x18, 0x19],
    ],
  ] as [string, (code: number) => EncodablePacket, number[]][])(
    'v5 %s is sent with its codes and no others',
    (_, send, codes) => {
      expect(ALL.filter((code) => passes(() => encode(send(code), 5), ALL))).toEqual(codes);
      for (const wrong of [-1, 256, 0.5, Number.NaN, '0', null] as number[]) {
        expect(() => encode(send(wrong), 5)).toThrow(
          expect.objectContaining({ name: expect.stringMatching(/^(?:Protocol|Range|Type)Error$/) }),
        );
      }
    },
  );
});
