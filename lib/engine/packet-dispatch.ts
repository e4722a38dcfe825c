/** One switch over the Control Packets that arrive on an accepted connection, and one method for each acknowledgement. */
import { AckReader } from '../codec/acks.ts';
import { violation } from '../codec/errors.ts';
import { checkHeader, PacketType } from '../codec/packet-type.ts';
import type {
  AckProperties,
  AuthPacket,
  ConnackPacket,
  DisconnectPacket,
  SubackPacket,
  UnsubackPacket,
} from '../codec/packets.ts';
import { PublishReader } from '../codec/publish-reader.ts';
import { readPacket } from '../codec/read-packet.ts';
import type { Text } from '../codec/text.ts';
import type { Connection } from '../connection/connection.ts';
import { ProtocolError } from '../errors.ts';
import { Stage, type Exchange } from '../session/exchange.ts';
import type { Session } from '../session/session.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { EngineContext } from './engine-context.ts';
import type { Effects } from './effects.ts';
import { tolerate, type InboundPublish } from './inbound-publish.ts';
import { writePubcomp, writePubrel } from './ack-writer.ts';
import type { StoreGate } from './store-gate.ts';

const { publish: PUBLISH, puback: PUBACK, pubrec: PUBREC, pubrel: PUBREL, pubcomp: PUBCOMP } = PacketType;
/** CONNACK and AUTH, and DISCONNECT, which is refused later with its own statement. */
const BEFORE_CONNACK: readonly number[] = [2, 14, 15];

/** What follows from a packet: `turn`, the application gets a turn; `acknowledged`, the window has moved. */
export type PacketResult = 'nothing' | 'turn' | 'acknowledged';

/** In addition, what the engine has to handle itself. */
export type Outcome = PacketResult | 'answered' | 'pingresp' | ConnackPacket | DisconnectPacket | AuthPacket;

/** Handles packets. It keeps the readers, so that nothing is allocated per packet. */
export class PacketDispatch {
  readonly #session: Session;
  readonly #inboundPublish: InboundPublish;
  readonly #acknowledgements: Acknowledgements;
  readonly #effects: Effects;
  readonly #gate: StoreGate | undefined;
  /** Made for the first PUBLISH. */
  #publish: PublishReader | undefined = undefined;
  readonly #text: Text;
  readonly #ack = new AckReader();

  constructor(context: EngineContext, inboundPublish: InboundPublish, acknowledgements: Acknowledgements) {
    ({ session: this.#session, effects: this.#effects, gate: this.#gate } = context);
    this.#inboundPublish = inboundPublish;
    this.#acknowledgements = acknowledgements;
    this.#text = context.ports.text;
  }

  /** hot: handles the packet that the framer has found, on an accepted connection. */
  packet(connection: Connection): Outcome {
    const { framer, protocolVersion } = connection;
    connection.traffic.packetsReceived++;
    const { bytes, header, start, end } = framer;
    const type = header >> 4;
    if (type === PUBLISH) {
      const publish = (this.#publish ??= new PublishReader(this.#text));
      publish.read(bytes, header, start, end, protocolVersion);
      const result = this.#inboundPublish.receive(connection, publish);
      publish.release();
      return result;
    }
    if (type < PUBACK || type > PUBCOMP) return this.#other(connection);
    const ack = this.#ack;
    ack.read(bytes, header, start, end, protocolVersion);
    if (connection.withoutProblemInformation) checkPlain(ack.properties);
    if (type === PUBREL) {
      this.#onPubrel(connection, ack.packetId);
      return 'nothing';
    }
    return this.#onAnswer(type, connection, ack) ? 'acknowledged' : 'nothing';
  }

  /** Checks the first byte of a packet that is not complete: a server of another protocol may never send the rest. */
  checkPendingHeader(connection: Connection): void {
    const header = connection.framer.pendingHeader;
    if (header < 0) return;
    if (connection.negotiated === undefined && !BEFORE_CONNACK.includes(header >> 4))
      throw violation(`a packet of type ${header >> 4} before CONNACK`, 'MQTT-3.2.0-1');
    checkHeader(header, connection.protocolVersion, 'client');
  }

  /** Reads the packet that the framer has found, on a connection that awaits CONNACK [MQTT-3.2.0-1]. */
  connack(connection: Connection): ConnackPacket | AuthPacket {
    connection.traffic.packetsReceived++;
    const packet = readPacket(connection.framer, connection.protocolVersion, 'client');
    if (packet.type === 'connack') return packet;
    if (packet.type === 'auth') return checked(connection, packet);
    const statement = packet.type === 'disconnect' ? 'MQTT-3.14.0-1' : 'MQTT-3.2.0-1';
    throw violation(`${packet.type} before CONNACK`, statement);
  }

  #other(connection: Connection): Outcome {
    const packet = readPacket(connection.framer, connection.protocolVersion, 'client');
    switch (packet.type) {
      case 'suback':
      case 'unsuback':
        if (connection.withoutProblemInformation) checkPlain(packet.properties);
        this.#onRequestAck(packet, connection.protocolVersion);
        return 'answered';
      case 'pingresp':
        return 'pingresp';
      case 'connack':
      case 'disconnect':
        return packet;
      case 'auth':
        return checked(connection, packet);
      default:
        throw violation(`${packet.type} from a server`, '2.1.2');
    }
  }

  /** PUBACK, PUBREC or PUBCOMP. Returns whether it belongs to an exchange and moves the window. */
  #onAnswer(type: number, connection: Connection, ack: AckReader): boolean {
    const exchange = this.#session.outgoing.get(ack.packetId);
    if (exchange === undefined) {
      // Normal after a recovery (U-3.6.2-a); on 3.x every PUBREC is answered with a plain PUBREL.
      if (type === PUBREC) writePubrel(connection, ack.packetId, 0x92);
      return false;
    }
    if (type === PUBACK) this.#onPuback(connection, exchange, ack);
    else if (type === PUBREC) this.#onPubrec(connection, exchange, ack);
    else return this.#onPubcomp(connection, exchange, ack);
    return true;
  }

  /**
   * PUBACK ends a QoS 1 exchange, whatever its Reason Code [MQTT-4.3.2-3]. On 3.1 and 3.1.1 it also ends a QoS 2
   * exchange: some servers (RabbitMQ 3) handle QoS 2 as QoS 1 and never answer otherwise.
   */
  #onPuback(connection: Connection, exchange: Exchange, ack: AckReader): void {
    const { qos, stage } = exchange;
    if (qos === 2 && (connection.protocolVersion === 5 || stage !== Stage.Published))
      throw wrongFlow('PUBACK', exchange);
    this.#end(connection, exchange, ack.reasonCode, ack.properties);
    if (qos === 1) return;
    const what = 'the server answers QoS 2 with PUBACK: such a message may arrive twice';
    tolerate(connection, what, this.#effects);
  }

  /** After PUBREC, PUBREL is sent in place of PUBLISH; a refusal ends the exchange. */
  #onPubrec(connection: Connection, exchange: Exchange, ack: AckReader): void {
    if (exchange.qos !== 2) throw wrongFlow('PUBREC', exchange);
    if (ack.reasonCode >= 0x80) return this.#end(connection, exchange, ack.reasonCode, ack.properties);
    if (this.#gate?.holdsRelease(exchange) === true) return;
    if (exchange.stage === Stage.Published) {
      this.#session.outgoing.release(exchange);
      // Not on this connection, if it has not sent the PUBLISH again: then the exchange takes none of its quota.
      const { receivedAt } = connection.keepAlive;
      this.#session.outgoing.written(exchange, exchange.connectionNumber, receivedAt); // fault: pubrec
    }
    writePubrel(connection, ack.packetId, 0); // [MQTT-4.3.3-4], in the order of the PUBRECs [MQTT-4.6.0-4]
  }

  /** PUBCOMP ends a QoS 2 exchange. Returns whether it did. */
  #onPubcomp(connection: Connection, exchange: Exchange, ack: AckReader): boolean {
    if (exchange.stage !== Stage.Released) {
      if (!exchange.ignoresPubcomp) throw wrongFlow('PUBCOMP', exchange);
      exchange.ignoresPubcomp = false;
      return false;
    }
    // 0x92 (identifier not found) is normal after a recovery: the server has the message since its PUBREC.
    this.#end(connection, exchange, ack.reasonCode === 0x92 ? 0 : ack.reasonCode, ack.properties);
    return true;
  }

  /** PUBREL is always answered [MQTT-4.3.3-11], with 0x92 if the identifier is unknown (U-3.6.2-a). */
  #onPubrel(connection: Connection, packetId: number): void {
    const known = this.#session.incoming.onPubrel(packetId);
    const reasonCode = known ? 0 : 0x92;
    if (this.#gate !== undefined) this.#gate.completed(connection, packetId, reasonCode);
    else writePubcomp(connection, packetId, reasonCode); // fault: unknown-pubrel
    this.#acknowledgements.answerDue();
  }

  /** SUBACK and UNSUBACK carry one Reason Code per Topic Filter, in order [MQTT-3.9.3-1]. */
  #onRequestAck(packet: SubackPacket | UnsubackPacket, version: number): void {
    const session = this.#session;
    const kind = packet.type === 'suback' ? 'subscribe' : 'unsubscribe';
    const sent = session.requests.get(packet.packetId);
    if (sent === undefined || sent.kind !== kind)
      throw violation(
        `${packet.type} for Packet Identifier ${packet.packetId}, which does not await it`,
        'MQTT-2.2.1-6',
      );
    const hasCodes = packet.type === 'suback' || version === 5;
    const filters = sent.parts.length;
    if (hasCodes && packet.reasonCodes.length !== filters)
      throw violation(
        `${packet.type} with ${packet.reasonCodes.length} codes for ${filters} Topic Filters`,
        packet.type === 'suback' ? 'MQTT-3.8.4-6' : 'MQTT-3.11.3-1',
      );
    session.requests.end(sent);
    session.packetIdentifiers.free(packet.packetId);
    const { reasonCodes, properties } = packet;
    sent.parts.forEach((part, i) => session.answered(part, reasonCodes[i] ?? 0, properties));
  }

  /** The exchange is over: its Packet Identifier is free, its quota is given back, and its promise is settled. */
  #end(connection: Connection, exchange: Exchange, reasonCode: number, properties: AckProperties): void {
    const { connectionNumber, keepAlive, quota, traffic } = connection;
    this.#session.outgoing.end(exchange);
    this.#session.packetIdentifiers.free(exchange.packetId);
    if (exchange.connectionNumber === connectionNumber) quota.give(); // fault: credit
    traffic.answeredAfter(keepAlive.receivedAt - exchange.writtenAt);
    exchange.settle(reasonCode, properties);
  }
}

function wrongFlow(packetName: string, exchange: Exchange): ProtocolError {
  return new ProtocolError(
    `${packetName} for Packet Identifier ${exchange.packetId}, whose QoS ${exchange.qos} exchange does not await it`,
    '4.3',
    0x82,
    { packetId: exchange.packetId },
  );
}

function checked(connection: Connection, packet: AuthPacket): AuthPacket {
  if (connection.withoutProblemInformation) checkPlain(packet.properties);
  return packet;
}

/** [MQTT-3.1.2-29] "the Server MUST NOT send a Reason String or User Properties" if they were not requested. */
function checkPlain(properties: AckProperties): void {
  if (properties.reasonString === undefined && properties.userProperties === undefined) return;
  throw violation('Reason String or User Property though none were asked for', 'MQTT-3.1.2-29');
}
