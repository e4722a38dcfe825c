import { describe, expect, it } from '@jest/globals';
import { encode, type Receiver } from '../../lib/codec/codec.ts';
import type { EncodablePacket, Packet } from '../../lib/codec/packets.ts';
import { counted, hex, join, packet, properties, text, toHex } from '../support/bytes.ts';
import { broken, decodeOne, protocolError } from '../support/codec.ts';

/** MQTT 5.0, 1.5.4 to 1.5.7: strings, Binary Data and User Properties, wherever a packet has one. */
interface Place {
  readonly name: string;
  readonly receiver: 'client' | 'server';
  readonly send: (value: string) => EncodablePacket;
  /** The packet with `field` (length and bytes) in that place. */
  readonly wire: (field: Uint8Array) => Uint8Array;
}

const NOTHING = new Uint8Array();
const connect = { type: 'connect', clientId: 'c', cleanStart: true, keepAlive: 0 } as const;
const publish = { type: 'publish', topic: 't', payload: NOTHING } as const;
const will = { topic: 'w', payload: NOTHING } as const;
const subscription = { qos: 0 } as const;
/** CONNECT up to Keep Alive. */
const opening = (flags: number): Uint8Array => hex`00 04 4d 51 54 54 05 ${flags} 00 00`;
const willed = (list: Uint8Array): Uint8Array =>
  packet(0x10, opening(0x06), properties(), text('c'), list, text('w'), text(''));

const PLACES: readonly Place[] = [
  {
    name: 'MQTT-3.1.3-4 Client Identifier',
    receiver: 'server',
    send: (clientId) => ({ ...connect, clientId }),
    wire: (field) => packet(0x10, opening(0x02), properties(), field),
  },
  {
    name: 'MQTT-3.1.3-12 User Name',
    receiver: 'server',
    send: (username) => ({ ...connect, username }),
    wire: (field) => packet(0x10, opening(0x82), properties(), text('c'), field),
  },
  {
    name: 'MQTT-3.1.3-11 Will Topic',
    receiver: 'server',
    send: (topic) => ({ ...connect, will: { ...will, topic } }),
    wire: (field) => packet(0x10, opening(0x06), properties(), text('c'), properties(), field, text('')),
  },
  {
    name: 'Content Type of a Will',
    receiver: 'server',
    send: (contentType) => ({ ...connect, will: { ...will, properties: { contentType } } }),
    wire: (field) => willed(properties(hex`03`, field)),
  },
  {
    name: 'Response Topic of a Will',
    receiver: 'server',
    send: (responseTopic) => ({ ...connect, will: { ...will, properties: { responseTopic } } }),
    wire: (field) => willed(properties(hex`08`, field)),
  },
  {
    name: 'Authentication Method of CONNECT',
    receiver: 'server',
    send: (authenticationMethod) => ({ ...connect, properties: { authenticationMethod } }),
    wire: (field) => packet(0x10, opening(0x02), properties(hex`15`, field), text('c')),
  },
  {
    name: 'Assigned Client Identifier',
    receiver: 'client',
    send: (assignedClientIdentifier) => ({ type: 'connack', properties: { assignedClientIdentifier } }),
    wire: (field) => packet(0x20, hex`00 00`, properties(hex`12`, field)),
  },
  {
    name: 'Response Information',
    receiver: 'client',
    send: (responseInformation) => ({ type: 'connack', properties: { responseInformation } }),
    wire: (field) => packet(0x20, hex`00 00`, properties(hex`1a`, field)),
  },
  {
    name: 'Server Reference',
    receiver: 'client',
    send: (serverReference) => ({ type: 'disconnect', reasonCode: 0x9c, properties: { serverReference } }),
    wire: (field) => packet(0xe0, hex`9c`, properties(hex`1c`, field)),
  },
  {
    name: 'MQTT-3.3.2-1 Topic Name',
    receiver: 'client',
    send: (topic) => ({ ...publish, topic }),
    wire: (field) => packet(0x30, field, properties()),
  },
  {
    name: 'MQTT-3.3.2-19 Content Type',
    receiver: 'client',
    send: (contentType) => ({ ...publish, properties: { contentType } }),
    wire: (field) => packet(0x30, text('t'), properties(hex`03`, field)),
  },
  {
    name: 'MQTT-3.3.2-13 Response Topic',
    receiver: 'client',
    send: (responseTopic) => ({ ...publish, properties: { responseTopic } }),
    wire: (field) => packet(0x30, text('t'), properties(hex`08`, field)),
  },
  {
    name: 'MQTT-1.5.7-1 name of a User Property',
    receiver: 'client',
    send: (name) => ({ ...publish, properties: { userProperties: [[name, 'v']] } }),
    wire: (field) => packet(0x30, text('t'), properties(hex`26`, field, text('v'))),
  },
  {
    name: 'MQTT-1.5.7-1 value of a User Property',
    receiver: 'client',
    send: (value) => ({ ...publish, properties: { userProperties: [['n', value]] } }),
    wire: (field) => packet(0x30, text('t'), properties(hex`26`, text('n'), field)),
  },
  {
    name: 'Reason String',
    receiver: 'client',
    send: (reasonString) => ({ type: 'puback', packetId: 1, properties: { reasonString } }),
    wire: (field) => packet(0x40, hex`00 01 00`, properties(hex`1f`, field)),
  },
  {
    name: 'Authentication Method of AUTH',
    receiver: 'client',
    send: (authenticationMethod) => ({
      type: 'auth',
      reasonCode: 0x18,
      properties: { authenticationMethod },
    }),
    wire: (field) => packet(0xf0, hex`18`, properties(hex`15`, field)),
  },
  {
    name: 'MQTT-3.8.3-1 Topic Filter of SUBSCRIBE',
    receiver: 'server',
    send: (topicFilter) => ({
      type: 'subscribe',
      packetId: 1,
      subscriptions: [{ ...subscription, topicFilter }],
    }),
    wire: (field) => packet(0x82, hex`00 01`, properties(), field, hex`00`),
  },
  {
    name: 'MQTT-3.10.3-1 Topic Filter of UNSUBSCRIBE',
    receiver: 'server',
    send: (topicFilter) => ({ type: 'unsubscribe', packetId: 1, topicFilters: [topicFilter] }),
    wire: (field) => packet(0xa2, hex`00 01`, properties(), field),
  },
];

const ILL_FORMED: readonly [name: string, bytes: Uint8Array][] = [
  ['an overlong NUL', hex`c0 80`],
  ['an overlong slash', hex`e0 80 af`],
  ['an overlong four-byte form', hex`f0 80 80 af`],
  ['a first half surrogate', hex`ed a0 80`],
  ['a second half surrogate', hex`ed bf bf`],
  ['a surrogate pair', hex`ed a0 bd ed b8 80`],
  ['a lone continuation byte', hex`61 80 61`],
  ['a truncated two-byte form', hex`61 c3`],
  ['a truncated three-byte form', hex`e2 82`],
  ['a truncated four-byte form', hex`f0 9f 98`],
  ['a code point above U+10FFFF', hex`f4 90 80 80`],
  ['the byte F5', hex`f5 80 80 80`],
  ['the byte FF', hex`ff`],
];

const receive = (bytes: Uint8Array, receiver: Receiver): Packet | undefined => decodeOne(bytes, 5, receiver);

describe.each(PLACES)('v5 $name', ({ send, wire, receiver }) => {
  it.each([
    ['a lone first half surrogate', 'a\ud800'],
    ['a lone second half surrogate', '\udc00a'],
    ['halves in the wrong order', '\udc00\ud800'],
  ])('v5 MQTT-1.5.4-1 refuses to send %s', (_, value) => {
    expect(() => encode(send(value), 5)).toThrow(broken('MQTT-1.5.4-1'));
  });

  it.each(ILL_FORMED)('v5 MQTT-1.5.4-1 answers %s with Malformed Packet', (_, bytes) => {
    expect(() => receive(wire(counted(bytes)), receiver)).toThrow(protocolError(0x81, 'MQTT-1.5.4-1'));
  });

  it.each(['\0', 'a\0', '\0a', 'a\0a'])('v5 MQTT-1.5.4-2 refuses U+0000 in %j both ways', (value) => {
    expect(() => encode(send(value), 5)).toThrow(broken('MQTT-1.5.4-2'));
    expect(() => receive(wire(text(value)), receiver)).toThrow(protocolError(0x81, 'MQTT-1.5.4-2'));
  });

  it.each(['\u0001', '\u001f', '\u007f', '\u009f', '\ufdd0', '\ufffe', '\uffff', '\u{10ffff}'])(
    'v5 U-1.5.4-a accepts %j',
    (value) => {
      expect(receive(wire(text(value)), receiver)).toEqual(receive(encode(send(value), 5), receiver));
    },
  );

  it.each(['\ufeff', '\ufeffa', 'a\ufeff', '\ufeff\ufeff', '\u{2a6d4}', 'caf\u00e9', 'cafe\u0301'])(
    'v5 MQTT-1.5.4-3 keeps every code point of %j',
    (value) => {
      expect(toHex(encode(send(value), 5))).toBe(toHex(encode(receive(wire(text(value)), receiver)!, 5)));
      expect(JSON.stringify(receive(wire(text(value)), receiver))).toContain(JSON.stringify(value));
    },
  );

  it('v5 U-1.5.4-b carries 65,535 bytes and refuses to send one more', () => {
    const longest = `${'\u00e9'.repeat(32_767)}a`;
    expect(JSON.stringify(receive(encode(send(longest), 5), receiver))).toContain(longest);
    expect(() => encode(send('\u00e9'.repeat(32_768)), 5)).toThrow(
      expect.objectContaining({ name: 'ProtocolError' }),
    );
    expect(() => encode(send('a'.repeat(65_536)), 5)).toThrow(
      expect.objectContaining({ name: 'ProtocolError' }),
    );
  });

  it('v5 U-1.5.4-b answers a length past the end of the packet with Malformed Packet', () => {
    expect(() => receive(wire(hex`ff ff 61`), receiver)).toThrow(
      expect.objectContaining({ name: 'ProtocolError', reasonCode: 0x81 }),
    );
  });
});

describe('v5 Binary Data', () => {
  const longest = new Uint8Array(65_535).fill(0xff);
  const tooLong = new Uint8Array(65_536);
  const places: [string, (data: Uint8Array) => EncodablePacket][] = [
    ['Will Payload', (payload) => ({ ...connect, will: { topic: 'w', payload } })],
    ['Password', (password) => ({ ...connect, password })],
    [
      'Correlation Data of a Will',
      (correlationData) => ({ ...connect, will: { ...will, properties: { correlationData } } }),
    ],
    ['Correlation Data', (correlationData) => ({ ...publish, properties: { correlationData } })],
    [
      'Authentication Data',
      (authenticationData) => ({
        type: 'auth',
        reasonCode: 0x18,
        properties: { authenticationMethod: 'X', authenticationData },
      }),
    ],
  ];

  it.each(places)('v5 U-1.5.4-b %s carries 65,535 bytes and refuses to send one more', (_, send) => {
    const bytes = encode(send(longest), 5);
    expect(Buffer.from(bytes).includes(Buffer.from(join(hex`ff ff`, longest)))).toBe(true);
    expect(Buffer.compare(encode(receive(bytes, 'server')!, 5), bytes)).toBe(0);
    expect(() => encode(send(tooLong), 5)).toThrow(expect.objectContaining({ name: 'ProtocolError' }));
  });

  it.each([
    [
      'Will Payload',
      packet(0x10, opening(0x06), hex`00`, text('c'), hex`00`, text('w'), hex`00 05 01 02 03 04`),
    ],
    ['Password', packet(0x10, opening(0x42), hex`00`, text('c'), hex`00 05 01 02 03 04`)],
    ['Correlation Data', packet(0x30, text('t'), properties(hex`09 00 05 01 02 03 04`))],
    ['Authentication Data', packet(0xf0, hex`18`, properties(hex`15 00 01 58 16 00 02 01`))],
  ])('v5 U-1.5.4-b %s that is longer than the packet is Malformed', (_, bytes) => {
    expect(() => receive(bytes, 'server')).toThrow(
      expect.objectContaining({ name: 'ProtocolError', reasonCode: 0x81 }),
    );
  });
});

describe('v5 User Properties', () => {
  it('v5 MQTT-1.5.7-1 are pairs of strings: one without its value is Malformed', () => {
    const bytes = packet(0x30, text('t'), properties(hex`26`, text('n')), text('v'));
    expect(() => receive(bytes, 'client')).toThrow(
      expect.objectContaining({ name: 'ProtocolError', reasonCode: 0x81 }),
    );
  });

  it('v5 U-2.2.2-c keep their wire order, repeats included', () => {
    const pairs = [['b', '1'], ['a', '2'], ['b', '1'], ['', ''], ['__proto__', 'x']] as const; // prettier-ignore
    const wire = properties(...pairs.flatMap(([name, value]) => [hex`26`, text(name), text(value)]));
    expect(receive(packet(0x30, text('t'), wire), 'client')).toMatchObject({
      properties: { userProperties: pairs },
    });
    const sent = encode({ ...publish, properties: { userProperties: pairs } }, 5);
    expect(toHex(sent)).toBe(toHex(packet(0x30, text('t'), wire)));
  });
});
