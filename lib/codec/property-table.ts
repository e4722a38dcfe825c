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

/** Table 2-4: identifier, name, type, where it is legal, and the Reason Code where zero is an error. */
const TABLE: readonly (readonly [
  id: number,
  name: PropertyName,
  kind: Kind,
  hosts: string,
  refusesZero?: number,
])[] = [
  [0x01, 'payloadFormatIndicator', Kind.Bit, 'publish will'],
  [0x02, 'messageExpiryInterval', Kind.U32, 'publish will'],
  [0x03, 'contentType', Kind.Utf8, 'publish will'],
  [0x08, 'responseTopic', Kind.TopicName, 'publish will'],
  [0x09, 'correlationData', Kind.Binary, 'publish will'],
  [0x0b, 'subscriptionIdentifier', Kind.Varint, 'subscribe', 0x82],
  [0x0b, 'subscriptionIdentifiers', Kind.Varints, 'publish', 0x82],
  [0x11, 'sessionExpiryInterval', Kind.U32, 'connect connack disconnect'],
  [0x12, 'assignedClientIdentifier', Kind.Utf8, 'connack'],
  [0x13, 'serverKeepAlive', Kind.U16, 'connack'],
  [0x15, 'authenticationMethod', Kind.Utf8, 'connect connack auth'],
  [0x16, 'authenticationData', Kind.Binary, 'connect connack auth'],
  [0x17, 'requestProblemInformation', Kind.Flag, 'connect'],
  [0x18, 'willDelayInterval', Kind.U32, 'will'],
  [0x19, 'requestResponseInformation', Kind.Flag, 'connect'],
  [0x1a, 'responseInformation', Kind.Utf8, 'connack'],
  [0x1c, 'serverReference', Kind.Utf8, 'connack disconnect'],
  [0x1f, 'reasonString', Kind.Utf8, `connack ${PUB_ACKS} suback unsuback disconnect auth`],
  [0x21, 'receiveMaximum', Kind.U16, 'connect connack', 0x82],
  [0x22, 'topicAliasMaximum', Kind.U16, 'connect connack'],
  [0x23, 'topicAlias', Kind.U16, 'publish', 0x94],
  [0x24, 'maximumQoS', Kind.Bit, 'connack'],
  [0x25, 'retainAvailable', Kind.Flag, 'connack'],
  [0x26, 'userProperties', Kind.Pairs, EVERYWHERE],
  [0x27, 'maximumPacketSize', Kind.U32, 'connect connack', 0x82],
  [0x28, 'wildcardSubscriptionAvailable', Kind.Flag, 'connack'],
  [0x29, 'subscriptionIdentifiersAvailable', Kind.Flag, 'connack'],
  [0x2a, 'sharedSubscriptionAvailable', Kind.Flag, 'connack'],
];

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

const PROPERTIES: readonly (Property & { readonly hosts: readonly string[] })[] = TABLE.map(
  ([id, name, kind, hosts, refusesZero], index) => ({
    id,
    name,
    kind,
    refusesZero,
    bit: 1 << index,
    statement: STATEMENTS[name] ?? '2.2.2.2',
    set: SET[name] ?? ((values, value) => void (values[name] = value)),
    hosts: hosts.split(' '),
  }),
);
export const PROPERTY_NAMES: ReadonlySet<string> = new Set(PROPERTIES.map(({ name }) => name));

/** The properties of one host, by identifier (the index) and by name. */
export interface HostProperties {
  readonly byId: readonly (Property | undefined)[];
  readonly byName: ReadonlyMap<string, Property>;
}

function propertiesIn(host: string): HostProperties {
  const properties = PROPERTIES.filter(({ hosts }) => hosts.includes(host));
  const byId: (Property | undefined)[] = Array.from({ length: 0x2b }, () => undefined);
  for (const property of properties) byId[property.id] = property;
  return { byId, byName: new Map(properties.map((property) => [property.name, property])) };
}

export const HOST_PROPERTIES: Readonly<Record<PropertyHost, HostProperties>> = Object.fromEntries(
  EVERYWHERE.split(' ').map((host) => [host, propertiesIn(host)]),
) as Record<PropertyHost, HostProperties>;
