import { copyOf } from '../bytes.ts';
import type { AckProperties, PublishProperties, QoS } from '../codec/packets.ts';
import { portableText } from '../codec/text.ts';
import type { OutgoingPublish } from '../codec/publish-writer.ts';
import type { MqttError } from '../errors.ts';

/** The length of a text that nobody has asked for. */
const UNCOUNTED = -1;

/** How far a message of ours has come (4.3). */
export const Stage = {
  /** In the queue, or not yet handed over. */ Waiting: 0,
  /** PUBLISH written: PUBACK (QoS 1) or PUBREC (QoS 2) is awaited; QoS 0: its bytes are being written. */ Published: 1,
  /** PUBREC received: PUBCOMP is awaited. The PUBLISH is never sent again [MQTT-4.3.3-6]. */ Released: 2,
  /** Acknowledged, given up or withdrawn. */ Over: 3,
  /** Before the queue, which has no room for it yet. */ AwaitingRoom: 4,
} as const;
export type Stage = (typeof Stage)[keyof typeof Stage];

/** Who waits for the end of an exchange. Called at most once, and must not call into the engine. */
export interface PublishWaiter {
  /** It is over; the reason code may be a refusal. */
  settled(reasonCode: number, properties: AckProperties): void;
  /** It will not be answered, or nobody may wait for the answer any longer. */
  failed(error: MqttError): void;
}

/** One message of ours from `publish()` to its last acknowledgement; it outlives Network Connections. */
export class Exchange implements OutgoingPublish {
  readonly topicName: string;
  payload: Uint8Array | string;
  readonly qos: QoS;
  readonly retain: boolean;
  properties: PublishProperties | undefined;

  /** Undefined once nobody waits any more. */
  waiter: PublishWaiter | undefined = undefined;
  stage: Stage = Stage.Waiting;
  /** 0 until it is first written, and again where the session was lost. */
  packetId = 0;
  /** Place in the order of calls, which is the order of first transmission (4.6). */
  publishOrder = 0;
  /** The Network Connection it was last written on, 0 = none: more than 0 makes a PUBLISH a duplicate. */
  connectionNumber = 0;
  /** When it was published, in ms. */
  calledAt = 0;
  /** When it was last written, in ms. */
  writtenAt = 0;
  /** Whether it was ever written: from then on nobody can know that it was not delivered. */
  written = false;
  /** A PUBREL for an orphaned Packet Identifier went out before its PUBLISH: the PUBCOMP for that ends nothing. */
  ignoresPubcomp = false;
  /** Connections that were lost right after it was sent. */
  losses = 0;
  /** Such losses with nothing else on the wire. */
  soloLosses = 0;
  /** Connections in a row that were closed because of it: it was unanswered for too long, or answered wrongly. */
  closures = 0;
  /** Bytes it holds while it waits in the queue. */
  queuedBytes = 0;
  /** Bytes of the payload as it was published; of text, once they have been counted. */
  #payloadBytes: number;

  /** Neighbours in the list of its stage; kept by `Outgoing` alone. */
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
    this.#payloadBytes = typeof payload === 'string' ? UNCOUNTED : payload.length;
  }

  get payloadBytes(): number {
    if (this.#payloadBytes === UNCOUNTED && typeof this.payload === 'string')
      this.#payloadBytes = portableText.byteLength(this.payload);
    return this.#payloadBytes;
  }

  /** Whether the payload is still what was published: its owner may have transferred or resized its memory. */
  get isIntact(): boolean {
    return typeof this.payload === 'string' || this.payload.length === this.#payloadBytes;
  }

  settle(reasonCode: number, properties: AckProperties): void {
    const { waiter } = this;
    this.waiter = undefined;
    this.stage = Stage.Over;
    this.dropPayload();
    waiter?.settled(reasonCode, properties);
  }

  /**
   * The payload is the caller's again, and the message goes on: it has a copy from now on. Returns false where there is
   * nothing left to copy.
   */
  copyPayload(): boolean {
    if (!this.isIntact) return false;
    if (typeof this.payload !== 'string') this.payload = copyOf(this.payload);
    return true;
  }

  /** It is over: a reference to it no longer keeps its payload in memory. */
  dropPayload(): void {
    this.payload = '';
  }

  /**
   * Takes what it has waited off its Message Expiry Interval (3.3.2.3.3), in whole seconds. Returns whether nothing is
   * left. What was written once does not expire any more [MQTT-4.3.3-7].
   */
  expires(now: number): boolean {
    const interval = this.properties?.messageExpiryInterval;
    if (interval === undefined || this.written) return false;
    const waited = Math.floor((now - this.calledAt) / 1_000);
    if (waited === 0) return false;
    this.properties = { ...this.properties, messageExpiryInterval: Math.max(0, interval - waited) };
    return waited >= interval;
  }

  /** It goes on under its whole topic alone. */
  dropTopicAlias(): void {
    const { topicAlias: _, ...others } = this.properties ?? {};
    this.properties = others;
  }

  /** It is over without an answer. */
  end(error: MqttError): void {
    this.stage = Stage.Over;
    this.dropPayload();
    this.fail(error);
  }

  /** Tells who waits. The exchange itself may go on; `stage` is the caller's to change. */
  fail(error: MqttError): void {
    const { waiter } = this;
    this.waiter = undefined;
    waiter?.failed(error);
  }
}
