/**
 * SUBSCRIBE (3.8) and UNSUBSCRIBE (3.10).
 *
 * ```
 * 82 | A2                 Remaining Length
 * Packet Identifier       u16
 * Properties              5.0
 * Topic Filter            string    this and, in SUBSCRIBE, the next once or more
 * Subscription Options    00hhplqq  h = Retain Handling, p = Retain As Published, l = No Local, q = Maximum QoS;
 *                         000000qq  on 3.1 and 3.1.1
 * ```
 */

import { isShared, topicFilterError } from '../topic/filters.ts';
import { ProtocolError } from '../errors.ts';
import {
  flag,
  hex,
  integer,
  malformed,
  notInVersion,
  qosOf,
  stringOf,
  violation,
  wrongType,
} from './errors.ts';
import {
  NO_PROPERTIES,
  type ProtocolVersion,
  type QoS,
  type SubscribePacket,
  type SubscriptionRequest,
  type UnsubscribePacket,
} from './packets.ts';
import { readProperties, writeProperties } from './properties.ts';
import type { Reader } from './reader.ts';
import { checkText, type Encodable, type Writer } from './writer.ts';

const QOS = 0x03;
const NO_LOCAL = 0x04;
const RETAIN_AS_PUBLISHED = 0x08;
const RETAIN_HANDLING = 0x30;

/** Refuses an illegal Topic Filter with Reason Code 0x8F. */
function checkTopicFilter(what: string, topicFilter: string): string {
  // [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1] to [MQTT-4.7.3-3], [MQTT-4.8.2-1], [MQTT-4.8.2-2]
  const error = topicFilterError(topicFilter);
  if (error !== undefined) throw new ProtocolError(`${what}: ${error}`, '4.7.1', 0x8f);
  return topicFilter;
}

/** Writes a Topic Filter, and returns it. `what`: its name in errors. */
function writeTopicFilter(writer: Writer, what: string, value: unknown): string {
  const topicFilter = stringOf(what, value);
  checkText(what, topicFilter, writer.version);
  writer.utf8(what, checkTopicFilter(what, topicFilter));
  return topicFilter;
}

/** [MQTT-3.8.3-4] "It is a Protocol Error to set the No Local bit to 1 on a Shared Subscription". */
function checkNoLocal(topicFilter: string, noLocal: boolean): void {
  if (noLocal && isShared(topicFilter)) {
    throw violation('SUBSCRIBE has No Local on a Shared Subscription', 'MQTT-3.8.3-4');
  }
}

export function readSubscribe(reader: Reader): SubscribePacket {
  const packetId = reader.packetId();
  const properties = reader.version === 5 ? readProperties(reader, 'subscribe') : NO_PROPERTIES;
  const subscriptions: SubscriptionRequest[] = [];
  while (reader.left > 0)
    subscriptions.push(readOptions(reader, checkTopicFilter('SUBSCRIBE', reader.utf8())));
  // [MQTT-3.8.3-2] (3.1.1: [MQTT-3.8.3-3]) "The Payload MUST contain at least one Topic Filter".
  if (subscriptions.length === 0)
    throw violation('SUBSCRIBE has no Topic Filter', emptyStatement(reader.version));
  return { type: 'subscribe', packetId, subscriptions, properties };
}

function emptyStatement(version: ProtocolVersion): string {
  return version === 5 ? 'MQTT-3.8.3-2' : 'MQTT-3.8.3-3';
}

function readOptions(reader: Reader, topicFilter: string): SubscriptionRequest {
  const { version } = reader;
  const options = reader.u8();
  const qos = options & QOS;
  // 3.8.3.1: "It is a Protocol Error if the Maximum QoS field has the value 3".
  if (qos === 3) throw qos3Error('SUBSCRIBE asks for QoS 3', version);
  if (version !== 5) {
    // [MQTT-3-8.3-4] (3.1.1) the upper six bits are 0; 3.1 does not use them.
    if (version === 4 && options > 2)
      throw malformed(`SUBSCRIBE has options ${hex(options)}`, 'MQTT-3-8.3-4');
    return { topicFilter, qos: qos as QoS };
  }
  // [MQTT-3.8.3-5] "Bits 6 and 7 of the Subscription Options byte are reserved".
  if (options > 0x3f) throw malformed(`SUBSCRIBE has Subscription Options ${hex(options)}`, 'MQTT-3.8.3-5');
  const retainHandling = (options & RETAIN_HANDLING) >> 4;
  if (retainHandling === 3) throw violation('SUBSCRIBE has Retain Handling 3', '3.8.3.1');
  const noLocal = (options & NO_LOCAL) !== 0;
  checkNoLocal(topicFilter, noLocal);
  return {
    topicFilter,
    qos: qos as QoS,
    noLocal,
    retainAsPublished: (options & RETAIN_AS_PUBLISHED) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2,
  };
}

function qos3Error(message: string, version: ProtocolVersion): ProtocolError {
  return version === 5 ? violation(message, '3.8.3.1') : malformed(message, 'MQTT-3-8.3-4');
}

export function writeSubscribe(writer: Writer, packet: Encodable<'subscribe'>): void {
  const { subscriptions } = packet;
  writer.packetId(packet.packetId);
  writeProperties(writer, 'subscribe', packet.properties);
  if (!Array.isArray(subscriptions)) throw wrongType('subscriptions', 'an array', subscriptions);
  // [MQTT-3.8.3-2] (3.1.1: [MQTT-3.8.3-3]) at least one Topic Filter.
  if (subscriptions.length === 0) throw violation('subscriptions is empty', emptyStatement(writer.version));
  for (const subscription of subscriptions as readonly SubscriptionRequest[]) {
    if (typeof subscription !== 'object' || (subscription as unknown) === null) {
      throw wrongType('subscriptions', 'objects', subscription);
    }
    const topicFilter = writeTopicFilter(writer, 'topicFilter', subscription.topicFilter);
    const options = optionsOf(subscription, writer.version);
    checkNoLocal(topicFilter, (options & NO_LOCAL) !== 0);
    writer.u8(options);
  }
}

function optionsOf(subscription: SubscriptionRequest, version: ProtocolVersion): number {
  if ((subscription.qos as unknown) === undefined) throw wrongType('qos', '0, 1 or 2', undefined);
  const qos = qosOf('qos', subscription.qos);
  const noLocal = flag('noLocal', subscription.noLocal);
  const retainAsPublished = flag('retainAsPublished', subscription.retainAsPublished);
  const retainHandling =
    subscription.retainHandling === undefined
      ? 0
      : integer('retainHandling', subscription.retainHandling, 0, 3);
  // 3.8.3.1: "It is a Protocol Error to send a Retain Handling value of 3".
  if (retainHandling === 3) throw violation('retainHandling is 3', '3.8.3.1');
  if (version !== 5 && (noLocal || retainAsPublished || retainHandling > 0))
    throw notInVersion('Subscription Options');
  return (
    qos | (noLocal ? NO_LOCAL : 0) | (retainAsPublished ? RETAIN_AS_PUBLISHED : 0) | (retainHandling << 4)
  );
}

export function readUnsubscribe(reader: Reader): UnsubscribePacket {
  const packetId = reader.packetId();
  const properties = reader.version === 5 ? readProperties(reader, 'unsubscribe') : NO_PROPERTIES;
  const topicFilters: string[] = [];
  while (reader.left > 0) topicFilters.push(checkTopicFilter('UNSUBSCRIBE', reader.utf8()));
  // [MQTT-3.10.3-2] "The Payload of an UNSUBSCRIBE packet MUST contain at least one Topic Filter".
  if (topicFilters.length === 0) throw violation('UNSUBSCRIBE has no Topic Filter', 'MQTT-3.10.3-2');
  return { type: 'unsubscribe', packetId, topicFilters, properties };
}

export function writeUnsubscribe(writer: Writer, packet: Encodable<'unsubscribe'>): void {
  const { topicFilters } = packet;
  writer.packetId(packet.packetId);
  writeProperties(writer, 'unsubscribe', packet.properties);
  if (!Array.isArray(topicFilters)) throw wrongType('topicFilters', 'an array', topicFilters);
  if (topicFilters.length === 0) throw violation('topicFilters is empty', 'MQTT-3.10.3-2');
  for (const topicFilter of topicFilters as readonly unknown[])
    writeTopicFilter(writer, 'topicFilters', topicFilter);
}
