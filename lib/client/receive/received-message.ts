import { copyOf } from '../../bytes.ts';
import type { PublishProperties, QoS } from '../../codec/packets.ts';
import type { PublishReader } from '../../codec/publish-reader.ts';
import { readLossy } from '../../codec/text.ts';
import type { Receipt } from '../../session/incoming.ts';
import type { Message } from './message.ts';
import type { PayloadRetention } from './payload-retention.ts';

/** Passes on what becomes of QoS 1 and 2 messages. */
export interface Settler {
  settle(receipt: Receipt, reasonCode: number): void;
  /** The application may not settle the message for long: it is skipped once an acknowledgement behind it waits. */
  markSkippable(receipt: Receipt): void;
  /** The application has not taken the message for long: in addition, it does not count against `receiveMaximum`. */
  markStalled(receipt: Receipt): void;
  /** The application will never settle the message: the server sends it again. */
  abandon(receipt: Receipt): void;
  /** Whether a failing Reason Code can be sent: only 5.0 has one. */
  readonly canReject: boolean;
}

/** The fields of a PUBLISH that become a message. `bytes`: the memory its payload points into, if it may be copied out. */
export type PublishFields = Pick<
  PublishReader,
  'topic' | 'qos' | 'retain' | 'duplicate' | 'properties' | 'propertiesSize'
> & { readonly bytes: Uint8Array | undefined };

/** The Reason Codes of PUBACK and PUBREC that a client may send [MQTT-3.4.2-1]. */
const REJECTIONS = new Set([0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);

/**
 * One Application Message as one subscription gets it. Made once per PUBLISH, when it is delivered; further
 * subscriptions get copies.
 */
export class ReceivedMessage implements Message {
  readonly topic: string;
  payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  duplicate: boolean;
  readonly properties: PublishProperties;
  /** About the bytes that the properties take in memory. */
  readonly propertiesSize: number;
  /** The memory that `payload` points into; undefined once the payload was copied out of it. */
  #bytes: Uint8Array | undefined;
  /** What it is acknowledged with; undefined: nothing is owed; null: it was settled by the application. */
  #receipt: Receipt | undefined | null;
  readonly #settler: Settler;

  constructor(publish: PublishFields, payload: Uint8Array, receipt: Receipt | undefined, settler: Settler) {
    this.topic = publish.topic;
    this.payload = payload;
    this.qos = publish.qos;
    this.retain = publish.retain;
    this.duplicate = publish.duplicate;
    this.properties = publish.properties;
    this.propertiesSize = publish.propertiesSize;
    this.#bytes = publish.bytes;
    this.#receipt = receipt;
    this.#settler = settler;
  }

  text(): string {
    return readLossy(this.payload, 0, this.payload.length);
  }

  json<T = unknown>(): T {
    return JSON.parse(this.text()) as T;
  }

  copy(): Uint8Array {
    return copyOf(this.payload);
  }

  ack(): void {
    this.#settle(0);
  }

  reject(reasonCode: number): void {
    if (!REJECTIONS.has(reasonCode))
      throw new RangeError(
        `reasonCode: expected 0x80, 0x83, 0x87, 0x90, 0x91, 0x97 or 0x99, got ${reasonCode}`,
      );
    if (this.qos > 0 && !this.#settler.canReject)
      throw new TypeError('reject: expected MQTT 5.0, as 3.1 and 3.1.1 cannot refuse a message');
    this.#settle(reasonCode);
  }

  /** Bytes of topic, properties and payload. */
  get size(): number {
    return this.topic.length + this.propertiesSize + this.payload.length;
  }

  get bytes(): Uint8Array | undefined {
    return this.#bytes;
  }

  /** What it will be acknowledged with; undefined with QoS 0, and once it is settled or released. */
  get receipt(): Receipt | undefined {
    return this.#receipt ?? undefined;
  }

  /** Whether it is still to be settled; never with QoS 0. */
  get unsettled(): boolean {
    return this.receipt !== undefined;
  }

  /** Whether the application has said that it is processed, whatever its QoS. */
  get isDone(): boolean {
    return this.#receipt === null;
  }

  /** It waits from now on: `retention` decides whether its payload is copied. */
  keepPayload(retention: PayloadRetention): void {
    const { payload } = this;
    if (this.#bytes === undefined) return;
    const kept = retention.retain(payload, this.#bytes);
    if (kept === payload) return;
    this.payload = kept;
    this.#bytes = undefined;
    const { receipt } = this;
    if (receipt !== undefined) receipt.payload = kept;
  }

  markSkippable(): void {
    const { receipt } = this;
    if (receipt !== undefined) this.#settler.markSkippable(receipt);
  }

  markStalled(): void {
    const { receipt } = this;
    if (receipt !== undefined) this.#settler.markStalled(receipt);
  }

  abandon(): void {
    const receipt = this.release();
    if (receipt !== undefined) this.#settler.abandon(receipt);
  }

  /** It is acknowledged without the application. Returns its receipt, if it was unsettled. */
  release(): Receipt | undefined {
    const { receipt } = this;
    if (receipt !== undefined) this.#receipt = undefined;
    return receipt;
  }

  copyFor(receipt: Receipt | undefined): ReceivedMessage {
    return new ReceivedMessage(this, this.payload, receipt, this.#settler);
  }

  /** The same message for the next consumer, after a loop ended with it in hand. */
  again(): ReceivedMessage {
    const again = this.copyFor(this.release());
    again.duplicate = true;
    return again;
  }

  #settle(reasonCode: number): void {
    const { receipt } = this;
    this.#receipt = null;
    if (receipt !== undefined) this.#settler.settle(receipt, reasonCode);
  }
}
