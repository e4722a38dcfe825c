/** Answers received on a connection that is up: one function per Control Packet. Each takes the parts it changes. */
import type { AckReader } from '../codec/acks.ts';
import type { SubackPacket, UnsubackPacket } from '../codec/packets.ts';
import type { Connection } from '../connection/connection.ts';
import type { SendQuota } from '../connection/send-quota.ts';
import { ProtocolError } from '../errors.ts';
import { Stage, type Exchange } from '../session/exchange.ts';
import type { Incoming } from '../session/incoming.ts';
import type { Session } from '../session/session.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { Effects } from './effects.ts';
import { writePubcomp, writePubrel } from './ack-writer.ts';

/** The exchange is over: its Packet Identifier is free and what it took of the quota is given back. */
function finish(session: Session, connection: Connection, exchange: Exchange): void {
  session.outgoing.end(exchange);
  session.packetIdentifiers.free(exchange.packetId);
  giveBack(connection.quota, connection.connectionNumber, exchange);
  connection.traffic.answeredAfter(connection.keepAlive.receivedAt - exchange.writtenAt);
}

function giveBack(quota: SendQuota, connectionNumber: number, exchange: Exchange): void {
  if (exchange.connectionNumber === connectionNumber) quota.give();
}

function wrongFlow(packetName: string, exchange: Exchange): ProtocolError {
  return new ProtocolError(
    `${packetName} for Packet Identifier ${exchange.packetId}, whose QoS ${exchange.qos} exchange does not await it`,
    '4.3',
    0x82,
    { packetId: exchange.packetId },
  );
}

/**
 * PUBACK ends a QoS 1 exchange, whatever it says [MQTT-4.3.2-3]. Returns whether there was one. On 3.1 and 3.1.1 it ends
 * one of QoS 2, too: some servers (RabbitMQ 3) take such a message for one of QoS 1, and never answer otherwise.
 */
export function onPuback(
  session: Session,
  connection: Connection,
  ack: AckReader,
  effects: Pick<Effects, 'changed'>,
): boolean {
  const exchange = session.outgoing.get(ack.packetId);
  if (exchange === undefined) return false;
  const { qos, stage } = exchange;
  if (qos === 2 && (connection.protocolVersion === 5 || stage !== Stage.Published))
    throw wrongFlow('PUBACK', exchange);
  finish(session, connection, exchange);
  exchange.settle(ack.reasonCode, ack.properties);
  if (qos === 2)
    tolerate(connection, 'the server answers QoS 2 with PUBACK: such a message may arrive twice', effects);
  return true;
}

/** The server breaks the protocol, and the connection goes on: reported once per connection. */
export function tolerate(connection: Connection, what: string, effects: Pick<Effects, 'changed'>): void {
  if (connection.tolerated.has(what)) return;
  connection.tolerated.add(what);
  effects.changed({ type: 'tolerated', what });
}

/** PUBREC: from now on it is PUBREL that is owed; a refusal ends the exchange. Returns whether there was one. */
export function onPubrec(session: Session, connection: Connection, ack: AckReader): boolean {
  const exchange = session.outgoing.get(ack.packetId);
  if (exchange === undefined) {
    // Normal after a recovery (U-3.6.2-a); on 3.x every PUBREC is answered with a plain PUBREL.
    writePubrel(connection, ack.packetId, 0x92);
    return false;
  }
  if (exchange.qos !== 2) throw wrongFlow('PUBREC', exchange);
  if (ack.reasonCode >= 0x80) {
    finish(session, connection, exchange);
    exchange.settle(ack.reasonCode, ack.properties);
    return true;
  }
  if (exchange.stage === Stage.Published) {
    session.outgoing.release(exchange);
    exchange.writtenAt = connection.keepAlive.receivedAt;
  }
  writePubrel(connection, ack.packetId, 0); // [MQTT-4.3.3-4], in the order of the PUBRECs [MQTT-4.6.0-4]
  return true;
}

/** PUBCOMP ends a QoS 2 exchange. Returns whether there was one. */
export function onPubcomp(session: Session, connection: Connection, ack: AckReader): boolean {
  const exchange = session.outgoing.get(ack.packetId);
  if (exchange === undefined) return false;
  if (exchange.stage !== Stage.Released) {
    if (!exchange.ignoresPubcomp) throw wrongFlow('PUBCOMP', exchange);
    exchange.ignoresPubcomp = false;
    return false;
  }
  finish(session, connection, exchange);
  // 0x92 (identifier not found) is normal after a recovery: the server took the message with its PUBREC.
  exchange.settle(ack.reasonCode === 0x92 ? 0 : ack.reasonCode, ack.properties);
  return true;
}

/** PUBREL is always answered [MQTT-4.3.3-11], with 0x92 where the identifier is not known (U-3.6.2-a). */
export function onPubrel(
  incoming: Incoming,
  connection: Connection,
  packetId: number,
  acknowledgements: Acknowledgements,
): void {
  const known = incoming.onPubrel(packetId);
  writePubcomp(connection, packetId, known ? 0 : 0x92);
  acknowledgements.answerDue();
}

/** SUBACK and UNSUBACK: one code per Topic Filter, in order [MQTT-3.9.3-1]. */
export function onRequestAck(session: Session, packet: SubackPacket | UnsubackPacket, version: number): void {
  const kind = packet.type === 'suback' ? 'subscribe' : 'unsubscribe';
  const sent = session.requests.get(packet.packetId);
  if (sent === undefined || sent.kind !== kind)
    throw new ProtocolError(
      `${packet.type} for Packet Identifier ${packet.packetId}, which does not await it`,
      'MQTT-2.2.1-6',
      0x82,
    );
  const coded = packet.type === 'suback' || version === 5;
  const filters = sent.parts.length;
  if (coded && packet.reasonCodes.length !== filters)
    throw new ProtocolError(
      `${packet.type} with ${packet.reasonCodes.length} codes for ${filters} Topic Filters`,
      packet.type === 'suback' ? 'MQTT-3.8.4-6' : 'MQTT-3.11.3-1',
      0x82,
    );
  session.requests.end(sent);
  session.packetIdentifiers.free(packet.packetId);
  sent.parts.forEach((part, i) => session.answered(part, packet.reasonCodes[i] ?? 0));
}
