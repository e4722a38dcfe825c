import type {
  AckPacket,
  AckProperties,
  AuthProperties,
  ConnackProperties,
  ConnectProperties,
  DisconnectProperties,
  PublishProperties,
  SubscribeProperties,
  UnsubscribeProperties,
  WillProperties,
} from './packets.ts';

/** Everything that has properties: the packets, and the Will Message inside CONNECT. */
export interface PropertiesOf extends Record<AckPacket['type'] | 'suback' | 'unsuback', AckProperties> {
  connect: ConnectProperties;
  will: WillProperties;
  connack: ConnackProperties;
  publish: PublishProperties;
  subscribe: SubscribeProperties;
  unsubscribe: UnsubscribeProperties;
  disconnect: DisconnectProperties;
  auth: AuthProperties;
}

export type PropertyHost = keyof PropertiesOf;

export type PropertyName = { [Host in PropertyHost]: keyof PropertiesOf[Host] }[PropertyHost];

/** Types of values. `Flag` is a byte 0 or 1 that means no or yes, `Bit` a byte 0 or 1 that is a number. */
export const Kind = {
  Flag: 0,
  Bit: 1,
  U16: 2,
  U32: 3,
  Varint: 4,
  Utf8: 5,
  Binary: 6,
  Pairs: 7,
  Varints: 8,
  TopicName: 9,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export interface Property {
  readonly id: number;
  readonly name: PropertyName;
  readonly kind: Kind;
  /** The Reason Code with which 0 is refused; undefined: 0 is allowed. */
  readonly refusesZero: number | undefined;
  /** Its own bit in the set of properties seen. */
  readonly bit: number;
  /** The statement that a wrong value breaks. */
  readonly statement: string;
  readonly set: (values: Values, value: unknown) => void;
}

const PUB_ACKS = 'puback pubrec pubrel pubcomp';
const EVERYWHERE = `connect will connack publish ${PUB_ACKS} subscribe suback unsubscribe unsuback disconnect auth`;

/** Table 2-4: identifier, type, the packets that may have it, and the Reason Code if zero is an error. */
const TABLE: Readonly<
  Record<PropertyName, readonly [id: number, kind: Kind, hosts: string, refusesZero?: number]>
> = {
  payloadFormatIndicator: [0x01, Kind.Bit, 'publish will'],
  messageExpiryInterval: [0x02, Kind.U32, 'publish will'],
  contentType: [0x03, Kind.Utf8, 'publish will'],
  responseTopic: [0x08, Kind.TopicName, 'publish will'],
  correlationData: [0x09, Kind.Binary, 'publish will'],
  subscriptionIdentifier: [0x0b, Kind.Varint, 'subscribe', 0x82],
  subscriptionIdentifiers: [0x0b, Kind.Varints, 'publish', 0x82],
  sessionExpiryInterval: [0x11, Kind.U32, 'connect connack disconnect'],
  assignedClientIdentifier: [0x12, Kind.Utf8, 'connack'],
  serverKeepAlive: [0x13, Kind.U16, 'connack'],
  authenticationMethod: [0x15, Kind.Utf8, 'connect connack auth'],
  authenticationData: [0x16, Kind.Binary, 'connect connack auth'],
  requestProblemInformation: [0x17, Kind.Flag, 'connect'],
  willDelayInterval: [0x18, Kind.U32, 'will'],
  requestResponseInformation: [0x19, Kind.Flag, 'connect'],
  responseInformation: [0x1a, Kind.Utf8, 'connack'],
  serverReference: [0x1c, Kind.Utf8, 'connack disconnect'],
  reasonString: [0x1f, Kind.Utf8, `connack ${PUB_ACKS} suback unsuback disconnect auth`],
  receiveMaximum: [0x21, Kind.U16, 'connect connack', 0x82],
  topicAliasMaximum: [0x22, Kind.U16, 'connect connack'],
  topicAlias: [0x23, Kind.U16, 'publish', 0x94],
  maximumQoS: [0x24, Kind.Bit, 'connack'],
  retainAvailable: [0x25, Kind.Flag, 'connack'],
  userProperties: [0x26, Kind.Pairs, EVERYWHERE],
  maximumPacketSize: [0x27, Kind.U32, 'connect connack', 0x82],
  wildcardSubscriptionAvailable: [0x28, Kind.Flag, 'connack'],
  subscriptionIdentifiersAvailable: [0x29, Kind.Flag, 'connack'],
  sharedSubscriptionAvailable: [0x2a, Kind.Flag, 'connack'],
};

/** Properties while they are read. */
export type Values = Partial<Record<PropertyName, unknown>>;

/**
 * Stores for the properties of PUBLISH and its acknowledgements: under a constant name, they are several times faster than
 * under a name from a table. User Properties and Subscription Identifiers are stored by the reader.
 */
const SET: Partial<Record<PropertyName, Property['set']>> = {
  payloadFormatIndicator: (values, value) => void (values.payloadFormatIndicator = value),
  messageExpiryInterval: (values, value) => void (values.messageExpiryInterval = value),
  contentType: (values, value) => void (values.contentType = value),
  responseTopic: (values, value) => void (values.responseTopic = value),
  correlationData: (values, value) => void (values.correlationData = value),
  reasonString: (values, value) => void (values.reasonString = value),
  topicAlias: (values, value) => void (values.topicAlias = value),
};

/** The statement that a wrong value breaks, where it is not 2.2.2.2. */
const STATEMENTS: Partial<Record<PropertyName, string>> = {
  maximumQoS: 'MQTT-3.2.2-9',
  payloadFormatIndicator: '3.3.2.3.2',
  subscriptionIdentifiers: '3.3.2.3.8',
  topicAlias: 'MQTT-3.3.2-8',
};

const NAMES = Object.keys(TABLE) as PropertyName[];

const PROPERTIES: readonly (Property & { readonly hosts: readonly string[] })[] = NAMES.map((name, index) => {
  const [id, kind, hosts, refusesZero] = TABLE[name];
  return {
    id,
    name,
    kind,
    refusesZero,
    // The set of properties seen is one integer of 32 bits, which is enough for all properties there are.
    bit: 1 << index,
    statement: STATEMENTS[name] ?? '2.2.2.2',
    set: SET[name] ?? ((values, value) => void (values[name] = value)),
    hosts: hosts.split(' '),
  };
});
export const PROPERTY_NAMES: ReadonlySet<string> = new Set(NAMES);

const HIGHEST_ID = Math.max(...PROPERTIES.map(({ id }) => id));

/** The properties of one host, by identifier (the index) and by name. */
export interface HostProperties {
  readonly byId: readonly (Property | undefined)[];
  readonly byName: ReadonlyMap<string, Property>;
}

function propertiesIn(host: string): HostProperties {
  const properties = PROPERTIES.filter(({ hosts }) => hosts.includes(host));
  const byId: (Property | undefined)[] = Array.from({ length: HIGHEST_ID + 1 }, () => undefined);
  for (const property of properties) byId[property.id] = property;
  return { byId, byName: new Map(properties.map((property) => [property.name, property])) };
}

export const HOST_PROPERTIES: Readonly<Record<PropertyHost, HostProperties>> = Object.fromEntries(
  EVERYWHERE.split(' ').map((host) => [host, propertiesIn(host)]),
) as Record<PropertyHost, HostProperties>;
