import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { generate, parser, type Packet as TheirPacket } from 'mqtt-packet';
import { Decoder, encode } from '../../lib/codec/codec.ts';
import type { EncodablePacket, Packet, ProtocolVersion, UserProperties } from '../../lib/codec/packets.ts';
import { hex, packet, properties, text, toHex } from '../support/bytes.ts';
import { DIRECTIONS, kinds, type Side } from './arbitraries.ts';

/**
 * Against mqtt-packet, an implementation that has nothing to do with ours: what one writes the other reads. Where the
 * two differ on purpose stands in the tables below.
 */
type Fields = Record<string, unknown>;

const RUNS = { numRuns: 25 };

// ---- Between their packets and ours ----

/** Their User Properties: one entry per name, an array where a name comes more than once. */
function groupedPairs(pairs: UserProperties): Fields {
  const grouped = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of pairs) {
    const known = grouped[name];
    grouped[name] = known === undefined ? value : [known, value].flat();
  }
  return grouped;
}

/** Our User Properties in the order that theirs keep: by name, values of a name in wire order. */
function sortedPairs(pairs: UserProperties): UserProperties {
  return pairs.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function theirProperties(ours: Fields): Fields | undefined {
  const entries = Object.entries(ours).map(([name, value]): [string, unknown] => {
    if (name === 'userProperties') return [name, groupedPairs(value as UserProperties)];
    if (name === 'subscriptionIdentifiers') return ['subscriptionIdentifier', value];
    if (name === 'payloadFormatIndicator') return [name, value === 1];
    return [name, value instanceof Uint8Array ? Buffer.from(value) : value];
  });
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function ourProperties(theirs: unknown, type: string): Fields {
  const entries = Object.entries((theirs ?? {}) as Fields).map(([name, value]): [string, unknown] => {
    if (name === 'userProperties') {
      const pairs = Object.entries(value as Record<string, string | string[]>);
      return [
        name,
        sortedPairs(pairs.flatMap(([key, values]) => [values].flat().map((one) => [key, one] as const))),
      ];
    }
    if (name === 'subscriptionIdentifier' && type === 'publish')
      return ['subscriptionIdentifiers', [value].flat()];
    if (name === 'payloadFormatIndicator') return [name, value === true ? 1 : 0];
    return [name, Buffer.isBuffer(value) ? new Uint8Array(value) : value];
  });
  return Object.fromEntries(entries);
}

function toTheirs(ours: Packet, protocolVersion: ProtocolVersion): Fields {
  const { type: cmd, ...fields } = ours as Packet & Fields;
  const named: Fields = { cmd };
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'packetId') named['messageId'] = value;
    else if (name === 'duplicate') named['dup'] = value;
    else if (name === 'reasonCode')
      named[cmd === 'connack' && protocolVersion !== 5 ? 'returnCode' : name] = value;
    else if (name === 'reasonCodes') named['granted'] = value;
    else if (name === 'topicFilters') named['unsubscriptions'] = value;
    else if (name === 'cleanStart') named['clean'] = value;
    else if (name === 'keepAlive') named['keepalive'] = value;
    else if (value instanceof Uint8Array) named[name] = Buffer.from(value);
    else named[name] = value;
  }
  named['properties'] = theirProperties((fields['properties'] as Fields) ?? {});
  if (ours.type === 'connect') {
    named['protocolVersion'] = protocolVersion;
    named['protocolId'] = protocolVersion === 3 ? 'MQIsdp' : 'MQTT';
    if (ours.will !== undefined) {
      const { properties: list, payload, ...will } = ours.will;
      named['will'] = { ...will, payload: Buffer.from(payload), properties: theirProperties({ ...list }) };
    }
  }
  if (ours.type === 'subscribe') {
    named['subscriptions'] = ours.subscriptions.map(
      ({ topicFilter: topic, qos, noLocal: nl, retainAsPublished: rap, retainHandling: rh }) =>
        protocolVersion === 5 ? { topic, qos, nl, rap, rh } : { topic, qos },
    );
  }
  return named;
}

const bytesOf = (value: unknown): Uint8Array => new Uint8Array(value as Buffer);

/** A packet that mqtt-packet parsed, as one of ours: its missing and differently named fields are converted here alone. */
function toOurs(theirs: Fields, version: ProtocolVersion): Fields {
  const type = theirs['cmd'] as Packet['type'];
  const withProperties = { type, properties: ourProperties(theirs['properties'], type) };
  const numbered = { ...withProperties, packetId: theirs['messageId'] };
  switch (type) {
    case 'connect': {
      const { clientId, clean: cleanStart, keepalive: keepAlive, username, password } = theirs;
      const will = theirs['will'] as Fields | undefined;
      return {
        ...withProperties, clientId, cleanStart, keepAlive,
        ...(username === undefined ? {} : { username }),
        ...(password === undefined ? {} : { password: bytesOf(password) }),
        ...(will === undefined ? {} : { will: { ...will, payload: bytesOf(will['payload']), properties: ourProperties(will['properties'], type) } }),
      }; // prettier-ignore
    }
    case 'connack':
      return {
        ...withProperties,
        sessionPresent: theirs['sessionPresent'],
        reasonCode: theirs[version === 5 ? 'reasonCode' : 'returnCode'],
      };
    case 'publish': {
      const { topic, qos, retain, dup: duplicate, payload } = theirs;
      const identified = (qos as number) > 0 ? { packetId: theirs['messageId'] } : {};
      return { ...withProperties, topic, qos, retain, duplicate, payload: bytesOf(payload), ...identified };
    }
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return { ...numbered, reasonCode: theirs['reasonCode'] ?? 0 };
    case 'subscribe': {
      const requests = theirs['subscriptions'] as Fields[];
      const subscriptions = requests.map(
        ({ topic: topicFilter, qos, nl: noLocal, rap: retainAsPublished, rh: retainHandling }) =>
          version === 5
            ? { topicFilter, qos, noLocal, retainAsPublished, retainHandling }
            : { topicFilter, qos },
      );
      return { ...numbered, subscriptions };
    }
    case 'suback':
    case 'unsuback':
      return { ...numbered, reasonCodes: theirs['granted'] ?? [] };
    case 'unsubscribe':
      return { ...numbered, topicFilters: theirs['unsubscriptions'] };
    case 'pingreq':
    case 'pingresp':
      return { type };
    case 'disconnect':
    case 'auth':
      return { ...withProperties, reasonCode: theirs['reasonCode'] ?? 0 };
    default:
      throw new Error(`expected a packet of ours, got ${String(type satisfies never)}`);
  }
}

/** The packet with its User Properties in the order that mqtt-packet keeps. */
function normalized<P extends Packet>(ours: P): P {
  const sorted = <T extends { properties: { userProperties?: UserProperties | undefined } }>(
    holder: T,
  ): T => {
    const { userProperties } = holder.properties;
    if (userProperties === undefined) return holder;
    return { ...holder, properties: { ...holder.properties, userProperties: sortedPairs(userProperties) } };
  };
  if (!('properties' in ours)) return ours;
  const outer = sorted(ours as P & { properties: { userProperties?: UserProperties | undefined } });
  return outer.type === 'connect' && outer.will !== undefined
    ? { ...outer, will: sorted(outer.will) }
    : outer;
}

// ---- The two implementations ----

function theyParse(bytes: Uint8Array, protocolVersion: ProtocolVersion): Fields[] {
  const parsing = parser({ protocolVersion });
  const parsed: Fields[] = [];
  parsing.on('packet', (one) => parsed.push(one as unknown as Fields));
  parsing.on('error', (error: Error) => {
    throw error;
  });
  parsing.parse(Buffer.from(bytes));
  return parsed;
}

const theyGenerate = (theirs: Fields, protocolVersion: ProtocolVersion): Uint8Array =>
  new Uint8Array(generate(theirs as unknown as TheirPacket, { protocolVersion }));

function weDecode(bytes: Uint8Array, protocolVersion: ProtocolVersion, from: Side): Packet | undefined {
  const decoder = new Decoder({ protocolVersion, receiver: from === 'client' ? 'server' : 'client' });
  decoder.push(bytes);
  return decoder.next();
}

/** mqtt-packet loses a User Property whose name repeats after an empty value. */
function survivesTheirParser(ours: Packet): boolean {
  const lists = [ours, 'will' in ours ? ours.will : undefined].map((holder) =>
    holder !== undefined && 'properties' in holder
      ? (holder.properties as { userProperties?: UserProperties | undefined }).userProperties
      : undefined,
  );
  return lists.every((pairs = []) =>
    pairs.every(([name, value], i) => value !== '' || pairs.findLastIndex(([other]) => other === name) === i),
  );
}

/** Packets of 5.0 that mqtt-packet refuses to write: see the deviations. */
const survivesTheirGenerator = (ours: Packet): boolean =>
  ours.type !== 'connect' ||
  ((ours.username !== undefined || ours.password === undefined) && (ours.clientId !== '' || ours.cleanStart));

describe.each(DIRECTIONS)('mqtt-packet, version %d, sent by a %s', (version, from) => {
  it.each(Object.entries(kinds(version, from)))('reads the %s we write', (_, arbitrary) => {
    fc.assert(
      fc.property(arbitrary.filter(survivesTheirParser), (ours) => {
        const parsed = theyParse(encode(ours, version), version);
        expect(parsed.map((one) => toOurs(one, version))).toEqual([normalized(ours)]);
      }),
      RUNS,
    );
  });

  it.each(Object.entries(kinds(version, from)))('writes the %s we read', (_, arbitrary) => {
    fc.assert(
      fc.property(arbitrary.filter(survivesTheirGenerator), (ours) => {
        const decoded = weDecode(theyGenerate(toTheirs(ours, version), version), version, from);
        expect(decoded === undefined ? decoded : normalized(decoded)).toStrictEqual(normalized(ours));
      }),
      RUNS,
    );
  });
});

// ---- Where they differ on purpose ----

describe('mqtt-packet accepts breaches of the protocol that mqtt-await refuses', () => {
  const connect5 = (flags: number, ...rest: Uint8Array[]): Uint8Array =>
    packet(0x10, hex`00 04 4d 51 54 54 05 ${flags} 00 00 00 00 01 63`, ...rest);
  // prettier-ignore
  const LAX: readonly [string, ProtocolVersion, Side, Uint8Array][] = [
    ['padded Remaining Length', 5, 'server', hex`d0 80 00`],
    ['padded Property Length', 5, 'server', hex`30 05 00 01 61 80 00`],
    ['padded Subscription Identifier', 5, 'server', hex`30 07 00 01 61 03 0b 81 00`],
    ['PUBLISH without Property Length', 5, 'server', hex`30 03 00 01 61`],
    ['CONNACK without properties', 5, 'server', hex`20 02 00 00`],
    ['CONNACK with bytes left over', 5, 'server', hex`20 04 00 00 00 00`],
    ['CONNACK with bytes left over', 4, 'server', hex`20 03 00 00 00`],
    ['CONNACK with a reserved return code', 4, 'server', hex`20 02 00 06`],
    ['CONNACK with a Reason Code of other packets', 5, 'server', hex`20 03 00 92 00`],
    ['PINGRESP with a body', 4, 'server', hex`d0 01 00`],
    ['PUBACK with bytes left over', 4, 'server', hex`40 03 00 0a 00`],
    ['PUBLISH with DUP and QoS 0', 4, 'server', packet(0x38, text('a'))],
    ['PUBLISH with Packet Identifier 0', 4, 'server', packet(0x32, text('a'), hex`00 00`)],
    ['PUBLISH to a wildcard', 4, 'server', packet(0x30, text('a/#'))],
    ['PUBLISH to an empty Topic Name', 4, 'server', packet(0x30, text(''))],
    ['PUBLISH to an empty Topic Name without Topic Alias', 5, 'server', packet(0x30, text(''), hex`00`)],
    ['Topic Name with U+0000', 4, 'server', packet(0x30, text('a\0b'))],
    ['ill-formed UTF-8', 4, 'server', packet(0x30, hex`00 01 ff`)],
    ['surrogates in UTF-8', 4, 'server', packet(0x30, hex`00 03 ed a0 80`)],
    ['a property of other packets', 5, 'server', packet(0x30, text('a'), properties(hex`13 00 01`))],
    ['a property twice', 5, 'server', packet(0x30, text('a'), properties(hex`02 00 00 00 01 02 00 00 00 02`))],
    ['a flag of 2', 5, 'server', packet(0x20, hex`00 00`, properties(hex`25 02`))],
    ['Maximum QoS 2', 5, 'server', packet(0x20, hex`00 00`, properties(hex`24 02`))],
    ['Receive Maximum 0', 5, 'server', packet(0x20, hex`00 00`, properties(hex`21 00 00`))],
    ['Topic Alias 0', 5, 'server', packet(0x30, text('a'), properties(hex`23 00 00`))],
    ['Subscription Identifier 0', 5, 'server', packet(0x30, text('a'), properties(hex`0b 00`))],
    ['AUTH without Authentication Method', 5, 'server', hex`f0 02 18 00`],
    ['SUBACK without codes', 4, 'server', hex`90 02 00 0a`],
    ['UNSUBACK without codes', 5, 'server', hex`b0 03 00 0a 00`],
    ['SUBSCRIBE without Topic Filters', 4, 'client', hex`82 02 00 0a`],
    ['SUBSCRIBE with Packet Identifier 0', 4, 'client', hex`82 06 00 00 00 01 61 00`],
    ['SUBSCRIBE with an invalid Topic Filter', 4, 'client', packet(0x82, hex`00 0a`, text('a#'), hex`00`)],
    ['No Local on a Shared Subscription', 5, 'client', packet(0x82, hex`00 0a 00`, text('$share/g/a'), hex`04`)],
    ['UNSUBSCRIBE without Topic Filters', 4, 'client', hex`a2 02 00 0a`],
    ['Will QoS 3', 5, 'client', connect5(0x1e, hex`00`, text('w'), text(''))],
    ['CONNECT with a password and no user name', 4, 'client', packet(0x10, hex`00 04 4d 51 54 54 04 42 00 00`, text('c'), text('p'))],
    ['CONNECT with bytes left over', 5, 'client', connect5(0x02, hex`00`)],
    ['CONNECT of version 5 under the name of 3.1', 5, 'client', packet(0x10, hex`00 06 4d 51 49 73 64 70 05 02 00 00 00 00 01 63`)],
    ['SUBSCRIBE sent by a server', 4, 'server', hex`82 06 00 0a 00 01 61 00`],
    ['DISCONNECT sent by a server', 4, 'server', hex`e0 00`],
  ];

  it.each(LAX)('%s (version %d, sent by a %s)', (_, version, from, bytes) => {
    expect(theyParse(bytes, version).length).toBe(1);
    expect(() => weDecode(bytes, version, from)).toThrow(expect.objectContaining({ name: 'ProtocolError' }));
  });
});

describe('mqtt-packet refuses what mqtt-await accepts', () => {
  it.each([
    ['flags that 3.1 leaves unused: PUBREL with DUP', 3, hex`6a 02 00 0a`, { type: 'pubrel', packetId: 10 }],
    [
      'the reserved byte of a CONNACK of 3.1',
      3,
      hex`20 02 02 00`,
      { type: 'connack', sessionPresent: false },
    ],
    [
      'DISCONNECT 0x8C, in one of the two tables of 5.0',
      5,
      hex`e0 01 8c`,
      { type: 'disconnect', reasonCode: 0x8c },
    ],
  ] as const)('%s', (_, version, bytes, ours) => {
    expect(() => theyParse(bytes, version)).toThrow(/./);
    expect(weDecode(bytes, version, 'server')).toMatchObject(ours);
  });

  it.each([
    ['a password without user name', { password: hex`70` }, /Username is required/],
    ['an empty Client Identifier without Clean Start', { clientId: '', cleanStart: false }, /clientId/],
  ])('to write, on 5.0: %s', (_, fields, message) => {
    const ours: Packet = {
      type: 'connect',
      clientId: 'c',
      cleanStart: true,
      keepAlive: 0,
      properties: {},
      ...fields,
    };
    expect(() => theyGenerate(toTheirs(ours, 5), 5)).toThrow(message);
    expect(weDecode(encode(ours, 5), 5, 'client')).toStrictEqual(ours);
  });
});

describe('mqtt-packet and mqtt-await read or write differently', () => {
  const reason = { properties: {} };

  it.each([
    [{ type: 'puback', packetId: 10, reasonCode: 0x80, ...reason }, '40 03 00 0a 80', '40 04 00 0a 80 00'],
    [{ type: 'disconnect', reasonCode: 0, ...reason }, 'e0 00', 'e0 02 00 00'],
    [{ type: 'disconnect', reasonCode: 0x82, ...reason }, 'e0 01 82', 'e0 02 82 00'],
  ] as [Packet, string, string][])('they write the full form, we the short one (%#)', (ours, short, full) => {
    expect(toHex(encode(ours, 5))).toBe(short);
    expect(toHex(theyGenerate(toTheirs(ours, 5), 5))).toBe(full);
  });

  it('they read the refusal of an old server as Reason Code 1, we as Unsupported Protocol Version', () => {
    expect(theyParse(hex`20 02 00 01`, 5)).toMatchObject([{ reasonCode: 1 }]);
    expect(weDecode(hex`20 02 00 01`, 5, 'server')).toMatchObject({ reasonCode: 0x84 });
  });

  it('they read the packet behind a short DISCONNECT as its properties, we do not', () => {
    const bytes = hex`e0 01 82 d0 00`;
    expect(() => theyParse(bytes, 5)).toThrow(/./);
    expect(weDecode(bytes, 5, 'server')).toStrictEqual({
      type: 'disconnect',
      reasonCode: 0x82,
      properties: {},
    });
  });

  it('they lose the order of User Properties and what follows an empty value, we keep all', () => {
    const userProperties = [['b', ''], ['a', '1'], ['b', '2']] as const; // prettier-ignore
    const ours: EncodablePacket = { type: 'puback', packetId: 10, properties: { userProperties } };
    const bytes = encode(ours, 5);
    expect(theyParse(bytes, 5)).toMatchObject([{ properties: { userProperties: { a: '1', b: '2' } } }]);
    expect(weDecode(bytes, 5, 'server')).toMatchObject({ properties: { userProperties } });
  });
});
