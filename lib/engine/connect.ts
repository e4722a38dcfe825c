import { encode } from '../codec/codec.ts';
import { Connection } from '../connection/connection.ts';
import { connectPacket } from '../connection/negotiated.ts';
import type { Credentials, EngineOptions, EnginePorts } from './options.ts';

/**
 * A Network Connection with its CONNECT, the first packet on it [MQTT-3.1.0-1]. What `credentials` does not say is as
 * `options` and `session` have it.
 */
export function sendConnect(
  options: EngineOptions,
  session: { readonly connectionNumber: number; readonly clientId: string; readonly cleanStart: boolean },
  credentials: Credentials,
  ports: EnginePorts,
  now: number,
): Connection {
  const { will = options.will, properties = options.properties, ...rest } = credentials;
  const { connectionNumber, clientId, cleanStart } = session;
  const settings = { ...options, will, properties };
  const identity = { clientId, cleanStart, ...rest };
  const connection = new Connection({ connectionNumber, settings, identity, ...ports }, now);
  connection.outbox.append(encode(connectPacket(settings, identity), settings.protocolVersion));
  return connection;
}
