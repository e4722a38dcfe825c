import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import type { Packet, ProtocolVersion, QoS, WillMessage } from '../../lib/codec/packets.ts';
import { codePoints } from '../support/code-points.ts';

/**
 * Random Control Packets, every one legal and in the form a {@link Decoder} gives it: with all of its fields, and none
 * that its version does not have.
 */

/** Any code point a UTF-8 Encoded String may carry, the awkward ones often. */
const codePoint = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 1 }) },
  { weight: 2, arbitrary: codePoints },
  fc.constantFrom(
    '\ufeff',
    '\u0001',
    '\u001f',
    '\u007f',
    '\u0085',
    '\ufffe',
    '\uffff',
    '\ufdd0',
    '\ufffd',
    '\u0301',
  ),
  fc.constantFrom(
    '\u{2a6d4}',
    '\u{1f600}',
    '\u{10ffff}',
    '\u{10000}',
    '\u07ff',
    '\u0800',
    '\ud7ff',
    '\ue000',
  ),
);

/** A well-formed string without U+0000 (1.5.4). */
export const texts = (minLength = 0): Arbitrary<string> =>
  fc.string({ unit: codePoint, minLength, maxLength: 40 }).map((value) => value.replaceAll('\0', 'x'));

/** A Topic Name (4.7). */
export const topicNames = texts(1).map((value) => value.replaceAll(/[+#]/g, '/'));

const level = fc.oneof(
  { weight: 3, arbitrary: texts().map((value) => value.replaceAll(/[+#/]/g, '$')) },
  fc.constant('+'),
);
const plainFilters = fc
  .tuple(fc.array(level, { minLength: 1, maxLength: 5 }), fc.boolean())
  .map(([levels, everythingBelow]) => (everythingBelow ? [...levels, '#'] : levels).join('/'))
  .map((filter) => (filter === '' || filter.startsWith('$share/') ? '#' : filter));
const shareNames = texts(1).map((value) => value.replaceAll(/[+#/]/g, 'g'));

/** A Topic Filter (4.7), of a Shared Subscription (4.8) or not. */
export const topicFilters = fc.oneof(
  { weight: 4, arbitrary: plainFilters },
  fc.tuple(shareNames, plainFilters).map(([share, filter]) => `$share/${share}/${filter}`),
);

const bytes = fc.uint8Array({ maxLength: 64 });
/** Payloads, sometimes one whose packet has a Remaining Length of two or three bytes. */
const payloads = fc.oneof(
  { weight: 6, arbitrary: bytes },
  { weight: 2, arbitrary: fc.uint8Array({ minLength: 100, maxLength: 200 }) },
  fc.integer({ min: 16_000, max: 17_000 }).map((length) => new Uint8Array(length).fill(length)),
);
const u16 = fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 1, 0xff, 0x100, 0xffff));
const u32 = fc.oneof(
  fc.integer({ min: 0, max: 0xffffffff }),
  fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff),
);
const positive = (arbitrary: Arbitrary<number>): Arbitrary<number> => arbitrary.map((value) => value || 1);
const bit = fc.constantFrom<0 | 1>(0, 1);
const qosLevels = fc.constantFrom<QoS>(0, 1, 2);
const packetIds = positive(u16);
const identifiers = fc.oneof(
  fc.integer({ min: 1, max: 268_435_455 }),
  fc.constantFrom(1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455),
);
/** Mostly a few; sometimes so many that those of a PUBLISH are kept as bytes. */
const userProperties = fc.oneof(
  { weight: 4, arbitrary: fc.array(fc.tuple(texts(), texts()), { minLength: 1, maxLength: 4 }) },
  fc.array(fc.tuple(texts(), texts()), { minLength: 15, maxLength: 20 }),
);

type Model = Record<string, Arbitrary<unknown>>;

const some = (model: Model, requiredKeys: string[] = []): Arbitrary<object> =>
  fc.record(model, { requiredKeys, noNullPrototype: true });
const all = (model: Model): Arbitrary<Packet> =>
  fc.record(model, { noNullPrototype: true }) as unknown as Arbitrary<Packet>;

/** An Application Message with Payload Format Indicator 1 has a UTF-8 payload (3.3.2.3.2). */
const promised = <
  M extends { payload: Uint8Array; properties: { payloadFormatIndicator?: 0 | 1 | undefined } },
>(
  message: M,
): M =>
  message.properties.payloadFormatIndicator === 1
    ? { ...message, payload: new TextEncoder().encode(new TextDecoder().decode(message.payload)) }
    : message;

/** Authentication Data only beside its Method (3.1.2.11.10). */
const authenticated = (list: Arbitrary<object>): Arbitrary<object> =>
  list.map((properties) => {
    if ('authenticationMethod' in properties || !('authenticationData' in properties)) return properties;
    const { authenticationData: _, ...rest } = properties;
    return rest;
  });

/** The same properties in any order: it is the order on the wire. */
const shuffled = (list: Arbitrary<object>): Arbitrary<object> =>
  list.chain((properties) => {
    const entries = Object.entries(properties);
    return fc
      .shuffledSubarray(entries, { minLength: entries.length })
      .map((inOrder): object => Object.fromEntries(inOrder));
  });

const forVersion = (version: ProtocolVersion, model: Model): Arbitrary<object> =>
  version === 5 ? shuffled(some(model)) : fc.constant({});

const REASON: Model = { reasonString: texts(), userProperties };
const AUTHENTICATION: Model = { authenticationMethod: texts(), authenticationData: bytes };
const APPLICATION_MESSAGE: Model = {
  payloadFormatIndicator: bit,
  messageExpiryInterval: u32,
  contentType: texts(),
  responseTopic: topicNames,
  correlationData: bytes,
  userProperties,
};
const LIMITS: Model = {
  sessionExpiryInterval: u32,
  receiveMaximum: positive(u16),
  maximumPacketSize: positive(u32),
  topicAliasMaximum: u16,
  userProperties,
};

const connects = (version: ProtocolVersion): Arbitrary<Packet> =>
  fc
    .record(
      {
        type: fc.constant('connect' as const),
        clientId: texts(version === 3 ? 1 : 0).map((id) =>
          version === 3 ? Array.from(id).slice(0, 23).join('') : id,
        ),
        cleanStart: fc.boolean(),
        keepAlive: u16,
        username: texts(),
        password: bytes,
        will: all({
          topic: topicNames,
          payload: bytes,
          qos: qosLevels,
          retain: fc.boolean(),
          properties: forVersion(version, { willDelayInterval: u32, ...APPLICATION_MESSAGE }),
        }).map((will) => promised(will as unknown as WillMessage)),
        properties: authenticated(
          forVersion(version, {
            ...LIMITS,
            requestResponseInformation: fc.boolean(),
            requestProblemInformation: fc.boolean(),
            ...AUTHENTICATION,
          }),
        ),
      },
      { requiredKeys: ['type', 'clientId', 'cleanStart', 'keepAlive', 'properties'], noNullPrototype: true },
    )
    .map(({ password, ...packet }) => {
      const cleanStart = packet.cleanStart || (version === 4 && packet.clientId === '');
      const allowed = password !== undefined && (version === 5 || packet.username !== undefined);
      return { ...packet, cleanStart, ...(allowed ? { password } : {}) };
    });

const CONNACK_CODES = [
  0x00, 0x80, 0x81, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8c, 0x95, 0x97, 0x9b, 0x9c, 0x9f,
];
const connacks = (version: ProtocolVersion): Arbitrary<Packet> =>
  all({
    type: fc.constant('connack'),
    sessionPresent: version === 3 ? fc.constant(false) : fc.boolean(),
    reasonCode: version === 5 ? fc.constantFrom(...CONNACK_CODES) : fc.integer({ min: 0, max: 5 }),
    properties: authenticated(
      forVersion(version, {
        ...LIMITS,
        maximumQoS: bit,
        retainAvailable: fc.boolean(),
        assignedClientIdentifier: texts(),
        reasonString: texts(),
        wildcardSubscriptionAvailable: fc.boolean(),
        subscriptionIdentifiersAvailable: fc.boolean(),
        sharedSubscriptionAvailable: fc.boolean(),
        serverKeepAlive: u16,
        responseInformation: texts(),
        serverReference: texts(),
        ...AUTHENTICATION,
      }),
    ),
  }).map((packet) => {
    // A refusal is of no Session (3.2.2-6).
    return packet.type === 'connack' && packet.reasonCode !== 0
      ? { ...packet, sessionPresent: false }
      : packet;
  });

const publishes = (version: ProtocolVersion, from: Side): Arbitrary<Packet> =>
  qosLevels.chain((qos) =>
    all({
      type: fc.constant('publish'),
      topic: version === 5 ? fc.oneof({ weight: 4, arbitrary: topicNames }, fc.constant('')) : topicNames,
      payload: payloads,
      qos: fc.constant(qos),
      retain: fc.boolean(),
      duplicate: qos === 0 ? fc.constant(false) : fc.boolean(),
      ...(qos === 0 ? {} : { packetId: packetIds }),
      properties: forVersion(version, {
        ...APPLICATION_MESSAGE,
        topicAlias: positive(u16),
        ...(from === 'server'
          ? { subscriptionIdentifiers: fc.array(identifiers, { minLength: 1, maxLength: 3 }) }
          : {}),
      }),
    }).map((packet) => {
      if (packet.type !== 'publish') return packet;
      // An empty Topic Name needs its Topic Alias (3.3.2.1).
      const aliased = packet.topic !== '' || packet.properties.topicAlias !== undefined;
      return promised(aliased ? packet : { ...packet, properties: { ...packet.properties, topicAlias: 1 } });
    }),
  );

/** Reason Codes that either side may send. */
const ACK_CODES = {
  puback: [0, 0x80, 0x83, 0x97],
  pubrec: [0, 0x87, 0x99],
  pubrel: [0, 0x92],
  pubcomp: [0, 0x92],
};
const acks = (version: ProtocolVersion): Arbitrary<Packet> =>
  fc.constantFrom(...(Object.keys(ACK_CODES) as (keyof typeof ACK_CODES)[])).chain((type) =>
    all({
      type: fc.constant(type),
      packetId: packetIds,
      reasonCode: version === 5 ? fc.constantFrom(...ACK_CODES[type]) : fc.constant(0),
      properties: forVersion(version, REASON),
    }),
  );

const subscribes = (version: ProtocolVersion): Arbitrary<Packet> =>
  all({
    type: fc.constant('subscribe'),
    packetId: packetIds,
    subscriptions: fc.array(
      all({
        topicFilter: topicFilters,
        qos: qosLevels,
        ...(version === 5
          ? {
              noLocal: fc.boolean(),
              retainAsPublished: fc.boolean(),
              retainHandling: fc.constantFrom(0, 1, 2),
            }
          : {}),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    properties: forVersion(version, { subscriptionIdentifier: identifiers, userProperties }),
  }).map((packet) => {
    if (packet.type !== 'subscribe' || version !== 5) return packet;
    // No Local is an error on a Shared Subscription (3.8.3-4).
    const subscriptions = packet.subscriptions.map((request) =>
      request.topicFilter.startsWith('$share/') ? { ...request, noLocal: false } : request,
    );
    return { ...packet, subscriptions };
  });

const reasonCodes = (...codes: number[]): Arbitrary<number[]> =>
  fc.array(fc.constantFrom(...codes), { minLength: 1, maxLength: 4 });
/** The Reason Codes of SUBACK; 3.1 has no failure. */
const GRANTED = { 3: [0, 1, 2], 4: [0, 1, 2, 0x80], 5: [0, 1, 2, 0x80, 0x87, 0x8f, 0x9e, 0xa1, 0xa2] };
const subacks = (version: ProtocolVersion): Arbitrary<Packet> =>
  all({
    type: fc.constant('suback'),
    packetId: packetIds,
    reasonCodes: reasonCodes(...GRANTED[version]),
    properties: forVersion(version, REASON),
  });
const unsubscribes = (version: ProtocolVersion): Arbitrary<Packet> =>
  all({
    type: fc.constant('unsubscribe'),
    packetId: packetIds,
    topicFilters: fc.array(topicFilters, { minLength: 1, maxLength: 4 }),
    properties: forVersion(version, { userProperties }),
  });
const unsubacks = (version: ProtocolVersion): Arbitrary<Packet> =>
  all({
    type: fc.constant('unsuback'),
    packetId: packetIds,
    reasonCodes: version === 5 ? reasonCodes(0, 0x11, 0x80, 0x87, 0x8f) : fc.constant([]),
    properties: forVersion(version, REASON),
  });

const disconnects = (version: ProtocolVersion, from: Side): Arbitrary<Packet> =>
  all({
    type: fc.constant('disconnect'),
    reasonCode:
      version === 5
        ? fc.constantFrom(
            0x00,
            0x80,
            0x81,
            0x82,
            0x93,
            0x95,
            ...(from === 'client' ? [0x04] : [0x8b, 0x8e, 0x9d]),
          )
        : fc.constant(0),
    properties: forVersion(version, {
      ...REASON,
      ...(from === 'client' ? { sessionExpiryInterval: u32 } : { serverReference: texts() }),
    }),
  });
const auths = (from: Side): Arbitrary<Packet> =>
  all({
    type: fc.constant('auth'),
    reasonCode: fc.constantFrom(0x18, from === 'client' ? 0x19 : 0x00),
    properties: some({ ...AUTHENTICATION, ...REASON }, ['authenticationMethod']),
  });

const only = (type: 'pingreq' | 'pingresp'): Arbitrary<Packet> => fc.constant({ type });

/** The end that sends a packet. */
export type Side = 'client' | 'server';

/** The packets `from` may send in a version, by name; each gets the same share of {@link packets}. */
export function kinds(version: ProtocolVersion, from: Side): Readonly<Record<string, Arbitrary<Packet>>> {
  const both = { publish: publishes(version, from), ack: acks(version) };
  const ending = version === 5 || from === 'client' ? { disconnect: disconnects(version, from) } : {};
  const shared = { ...both, ...ending, ...(version === 5 ? { auth: auths(from) } : {}) };
  if (from === 'server') {
    return {
      ...shared,
      connack: connacks(version),
      suback: subacks(version),
      unsuback: unsubacks(version),
      pingresp: only('pingresp'),
    };
  }
  return {
    ...shared,
    connect: connects(version),
    subscribe: subscribes(version),
    unsubscribe: unsubscribes(version),
    pingreq: only('pingreq'),
  };
}

/** Any packet that `from` may send in a version. */
export function packets(version: ProtocolVersion, from: Side): Arbitrary<Packet> {
  return fc.oneof(...Object.values(kinds(version, from)));
}

/** The versions and directions there are, for `describe.each`. */
export const DIRECTIONS: readonly [ProtocolVersion, Side][] = ([3, 4, 5] as const).flatMap((version) =>
  (['client', 'server'] as const).map((from): [ProtocolVersion, Side] => [version, from]),
);
