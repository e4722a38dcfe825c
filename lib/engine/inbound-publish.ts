import type { PublishReader } from '../codec/publish-reader.ts';
import type { Connection } from '../connection/connection.ts';
import { ProtocolError } from '../errors.ts';
import { Arrival, type Incoming, type Receipt } from '../session/incoming.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { Delivered, Effects } from './effects.ts';
import { type FlowControl, isAcknowledged } from './flow-control.ts';
import { tolerate } from './inbound-acks.ts';
import type { EngineOptions } from './options.ts';

const NOTHING = new Uint8Array(0);

/** PUBLISH as it comes: delivered, or recognised as sent again. */
export class InboundPublish {
  readonly #incoming: Incoming;
  readonly #acknowledgements: Acknowledgements;
  readonly #flow: FlowControl;
  readonly #effects: Effects;
  readonly #options: EngineOptions;
  #exceededOn = 0;

  constructor(
    incoming: Incoming,
    acknowledgements: Acknowledgements,
    flow: FlowControl,
    effects: Effects,
    options: EngineOptions,
  ) {
    this.#incoming = incoming;
    this.#acknowledgements = acknowledgements;
    this.#flow = flow;
    this.#effects = effects;
    this.#options = options;
  }

  /** The last connection on which the server went beyond Receive Maximum (5.0); 0 = none. */
  get exceededOn(): number {
    return this.#exceededOn;
  }

  /** hot: the PUBLISH that `publish` has read. */
  receive(connection: Connection, publish: PublishReader): Delivered {
    const alias = publish.properties.topicAlias;
    const topicName = alias === undefined ? publish.topic : connection.aliases.receive(alias, publish.topic);
    // Whoever gets the message gets a view into these bytes.
    connection.framer.retain();
    if (publish.qos === 0) return this.#effects.deliver(publish, topicName, undefined);
    const known = this.#incoming.get(publish.packetId);
    if (known !== undefined && this.#isRepeated(known, connection, publish, topicName)) return 'delivered';
    if (this.#flow.abandons()) return 'delivered';
    const size = sizeOf(publish, topicName);
    const drops = this.#flow.drops(size);
    // A message that is dropped keeps no memory while its acknowledgement waits for its turn.
    const payload = drops ? NOTHING : publish.payload();
    const receipt = this.#incoming.open(publish.packetId, publish.qos, topicName, payload, drops ? 0 : size);
    if (connection.protocolVersion === 5 && this.#incoming.outstanding > this.#options.receiveMaximum)
      this.#exceeded(connection);
    let delivered: Delivered = 'delivered';
    if (drops) {
      receipt.release();
      this.#effects.overflowed(topicName);
    } else delivered = this.#effects.deliver(publish, topicName, receipt);
    if (receipt.copies === 0) {
      this.#incoming.release(receipt);
      this.#acknowledgements.answer(receipt, connection.keepAlive.receivedAt);
    }
    return delivered;
  }

  /** Whether the message is one that the application has, or has had: then it is answered, and not delivered twice. */
  #isRepeated(known: Receipt, connection: Connection, publish: PublishReader, topicName: string): boolean {
    const incoming = this.#incoming;
    const same = publish.duplicate && known.topicName === topicName && equal(known.payload, publish);
    const arrival = incoming.classify(known, publish.qos, publish.duplicate, same);
    if (arrival === Arrival.IdentifierInUse)
      throw new ProtocolError(`Packet Identifier ${publish.packetId} is in use`, 'MQTT-2.2.1-4', 0x82);
    if (arrival === Arrival.New) return false;
    if (arrival === Arrival.Redelivery) incoming.matchRedelivery(known);
    else incoming.resendPubrec(known);
    this.#acknowledgements.answer(known, connection.keepAlive.receivedAt);
    return true;
  }

  /** Reading stops: whether the server went beyond Receive Maximum shows by what has arrived and is not taken. */
  stopped(connection: Connection): void {
    const { framer, protocolVersion } = connection;
    if (protocolVersion < 5 || this.#incoming.outstanding < this.#options.receiveMaximum) return;
    if (!framer.next()) return;
    if (isAcknowledged(framer.header)) this.#exceeded(connection);
    framer.putBack();
  }

  /**
   * [MQTT-3.3.4-9] A server that sends more than it was told to is tolerated: reading stops at the same limit, so that
   * it costs nothing.
   */
  #exceeded(connection: Connection): void {
    connection.traffic.beyondReceiveMaximum++;
    this.#exceededOn = connection.connectionNumber;
    const { receiveMaximum } = this.#options;
    const what = `the server sends more than Receive Maximum (${receiveMaximum}) allows: it is held back by not reading`;
    tolerate(connection, what, this.#effects);
  }
}

/** What a message holds: topic, properties and payload, in bytes. */
function sizeOf(publish: PublishReader, topicName: string): number {
  return publish.payloadEnd - publish.payloadStart + publish.propertiesSize + topicName.length;
}

function equal(payload: Uint8Array, publish: PublishReader): boolean {
  const length = publish.payloadEnd - publish.payloadStart;
  if (payload.length !== length) return false;
  for (let i = 0; i < length; i++) if (payload[i] !== publish.bytes[publish.payloadStart + i]) return false;
  return true;
}
