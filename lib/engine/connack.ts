/** The first packet in each direction: CONNECT, and what CONNACK grants. */
import { encode } from '../codec/codec.ts';
import type { ConnackPacket } from '../codec/packets.ts';
import { Connection } from '../connection/connection.ts';
import {
  connectPacket,
  negotiate,
  type ConnectIdentity,
  type ConnectSettings,
  type Negotiated,
} from '../connection/negotiated.ts';
import type { Credentials, EngineOptions, EnginePorts } from './options.ts';

/**
 * A Network Connection with CONNECT as its first packet [MQTT-3.1.0-1]. `credentials` take the place of `options` and
 * `session`.
 */
export function sendConnect(
  options: EngineOptions,
  session: { readonly connectionNumber: number; readonly clientId: string; readonly cleanStart: boolean },
  credentials: Credentials,
  ports: EnginePorts,
  now: number,
): Connection {
  const { connectionNumber, cleanStart } = session;
  const { clientId = session.clientId, username, password, server } = credentials;
  const settings: ConnectSettings = {
    protocolVersion: options.protocolVersion,
    keepAlive: options.keepAlive,
    sessionExpiryInterval: options.sessionExpiryInterval,
    will: credentials.will ?? options.will,
    receiveMaximum: options.receiveMaximum,
    maximumPacketSize: options.maximumPacketSize,
    properties: credentials.properties ?? options.properties,
  };
  const identity: ConnectIdentity = { clientId, cleanStart, username, password, server };
  const { slabs, traffic, allocate, protect } = ports;
  const connection = new Connection(
    { connectionNumber, settings, identity, slabs, traffic, allocate, protect },
    now,
  );
  connection.outbox.append(encode(connectPacket(settings, identity), settings.protocolVersion));
  return connection;
}

/** CONNACK has accepted: applies its limits, and ours, to `connection`. */
export function acceptConnack(
  connection: Connection,
  connack: ConnackPacket,
  options: EngineOptions,
  now: number,
): Negotiated {
  const { settings, identity } = connection;
  const negotiated = negotiate(connack, settings, identity);
  connection.accepted(negotiated, sendWindow(negotiated, options), options.pingTimeout, now);
  if (options.topicAlias === 'auto') connection.assignAliases(); // fault: fresh-aliases
  return negotiated;
}

/** How many QoS 1 and 2 messages may be in flight: `maxInflight`, at most Receive Maximum (4.9). */
export function sendWindow({ receiveMaximum }: Negotiated, { maxInflight }: EngineOptions): number {
  return maxInflight === 0 ? receiveMaximum : Math.min(maxInflight, receiveMaximum);
}

export type SessionPresence = 'present' | 'presumed' | 'absent';

/**
 * Whether the server has the session. 3.1 has no Session Present: with Clean Session 0 the session is presumed to be
 * there, but not the subscriptions.
 */
export function sessionPresence({ negotiated, identity }: Connection): SessionPresence {
  if (negotiated?.sessionPresent === true) return 'present';
  return negotiated?.protocolVersion === 3 && !identity.cleanStart ? 'presumed' : 'absent';
}
