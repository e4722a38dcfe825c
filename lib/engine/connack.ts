import type { ConnackPacket } from '../codec/packets.ts';
import type { Connection } from '../connection/connection.ts';
import { negotiate, type Negotiated } from '../connection/negotiated.ts';
import type { EngineOptions } from './options.ts';

/** A CONNACK was accepted: what it grants, and what we allow ourselves, holds on `connection` from now on. */
export function acceptConnack(
  connection: Connection,
  connack: ConnackPacket,
  options: EngineOptions,
  now: number,
): Negotiated {
  const { settings, identity } = connection;
  const negotiated = negotiate(connack, settings, identity);
  const { pingTimeout } = options;
  const topicAliasMaximum = settings.properties.topicAliasMaximum ?? 0;
  connection.accepted(
    negotiated,
    { window: sendWindow(negotiated, options), topicAliasMaximum, pingTimeout },
    now,
  );
  return negotiated;
}

/** QoS > 0 exchanges of ours that may be on the wire: as we allow ourselves, and never above Receive Maximum. */
export function sendWindow({ receiveMaximum }: Negotiated, { maxInflight }: EngineOptions): number {
  return maxInflight === 0 ? receiveMaximum : Math.min(maxInflight, receiveMaximum);
}

/**
 * Whether the session of before goes on. 3.1 has no Session Present: with Clean Session 0 the session is presumed to
 * be there, the subscriptions are not.
 */
export function sessionPresence({ negotiated, identity }: Connection): 'present' | 'presumed' | 'absent' {
  if (negotiated?.sessionPresent === true) return 'present';
  return negotiated?.protocolVersion === 3 && !identity.cleanStart ? 'presumed' : 'absent';
}
