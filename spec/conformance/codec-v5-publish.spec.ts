import { describe, expect, it } from '@jest/globals';
import { encode, type Receiver } from '../../lib/codec/codec.ts';
import type { EncodablePacket, Packet, QoS } from '../../lib/codec/packets.ts';
import { hex, packet, properties, text, toHex } from '../support/bytes.ts';
import { broken, decodeOne, protocolError } from '../support/codec.ts';

/** MQTT 5.0, 3.3 PUBLISH and 3.4 to 3.7, its acknowledgements. */
type Publish = Extract<EncodablePacket, { type: 'publish' }>;

const publish: Publish = { type: 'publish', topic: 'a/b', payload: hex`68 69` };

const receive = (bytes: Uint8Array, receiver?: Receiver): Packet | undefined => decodeOne(bytes, 5, receiver);

describe('v5 PUBLISH', () => {
  const HEADERS: [number, QoS, boolean, boolean][] = [
    [0x30, 0, false, false],
    [0x31, 0, true, false],
    [0x32, 1, false, false],
    [0x33, 1, true, false],
    [0x34, 2, false, false],
    [0x35, 2, true, false],
    [0x3a, 1, false, true],
    [0x3b, 1, true, true],
    [0x3c, 2, false, true],
    [0x3d, 2, true, true],
  ];

  it.each(HEADERS)(
    'v5 MQTT-3.3.1-1, -3, U-3.3.1-a first byte %d is QoS %d, RETAIN %s, DUP %s, both ways',
    (first, qos, retain, duplicate) => {
      const id = qos === 0 ? {} : { packetId: 10 };
      const bytes = packet(first, text('a/b'), qos === 0 ? hex`` : hex`00 0a`, hex`00 68 69`);
      const value: Packet = { ...publish, qos, retain, duplicate, ...id, properties: {} };
      expect(toHex(encode(value, 5))).toBe(toHex(bytes));
      expect(receive(bytes)).toStrictEqual(value);
      expect(receive(bytes, 'server')).toStrictEqual(value);
    },
  );

  it('v5 MQTT-3.3.1-2 refuses to send DUP with QoS 0', () => {
    expect(() => encode({ ...publish, duplicate: true }, 5)).toThrow(broken('MQTT-3.3.1-2'));
  });

  it.each([0x38, 0x39])('v5 MQTT-3.3.1-2 refuses DUP with QoS 0 as Malformed (first byte %d)', (first) => {
    expect(() => receive(packet(first, text('a'), hex`00`))).toThrow(protocolError(0x81, 'MQTT-3.3.1-2'));
  });

  it.each([0x36, 0x37, 0x3e, 0x3f])('v5 MQTT-3.3.1-4 refuses QoS 3 as Malformed (first byte %d)', (first) => {
    expect(() => receive(packet(first, text('a'), hex`00 01 00`))).toThrow(
      protocolError(0x81, 'MQTT-3.3.1-4'),
    );
  });

  it.each([3, -1, 1.5, '1', null] as unknown as QoS[])('v5 MQTT-3.3.1-4 refuses to send QoS %p', (qos) => {
    expect(() => encode({ ...publish, qos, packetId: 1 }, 5)).toThrow(
      expect.objectContaining({ name: expect.stringMatching(/^(?:Protocol|Range|Type)Error$/) }),
    );
  });

  it('v5 U-3.3.1-a carries RETAIN with an empty payload, both ways', () => {
    const bytes = hex`31 06 00 03 61 2f 62 00`;
    expect(toHex(encode({ ...publish, payload: hex``, retain: true }, 5))).toBe(toHex(bytes));
    expect(receive(bytes)).toMatchObject({ retain: true, payload: hex`` });
  });

  it.each(['+', '#', 'a/+', 'a/#', 'a+', 'a#b', '+/a'])(
    'v5 MQTT-3.3.2-2 refuses the Topic Name %j, both ways',
    (topic) => {
      expect(() => encode({ ...publish, topic }, 5)).toThrow(broken());
      expect(() => receive(packet(0x30, text(topic), hex`00`))).toThrow(protocolError(0x82, 'MQTT-3.3.2-2'));
    },
  );

  it.each(['/', '//', ' ', '$SYS/a', 'a/b/', '\u{2a6d4}'])(
    'v5 MQTT-3.3.2-1 carries the Topic Name %j, both ways',
    (topic) => {
      const bytes = packet(0x30, text(topic), hex`00 68 69`);
      expect(toHex(encode({ ...publish, topic }, 5))).toBe(toHex(bytes));
      expect(receive(bytes)).toMatchObject({ topic });
    },
  );

  it('v5 U-3.3.2-a an empty Topic Name needs a Topic Alias, both ways', () => {
    expect(() => encode({ ...publish, topic: '' }, 5)).toThrow(broken());
    expect(() => receive(hex`30 05 00 00 00 68 69`)).toThrow(protocolError(0x82));
    expect(() => receive(hex`30 09 00 00 05 02 00 00 00 01 68`)).toThrow(protocolError(0x82));
  });

  it.each([1, 2, 65_535])(
    'v5 U-3.3.4-a, MQTT-3.3.2-10 carries Topic Alias %d with and without a Topic Name',
    (topicAlias) => {
      for (const topic of ['', 'a/b']) {
        const bytes = packet(
          0x30,
          text(topic),
          properties(hex`23 ${topicAlias >> 8} ${topicAlias & 0xff}`),
          hex`68 69`,
        );
        expect(toHex(encode({ ...publish, topic, properties: { topicAlias } }, 5))).toBe(toHex(bytes));
        expect(receive(bytes)).toMatchObject({ topic, properties: { topicAlias } });
      }
    },
  );

  it('v5 MQTT-3.3.2-8 refuses Topic Alias 0, with a Topic Name and without', () => {
    for (const topic of ['', 'a']) {
      expect(() => receive(packet(0x30, text(topic), hex`03 23 00 00`))).toThrow(
        protocolError(0x94, 'MQTT-3.3.2-8'),
      );
      expect(() => encode({ ...publish, topic, properties: { topicAlias: 0 } }, 5)).toThrow(
        broken('MQTT-3.3.2-8'),
      );
    }
  });

  it.each([0, 1, 0x7fffffff, 0x80000000, 0xffffffff])(
    'v5 MQTT-3.3.2-6 tells Message Expiry Interval %d',
    (seconds) => {
      const bytes = encode({ ...publish, properties: { messageExpiryInterval: seconds } }, 5);
      expect(receive(bytes)).toMatchObject({ properties: { messageExpiryInterval: seconds } });
    },
  );

  it('v5 MQTT-3.3.1-4 refuses to send QoS 3 as what the protocol forbids', () => {
    expect(() => encode({ ...publish, qos: 3 as QoS, packetId: 1 }, 5)).toThrow(broken('MQTT-3.3.1-4'));
  });

  it.each([
    ['its Topic Name', hex`30 03 00 05 61`],
    ['its Packet Identifier', hex`32 04 00 01 61 00`],
    ['its Property Length', hex`30 03 00 01 61`],
    ['its properties', hex`30 04 00 01 61 03`],
  ])('v5 U-2.1.4-a does not read %s from the packet behind it', (_, bytes) => {
    expect(() => receive(hex`${bytes} 23 00 05 00 00 00 00 00`)).toThrow(protocolError(0x81));
  });

  it.each(['topic', 'payload', 'qos'] as const)('refuses a %s of the wrong type by name', (field) => {
    const value = { ...publish, [field]: { no: 1 } } as unknown as Publish;
    expect(() => encode(value, 5)).toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringContaining(field) }),
    );
  });

  it('v5 MQTT-3.3.2-6 tells no Message Expiry Interval where there is none', () => {
    expect(receive(encode(publish, 5))).not.toHaveProperty('properties.messageExpiryInterval');
  });

  it.each(['+', 'a/#', '#', 'a+b'])(
    'v5 MQTT-3.3.2-14 refuses the Response Topic %j, both ways',
    (responseTopic) => {
      expect(() => encode({ ...publish, properties: { responseTopic } }, 5)).toThrow(broken());
      const received = (): unknown =>
        receive(packet(0x30, text('a'), properties(hex`08`, text(responseTopic))));
      expect(received).toThrow(protocolError(0x82, 'MQTT-3.3.2-14'));
    },
  );

  it('v5 U-3.3.2-c tells all Subscription Identifiers in wire order, repeats included', () => {
    const bytes = packet(0x30, text('a'), properties(hex`0b 03 0b ac 02 0b 03 0b ff ff ff 7f 0b 01`));
    const subscriptionIdentifiers = [3, 300, 3, 268_435_455, 1];
    expect(receive(bytes)).toMatchObject({ properties: { subscriptionIdentifiers } });
    const value = { ...publish, topic: 'a', payload: hex``, properties: { subscriptionIdentifiers } };
    expect(toHex(encode(value, 5))).toBe(toHex(bytes));
  });

  it('v5 U-3.3.2-c refuses a Subscription Identifier 0 among others', () => {
    expect(() => receive(packet(0x30, text('a'), properties(hex`0b 03 0b 00`)))).toThrow(protocolError(0x82));
  });

  it('v5 MQTT-3.3.4-6 a server refuses a Subscription Identifier in PUBLISH', () => {
    expect(() => receive(packet(0x30, text('a'), properties(hex`0b 03`)), 'server')).toThrow(
      protocolError(0x82),
    );
  });

  it('v5 U-3.3.2-b refuses to send a payload that is not the UTF-8 it says', () => {
    const utf8 = { payloadFormatIndicator: 1 } as const;
    const mismatch = expect.objectContaining({ name: 'ProtocolError', reasonCode: 0x99 });
    for (const payload of [hex`ff`, hex`c0 80`, hex`ed a0 80`, hex`68 69 f0 9f 98`, hex`e2 82`]) {
      expect(() => encode({ ...publish, payload, properties: utf8 }, 5)).toThrow(mismatch);
      const will = { topic: 'w', payload, properties: utf8 };
      expect(() =>
        encode({ type: 'connect', clientId: '', cleanStart: true, keepAlive: 0, will }, 5),
      ).toThrow(mismatch);
    }
    for (const payload of [
      hex``,
      hex`68 69`,
      hex`f0 aa 9b 94`,
      hex`ef bb bf`,
      hex`00`,
      hex`f4 8f bf bf ed 9f bf`,
    ]) {
      expect(receive(encode({ ...publish, payload, properties: utf8 }, 5))).toMatchObject({
        payload,
        properties: utf8,
      });
    }
  });

  it('v5 U-3.3.2-b delivers a payload that is not the UTF-8 it says', () => {
    expect(receive(packet(0x30, text('a'), hex`02 01 01 ff`))).toMatchObject({
      payload: hex`ff`,
      properties: { payloadFormatIndicator: 1 },
    });
  });

  it.each(['text', null, undefined, 1, [1]] as unknown[])('refuses %p as payload', (payload) => {
    expect(() => encode({ ...publish, payload } as Publish, 5)).toThrow(
      expect.objectContaining({ name: 'TypeError' }),
    );
  });

  it.each(['retain', 'duplicate'] as const)('refuses a %s that is no boolean', (flag) => {
    expect(() => encode({ ...publish, qos: 1, packetId: 1, [flag]: 1 } as unknown as Publish, 5)).toThrow(
      expect.objectContaining({ name: 'TypeError' }),
    );
  });
});

describe.each([
  ['puback', 0x40, 0x80],
  ['pubrec', 0x50, 0x97],
  ['pubrel', 0x62, 0x92],
  ['pubcomp', 0x70, 0x92],
] as const)('v5 %s', (type, first, failure) => {
  it('v5 U-3.4.2-a reads the short forms and the full ones alike', () => {
    const success = { type, packetId: 10, reasonCode: 0, properties: {} };
    expect(receive(hex`${first} 02 00 0a`)).toStrictEqual(success);
    expect(receive(hex`${first} 03 00 0a 00`)).toStrictEqual(success);
    expect(receive(hex`${first} 04 00 0a 00 00`)).toStrictEqual(success);
    expect(receive(hex`${first} 03 00 0a ${failure}`)).toStrictEqual({ ...success, reasonCode: failure });
    expect(receive(hex`${first} 04 00 0a ${failure} 00`)).toStrictEqual({ ...success, reasonCode: failure });
  });

  it('v5 U-3.4.2-a writes Reason Code 0 with properties in full', () => {
    const list = { reasonString: 'y', userProperties: [['a', 'b']] as const };
    const bytes = hex`${first} 0f 00 0a 00 0b 1f 00 01 79 26 00 01 61 00 01 62`;
    expect(receive(encode({ type, packetId: 10, properties: list }, 5))).toStrictEqual({
      type,
      packetId: 10,
      reasonCode: 0,
      properties: list,
    });
    expect(receive(bytes)).toMatchObject({ reasonCode: 0, properties: list });
    expect(encode({ type, packetId: 10, properties: list }, 5).length).toBe(bytes.length);
  });

  it('v5 MQTT-2.2.1-5 is not sent without a Packet Identifier', () => {
    for (const packetId of [undefined, -1, 65_536, 1.5, '1'] as number[]) {
      expect(() => encode({ type, packetId }, 5)).toThrow(
        expect.objectContaining({ name: expect.stringMatching(/^(?:Protocol|Range|Type)Error$/) }),
      );
    }
  });

  it('v5 MQTT-2.2.1-5 answers Packet Identifier 0, which no PUBLISH has, with Protocol Error', () => {
    expect(() => receive(hex`${first} 02 00 00`)).toThrow(protocolError(0x82));
    expect(() => encode({ type, packetId: 0 }, 5)).toThrow(broken());
  });

  it('v5 U-2.1.4-a is Malformed without a whole Packet Identifier', () => {
    expect(() => receive(hex`${first} 00`)).toThrow(protocolError(0x81));
    expect(() => receive(hex`${first} 01 00`)).toThrow(protocolError(0x81));
  });
});

describe('v5 PUBREL', () => {
  it('v5 MQTT-3.6.1-1 refuses every other flag as Malformed', () => {
    for (let flags = 0; flags < 16; flags++) {
      if (flags === 2) continue;
      expect(() => receive(packet(0x60 | flags, hex`00 0a`))).toThrow(protocolError(0x81));
    }
  });
});
