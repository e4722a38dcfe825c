import type { QoS } from '../codec/packets.ts';
import { IdentifierTable } from './identifier-table.ts';
import { Ring } from './ring.ts';

/** What has become of a QoS 1 or 2 message from the server. */
export const ReceiptState = {
  /** With the application. */ Unsettled: 0,
  /** The application is done; the acknowledgement waits for its turn or for the server to send again. */ Settled: 1,
  /** QoS 2: PUBREC sent, PUBREL awaited. */ Received: 2,
  /** Answered, or the identifier means another message now. */ Over: 3,
} as const;
export type ReceiptState = (typeof ReceiptState)[keyof typeof ReceiptState];

/** One QoS 1 or 2 message from the server until it is acknowledged. */
export class Receipt {
  readonly packetId: number;
  readonly qos: QoS;
  readonly topicName: string;
  /** To compare with what comes again; a copy of it may take its place. */
  payload: Uint8Array;
  /** The Network Connection on which the server sent it last: only there may it be acknowledged. */
  epoch: number;
  state: ReceiptState = ReceiptState.Unsettled;
  /** The Reason Code the acknowledgement will carry. */
  reasonCode = 0;
  /** How many copies the application holds: the message is settled when all of them are. */
  copies = 1;

  constructor(packetId: number, qos: QoS, topicName: string, payload: Uint8Array, epoch: number) {
    this.packetId = packetId;
    this.qos = qos;
    this.topicName = topicName;
    this.payload = payload;
    this.epoch = epoch;
  }

  /** Nobody is going to settle it: it is acknowledged as it comes. */
  waive(): void {
    this.copies = 0;
    this.state = ReceiptState.Settled;
  }
}

/** What is written as an answer. */
export interface Answers {
  puback(packetId: number, reasonCode: number): void;
  pubrec(packetId: number, reasonCode: number): void;
}

/** What an arriving PUBLISH is. */
export const Arrival = {
  /** A message to deliver. */ New: 0,
  /** The server sent again what the application still has, or finished meanwhile: not delivered twice. */ Tied: 1,
  /** QoS 2, answered with PUBREC before: answered again, not delivered twice [MQTT-4.3.3-10]. */ Repeated: 2,
  /** DUP 0 under an identifier that is in use on this connection: a Protocol Error [MQTT-2.2.1-4]. */ Clash: 3,
} as const;
export type Arrival = (typeof Arrival)[keyof typeof Arrival];

/**
 * What we received and have not fully acknowledged. Acknowledgements leave in the order of receipt, PUBACK and PUBREC
 * each [MQTT-4.6.0-2, MQTT-4.6.0-3]: two queues, released from the front. An acknowledgement belongs to one Network
 * Connection: the queues are emptied when it ends, the table lives on to recognise what is sent again.
 */
export class Incoming {
  readonly #table = new IdentifierTable<Receipt>();
  #pubacks = new Ring<Receipt>();
  #pubrecs = new Ring<Receipt>();
  #epoch = 0;
  #outstanding = 0;

  /** QoS > 0 messages of this connection without PUBACK, PUBCOMP or refusing PUBREC: what Receive Maximum counts. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Messages the application has not settled. */
  get unsettled(): number {
    let unsettled = 0;
    for (const receipt of this.#table.values()) if (receipt.state === ReceiptState.Unsettled) unsettled++;
    return unsettled;
  }

  /** What is known under a Packet Identifier of the server's. */
  get(packetId: number): Receipt | undefined {
    return this.#table.get(packetId);
  }

  /** What a PUBLISH with an identifier that `known` has is; `same`: topic and payload are those of `known`. */
  judge(known: Receipt, qos: QoS, duplicate: boolean, same: boolean): Arrival {
    if (known.state === ReceiptState.Received && qos === 2) return Arrival.Repeated;
    const again = duplicate && same && known.qos === qos;
    if (again) return Arrival.Tied;
    return known.epoch === this.#epoch && !duplicate ? Arrival.Clash : Arrival.New;
  }

  /** Enters a new message; whatever had its identifier is over. */
  open(packetId: number, qos: QoS, topicName: string, payload: Uint8Array): Receipt {
    const old = this.#table.get(packetId);
    if (old !== undefined) this.#forget(old);
    const receipt = new Receipt(packetId, qos, topicName, payload, this.#epoch);
    this.#table.set(receipt);
    this.#line(qos).push(receipt);
    this.#outstanding++;
    return receipt;
  }

  /** The server sent `receipt` again: on a new connection it takes its place in the order of receipt there. */
  tie(receipt: Receipt): void {
    if (receipt.epoch === this.#epoch) return;
    receipt.epoch = this.#epoch;
    this.#line(receipt.qos).push(receipt);
    this.#outstanding++;
  }

  /** QoS 2 that was answered with PUBREC came again: to be answered again, in its turn. */
  repeat(receipt: Receipt): void {
    if (receipt.epoch !== this.#epoch) {
      receipt.epoch = this.#epoch;
      this.#outstanding++;
    }
    this.#pubrecs.push(receipt);
  }

  /**
   * One copy is done. Returns whether acknowledgements may have become due. A refusal of any copy is the refusal of
   * the message.
   */
  settle(receipt: Receipt, reasonCode: number): boolean {
    if (receipt.state !== ReceiptState.Unsettled) return false;
    if (reasonCode > receipt.reasonCode) receipt.reasonCode = reasonCode;
    if (--receipt.copies > 0) return false;
    receipt.state = ReceiptState.Settled;
    return receipt.epoch === this.#epoch;
  }

  /** Writes every acknowledgement whose turn it is. */
  answer(answers: Answers): void {
    for (let head = this.#pubacks.peek(); head !== undefined; head = this.#pubacks.peek()) {
      if (head.state === ReceiptState.Unsettled) break;
      this.#pubacks.shift();
      if (head.state === ReceiptState.Settled) {
        answers.puback(head.packetId, head.reasonCode);
        this.#forget(head);
      }
    }
    for (let head = this.#pubrecs.peek(); head !== undefined; head = this.#pubrecs.peek()) {
      if (head.state === ReceiptState.Unsettled) break;
      this.#pubrecs.shift();
      if (head.state === ReceiptState.Over) continue;
      answers.pubrec(head.packetId, head.reasonCode);
      // A refused message is over, and its identifier names a new one next [MQTT-4.3.3-9].
      if (head.reasonCode >= 0x80) this.#forget(head);
      else head.state = ReceiptState.Received;
    }
  }

  /** PUBREL: the identifier is free again [MQTT-4.3.3-12]. Returns whether it was known. */
  release(packetId: number): boolean {
    const receipt = this.#table.get(packetId);
    if (receipt === undefined || receipt.qos !== 2) return false;
    this.#forget(receipt);
    return true;
  }

  /** A new Network Connection: nothing is owed on it yet. */
  connected(epoch: number): void {
    this.#epoch = epoch;
    this.#outstanding = 0;
    this.#pubacks = new Ring();
    this.#pubrecs = new Ring();
  }

  /**
   * Nobody here will settle what is unsettled any more: it is forgotten, so that the server's next attempt is a new
   * message for whoever is there then.
   */
  abandon(): void {
    for (const receipt of this.#table.values())
      if (receipt.state === ReceiptState.Unsettled) this.#forget(receipt);
  }

  /** The session is gone at the server: settling what came in it is of no effect any more. Returns how many. */
  discard(): number {
    const { unsettled } = this;
    for (const receipt of this.#table.values()) receipt.state = ReceiptState.Over;
    this.#table.clear();
    return unsettled;
  }

  #line(qos: QoS): Ring<Receipt> {
    return qos === 1 ? this.#pubacks : this.#pubrecs;
  }

  #forget(receipt: Receipt): void {
    receipt.state = ReceiptState.Over;
    if (this.#table.delete(receipt) && receipt.epoch === this.#epoch) this.#outstanding--;
  }
}
