import { PublishWriter, type OutgoingPublish } from '../codec/publish-writer.ts';
import type { Text } from '../codec/text.ts';
import type { Connection } from '../connection/connection.ts';
import { PublishError } from '../errors.ts';
import { COPY_LIMIT } from './payload-references.ts';

/**
 * Bytes of a payload that are handed to the transport at once. On a slow link a large payload takes longer than Keep
 * Alive; each slice that has left shows that the connection is alive.
 */
export const SLICE = 262_144;

const REFUSALS: Readonly<Record<number, string>> = {
  0x94: 'its Topic Alias is above the Topic Alias Maximum of the server',
  0x95: 'its packet is larger than the Maximum Packet Size of the server',
  0x9a: 'the server does not support retained messages',
  0x9b: 'its QoS is above the Maximum QoS of the server',
};

/** Writes PUBLISH into the output, within the limits of the server. */
export class PublishOutput {
  readonly #writer: PublishWriter;
  readonly #text: Text;

  constructor(text: Text) {
    this.#text = text;
    this.#writer = new PublishWriter(text);
  }

  /**
   * hot: writes one PUBLISH and returns 0. If the server does not take such a message, it writes nothing and returns the
   * Reason Code that the server would answer with.
   */
  write(connection: Connection, message: OutgoingPublish, packetId: number, duplicate: boolean): number {
    const { negotiated, outbox } = connection;
    if (negotiated === undefined) return 0x80;
    // [MQTT-3.2.2-11], [MQTT-3.2.2-14]
    if (message.qos > negotiated.maximumQoS) return 0x9b;
    if (message.retain && !negotiated.retainAvailable) return 0x9a;
    let { topicName } = message;
    const alias = message.properties?.topicAlias;
    if (alias !== undefined) {
      if (alias > connection.aliases.outgoingMaximum) return 0x94;
      if (connection.aliases.isKnown(alias, topicName)) topicName = '';
    }
    const size = this.#writer.measure(message, topicName, negotiated.protocolVersion);
    // [MQTT-3.2.2-15]
    if (size > negotiated.maximumPacketSize) return 0x95;
    if (alias !== undefined) connection.aliases.noteSent(alias, message.topicName);
    connection.traffic.packetsSent++;
    if (this.#writer.payloadLength <= COPY_LIMIT) {
      outbox.reserve(size);
      outbox.at = this.#writer.write(outbox.bytes, outbox.at, message, packetId, duplicate);
    } else {
      const header = new Uint8Array(size - this.#writer.payloadLength);
      this.#writer.writeHeader(header, 0, message, packetId, duplicate);
      outbox.appendByReference(header, this.#payload(message, this.#writer.payloadLength), SLICE);
    }
    return 0;
  }

  /** Whether the payload of `message` is passed by reference, so that it must not change before it has left. */
  passesByReference({ payload }: OutgoingPublish): boolean {
    if (typeof payload !== 'string') return payload.byteLength > COPY_LIMIT;
    // No character takes more than three bytes per UTF-16 unit: most strings need no counting.
    return payload.length * 3 > COPY_LIMIT && this.#text.byteLength(payload) > COPY_LIMIT;
  }

  #payload({ payload }: OutgoingPublish, length: number): Uint8Array {
    if (typeof payload !== 'string') return payload;
    const bytes = new Uint8Array(length);
    this.#text.write(payload, bytes, 0);
    return bytes;
  }
}

/** Why a message that `write()` refused was not sent. */
export function refusal(reasonCode: number, written: boolean): PublishError {
  const why = REFUSALS[reasonCode] ?? 'the client is not connected';
  return new PublishError(`message not sent: ${why}`, reasonCode, {
    delivery: written ? 'unknown' : 'not-sent',
    kept: false,
  });
}
