import { describe, expect, it } from '@jest/globals';
import { Decoder, encode, type Receiver } from '../../lib/codec/codec.ts';
import type { EncodablePacket, Packet, QoS } from '../../lib/codec/packets.ts';
import { hex, packet, text, toHex } from '../support/bytes.ts';
import { broken, decodeOne, protocolError } from '../support/codec.ts';

/** MQTT 5.0, 3.1 CONNECT and 3.2 CONNACK. */
type Connect = Extract<EncodablePacket, { type: 'connect' }>;

const connect: Connect = { type: 'connect', clientId: 'c', cleanStart: false, keepAlive: 0 };

const receive = (bytes: Uint8Array, receiver?: Receiver): Packet | undefined => decodeOne(bytes, 5, receiver);

describe('v5 CONNECT', () => {
  it('v5 MQTT-3.1.2-1, -2 starts with the Protocol Name and version 5', () => {
    expect(toHex(encode(connect, 5).subarray(2, 9))).toBe('00 04 4d 51 54 54 05');
  });

  it.each([0, 1, 60, 65_535])('v5 MQTT-3.1.2-20 writes Keep Alive %d', (keepAlive) => {
    const bytes = encode({ ...connect, keepAlive }, 5);
    expect(toHex(bytes.subarray(10, 12))).toBe(toHex(hex`${keepAlive >> 8} ${keepAlive & 0xff}`));
    expect(receive(bytes, 'server')).toMatchObject({ keepAlive });
  });

  it.each([-1, 65_536, 0.5, Number.NaN, '60'] as number[])('refuses a Keep Alive of %p', (keepAlive) => {
    expect(() => encode({ ...connect, keepAlive }, 5)).toThrow(
      expect.objectContaining({ name: expect.stringMatching(/^(?:Protocol|Range|Type)Error$/) }),
    );
  });

  const WILLS: (Connect['will'] | undefined)[] = [
    undefined,
    ...[0, 1, 2].flatMap((qos) =>
      [false, true].map((retain) => ({ topic: 'w', payload: hex`01`, qos: qos as QoS, retain })),
    ),
  ];
  const FLAGS = WILLS.flatMap((will) =>
    [false, true].flatMap((cleanStart) =>
      [undefined, '', 'u'].flatMap((username) =>
        [undefined, hex``, hex`70`].map((password): [number, Connect] => [
          (username === undefined ? 0 : 0x80) |
            (password === undefined ? 0 : 0x40) |
            (will === undefined ? 0 : 0x04 | (Number(will.retain) << 5) | (will.qos! << 3)) |
            (cleanStart ? 0x02 : 0),
          {
            ...connect,
            cleanStart,
            ...(username === undefined ? {} : { username }),
            ...(password === undefined ? {} : { password }),
            ...(will === undefined ? {} : { will }),
          },
        ]),
      ),
    ),
  );

  it.each(FLAGS)(
    'v5 MQTT-3.1.2-3, -4, -9, -11, -12, -13, -16 to -19 writes Connect Flags %d and exactly the fields they announce',
    (flags, value) => {
      const bytes = encode(value, 5);
      const { will, username, password } = value;
      const expected = packet(
        0x10,
        hex`00 04 4d 51 54 54 05 ${flags} 00 00 00 00 01 63`,
        will === undefined ? hex`` : hex`00 00 01 77 00 01 01`,
        username === undefined ? hex`` : text(username),
        password === undefined ? hex`` : hex`00 ${password.length} ${password}`,
      );
      expect(toHex(bytes)).toBe(toHex(expected));
      const decoded = receive(bytes, 'server');
      const willed = will === undefined ? {} : { will: { ...will, properties: {} } };
      expect(decoded).toStrictEqual({ ...value, ...willed, properties: {} });
    },
  );

  it('v5 MQTT-3.1.2-3, -9, -11 to -13 a server takes exactly the Connect Flags that make sense, and names what is broken', () => {
    for (let flags = 0; flags <= 255; flags++) {
      const parts = [
        (flags & 0x04) === 0 ? hex`` : hex`00 00 01 77 00 00`,
        (flags & 0x80) === 0 ? hex`` : text('u'),
        (flags & 0x40) === 0 ? hex`` : text('p'),
      ];
      const bytes = packet(0x10, hex`00 04 4d 51 54 54 05 ${flags} 00 00 00 00 01 63`, ...parts);
      const willed = (flags & 0x04) !== 0;
      const faults = [
        ...((flags & 0x01) !== 0 ? ['MQTT-3.1.2-3'] : []),
        ...((flags & 0x18) === 0x18 ? ['MQTT-3.1.2-12'] : []),
        ...(!willed && (flags & 0x18) !== 0 ? ['MQTT-3.1.2-11'] : []),
        ...(!willed && (flags & 0x20) !== 0 ? ['MQTT-3.1.2-13'] : []),
      ];
      const run = (): unknown => receive(bytes, 'server');
      if (faults.length === 0)
        expect(run()).toMatchObject({ type: 'connect', cleanStart: (flags & 2) !== 0 });
      else expect(run).toThrow(protocolError(0x81, 'MQTT-3.1.2-'));
      if (faults.length === 1) expect(run).toThrow(broken(faults[0]));
    }
  });

  it('v5 MQTT-3.1.2-12 refuses Will QoS 3', () => {
    const will = { topic: 'w', payload: hex``, qos: 3 as QoS };
    expect(() => encode({ ...connect, will }, 5)).toThrow(
      expect.objectContaining({ name: expect.stringMatching(/^(?:Protocol|Range|Type)Error$/) }),
    );
  });

  it.each([
    { cleanStart: 1 },
    { cleanStart: undefined },
    { will: 'w' },
    { will: null },
    { username: 1 },
    { password: 'p' },
  ])('refuses %j as fields of the wrong type', (fields) => {
    expect(() => encode({ ...connect, ...fields } as unknown as Connect, 5)).toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringContaining('expected') }),
    );
  });

  it('v5 MQTT-3.1.3-1 writes the payload in its order', () => {
    const value: Connect = {
      ...connect,
      username: 'u',
      password: hex`70`,
      will: { topic: 'w', payload: hex`79`, properties: { willDelayInterval: 5 } },
      properties: { sessionExpiryInterval: 7 },
    };
    expect(toHex(encode(value, 5).subarray(12))).toBe(
      '05 11 00 00 00 07 00 01 63 05 18 00 00 00 05 00 01 77 00 01 79 00 01 75 00 01 70',
    );
  });

  it('v5 MQTT-3.1.3-3 writes an empty Client Identifier, with Clean Start and without', () => {
    expect(toHex(encode({ ...connect, clientId: '' }, 5).subarray(12))).toBe('00 00 00');
    expect(receive(encode({ ...connect, clientId: '', cleanStart: true }, 5), 'server')).toMatchObject({
      clientId: '',
    });
  });

  it.each(['', 'a/+', 'a/#', '#', '+', 'a+b'])(
    'v5 MQTT-3.1.3-11 refuses the Will Topic %j, both ways',
    (topic) => {
      expect(() => encode({ ...connect, will: { topic, payload: hex`` } }, 5)).toThrow(
        broken('MQTT-3.1.3-11'),
      );
      const bytes = packet(0x10, hex`00 04 4d 51 54 54 05 06 00 00 00 00 01 63 00 ${text(topic)} 00 00`);
      expect(() => receive(bytes, 'server')).toThrow(protocolError(0x82, 'MQTT-3.1.3-11'));
    },
  );

  it.each(['a/+', '#', 'a#'])(
    'v5 MQTT-3.3.2-14 refuses the Response Topic %j of a Will, both ways',
    (responseTopic) => {
      const will = { topic: 'w', payload: hex``, properties: { responseTopic } };
      expect(() => encode({ ...connect, will }, 5)).toThrow(
        expect.objectContaining({ name: 'ProtocolError' }),
      );
      const field = text(responseTopic);
      const bytes = packet(
        0x10,
        hex`00 04 4d 51 54 54 05 06 00 00 00 00 01 63 ${field.length + 1} 08 ${field} 00 01 77 00 00`,
      );
      expect(() => receive(bytes, 'server')).toThrow(protocolError(0x82));
    },
  );

  it.each([
    ['another name', hex`00 04 4d 51 54 58 05 02 00 00 00 00 00`],
    ['the name of 3.1', hex`00 06 4d 51 49 73 64 70 05 02 00 00 00 00 00`],
    ['version 6', hex`00 04 4d 51 54 54 06 02 00 00 00 00 00`],
    ['version 0', hex`00 04 4d 51 54 54 00 02 00 00 00 00 00`],
  ])('v5 MQTT-3.1.2-1, -2 a server refuses %s', (_, body) => {
    const decoder = new Decoder({ receiver: 'server' });
    decoder.push(packet(0x10, body));
    expect(() => decoder.next()).toThrow(protocolError(0x84));
  });
});

describe('v5 CONNACK', () => {
  it('v5 MQTT-3.2.2-1 answers Acknowledge Flags above 1 with Malformed Packet', () => {
    for (let flags = 2; flags <= 255; flags++) {
      expect(() => receive(hex`20 03 ${flags} 00 00`)).toThrow(protocolError(0x81, 'MQTT-3.2.2-1'));
    }
  });

  it.each([
    [hex`20 03 00 00 00`, false],
    [hex`20 03 01 00 00`, true],
  ])('v5 MQTT-3.2.2-3 Session Present is bit 0 (%#)', (bytes, sessionPresent) => {
    const value = { type: 'connack', sessionPresent, reasonCode: 0, properties: {} } as const;
    expect(receive(bytes)).toStrictEqual(value);
    expect(encode(value, 5)).toEqual(bytes);
  });

  it('v5 MQTT-3.2.2-6 tells the Reason Code of a refusal with Session Present', () => {
    expect(receive(hex`20 03 01 87 00`)).toMatchObject({ sessionPresent: true, reasonCode: 0x87 });
  });

  it('v5 MQTT-3.2.2-6 does not send a refusal with Session Present', () => {
    expect(() => encode({ type: 'connack', sessionPresent: true, reasonCode: 0x87 }, 5)).toThrow(
      broken('MQTT-3.2.2-6'),
    );
  });

  it('v5 MQTT-3.1.2-2 reads the refusal of an old server as Unsupported Protocol Version', () => {
    const refusal = { type: 'connack', sessionPresent: false, reasonCode: 0x84, properties: {} };
    expect(receive(hex`20 02 00 01`)).toStrictEqual(refusal);
    expect(receive(hex`20 03 00 84 00`)).toStrictEqual(refusal);
  });

  it('v5 MQTT-2.2.2-1 takes no other CONNACK of 3.1.1', () => {
    for (const body of [hex`00 00`, hex`01 00`, hex`00 02`, hex`00 05`, hex`01 01`]) {
      expect(() => receive(packet(0x20, body))).toThrow(protocolError(0x81));
    }
  });

  it('v5 MQTT-3.2.2-9 answers a second Maximum QoS with Protocol Error', () => {
    expect(() => receive(hex`20 07 00 00 04 24 01 24 01`)).toThrow(protocolError(0x82));
  });

  it('v5 U-3.2.2-b tells Session Expiry Interval without a sign, and its absence', () => {
    expect(receive(hex`20 08 00 00 05 11 ff ff ff ff`)).toMatchObject({
      properties: { sessionExpiryInterval: 0xffffffff },
    });
    expect(receive(hex`20 03 00 00 00`)).toStrictEqual(expect.objectContaining({ properties: {} }));
  });

  it('v5 MQTT-3.1.3-7, MQTT-3.2.2-21 tells Assigned Client Identifier and Server Keep Alive', () => {
    expect(receive(hex`20 0a 00 00 07 12 00 01 78 13 00 00`)).toMatchObject({
      properties: { assignedClientIdentifier: 'x', serverKeepAlive: 0 },
    });
  });

  it('v5 MQTT-3.1.2-24, MQTT-3.2.2-19, -20 refuses one above Maximum Packet Size as Packet too large', () => {
    const decoder = new Decoder({ protocolVersion: 5, maximumPacketSize: 10 });
    decoder.push(hex`20 09`);
    expect(() => decoder.next()).toThrow(protocolError(0x95, 'MQTT-3.1.2-24'));
  });

  it('v5 MQTT-3.2.2-1 refuses a Session Present that is no boolean', () => {
    expect(() => encode({ type: 'connack', sessionPresent: 1 as unknown as boolean }, 5)).toThrow(
      expect.objectContaining({ name: 'TypeError' }),
    );
  });

  it('v5 U-3.1.2-d refuses to encode an unknown packet type or protocol version', () => {
    expect(() => encode({ type: 'nothing' } as unknown as EncodablePacket, 5)).toThrow(
      expect.objectContaining({ name: 'TypeError' }),
    );
    expect(() => encode(connect, 6 as 5)).toThrow(
      expect.objectContaining({ name: expect.stringMatching(/^(?:Range|Type)Error$/) }),
    );
  });

  it('v5 names the statement of MQTT-3.1.2-3 when bit 0 of the Connect Flags is 1', () => {
    expect(() => receive(packet(0x10, hex`00 04 4d 51 54 54 05 03 00 00 00 00 00`), 'server')).toThrow(
      broken('MQTT-3.1.2-3'),
    );
  });
});
