/**
 * UNSUBSCRIBE (3.10).
 *
 * ```
 * A2                  Remaining Length
 * Packet Identifier   u16
 * Properties          5.0
 * Topic Filter        string, once or more
 * ```
 */

import { stringOf, violation, wrongType } from './errors.ts';
import { NO_PROPERTIES, type EncodablePacket, type UnsubscribePacket } from './packets.ts';
import { readProperties, writeProperties } from './properties.ts';
import type { Reader } from './reader.ts';
import { checkTopicFilter } from './subscribe.ts';
import { checkText, type Writer } from './writer.ts';

export function readUnsubscribe(reader: Reader): UnsubscribePacket {
  const packetId = reader.packetId();
  const properties = reader.version === 5 ? readProperties(reader, 'unsubscribe') : NO_PROPERTIES;
  const topicFilters: string[] = [];
  while (reader.left > 0) {
    const topicFilter = reader.utf8();
    checkTopicFilter('UNSUBSCRIBE', topicFilter);
    topicFilters.push(topicFilter);
  }
  // [MQTT-3.10.3-2] "The Payload of an UNSUBSCRIBE packet MUST contain at least one Topic Filter".
  if (topicFilters.length === 0) throw violation('UNSUBSCRIBE has no Topic Filter', 'MQTT-3.10.3-2');
  return { type: 'unsubscribe', packetId, topicFilters, properties };
}

/** Writes the body. */
export function writeUnsubscribe(
  writer: Writer,
  packet: Extract<EncodablePacket, { type: 'unsubscribe' }>,
): void {
  const { topicFilters } = packet;
  writer.packetId(packet.packetId);
  writeProperties(writer, 'unsubscribe', packet.properties);
  if (!Array.isArray(topicFilters)) throw wrongType('topicFilters', 'an array', topicFilters);
  // [MQTT-3.10.3-2] at least one Topic Filter.
  if (topicFilters.length === 0) throw violation('topicFilters is empty', 'MQTT-3.10.3-2');
  for (const topicFilter of topicFilters as readonly unknown[]) {
    const filter = stringOf('topicFilters', topicFilter);
    checkText('topicFilters', filter, writer.version);
    checkTopicFilter('topicFilters', filter);
    writer.utf8('topicFilters', filter);
  }
}
