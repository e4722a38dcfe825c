import { describe, expect, it } from '@jest/globals';
import { Decoder, encode, type Receiver } from '../../lib/codec/codec.ts';
import type { EncodablePacket, Packet, SubscriptionRequest } from '../../lib/codec/packets.ts';
import { hex, packet, properties, text, toHex } from '../support/bytes.ts';
import { broken, decodeOne, notEncodable, protocolError } from '../support/codec.ts';

/** MQTT 5.0, 3.8 SUBSCRIBE to 3.15 AUTH. */
const receive = (bytes: Uint8Array, receiver?: Receiver): Packet | undefined => decodeOne(bytes, 5, receiver);

const subscribe = (...subscriptions: SubscriptionRequest[]): EncodablePacket => ({
  type: 'subscribe',
  packetId: 10,
  subscriptions,
});

// prettier-ignore
const INVALID_FILTERS = [
  '', 'sport/tennis#', 'sport/tennis/#/ranking', '#/a', 'sport+', '+a/b', 'a/b+', '##',
  '$share/g', '$share//a', '$share/g/', '$share/g+/a', '$share/#/a',
];
// prettier-ignore
const VALID_FILTERS = [
  'a', '/', '#', '+', '+/+', '/+', '+/', 'a/#', '/#', '+/tennis/#', 'a//b', '$SYS/#', '$share/g/#', '$share/g//finance',
  '$shared/x', '$SHARE/g', ' ', '\u{2a6d4}/+',
];

describe('v5 SUBSCRIBE', () => {
  it('v5 MQTT-3.8.1-1, MQTT-3.8.3-5 writes its options, and nothing into the reserved bits', () => {
    for (let options = 0; options < 64; options++) {
      const qos = (options & 3) as 0;
      const retainHandling = (options >> 4) as 0;
      const request = {
        topicFilter: 'a',
        qos,
        noLocal: (options & 4) !== 0,
        retainAsPublished: (options & 8) !== 0,
        retainHandling,
      };
      if ((qos as number) === 3 || (retainHandling as number) === 3) {
        expect(() => encode(subscribe(request), 5)).toThrow(notEncodable());
      } else {
        const bytes = hex`82 07 00 0a 00 00 01 61 ${options}`;
        expect(toHex(encode(subscribe(request), 5))).toBe(toHex(bytes));
        expect(receive(bytes, 'server')).toMatchObject({ subscriptions: [request] });
      }
    }
  });

  it('v5 MQTT-3.8.3-5, U-3.8.3-a a server refuses reserved bits, Maximum QoS 3 and Retain Handling 3', () => {
    for (let options = 0; options < 256; options++) {
      const run = (): unknown => receive(hex`82 07 00 0a 00 00 01 61 ${options}`, 'server');
      const three = (options & 3) === 3 || ((options >> 4) & 3) === 3;
      if (options > 0x3f && !three) expect(run).toThrow(protocolError(0x81, 'MQTT-3.8.3-5'));
      else if (options > 0x3f || three) expect(run).toThrow(broken());
      else expect(run).not.toThrow();
    }
  });

  it('v5 U-3.8.3-a options that are left out are 0', () => {
    expect(toHex(encode(subscribe({ topicFilter: 'a', qos: 2 }), 5))).toBe('82 07 00 0a 00 00 01 61 02');
  });

  it.each([
    ['noLocal', 1],
    ['retainAsPublished', 'yes'],
    ['retainHandling', 3],
    ['retainHandling', -1],
    ['qos', 3],
    ['qos', undefined],
    ['topicFilter', 1],
  ])('v5 U-3.8.3-a refuses the option %s: %p', (name, value) => {
    const request = { topicFilter: 'a', qos: 0, [name]: value } as unknown as SubscriptionRequest;
    expect(() => encode(subscribe(request), 5)).toThrow(notEncodable());
  });

  it('v5 MQTT-3.8.3-2 has at least one Topic Filter, both ways', () => {
    expect(() => encode(subscribe(), 5)).toThrow(broken('MQTT-3.8.3-2'));
    expect(() => receive(hex`82 03 00 0a 00`, 'server')).toThrow(protocolError(0x82, 'MQTT-3.8.3-2'));
  });

  it.each([undefined, 'a', { topicFilter: 'a', qos: 0 }, ['a'], [null]])(
    'v5 MQTT-3.8.3-2 refuses %j as subscriptions by name',
    (subscriptions) => {
      const value = { type: 'subscribe', packetId: 1, subscriptions } as unknown as EncodablePacket;
      expect(() => encode(value, 5)).toThrow(
        expect.objectContaining({ name: 'TypeError', message: expect.stringContaining('subscriptions') }),
      );
    },
  );

  it('v5 MQTT-3.8.3-2 a Topic Filter has its options byte', () => {
    expect(() => receive(hex`82 06 00 0a 00 00 01 61`, 'server')).toThrow(protocolError(0x81));
  });

  it('v5 MQTT-3.8.3-2 keeps the order of many Topic Filters', () => {
    const requests = VALID_FILTERS.map((topicFilter, i) => ({ topicFilter, qos: (i % 3) as 0 | 1 | 2 }));
    const decoded = receive(encode(subscribe(...requests), 5), 'server');
    expect(decoded).toMatchObject({ subscriptions: requests });
  });

  it('v5 MQTT-3.8.3-4 refuses No Local on a Shared Subscription, both ways', () => {
    const request = { topicFilter: '$share/g/a', qos: 0, noLocal: true } as const;
    expect(() => encode(subscribe(request), 5)).toThrow(broken('MQTT-3.8.3-4'));
    const bytes = packet(0x82, hex`00 0a 00`, text('$share/g/a'), hex`04`);
    expect(() => receive(bytes, 'server')).toThrow(protocolError(0x82, 'MQTT-3.8.3-4'));
    expect(encode(subscribe({ ...request, noLocal: false }), 5).at(-1)).toBe(0);
  });

  it.each([0, 268_435_456, -1, 1.5])(
    'v5 U-3.8.2-a refuses to send the Subscription Identifier %d',
    (subscriptionIdentifier) => {
      const value = { ...subscribe({ topicFilter: 'a', qos: 0 }), properties: { subscriptionIdentifier } };
      expect(() => encode(value as EncodablePacket, 5)).toThrow(notEncodable());
    },
  );

  it('v5 U-3.8.2-a has one Subscription Identifier, not 0', () => {
    const wire = (list: Uint8Array): Uint8Array =>
      packet(0x82, hex`00 0a`, properties(list), text('a'), hex`00`);
    expect(() => receive(wire(hex`0b 00`), 'server')).toThrow(protocolError(0x82));
    expect(() => receive(wire(hex`0b 01 0b 02`), 'server')).toThrow(protocolError(0x82));
    expect(receive(wire(hex`0b ff ff ff 7f`), 'server')).toMatchObject({
      properties: { subscriptionIdentifier: 268_435_455 },
    });
  });
});

describe('v5 Topic Filters', () => {
  it.each(VALID_FILTERS)(
    'v5 MQTT-3.8.3-1, MQTT-3.10.3-1, MQTT-3.10.4-1 %j goes through SUBSCRIBE and UNSUBSCRIBE unchanged',
    (topicFilter) => {
      const subscribing = packet(0x82, hex`00 0a 00`, text(topicFilter), hex`01`);
      expect(toHex(encode(subscribe({ topicFilter, qos: 1 }), 5))).toBe(toHex(subscribing));
      expect(receive(subscribing, 'server')).toMatchObject({ subscriptions: [{ topicFilter }] });
      const unsubscribing = packet(0xa2, hex`00 0a 00`, text(topicFilter));
      expect(toHex(encode({ type: 'unsubscribe', packetId: 10, topicFilters: [topicFilter] }, 5))).toBe(
        toHex(unsubscribing),
      );
      expect(receive(unsubscribing, 'server')).toMatchObject({ topicFilters: [topicFilter] });
    },
  );

  it.each(INVALID_FILTERS)(
    'v5 MQTT-4.7.1-1, -2, MQTT-4.7.3-1, MQTT-4.8.2-1, -2 %j is not sent',
    (topicFilter) => {
      expect(() => encode(subscribe({ topicFilter, qos: 0 }), 5)).toThrow(broken());
      expect(() =>
        encode({ type: 'unsubscribe', packetId: 10, topicFilters: ['a', topicFilter] }, 5),
      ).toThrow(broken());
    },
  );

  it.each(INVALID_FILTERS)(
    'v5 MQTT-4.7.1-1, -2, MQTT-4.7.3-1, MQTT-4.8.2-1, -2 %j is refused by a server',
    (topicFilter) => {
      expect(() => receive(packet(0x82, hex`00 0a 00`, text(topicFilter), hex`00`), 'server')).toThrow(
        broken(),
      );
      expect(() => receive(packet(0xa2, hex`00 0a 00`, text(topicFilter)), 'server')).toThrow(broken());
    },
  );
});

describe('v5 SUBACK, UNSUBSCRIBE, UNSUBACK', () => {
  it('v5 MQTT-3.9.3-1, MQTT-3.8.4-7 SUBACK tells its codes in order, refusals among them', () => {
    const value = {
      type: 'suback',
      packetId: 10,
      reasonCodes: [2, 0x80, 0, 0xa2, 1],
      properties: {},
    } as const;
    expect(receive(hex`90 08 00 0a 00 02 80 00 a2 01`)).toStrictEqual(value);
    expect(toHex(encode(value, 5))).toBe('90 08 00 0a 00 02 80 00 a2 01');
  });

  it('v5 MQTT-3.11.3-1, MQTT-3.10.4-5 UNSUBACK tells its codes in order', () => {
    const value = { type: 'unsuback', packetId: 10, reasonCodes: [0, 0x11, 0x87], properties: {} } as const;
    expect(receive(hex`b0 06 00 0a 00 00 11 87`)).toStrictEqual(value);
    expect(toHex(encode(value, 5))).toBe('b0 06 00 0a 00 00 11 87');
  });

  it.each([
    ['SUBACK', hex`90 03 00 0a 00`],
    ['UNSUBACK', hex`b0 03 00 0a 00`],
  ])('v5 MQTT-3.8.4-6, MQTT-3.11.3-1 %s has at least one code', (_, bytes) => {
    expect(() => receive(bytes)).toThrow(broken());
  });

  it.each([
    ['MQTT-3.9.2-1, -2 SUBACK', hex`90 09 00 0a 05`],
    ['MQTT-3.11.2-1, -2 UNSUBACK', hex`b0 09 00 0a 05`],
  ])('v5 %s above Maximum Packet Size is refused as Packet too large', (_, bytes) => {
    const decoder = new Decoder({ protocolVersion: 5, maximumPacketSize: 10 });
    decoder.push(bytes);
    expect(() => decoder.next()).toThrow(protocolError(0x95));
  });

  it.each(['suback', 'unsuback'] as const)('v5 MQTT-3.8.4-6 %s is not sent without codes', (type) => {
    expect(() => encode({ type, packetId: 10, reasonCodes: [] }, 5)).toThrow(broken());
    for (const reasonCodes of [
      undefined,
      [undefined],
      0,
      '0',
      { length: 1, 0: 0 },
    ] as unknown as number[][]) {
      expect(() => encode({ type, packetId: 10, reasonCodes }, 5)).toThrow(notEncodable());
    }
  });

  it('v5 MQTT-3.10.3-2 UNSUBSCRIBE has at least one Topic Filter, both ways', () => {
    expect(() => encode({ type: 'unsubscribe', packetId: 10, topicFilters: [] }, 5)).toThrow(
      broken('MQTT-3.10.3-2'),
    );
    expect(() => receive(hex`a2 03 00 0a 00`, 'server')).toThrow(protocolError(0x82, 'MQTT-3.10.3-2'));
  });

  it.each([undefined, 'ab', [1], [undefined]])(
    'v5 MQTT-3.10.3-2 refuses %j as topicFilters by name',
    (topicFilters) => {
      const value = { type: 'unsubscribe', packetId: 1, topicFilters } as unknown as EncodablePacket;
      expect(() => encode(value, 5)).toThrow(
        expect.objectContaining({ name: 'TypeError', message: expect.stringContaining('topicFilter') }),
      );
    },
  );

  it('v5 MQTT-3.10.1-1 UNSUBSCRIBE keeps the order of its Topic Filters', () => {
    const topicFilters = ['b', 'a', 'b'];
    expect(receive(encode({ type: 'unsubscribe', packetId: 10, topicFilters }, 5), 'server')).toMatchObject({
      topicFilters,
    });
  });
});

describe('v5 PINGREQ, PINGRESP, DISCONNECT, AUTH', () => {
  it('v5 MQTT-3.12.4-1 PINGREQ and PINGRESP are two bytes', () => {
    expect(toHex(encode({ type: 'pingreq' }, 5))).toBe('c0 00');
    expect(toHex(encode({ type: 'pingresp' }, 5))).toBe('d0 00');
    expect(receive(hex`d0 00`)).toStrictEqual({ type: 'pingresp' });
    expect(receive(hex`c0 00`, 'server')).toStrictEqual({ type: 'pingreq' });
  });

  it('v5 MQTT-3.12.4-1 a Remaining Length other than 0 is Malformed', () => {
    expect(() => receive(hex`d0 01 00`)).toThrow(protocolError(0x81));
    expect(() => receive(hex`c0 01 00`, 'server')).toThrow(protocolError(0x81));
  });

  it.each([
    [0xe0, 'MQTT-3.14.1-1', hex``],
    [0xf0, 'MQTT-3.15.1-1', hex`18 04 15 00 01 58`],
  ])('v5 flags of first byte %d are 0 (%s)', (first, statement, body) => {
    for (let flags = 1; flags < 16; flags++) {
      expect(() => receive(packet(first | flags, body))).toThrow(
        expect.objectContaining({
          reasonCode: 0x81,
          statement: expect.stringMatching(`${statement}|MQTT-2.1.3-1`),
        }),
      );
    }
  });

  it('v5 U-3.14.4-a DISCONNECT reads alike in its short forms and in full', () => {
    const normal = { type: 'disconnect', reasonCode: 0, properties: {} };
    expect(receive(hex`e0 00`)).toStrictEqual(normal);
    expect(receive(hex`e0 01 00`)).toStrictEqual(normal);
    expect(receive(hex`e0 02 00 00`)).toStrictEqual(normal);
    expect(receive(hex`e0 01 8e`)).toStrictEqual({ ...normal, reasonCode: 0x8e });
    expect(receive(hex`e0 02 8e 00`)).toStrictEqual({ ...normal, reasonCode: 0x8e });
  });

  it('v5 MQTT-3.14.2-2 tells the Reason Code of a server that breaks the rule on Session Expiry Interval', () => {
    expect(receive(hex`e0 07 8b 05 11 00 00 00 00`)).toMatchObject({ type: 'disconnect', reasonCode: 0x8b });
  });

  it('v5 U-2.2.2-a a server refuses a Server Reference in DISCONNECT', () => {
    expect(() => receive(hex`e0 06 80 04 1c 00 01 73`, 'server')).toThrow(broken());
    expect(receive(hex`e0 06 9c 04 1c 00 01 73`)).toMatchObject({ properties: { serverReference: 's' } });
  });

  it('v5 U-3.14.2-b DISCONNECT carries Session Expiry Interval to the server', () => {
    const value = {
      type: 'disconnect',
      reasonCode: 4,
      properties: { sessionExpiryInterval: 0xffffffff },
    } as const;
    expect(toHex(encode(value, 5))).toBe('e0 07 04 05 11 ff ff ff ff');
    expect(receive(encode(value, 5), 'server')).toStrictEqual(value);
  });

  it('v5 MQTT-3.15.2-1 AUTH carries Method and Data, both ways', () => {
    const list = { authenticationMethod: 'X', authenticationData: hex`00 ff` };
    for (const reasonCode of [0x18, 0x19]) {
      const value = { type: 'auth', reasonCode, properties: list } as const;
      expect(toHex(encode(value, 5))).toBe(
        `f0 0b ${toHex(hex`${reasonCode}`)} 09 15 00 01 58 16 00 02 00 ff`,
      );
      expect(receive(encode(value, 5), 'server')).toStrictEqual(value);
    }
  });

  it('v5 U-3.15.2-a AUTH needs its Authentication Method', () => {
    expect(() => receive(hex`f0 00`)).toThrow(protocolError(0x82));
    expect(() => receive(hex`f0 01 18`)).toThrow(protocolError(0x81));
    expect(() => receive(hex`f0 02 18 00`)).toThrow(protocolError(0x82));
    expect(() => receive(hex`f0 06 18 04 16 00 01 58`)).toThrow(protocolError(0x82));
    expect(() => encode({ type: 'auth', reasonCode: 0x18 }, 5)).toThrow(broken());
    expect(() => encode({ type: 'auth', reasonCode: 0x18, properties: { reasonString: 'x' } }, 5)).toThrow(
      broken(),
    );
  });
});
