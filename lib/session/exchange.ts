import { copyOf } from '../bytes.ts';
import type { AckProperties, PublishProperties, QoS } from '../codec/packets.ts';
import { portableText } from '../codec/text.ts';
import type { OutgoingPublish } from '../codec/publish-writer.ts';
import type { MqttError } from '../errors.ts';
import type { Linked } from './linked-list.ts';
import type { Segment } from './segment.ts';

/** The length of a string payload is computed when it is first needed. */
const NOT_COMPUTED = -1;

/** Where a published message is on its way (4.3). */
export const Stage = {
  /** In the queue, or not yet published. */ Waiting: 0,
  /** PUBLISH written: PUBACK (QoS 1) or PUBREC (QoS 2) is awaited; QoS 0: its bytes are being written. */ Published: 1,
  /** PUBREC was received: PUBCOMP is awaited. The PUBLISH is never sent again [MQTT-4.3.3-6]. */ Released: 2,
  /** Acknowledged, given up or withdrawn. */ Over: 3,
  /** Waits for room in the queue. */ AwaitingRoom: 4,
  /** Waits until the store has it, or its Packet Identifier. */ Storing: 5,
  /** Waits in the store alone, behind those in the queue. */ Stored: 6,
} as const;
export type Stage = (typeof Stage)[keyof typeof Stage];

/** A time at which packets were written on a Network Connection: one object for all of them. */
export interface Transmission {
  readonly connectionNumber: number;
  /** In ms. */
  readonly at: number;
}

/** Of a message that was never written. */
const NEVER: Transmission = { connectionNumber: 0, at: 0 };
/** Of a message that was written in a session that the server has lost, or by an earlier process: it is on no connection. */
const LOST: Transmission = { connectionNumber: 0, at: 0 };

/** Waits for the end of an exchange. Called at most once, and must not call into the engine. */
export interface PublishWaiter {
  /** The message was acknowledged. The Reason Code may be a refusal. */
  settled(reasonCode: number, properties: AckProperties): void;
  /** The message will not be acknowledged, or the client has ended. */
  failed(error: MqttError): void;
  /** The store has the message. Returns whether that is all that was waited for: it is not called again then. */
  stored(): 'done' | 'waits';
}

/** One published message, from `publish()` to its last acknowledgement. It outlives Network Connections. */
export class Exchange implements OutgoingPublish, Linked<Exchange> {
  readonly topicName: string;
  payload: Uint8Array | string;
  readonly qos: QoS;
  readonly retain: boolean;
  properties: PublishProperties | undefined;

  /** Undefined once the caller no longer waits. */
  waiter: PublishWaiter | undefined = undefined;
  stage: Stage = Stage.Waiting;
  /** 0 until it is first written, and again after the session was lost. */
  packetId = 0;
  /** Number in the order of calls, which is the order of first transmission (4.6). */
  publishOrder = 0;
  /** When it was last written, and on which connection. */
  transmission: Transmission = NEVER;
  /** When `publish()` was called, in ms. Only for a message that can expire. */
  calledAt = 0;
  /** A PUBREL for an orphaned Packet Identifier went out before its PUBLISH: the PUBCOMP for that ends nothing. */
  ignoresPubcomp = false;
  /** Bytes that it takes in the queue. */
  queuedBytes = 0;
  /** Where the store has it. */
  segment: Segment | undefined = undefined;
  /** Bytes of the payload when it was published. */
  #payloadBytes: number;

  /** Neighbours in the list of its stage. */
  previous: Exchange | undefined = undefined;
  next: Exchange | undefined = undefined;

  constructor(
    topicName: string,
    payload: Uint8Array | string,
    qos: QoS,
    retain: boolean,
    properties: PublishProperties | undefined,
  ) {
    this.topicName = topicName;
    this.payload = payload;
    this.qos = qos;
    this.retain = retain;
    this.properties = properties;
    this.#payloadBytes = typeof payload === 'string' ? NOT_COMPUTED : payload.length;
  }

  get payloadBytes(): number {
    if (this.#payloadBytes === NOT_COMPUTED && typeof this.payload === 'string')
      this.#payloadBytes = portableText.byteLength(this.payload);
    return this.#payloadBytes;
  }

  /** Whether the payload still has its length: its owner may have transferred or resized the memory. */
  get isIntact(): boolean {
    return typeof this.payload === 'string' || this.payload.length === this.#payloadBytes;
  }

  /** Whether it has a Message Expiry Interval (3.3.2.3.3). */
  get canExpire(): boolean {
    return this.properties?.messageExpiryInterval !== undefined;
  }

  /** Whether it was ever written: from then on its delivery is unknown until it is acknowledged. */
  get written(): boolean {
    return this.transmission !== NEVER;
  }

  /** The Network Connection it was last written on; 0 = none. Above 0, the next PUBLISH is a duplicate. */
  get connectionNumber(): number {
    return this.transmission.connectionNumber;
  }

  /** When it was last written, in ms. */
  get writtenAt(): number {
    return this.transmission.at;
  }

  /** What is known of its delivery before it is acknowledged. */
  get delivery(): 'unknown' | 'not-sent' {
    return this.written ? 'unknown' : 'not-sent';
  }

  /** The server has lost the session: the message is published as a new one. */
  startOver(): void {
    this.packetId = 0;
    this.ignoresPubcomp = false;
    this.stage = Stage.Waiting;
    this.segment?.startedOver(this);
    if (this.written) this.transmission = LOST;
  }

  settle(reasonCode: number, properties: AckProperties): void {
    const { waiter } = this;
    this.waiter = undefined;
    this.stage = Stage.Over;
    this.leaveStore();
    this.dropPayload();
    waiter?.settled(reasonCode, properties); // fault: refusal
  }

  /** The caller gets its payload back while the message goes on with a copy. Returns false if the payload is gone. */
  copyPayload(): boolean {
    if (!this.isIntact) return false;
    if (typeof this.payload !== 'string') this.payload = copyOf(this.payload); // fault: copy-payload
    return true;
  }

  /** The exchange is over: a restarted process does not send it again. */
  leaveStore(): void {
    this.segment?.ended(this); // fault: kept-record
    this.segment = undefined;
  }

  /** The payload is the same bytes in other memory. */
  usePayload(payload: Uint8Array): void {
    this.payload = payload;
    this.#payloadBytes = payload.length;
  }

  /** It was written by an earlier process, in a session that the server may still have. */
  recover(packetId: number): void {
    this.packetId = packetId;
    this.transmission = LOST;
  }

  /** The exchange is over: it no longer keeps its payload in memory. */
  dropPayload(): void {
    this.payload = '';
  }

  /**
   * Subtracts the time it has waited from its Message Expiry Interval (3.3.2.3.3), in whole seconds. Returns whether
   * nothing is left. A message that was written no longer expires [MQTT-4.3.3-7].
   */
  expires(now: number): boolean {
    const interval = this.properties?.messageExpiryInterval;
    if (interval === undefined || this.written) return false;
    const waited = Math.floor((now - this.calledAt) / 1_000);
    if (waited === 0) return false;
    this.properties = { ...this.properties, messageExpiryInterval: Math.max(0, interval - waited) };
    return waited >= interval;
  }

  /** The message goes on with its Topic Name alone. */
  dropTopicAlias(): void {
    const { topicAlias: _, ...others } = this.properties ?? {};
    this.properties = others;
  }

  /** The exchange is over without an acknowledgement. */
  end(error: MqttError): void {
    this.stage = Stage.Over;
    this.leaveStore();
    this.dropPayload();
    this.fail(error);
  }

  /** Tells the waiter. The exchange may go on: `stage` does not change. */
  fail(error: MqttError): void {
    const { waiter } = this;
    this.waiter = undefined;
    waiter?.failed(error);
  }
}
