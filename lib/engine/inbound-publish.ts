import { violation } from '../codec/errors.ts';
import type { PublishReader } from '../codec/publish-reader.ts';
import type { Connection } from '../connection/connection.ts';
import { Arrival, type Incoming, type Receipt } from '../session/incoming.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { EngineContext } from './engine-context.ts';
import { isFull, isUnclaimed, type Delivery } from './delivery.ts';
import type { Effects } from './effects.ts';
import { type FlowControl, isAcknowledged } from './flow-control.ts';
import type { EngineOptions } from './options.ts';

const NOTHING = new Uint8Array(0);

/** Handles PUBLISH: delivers the message, or recognises one that was sent again. */
export class InboundPublish {
  readonly #incoming: Incoming;
  readonly #acknowledgements: Acknowledgements;
  readonly #flow: FlowControl;
  readonly #effects: Effects;
  readonly #options: EngineOptions;
  #exceededOn = 0;

  constructor(context: EngineContext, acknowledgements: Acknowledgements, flow: FlowControl) {
    this.#incoming = context.session.incoming;
    ({ effects: this.#effects, options: this.#options } = context);
    this.#acknowledgements = acknowledgements;
    this.#flow = flow;
  }

  /** The number of the last connection on which the server exceeded Receive Maximum (5.0); 0 = none. */
  get exceededOn(): number {
    return this.#exceededOn;
  }

  /** hot: handles the PUBLISH in `publish`. `turn`: the application gets a turn before more is read. */
  receive(connection: Connection, publish: PublishReader): 'nothing' | 'turn' {
    const { topicAlias } = publish;
    if (topicAlias > 0) publish.resolveTopicAlias(connection.aliases.receive(topicAlias, publish.topic));
    // The payload is a view into these bytes.
    connection.framer.retain();
    if (publish.qos === 0) return isFull(this.#effects.deliver(publish, undefined)) ? 'turn' : 'nothing';
    const known = this.#incoming.get(publish.packetId);
    if (known !== undefined && this.#isRepeated(known, connection, publish)) return 'nothing';
    if (this.#flow.abandons()) return 'nothing';
    const size = sizeOf(publish);
    const isReleased = this.#flow.releases(size);
    // A released message keeps no memory while its acknowledgement waits for its turn.
    const receipt = isReleased
      ? this.#incoming.open(publish, NOTHING, 0)
      : this.#incoming.open(publish, publish.payload(), size);
    if (connection.protocolVersion === 5 && this.#incoming.outstanding > this.#options.receiveMaximum)
      this.#exceeded(connection);
    const delivery = isReleased ? this.#overflow(publish) : this.#effects.deliver(publish, receipt);
    if (isUnclaimed(delivery)) {
      this.#incoming.release(receipt);
      this.#acknowledgements.answer(receipt, connection.keepAlive.receivedAt);
    }
    return isFull(delivery) ? 'turn' : 'nothing';
  }

  #overflow({ topic }: PublishReader): Delivery {
    this.#effects.overflowed(topic);
    return 'acknowledge';
  }

  /** Whether the application has or had this message: then it is answered again, and not delivered twice. */
  #isRepeated(known: Receipt, connection: Connection, publish: PublishReader): boolean {
    const incoming = this.#incoming;
    const same = publish.duplicate && known.topicName === publish.topic && equal(known.payload, publish);
    const arrival = incoming.classify(known, publish.qos, publish.duplicate, same);
    if (arrival === Arrival.IdentifierInUse)
      throw violation(`Packet Identifier ${publish.packetId} is in use`, 'MQTT-2.2.1-4');
    if (arrival === Arrival.New) return false;
    if (arrival === Arrival.Redelivery) incoming.matchRedelivery(known);
    else incoming.resendPubrec(known);
    this.#acknowledgements.answer(known, connection.keepAlive.receivedAt);
    return true;
  }

  /** Reading stops: the next packet shows whether the server has exceeded Receive Maximum. */
  stopped(connection: Connection): void {
    const { framer, protocolVersion } = connection;
    if (protocolVersion < 5 || this.#incoming.outstanding < this.#options.receiveMaximum) return;
    if (!framer.next()) return;
    if (isAcknowledged(framer.header)) this.#exceeded(connection);
    framer.putBack();
  }

  /**
   * [MQTT-3.3.4-9] A server that exceeds Receive Maximum is tolerated: reading stops at the same limit, so the excess
   * costs nothing.
   */
  #exceeded(connection: Connection): void {
    connection.traffic.beyondReceiveMaximum++;
    this.#exceededOn = connection.connectionNumber;
    const { receiveMaximum } = this.#options;
    const what = `the server exceeds Receive Maximum (${receiveMaximum}): the client stops reading instead`;
    tolerate(connection, what, this.#effects);
  }
}

/** Reports, once per connection, that the server breaks the protocol in a way that is tolerated. */
export function tolerate(connection: Connection, what: string, effects: Pick<Effects, 'changed'>): void {
  if (connection.tolerated.includes(what)) return;
  connection.tolerated = [...connection.tolerated, what];
  effects.changed({ type: 'tolerated', what });
}

/** Bytes of topic, properties and payload. */
function sizeOf({ topic, propertiesSize, payloadStart, payloadEnd }: PublishReader): number {
  return topic.length + propertiesSize + payloadEnd - payloadStart;
}

function equal(payload: Uint8Array, publish: PublishReader): boolean {
  const length = publish.payloadEnd - publish.payloadStart;
  if (payload.length !== length) return false;
  for (let i = 0; i < length; i++) if (payload[i] !== publish.bytes[publish.payloadStart + i]) return false;
  return true;
}
