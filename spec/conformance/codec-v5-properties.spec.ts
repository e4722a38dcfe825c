import { describe, expect, it } from '@jest/globals';
import { encode, type Receiver } from '../../lib/codec/codec.ts';
import type { EncodablePacket, Packet } from '../../lib/codec/packets.ts';
import { fromHex, hex, packet, properties, text, toHex } from '../support/bytes.ts';
import { decodeOne } from '../support/codec.ts';

/** MQTT 5.0, 2.2.2: every property against every packet. */
interface Property {
  readonly id: number;
  readonly name: string;
  /** A legal value, and how it is written. */
  readonly value: unknown;
  readonly bytes: string;
  /** Where it may stand. */
  readonly in: readonly Home[];
  readonly repeats?: readonly Home[];
}

type Home =
  | 'connect' | 'will' | 'connack' | 'publish' | 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'
  | 'subscribe' | 'suback' | 'unsubscribe' | 'unsuback' | 'disconnect' | 'auth'; // prettier-ignore

const ACKS: readonly Home[] = ['puback', 'pubrec', 'pubrel', 'pubcomp', 'suback', 'unsuback'];
const ALL: readonly Home[] = ['connect', 'will', 'connack', 'publish', 'subscribe', 'unsubscribe', ...ACKS, 'disconnect', 'auth']; // prettier-ignore
const AUTHENTICATED: readonly Home[] = ['connect', 'connack', 'auth'];

// prettier-ignore
const PROPERTIES: readonly Property[] = [
  { id: 0x01, name: 'payloadFormatIndicator', value: 1, bytes: '01', in: ['publish', 'will'] },
  { id: 0x02, name: 'messageExpiryInterval', value: 0xfffffffe, bytes: 'ff ff ff fe', in: ['publish', 'will'] },
  { id: 0x03, name: 'contentType', value: 'x', bytes: '00 01 78', in: ['publish', 'will'] },
  { id: 0x08, name: 'responseTopic', value: 'a/b', bytes: '00 03 61 2f 62', in: ['publish', 'will'] },
  { id: 0x09, name: 'correlationData', value: hex`00 ff`, bytes: '00 02 00 ff', in: ['publish', 'will'] },
  { id: 0x0b, name: 'subscriptionIdentifier', value: 300, bytes: 'ac 02', in: ['subscribe', 'publish'], repeats: ['publish'] },
  { id: 0x11, name: 'sessionExpiryInterval', value: 0xffffffff, bytes: 'ff ff ff ff', in: ['connect', 'connack', 'disconnect'] },
  { id: 0x12, name: 'assignedClientIdentifier', value: 'id', bytes: '00 02 69 64', in: ['connack'] },
  { id: 0x13, name: 'serverKeepAlive', value: 0, bytes: '00 00', in: ['connack'] },
  { id: 0x15, name: 'authenticationMethod', value: 'X', bytes: '00 01 58', in: AUTHENTICATED },
  { id: 0x16, name: 'authenticationData', value: hex`80`, bytes: '00 01 80', in: AUTHENTICATED },
  { id: 0x17, name: 'requestProblemInformation', value: false, bytes: '00', in: ['connect'] },
  { id: 0x18, name: 'willDelayInterval', value: 0x80000000, bytes: '80 00 00 00', in: ['will'] },
  { id: 0x19, name: 'requestResponseInformation', value: true, bytes: '01', in: ['connect'] },
  { id: 0x1a, name: 'responseInformation', value: 'r', bytes: '00 01 72', in: ['connack'] },
  { id: 0x1c, name: 'serverReference', value: 's', bytes: '00 01 73', in: ['connack', 'disconnect'] },
  { id: 0x1f, name: 'reasonString', value: 'why', bytes: '00 03 77 68 79', in: ['connack', ...ACKS, 'disconnect', 'auth'] },
  { id: 0x21, name: 'receiveMaximum', value: 65_535, bytes: 'ff ff', in: ['connect', 'connack'] },
  { id: 0x22, name: 'topicAliasMaximum', value: 0, bytes: '00 00', in: ['connect', 'connack'] },
  { id: 0x23, name: 'topicAlias', value: 65_535, bytes: 'ff ff', in: ['publish'] },
  { id: 0x24, name: 'maximumQoS', value: 1, bytes: '01', in: ['connack'] },
  { id: 0x25, name: 'retainAvailable', value: false, bytes: '00', in: ['connack'] },
  { id: 0x26, name: 'userProperties', value: [['n', 'v']], bytes: '00 01 6e 00 01 76', in: ALL, repeats: ALL },
  { id: 0x27, name: 'maximumPacketSize', value: 0xffffffff, bytes: 'ff ff ff ff', in: ['connect', 'connack'] },
  { id: 0x28, name: 'wildcardSubscriptionAvailable', value: true, bytes: '01', in: ['connack'] },
  { id: 0x29, name: 'subscriptionIdentifiersAvailable', value: false, bytes: '00', in: ['connack'] },
  { id: 0x2a, name: 'sharedSubscriptionAvailable', value: true, bytes: '01', in: ['connack'] },
];

const NOTHING = new Uint8Array();
const ack = (type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp', first: number) => ({
  wire: (list: Uint8Array) => packet(first, hex`00 01 00`, list),
  value: { type, packetId: 1 } as const,
});
const connect = { type: 'connect', clientId: 'c', cleanStart: true, keepAlive: 0 } as const;

/** How each packet looks around its properties. */
const HOMES: Readonly<Record<Home, { wire: (list: Uint8Array) => Uint8Array; value: EncodablePacket }>> = {
  connect: {
    wire: (list) => packet(0x10, hex`00 04 4d 51 54 54 05 02 00 00`, list, text('c')),
    value: connect,
  },
  will: {
    wire: (list) => packet(0x10, hex`00 04 4d 51 54 54 05 06 00 00 00`, text('c'), list, text('w'), text('')),
    value: connect,
  },
  connack: { wire: (list) => packet(0x20, hex`00 00`, list), value: { type: 'connack' } },
  publish: {
    wire: (list) => packet(0x30, text('t'), list, hex`68 69`),
    value: { type: 'publish', topic: 't', payload: hex`68 69` },
  },
  puback: ack('puback', 0x40),
  pubrec: ack('pubrec', 0x50),
  pubrel: ack('pubrel', 0x62),
  pubcomp: ack('pubcomp', 0x70),
  subscribe: {
    wire: (list) => packet(0x82, hex`00 01`, list, text('a'), hex`00`),
    value: { type: 'subscribe', packetId: 1, subscriptions: [{ topicFilter: 'a', qos: 0 }] },
  },
  suback: {
    wire: (list) => packet(0x90, hex`00 01`, list, hex`00`),
    value: { type: 'suback', packetId: 1, reasonCodes: [0] },
  },
  unsubscribe: {
    wire: (list) => packet(0xa2, hex`00 01`, list, text('a')),
    value: { type: 'unsubscribe', packetId: 1, topicFilters: ['a'] },
  },
  unsuback: {
    wire: (list) => packet(0xb0, hex`00 01`, list, hex`00`),
    value: { type: 'unsuback', packetId: 1, reasonCodes: [0] },
  },
  disconnect: { wire: (list) => packet(0xe0, hex`00`, list), value: { type: 'disconnect' } },
  auth: { wire: (list) => packet(0xf0, hex`18`, list), value: { type: 'auth', reasonCode: 0x18 } },
};

/** The receiver that may get `property` in `home`, where only one may. */
function receiverOf(home: Home, property: Property | undefined): 'client' | 'server' {
  if (home === 'disconnect') return property?.id === 0x11 ? 'server' : 'client';
  return ['connect', 'will', 'subscribe', 'unsubscribe'].includes(home) ? 'server' : 'client';
}

const receive = (bytes: Uint8Array, receiver: Receiver): Packet | undefined => decodeOne(bytes, 5, receiver);

/** The Reason Code of the ProtocolError that refuses the bytes; what is accepted, or fails in another way, has none. */
function refusal(bytes: Uint8Array, receiver: 'client' | 'server'): number | undefined {
  try {
    receive(bytes, receiver);
    return undefined;
  } catch (error) {
    const { name, reasonCode } = error as { name: string; reasonCode: number };
    return name === 'ProtocolError' ? reasonCode : undefined;
  }
}

/** One property on the wire. */
const wired = ({ id, bytes }: Property, times = 1): Uint8Array =>
  fromHex(`${id.toString(16).padStart(2, '0')} ${bytes} `.repeat(times));

/** What else must be there for `property` to be legal in `home`: Authentication Method beside the Data, and in AUTH. */
function companions(home: Home, property: Property | undefined): Uint8Array {
  const method = property?.id === 0x15;
  return !method && (home === 'auth' || property?.id === 0x16) ? hex`15 00 01 58` : NOTHING;
}

function propertiesOf(decoded: Packet | undefined, home: Home): Record<string, unknown> {
  const holder = home === 'will' && decoded?.type === 'connect' ? decoded.will : decoded;
  return (holder as unknown as { properties: Record<string, unknown> }).properties;
}

const nameIn = (home: Home, { id, name }: Property): string =>
  id === 0x0b && home === 'publish' ? 'subscriptionIdentifiers' : name;
const valueIn = (home: Home, { id, value }: Property): unknown =>
  id === 0x0b && home === 'publish' ? [value] : value;

/** `home` as a packet to encode with these properties. */
function valued(home: Home, list: Record<string, unknown>): EncodablePacket {
  const { value } = HOMES[home];
  if (home !== 'will') return { ...value, properties: list } as EncodablePacket;
  return { ...connect, will: { topic: 'w', payload: NOTHING, properties: list } };
}

const LEGAL = PROPERTIES.flatMap((property) =>
  property.in.map((home): [string, Home, Property] => [property.name, home, property]),
);

describe('v5 R1, U-2.2.2-a a property where it belongs', () => {
  it.each(LEGAL)('v5 U-2.2.2-a %s is read from %s', (_, home, property) => {
    const bytes = HOMES[home].wire(properties(companions(home, property), wired(property)));
    const list = propertiesOf(receive(bytes, receiverOf(home, property)), home);
    expect(list[nameIn(home, property)]).toStrictEqual(valueIn(home, property));
    expect(Object.keys(list).length).toBe(companions(home, property).length > 0 ? 2 : 1);
  });

  it.each(LEGAL)('v5 U-2.2.2-a %s is written into %s', (_, home, property) => {
    const companion = companions(home, property).length > 0 ? { authenticationMethod: 'X' } : {};
    const list = { ...companion, [nameIn(home, property)]: valueIn(home, property) };
    const bytes = encode(valued(home, list), 5);
    expect(toHex(bytes)).toContain(toHex(wired(property)));
    expect(propertiesOf(receive(bytes, receiverOf(home, property)), home)).toStrictEqual(list);
  });
});

describe.each(Object.keys(HOMES) as Home[])('v5 R1 properties of %s', (home) => {
  const legal = PROPERTIES.filter((property) => property.in.includes(home));
  const { wire } = HOMES[home];

  it('v5 U-2.2.2-a refuses every other Property Identifier as Malformed, from 0 to 255', () => {
    const ids = Array.from({ length: 256 }, (_, id) => id).filter((id) =>
      legal.every((property) => property.id !== id),
    );
    const taken = ids.filter((id) => {
      const known = PROPERTIES.find((property) => property.id === id);
      const coded = id < 128 ? hex`${id}` : hex`${id} 01`;
      const bytes = wire(properties(companions(home, undefined), coded, fromHex(known?.bytes ?? '00')));
      return refusal(bytes, receiverOf(home, known)) !== 0x81;
    });
    expect(taken).toEqual([]);
    expect(ids.length).toBe(256 - legal.length);
  });

  it('v5 U-2.2.2-a refuses to send a property of other packets', () => {
    for (const property of PROPERTIES.filter((other) => !other.in.includes(home))) {
      const needed = home === 'auth' ? { authenticationMethod: 'X' } : {};
      expect(() => encode(valued(home, { ...needed, [property.name]: property.value }), 5)).toThrow(
        expect.objectContaining({ name: expect.stringMatching(/^(?:Protocol|Type)Error$/) }),
      );
    }
  });

  it('v5 U-2.2.2-b answers a second one with Protocol Error, unless it may repeat', () => {
    for (const property of legal) {
      const bytes = wire(properties(companions(home, property), wired(property, 2)));
      const received = (): unknown => receive(bytes, receiverOf(home, property));
      if (property.repeats?.includes(home) === true) {
        expect(received).not.toThrow();
      } else {
        expect(received).toThrow(expect.objectContaining({ name: 'ProtocolError', reasonCode: 0x82 }));
      }
    }
  });

  it('v5 U-2.2.2-c takes its properties in any order', () => {
    // What only one side may send is left out: nobody can receive all of DISCONNECT's.
    const all = legal.filter(({ id }) => home !== 'disconnect' || id !== 0x11);
    const list = all.map((property) => wired(property));
    const forward = receive(wire(properties(...list)), receiverOf(home, undefined));
    expect(receive(wire(properties(...list.toReversed())), receiverOf(home, undefined))).toEqual(forward);
    expect(Object.keys(propertiesOf(forward, home)).length).toBe(all.length);
  });

  it('v5 U-2.1.4-a refuses a property that crosses the Property Length', () => {
    for (const property of legal) {
      const whole = wired(property);
      const bytes = wire(hex`${whole.length - 1} ${whole}`);
      expect(() => receive(bytes, receiverOf(home, property))).toThrow(
        expect.objectContaining({ name: 'ProtocolError', reasonCode: expect.any(Number) }),
      );
    }
  });

  it('v5 U-2.1.4-a refuses a Property Length past the end of the packet', () => {
    expect(() => receive(wire(hex`7f`), receiverOf(home, undefined))).toThrow(
      expect.objectContaining({ name: 'ProtocolError', reasonCode: 0x81 }),
    );
  });
});

describe('v5 R1 values of properties', () => {
  const flags = PROPERTIES.filter(({ value }) => typeof value === 'boolean');
  /** The values of a byte that are not refused as a Protocol Error. */
  const takenBytes = (home: Home, id: number): number[] =>
    Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => {
      const bytes = HOMES[home].wire(properties(hex`${id} ${byte}`));
      return refusal(bytes, receiverOf(home, undefined)) !== 0x82;
    });
  const ZERO: readonly [string, Home, string, number][] = [
    ['receiveMaximum', 'connect', '21 00 00', 0x82],
    ['receiveMaximum', 'connack', '21 00 00', 0x82],
    ['maximumPacketSize', 'connect', '27 00 00 00 00', 0x82],
    ['maximumPacketSize', 'connack', '27 00 00 00 00', 0x82],
    ['subscriptionIdentifier', 'subscribe', '0b 00', 0x82],
    ['subscriptionIdentifiers', 'publish', '0b 00', 0x82],
    ['topicAlias', 'publish', '23 00 00', 0x94],
  ];

  it.each(flags)(
    'v5 U-3.1.2-d, U-3.2.2-a $name is 0 or 1: anything else is a Protocol Error',
    ({ id, in: homes, name }) => {
      const home = homes[0]!;
      expect(takenBytes(home, id)).toEqual([0, 1]);
      for (const value of [true, false]) {
        const bytes = HOMES[home].wire(properties(hex`${id} ${Number(value)}`));
        expect(propertiesOf(receive(bytes, receiverOf(home, undefined)), home)).toEqual({ [name]: value });
        expect(toHex(encode(valued(home, { [name]: value }), 5))).toBe(toHex(bytes));
      }
    },
  );

  it.each([
    ['MQTT-3.2.2-9', 'maximumQoS', 'connack', 0x24],
    ['U-3.3.2-b', 'payloadFormatIndicator', 'publish', 0x01],
    ['U-3.3.2-b', 'payloadFormatIndicator', 'will', 0x01],
  ] as const)('v5 %s %s of %s is 0 or 1: anything else is a Protocol Error', (_, name, home, id) => {
    expect(takenBytes(home, id)).toEqual([0, 1]);
    for (const value of [0, 1]) {
      const bytes = HOMES[home].wire(properties(hex`${id} ${value}`));
      expect(propertiesOf(receive(bytes, receiverOf(home, undefined)), home)).toEqual({ [name]: value });
    }
    expect(() => encode(valued(home, { [name]: 2 }), 5)).toThrow(/./);
  });

  it.each(ZERO)(
    'v5 U-3.1.2-d, U-3.2.2-a, U-3.3.2-c, MQTT-3.3.2-8 %s 0 in %s is refused both ways',
    (name, home, bytes, code) => {
      expect(() =>
        receive(HOMES[home].wire(properties(fromHex(bytes))), receiverOf(home, undefined)),
      ).toThrow(expect.objectContaining({ name: 'ProtocolError', reasonCode: code }));
      const value = name === 'subscriptionIdentifiers' ? [0] : 0;
      expect(() => encode(valued(home, { [name]: value }), 5)).toThrow(
        expect.objectContaining({ name: 'ProtocolError' }),
      );
    },
  );

  it.each(['connect', 'connack'] as const)(
    'v5 U-3.1.2-d Authentication Data without its Method is refused in %s, both ways',
    (home) => {
      expect(() =>
        receive(HOMES[home].wire(properties(hex`16 00 01 80`)), receiverOf(home, undefined)),
      ).toThrow(expect.objectContaining({ name: 'ProtocolError', reasonCode: 0x82 }));
      expect(() => encode(valued(home, { authenticationData: hex`80` }), 5)).toThrow(
        expect.objectContaining({ name: 'ProtocolError' }),
      );
    },
  );

  it('v5 U-2.2.2-a refuses values of the wrong JavaScript type or out of range', () => {
    const wrong: Readonly<Record<string, readonly unknown[]>> = {
      number: [-1, 1.5, Number.NaN, 0x1_0000_0000, '1', true, null, 1n],
      string: [1, null, hex`61`, {}],
      boolean: [0, 1, 'true', null],
      object: ['ff', 1, null, [1]],
    };
    for (const [, home, property] of LEGAL) {
      for (const value of wrong[typeof property.value]!) {
        const needed = property.in === AUTHENTICATED || home === 'auth' ? { authenticationMethod: 'X' } : {};
        const list = { ...needed, [nameIn(home, property)]: value };
        expect(() => encode(valued(home, list), 5)).toThrow(
          expect.objectContaining({ name: expect.stringMatching(/^(?:Protocol|Range|Type)Error$/) }),
        );
      }
    }
  });

  it.each([
    [{ reasonStrin: 'x' }, /reasonStrin/],
    [{ toString: 'x' }, /toString/],
    [{ userProperties: 'ab' }, /userProperties/],
    [{ userProperties: [['a']] }, /userProperties/],
    [{ userProperties: [['a', 'b', 'c']] }, /userProperties/],
    [{ userProperties: ['ab'] }, /userProperties/],
    [{ userProperties: [['a', 1]] }, /userProperties/],
    ['reasonString', /properties/],
    [1, /properties/],
  ])('v5 U-2.2.2-a refuses %j as properties by name', (list, name) => {
    const value = { type: 'puback', packetId: 1, properties: list } as unknown as EncodablePacket;
    expect(() => encode(value, 5)).toThrow(expect.objectContaining({ message: expect.stringMatching(name) }));
  });

  it('v5 U-2.2.2-a refuses Subscription Identifiers that are no array, by name', () => {
    expect(() => encode(valued('publish', { subscriptionIdentifiers: 5 }), 5)).toThrow(
      /subscriptionIdentifiers/,
    );
  });

  it('v5 U-2.2.2-a a property that is undefined is absent', () => {
    expect(toHex(encode(valued('puback', { reasonString: undefined, userProperties: [] }), 5))).toBe(
      '40 02 00 01',
    );
  });
});
