import { violation } from '../codec/errors.ts';
import {
  NO_PROPERTIES,
  type ConnackPacket,
  type ConnackProperties,
  type ConnectPacket,
  type ConnectProperties,
  type ProtocolVersion,
  type QoS,
  type WillMessage,
} from '../codec/packets.ts';

/** The settings for every CONNECT of this client. */
export interface ConnectSettings {
  readonly protocolVersion: ProtocolVersion;
  /** Seconds, 0 = off. */
  readonly keepAlive: number;
  /** Seconds; 5.0. */
  readonly sessionExpiryInterval: number;
  readonly will: WillMessage | undefined;
  /** Announced on 5.0; on 3.x only the client knows it. */
  readonly receiveMaximum: number;
  /** Bytes; announced on 5.0. In all versions a larger packet is refused. */
  readonly maximumPacketSize: number | undefined;
  /** The remaining CONNECT properties (5.0). */
  readonly properties: ConnectProperties;
}

/** The fields that may differ from one CONNECT to the next. */
export interface ConnectIdentity {
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly username?: string | undefined;
  readonly password?: Uint8Array | undefined;
  /** Identifies the server, to tell it from others. */
  readonly server?: string | undefined;
}

/** The values that hold on one Network Connection: those of CONNACK, else the defaults of the specification. */
export interface Negotiated {
  readonly protocolVersion: ProtocolVersion;
  readonly clientId: string;
  readonly sessionPresent: boolean;
  /** Seconds: Server Keep Alive, or ours [MQTT-3.2.2-21, MQTT-3.2.2-22]. */
  readonly keepAlive: number;
  /** Seconds; 0 = the session ends with the connection, 0xFFFFFFFF = never. */
  readonly sessionExpiryInterval: number;
  /** QoS 1 and 2 messages that the server accepts unacknowledged. */
  readonly receiveMaximum: number;
  readonly maximumQoS: QoS;
  readonly retainAvailable: boolean;
  /** Bytes; Infinity = no limit. */
  readonly maximumPacketSize: number;
  /** The highest Topic Alias that the client may send; 0 = none. */
  readonly topicAliasMaximum: number;
  /** The highest that the server may send, as CONNECT has announced it; 0 = none. */
  readonly announcedTopicAliasMaximum: number;
  readonly wildcardSubscriptionAvailable: boolean;
  readonly subscriptionIdentifiersAvailable: boolean;
  readonly sharedSubscriptionAvailable: boolean;
  readonly responseInformation: string | undefined;
  readonly serverReference: string | undefined;
}

const NEVER_EXPIRES = 0xffff_ffff;

/** The first packet on every Network Connection [MQTT-3.1.0-1]. */
export function connectPacket(settings: ConnectSettings, identity: ConnectIdentity): ConnectPacket {
  const { clientId, cleanStart, username, password } = identity;
  return {
    type: 'connect',
    clientId,
    cleanStart,
    keepAlive: settings.keepAlive,
    username,
    password,
    will: settings.will,
    properties: settings.protocolVersion < 5 ? NO_PROPERTIES : connectProperties(settings),
  };
}

function connectProperties(settings: ConnectSettings): ConnectProperties {
  const { sessionExpiryInterval, receiveMaximum, maximumPacketSize } = settings;
  return {
    ...settings.properties,
    sessionExpiryInterval: sessionExpiryInterval > 0 ? sessionExpiryInterval : undefined,
    receiveMaximum,
    maximumPacketSize,
  };
}

/** Refuses a successful CONNACK that contradicts its CONNECT. */
export function checkConnack(
  connack: ConnackPacket,
  settings: ConnectSettings,
  identity: ConnectIdentity,
): void {
  const { properties, sessionPresent } = connack;
  // [v5 MQTT-3.2.2-2, v4 MQTT-3.2.2-1]
  if (identity.cleanStart && sessionPresent)
    throw violation('CONNACK has Session Present 1 after Clean Start 1', 'MQTT-3.2.2-2');
  if (settings.protocolVersion < 5) return;
  const isAnonymous = identity.clientId === '';
  if (isAnonymous && sessionPresent)
    throw violation('CONNACK has Session Present 1, but the client has no session', 'MQTT-3.2.2-4');
  if (isAnonymous && properties.assignedClientIdentifier === undefined)
    throw violation(
      'CONNACK has no Assigned Client Identifier, but CONNECT had no Client Identifier',
      'MQTT-3.2.2-16',
    );
  const method = settings.properties.authenticationMethod;
  if (properties.authenticationMethod !== method)
    throw violation(
      'CONNACK has another Authentication Method than CONNECT',
      method === undefined ? 'MQTT-4.12.0-6' : 'MQTT-4.12.0-5',
    );
}

/** The values that hold after a successful CONNACK. */
export function negotiate(
  connack: ConnackPacket,
  settings: ConnectSettings,
  identity: ConnectIdentity,
): Negotiated {
  const answer: ConnackProperties = connack.properties;
  const { protocolVersion } = settings;
  const expiry =
    protocolVersion === 5 ? settings.sessionExpiryInterval : identity.cleanStart ? 0 : NEVER_EXPIRES;
  return {
    protocolVersion,
    clientId: answer.assignedClientIdentifier ?? identity.clientId,
    sessionPresent: connack.sessionPresent,
    keepAlive: answer.serverKeepAlive ?? settings.keepAlive,
    sessionExpiryInterval: answer.sessionExpiryInterval ?? expiry,
    receiveMaximum: answer.receiveMaximum ?? 65_535,
    maximumQoS: answer.maximumQoS ?? 2,
    retainAvailable: answer.retainAvailable ?? true,
    maximumPacketSize: answer.maximumPacketSize ?? Infinity,
    topicAliasMaximum: answer.topicAliasMaximum ?? 0,
    announcedTopicAliasMaximum: settings.properties.topicAliasMaximum ?? 0,
    wildcardSubscriptionAvailable: answer.wildcardSubscriptionAvailable ?? true,
    subscriptionIdentifiersAvailable:
      protocolVersion === 5 && (answer.subscriptionIdentifiersAvailable ?? true),
    sharedSubscriptionAvailable: answer.sharedSubscriptionAvailable ?? true,
    // [MQTT-3.1.2-28] Ignored unless it was requested.
    responseInformation:
      settings.properties.requestResponseInformation === true ? answer.responseInformation : undefined,
    serverReference: answer.serverReference,
  };
}
