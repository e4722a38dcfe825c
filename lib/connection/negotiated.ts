import type {
  ConnackPacket,
  ConnackProperties,
  ConnectPacket,
  ConnectProperties,
  ProtocolVersion,
  QoS,
  WillMessage,
} from '../codec/packets.ts';
import { ProtocolError } from '../errors.ts';

/** What goes into every CONNECT of this client, before the server has had a say. */
export interface ConnectSettings {
  readonly protocolVersion: ProtocolVersion;
  /** Seconds, 0 = off. */
  readonly keepAlive: number;
  /** Seconds; 5.0. */
  readonly sessionExpiryInterval: number;
  readonly will: WillMessage | undefined;
  /** Announced on 5.0; kept by us alone on 3.x. */
  readonly receiveMaximum: number;
  /** Bytes; announced on 5.0, in all versions a larger packet is refused. */
  readonly maximumPacketSize: number | undefined;
  /** The remaining CONNECT properties (5.0). */
  readonly properties: ConnectProperties;
}

/** What may differ from one CONNECT to the next. */
export interface ConnectIdentity {
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly username?: string;
  readonly password?: Uint8Array;
  /** Where it goes: a name that tells one server from another. */
  readonly server?: string;
}

/** What holds on one Network Connection: the server's word where it gave one, else what the specification says. */
export interface Negotiated {
  readonly protocolVersion: ProtocolVersion;
  readonly clientId: string;
  readonly sessionPresent: boolean;
  /** Seconds: Server Keep Alive, or ours [MQTT-3.2.2-21, MQTT-3.2.2-22]. */
  readonly keepAlive: number;
  /** Seconds; 0 = the session ends with the connection, 0xFFFFFFFF = never. */
  readonly sessionExpiryInterval: number;
  /** QoS > 0 messages the server takes unacknowledged. */
  readonly receiveMaximum: number;
  readonly maximumQoS: QoS;
  readonly retainAvailable: boolean;
  /** Bytes; Infinity where the server named no limit. */
  readonly maximumPacketSize: number;
  readonly topicAliasMaximum: number;
  readonly wildcardSubscriptionAvailable: boolean;
  readonly subscriptionIdentifiersAvailable: boolean;
  readonly sharedSubscriptionAvailable: boolean;
  readonly responseInformation: string | undefined;
  readonly serverReference: string | undefined;
}

const NEVER_EXPIRES = 0xffff_ffff;

/** The first packet on every Network Connection [MQTT-3.1.0-1]. */
export function connectPacket(settings: ConnectSettings, identity: ConnectIdentity): ConnectPacket {
  const { protocolVersion, keepAlive, will } = settings;
  return {
    type: 'connect',
    clientId: identity.clientId,
    cleanStart: identity.cleanStart,
    keepAlive,
    ...(identity.username !== undefined && { username: identity.username }),
    ...(identity.password !== undefined && { password: identity.password }),
    ...(will !== undefined && { will }),
    properties:
      protocolVersion < 5
        ? {}
        : {
            ...settings.properties,
            ...(settings.sessionExpiryInterval > 0 && {
              sessionExpiryInterval: settings.sessionExpiryInterval,
            }),
            receiveMaximum: settings.receiveMaximum,
            ...(settings.maximumPacketSize !== undefined && {
              maximumPacketSize: settings.maximumPacketSize,
            }),
          },
  };
}

/**
 * Refuses a successful CONNACK that contradicts its CONNECT. `hasSession`: whether this client has, or was told that
 * it owns, a session at the server.
 */
export function checkConnack(
  connack: ConnackPacket,
  settings: ConnectSettings,
  identity: ConnectIdentity,
  hasSession: boolean,
): void {
  const { properties, sessionPresent } = connack;
  // [v5 MQTT-3.2.2-2, v4 MQTT-3.2.2-1]
  if (identity.cleanStart && sessionPresent)
    throw new ProtocolError('Session Present after Clean Start', 'MQTT-3.2.2-2', 0x82);
  if (settings.protocolVersion < 5) return;
  if (!hasSession && sessionPresent)
    throw new ProtocolError('Session Present, but there is no session here', 'MQTT-3.2.2-4', 0x82);
  if (identity.clientId === '' && properties.assignedClientIdentifier === undefined)
    throw new ProtocolError('CONNACK without Assigned Client Identifier', 'MQTT-3.2.2-16', 0x82);
  const method = settings.properties.authenticationMethod;
  if (properties.authenticationMethod !== method)
    throw new ProtocolError(
      'CONNACK with another Authentication Method',
      method === undefined ? 'MQTT-4.12.0-6' : 'MQTT-4.12.0-5',
      0x82,
    );
}

/** What a successful CONNACK makes of the settings. */
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
    wildcardSubscriptionAvailable: answer.wildcardSubscriptionAvailable ?? true,
    subscriptionIdentifiersAvailable:
      protocolVersion === 5 && (answer.subscriptionIdentifiersAvailable ?? true),
    sharedSubscriptionAvailable: answer.sharedSubscriptionAvailable ?? true,
    // [MQTT-3.1.2-28] Without having been asked for it is not heeded.
    responseInformation:
      settings.properties.requestResponseInformation === true ? answer.responseInformation : undefined,
    serverReference: answer.serverReference,
  };
}
