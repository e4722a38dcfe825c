import { copyOf } from '../../bytes.ts';
import type { PublishProperties, QoS } from '../../codec/packets.ts';
import type { PublishReader } from '../../codec/publish-reader.ts';
import { readLossy } from '../../codec/text.ts';
import type { Receipt } from '../../session/incoming.ts';
import type { Message } from './message.ts';

/** Who takes the acknowledgement of a message. */
export interface Settler {
  settle(receipt: Receipt, reasonCode: number): void;
  /** The application may not come to it for long: it gives way where others wait. */
  markSkippable(receipt: Receipt): void;
  /** The application has not come to it for long: the same, and it does not count against `receiveMaximum`. */
  uncount(receipt: Receipt): void;
  /** The application will never come to it: it is the server's to send again. */
  abandon(receipt: Receipt): void;
  /** Whether a failing Reason Code can be sent: only 5.0 has one. */
  readonly canReject: boolean;
}

/** What a PUBLISH says of its message. */
export type MessageFields = Pick<
  PublishReader,
  'qos' | 'retain' | 'duplicate' | 'properties' | 'propertiesSize'
>;

/** A PUBLISH as it was read; its fields may be overwritten by the next one. `bytes`: what its payload is a view into. */
export type ReceivedPublish = MessageFields & Pick<PublishReader, 'bytes' | 'payload'>;

/** The Reason Codes of PUBACK and PUBREC that a client may send [MQTT-3.4.2-1]. */
const REJECTIONS = new Set([0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);

/** One Application Message as one subscription gets it. */
export class ReceivedMessage implements Message {
  readonly topic: string;
  /**
   * A view into the memory the network was read into, not a copy: valid for as long as it is held and never
   * overwritten. Holding a small one keeps all of that memory alive: `copy()` is for those who keep messages.
   */
  readonly payload: Uint8Array;
  readonly qos: QoS;
  /** As received: 1 = a stored message, or as it was published with `retainAsPublished` (3.3.1.3). */
  readonly retain: boolean;
  /** It may have been here before (3.3.1.1). */
  readonly duplicate: boolean;
  /** 5.0; an empty frozen object otherwise. */
  readonly properties: PublishProperties;
  /** Bytes it holds: topic, properties and payload. @internal */
  readonly size: number;
  /** What it is to be acknowledged with; null once it was settled by hand or by its loop. */
  #receipt: Receipt | undefined | null;
  readonly #settler: Settler;

  /** @internal */
  constructor(
    fields: MessageFields,
    topic: string,
    payload: Uint8Array,
    receipt: Receipt | undefined,
    settler: Settler,
  ) {
    this.topic = topic;
    this.payload = payload;
    this.qos = fields.qos;
    this.retain = fields.retain;
    this.duplicate = fields.duplicate;
    this.properties = fields.properties;
    this.size = topic.length + fields.propertiesSize + payload.byteLength;
    this.#receipt = receipt;
    this.#settler = settler;
  }

  /** The payload as UTF-8 text; ill-formed parts are replaced by U+FFFD. */
  text(): string {
    return readLossy(this.payload, 0, this.payload.length);
  }

  /** The payload as JSON. Throws `SyntaxError` where it is not. */
  json<T = unknown>(): T {
    return JSON.parse(this.text()) as T;
  }

  /** The payload in memory of its own. */
  copy(): Uint8Array {
    return copyOf(this.payload);
  }

  /**
   * The message is processed: its acknowledgement goes out as soon as those before it have (4.6). The loop does the
   * same when it asks for the next message. Of no effect with QoS 0, and from the second time on.
   */
  ack(): void {
    this.#settle(0);
  }

  /**
   * Refuses the message (5.0): its PUBACK or PUBREC carries `reasonCode`, one of 0x80, 0x83, 0x87, 0x90, 0x91, 0x97,
   * 0x99. The server does not send it again. Throws a `TypeError` on 3.x, which has no such answer, and a `RangeError`
   * for another code. Of no effect with QoS 0, and once the message is settled.
   */
  reject(reasonCode: number): void {
    if (!REJECTIONS.has(reasonCode))
      throw new RangeError(
        `reasonCode: expected 0x80, 0x83, 0x87, 0x90, 0x91, 0x97 or 0x99, got ${reasonCode}`,
      );
    if (this.qos > 0 && !this.#settler.canReject)
      throw new TypeError('reject: expected MQTT 5.0, as 3.1 and 3.1.1 cannot refuse a message');
    this.#settle(reasonCode);
  }

  /** Whether nobody has settled it yet; never with QoS 0. @internal */
  get unsettled(): boolean {
    return this.#owed !== undefined;
  }

  /** Whether who has it in hand has said that it is processed, whatever its QoS. @internal */
  get isDone(): boolean {
    return this.#receipt === null;
  }

  /** Whether it is a copy of what `receipt` stands for. @internal */
  isOf(receipt: Receipt): boolean {
    return this.#receipt === receipt;
  }

  /** Whether it is a copy of what any of `receipts` stands for. @internal */
  isAnyOf(receipts: ReadonlySet<Receipt>): boolean {
    const owed = this.#owed;
    return owed !== undefined && receipts.has(owed);
  }

  /** Nobody may settle it for long: it gives way where others wait, and can still be settled. @internal */
  markSkippable(): void {
    const owed = this.#owed;
    if (owed !== undefined) this.#settler.markSkippable(owed);
  }

  /** Nobody has settled it for long: it does not hold up others, nor count against `receiveMaximum`. @internal */
  uncount(): void {
    const owed = this.#owed;
    if (owed !== undefined) this.#settler.uncount(owed);
  }

  /** Nobody here will settle it any more: the server sends it again. @internal */
  abandon(): void {
    const owed = this.release();
    if (owed !== undefined) this.#settler.abandon(owed);
  }

  /**
   * It is acknowledged, or about to be, whatever becomes of it here. Returns what it was to be acknowledged with.
   * @internal
   */
  release(): Receipt | undefined {
    const owed = this.#owed;
    if (owed !== undefined) this.#receipt = undefined;
    return owed;
  }

  /** The same message for the next who takes it up, after a loop ended with it in hand. @internal */
  again(): ReceivedMessage {
    const { qos, retain, properties, topic, payload } = this;
    const propertiesSize = this.size - topic.length - payload.byteLength;
    const fields = { qos, retain, duplicate: true, properties, propertiesSize };
    return new ReceivedMessage(fields, topic, payload, this.release(), this.#settler);
  }

  get #owed(): Receipt | undefined {
    return this.#receipt ?? undefined;
  }

  #settle(reasonCode: number): void {
    const owed = this.#owed;
    this.#receipt = null;
    if (owed !== undefined) this.#settler.settle(owed, reasonCode);
  }
}
