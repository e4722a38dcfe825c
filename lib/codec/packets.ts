/**
 * The fifteen Control Packets as values (MQTT 5.0 chapter 3), with the field names of the specification. On 3.1 and 3.1.1
 * `properties` is `{}`.
 */

/** 3 = MQTT 3.1, 4 = MQTT 3.1.1, 5 = MQTT 5.0: the byte that goes into CONNECT (3.1.2.2). */
export type ProtocolVersion = 3 | 4 | 5;

/** Quality of Service (4.3): 0 at most once, 1 at least once, 2 exactly once. */
export type QoS = 0 | 1 | 2;

/** User Properties in wire order; a name may come more than once (3.1.2.11.8). */
export type UserProperties = readonly (readonly [name: string, value: string])[];

/** Properties of CONNECT (3.1.2.11). */
export interface ConnectProperties {
  /** Seconds; absent = 0, 0xFFFFFFFF = never. */
  readonly sessionExpiryInterval?: number | undefined;
  readonly receiveMaximum?: number | undefined;
  readonly maximumPacketSize?: number | undefined;
  readonly topicAliasMaximum?: number | undefined;
  readonly requestResponseInformation?: boolean | undefined;
  readonly requestProblemInformation?: boolean | undefined;
  readonly userProperties?: UserProperties | undefined;
  readonly authenticationMethod?: string | undefined;
  readonly authenticationData?: Uint8Array | undefined;
}

/** Properties of CONNACK (3.2.2.3). */
export interface ConnackProperties {
  readonly sessionExpiryInterval?: number | undefined;
  readonly receiveMaximum?: number | undefined;
  readonly maximumQoS?: 0 | 1 | undefined;
  readonly retainAvailable?: boolean | undefined;
  readonly maximumPacketSize?: number | undefined;
  readonly assignedClientIdentifier?: string | undefined;
  readonly topicAliasMaximum?: number | undefined;
  readonly reasonString?: string | undefined;
  readonly userProperties?: UserProperties | undefined;
  readonly wildcardSubscriptionAvailable?: boolean | undefined;
  readonly subscriptionIdentifiersAvailable?: boolean | undefined;
  readonly sharedSubscriptionAvailable?: boolean | undefined;
  /** Seconds. */
  readonly serverKeepAlive?: number | undefined;
  readonly responseInformation?: string | undefined;
  readonly serverReference?: string | undefined;
  readonly authenticationMethod?: string | undefined;
  readonly authenticationData?: Uint8Array | undefined;
}

/** Properties of PUBLISH (3.3.2.3). */
export interface PublishProperties {
  /** 0 = unspecified bytes, 1 = UTF-8. */
  readonly payloadFormatIndicator?: 0 | 1 | undefined;
  /** Seconds. */
  readonly messageExpiryInterval?: number | undefined;
  readonly topicAlias?: number | undefined;
  readonly responseTopic?: string | undefined;
  readonly correlationData?: Uint8Array | undefined;
  /** If a received message has more than 16, they are decoded on first access. */
  readonly userProperties?: UserProperties | undefined;
  /** Only from server to client; in wire order. */
  readonly subscriptionIdentifiers?: readonly number[] | undefined;
  readonly contentType?: string | undefined;
}

/** Will Properties (3.1.3.2). */
export interface WillProperties {
  /** Seconds. */
  readonly willDelayInterval?: number | undefined;
  readonly payloadFormatIndicator?: 0 | 1 | undefined;
  /** Seconds. */
  readonly messageExpiryInterval?: number | undefined;
  readonly contentType?: string | undefined;
  readonly responseTopic?: string | undefined;
  readonly correlationData?: Uint8Array | undefined;
  readonly userProperties?: UserProperties | undefined;
}

/** Properties of PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK. */
export interface AckProperties {
  readonly reasonString?: string | undefined;
  readonly userProperties?: UserProperties | undefined;
}

/** Properties of SUBSCRIBE (3.8.2.1). */
export interface SubscribeProperties {
  /** 1 to 268,435,455. */
  readonly subscriptionIdentifier?: number | undefined;
  readonly userProperties?: UserProperties | undefined;
}

/** Properties of UNSUBSCRIBE (3.10.2.1). */
export interface UnsubscribeProperties {
  readonly userProperties?: UserProperties | undefined;
}

/** Properties of DISCONNECT (3.14.2.2). */
export interface DisconnectProperties extends AckProperties {
  /** Seconds; only from client to server. */
  readonly sessionExpiryInterval?: number | undefined;
  /** Only from server to client. */
  readonly serverReference?: string | undefined;
}

/** Properties of AUTH (3.15.2.2). */
export interface AuthProperties extends AckProperties {
  readonly authenticationMethod?: string | undefined;
  readonly authenticationData?: Uint8Array | undefined;
}

/** The Will Message of a CONNECT. */
export interface WillMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: WillProperties;
}

export interface ConnectPacket {
  readonly type: 'connect';
  readonly clientId: string;
  /** Clean Session on 3.1 and 3.1.1. */
  readonly cleanStart: boolean;
  /** Seconds. */
  readonly keepAlive: number;
  readonly username?: string | undefined;
  readonly password?: Uint8Array | undefined;
  readonly will?: WillMessage | undefined;
  readonly properties: ConnectProperties;
}

export interface ConnackPacket {
  readonly type: 'connack';
  /** Always false on 3.1, which does not have it. */
  readonly sessionPresent: boolean;
  /** Reason Code on 5.0; return code 0 to 5 on 3.1 and 3.1.1. */
  readonly reasonCode: number;
  readonly properties: ConnackProperties;
}

export interface PublishPacket {
  readonly type: 'publish';
  /** Topic Name; empty only if there is a Topic Alias. */
  readonly topic: string;
  /** In a decoded packet a view of the bytes that were pushed, not a copy. */
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly duplicate: boolean;
  /** Present exactly if `qos` is above 0. */
  readonly packetId?: number | undefined;
  readonly properties: PublishProperties;
}

interface Ack<Type extends string> {
  readonly type: Type;
  readonly packetId: number;
  readonly reasonCode: number;
  readonly properties: AckProperties;
}

export type PubackPacket = Ack<'puback'>;
export type PubrecPacket = Ack<'pubrec'>;
export type PubrelPacket = Ack<'pubrel'>;
export type PubcompPacket = Ack<'pubcomp'>;
export type AckPacket = PubackPacket | PubrecPacket | PubrelPacket | PubcompPacket;

/** One Topic Filter of a SUBSCRIBE with its Subscription Options (3.8.3.1). */
export interface SubscriptionRequest {
  readonly topicFilter: string;
  readonly qos: QoS;
  /** This and the next two exist only on 5.0, where a decoded packet always has them. */
  readonly noLocal?: boolean | undefined;
  readonly retainAsPublished?: boolean | undefined;
  readonly retainHandling?: 0 | 1 | 2 | undefined;
}

export interface SubscribePacket {
  readonly type: 'subscribe';
  readonly packetId: number;
  readonly subscriptions: readonly SubscriptionRequest[];
  readonly properties: SubscribeProperties;
}

export interface SubackPacket {
  readonly type: 'suback';
  readonly packetId: number;
  /** One per Topic Filter, in the order of the SUBSCRIBE. */
  readonly reasonCodes: readonly number[];
  readonly properties: AckProperties;
}

export interface UnsubscribePacket {
  readonly type: 'unsubscribe';
  readonly packetId: number;
  readonly topicFilters: readonly string[];
  readonly properties: UnsubscribeProperties;
}

export interface UnsubackPacket {
  readonly type: 'unsuback';
  readonly packetId: number;
  /** Empty on 3.1 and 3.1.1. */
  readonly reasonCodes: readonly number[];
  readonly properties: AckProperties;
}

export interface PingreqPacket {
  readonly type: 'pingreq';
}

export interface PingrespPacket {
  readonly type: 'pingresp';
}

export interface DisconnectPacket {
  readonly type: 'disconnect';
  /** Always 0 on 3.1 and 3.1.1. */
  readonly reasonCode: number;
  readonly properties: DisconnectProperties;
}

/** 5.0 only. */
export interface AuthPacket {
  readonly type: 'auth';
  readonly reasonCode: number;
  readonly properties: AuthProperties;
}

/** Any Control Packet. */
export type Packet =
  | ConnectPacket
  | ConnackPacket
  | PublishPacket
  | AckPacket
  | SubscribePacket
  | SubackPacket
  | UnsubscribePacket
  | UnsubackPacket
  | PingreqPacket
  | PingrespPacket
  | DisconnectPacket
  | AuthPacket;

type Loose<P, Optional extends keyof P> = P extends unknown
  ? Omit<P, Optional> & { readonly [Key in Optional]?: P[Key] | undefined }
  : never;

/** A Control Packet to encode. Properties, Reason Code 0 and flags that are off may be left out. */
export type EncodablePacket =
  | (Loose<Omit<ConnectPacket, 'will'>, 'properties'> & {
      readonly will?: Loose<WillMessage, 'qos' | 'retain' | 'properties'> | undefined;
    })
  | Loose<ConnackPacket, 'sessionPresent' | 'reasonCode' | 'properties'>
  | Loose<PublishPacket, 'qos' | 'retain' | 'duplicate' | 'properties'>
  | Loose<AckPacket | DisconnectPacket | AuthPacket, 'reasonCode' | 'properties'>
  | Loose<SubscribePacket | SubackPacket | UnsubscribePacket, 'properties'>
  | Loose<UnsubackPacket, 'reasonCodes' | 'properties'>
  | PingreqPacket
  | PingrespPacket;

/** No properties: one frozen object for all. */
export const NO_PROPERTIES: Readonly<Record<string, never>> = Object.freeze({});
