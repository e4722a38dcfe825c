/** From bytes to what they mean: one switch over the Control Packets of a connection that is up. */
import { AckReader } from '../codec/acks.ts';
import { checkHeader } from '../codec/packet-type.ts';
import type { AckProperties, ConnackPacket, DisconnectPacket } from '../codec/packets.ts';
import { PublishReader } from '../codec/publish-reader.ts';
import { readPacket } from '../codec/read-packet.ts';
import type { Text } from '../codec/text.ts';
import type { Connection } from '../connection/connection.ts';
import { ProtocolError } from '../errors.ts';
import type { Session } from '../session/session.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { Effects } from './effects.ts';
import type { InboundPublish } from './inbound-publish.ts';
import { onPuback, onPubcomp, onPubrec, onPubrel, onRequestAck } from './inbound-acks.ts';

const PUBLISH = 3;
const PUBACK = 4;
const PUBREC = 5;
const PUBREL = 6;
const PUBCOMP = 7;
/** CONNACK; DISCONNECT and AUTH break other statements, and are refused by those. */
const BEFORE_CONNACK: readonly number[] = [2, 14, 15];

/** What follows from a packet: `turn`, the application gets a turn; `acknowledged`, the window has moved. */
export type PacketResult = 'nothing' | 'turn' | 'acknowledged';

/** What a packet asks of the engine beyond what was done with it here. */
export type Outcome = PacketResult | 'answered' | 'pingresp' | DisconnectPacket;

/** Reads packets; holds the readers, so that nothing is allocated per packet. */
export class PacketDispatch {
  readonly #session: Session;
  readonly #inboundPublish: InboundPublish;
  readonly #acknowledgements: Acknowledgements;
  readonly #effects: Pick<Effects, 'changed'>;
  readonly #publish: PublishReader;
  readonly #ack = new AckReader();

  constructor(
    session: Session,
    inboundPublish: InboundPublish,
    acknowledgements: Acknowledgements,
    text: Text,
    effects: Pick<Effects, 'changed'>,
  ) {
    this.#effects = effects;
    this.#session = session;
    this.#inboundPublish = inboundPublish;
    this.#acknowledgements = acknowledgements;
    this.#publish = new PublishReader(text);
  }

  /** The packet the framer stands at, on a connection that was accepted. */
  packet(connection: Connection): Outcome {
    const { framer, protocolVersion } = connection;
    connection.traffic.packetsReceived++;
    const { bytes, header, start, end } = framer;
    const type = header >> 4;
    if (type === PUBLISH) {
      this.#publish.read(bytes, header, start, end, protocolVersion);
      const result = this.#inboundPublish.receive(connection, this.#publish);
      this.#publish.release();
      return result;
    }
    if (type < PUBACK || type > PUBCOMP) return this.#cold(connection);
    const ack = this.#ack;
    ack.read(bytes, header, start, end, protocolVersion);
    if (connection.withoutProblemInformation) checkPlain(ack.properties);
    switch (type) {
      case PUBACK:
        return onPuback(this.#session, connection, ack, this.#effects) ? 'acknowledged' : 'nothing';
      case PUBREC:
        return onPubrec(this.#session, connection, ack) ? 'acknowledged' : 'nothing';
      case PUBREL:
        onPubrel(this.#session.incoming, connection, ack.packetId, this.#acknowledgements);
        return 'nothing';
      default:
        return onPubcomp(this.#session, connection, ack) ? 'acknowledged' : 'nothing';
    }
  }

  /** What has begun to arrive is refused by its first byte: a server of another protocol may never send the rest. */
  checkPendingHeader(connection: Connection): void {
    const header = connection.framer.pendingHeader;
    if (header < 0) return;
    if (connection.negotiated === undefined && !BEFORE_CONNACK.includes(header >> 4))
      throw new ProtocolError(`a packet of type ${header >> 4} before CONNACK`, 'MQTT-3.2.0-1', 0x82);
    checkHeader(header, connection.protocolVersion, 'client');
  }

  /** The packet the framer stands at, on a connection that awaits its CONNACK [MQTT-3.2.0-1]. */
  connack(connection: Connection): ConnackPacket {
    connection.traffic.packetsReceived++;
    const packet = readPacket(connection.framer, connection.protocolVersion, 'client');
    if (packet.type === 'connack') return packet;
    const statement = packet.type === 'disconnect' ? 'MQTT-3.14.0-1' : 'MQTT-3.2.0-1';
    throw new ProtocolError(`${packet.type} before CONNACK`, statement, 0x82);
  }

  #cold(connection: Connection): Outcome {
    const packet = readPacket(connection.framer, connection.protocolVersion, 'client');
    switch (packet.type) {
      case 'suback':
      case 'unsuback':
        if (connection.withoutProblemInformation) checkPlain(packet.properties);
        onRequestAck(this.#session, packet, connection.protocolVersion);
        return 'answered';
      case 'pingresp':
        return 'pingresp';
      case 'disconnect':
        return packet;
      case 'connack':
        throw new ProtocolError('a second CONNACK', 'MQTT-3.2.0-2', 0x82);
      case 'auth':
        throw new ProtocolError('AUTH without Authentication Method in CONNECT', 'MQTT-4.12.0-6', 0x82);
      case 'connect':
      case 'publish':
      case 'puback':
      case 'pubrec':
      case 'pubrel':
      case 'pubcomp':
      case 'subscribe':
      case 'unsubscribe':
      case 'pingreq':
      default:
        throw new ProtocolError(`${packet.type} from a server`, '2.1.2', 0x82);
    }
  }
}

/** [MQTT-3.1.2-29] "the Server MUST NOT send a Reason String or User Properties" where they were not asked for. */
function checkPlain(properties: AckProperties): void {
  if (properties.reasonString === undefined && properties.userProperties === undefined) return;
  throw new ProtocolError('Reason String or User Property though none were asked for', 'MQTT-3.1.2-29', 0x82);
}
