import type { QoS } from '../codec/packets.ts';
import type { PublishReader } from '../codec/publish.ts';
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

/** The connectionNumber of nothing that was received. */
const BETWEEN_CONNECTIONS = -1;

/** The connectionNumber of no Network Connection: they count from 1. */
const NO_CONNECTION = 0;

/** What tells a PUBLISH from others. */
export type ReceivedPublish = Pick<PublishReader, 'packetId' | 'qos' | 'topic'>;

/** One QoS 1 or 2 message from the server until it is acknowledged. */
export class Receipt {
  readonly packetId: number;
  readonly qos: QoS;
  readonly topicName: string;
  /** To compare with what comes again; a copy of it may take its place. */
  payload: Uint8Array;
  /** The Network Connection on which the server sent it last: only there may it be acknowledged. */
  connectionNumber: number;
  state: ReceiptState = ReceiptState.Unsettled;
  /** The Reason Code the acknowledgement will carry. */
  reasonCode = 0;
  /** How many copies the application holds: the message is settled when all of them are. */
  copies = 1;
  /** Where it stands in the order of receipt on its connection. */
  place = 0;
  /** Whether it is passed over as soon as an acknowledgement behind it waits for it. */
  isSkippable = false;
  /** The connection on which it was passed over. */
  skippedOn: number = NO_CONNECTION;
  /** `aside`: the application has not come to it for long, so it does not count against `receiveMaximum`. */
  weight: 'counted' | 'uncounted' = 'counted';
  /** Bytes it holds: topic, properties and payload. */
  readonly size: number;

  constructor(publish: ReceivedPublish, payload: Uint8Array, size: number, connectionNumber: number) {
    this.packetId = publish.packetId;
    this.qos = publish.qos;
    this.topicName = publish.topic;
    this.payload = payload;
    this.connectionNumber = connectionNumber;
    this.size = size;
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
  /** The server sent again what the application still has, or finished meanwhile: not delivered twice. */ Redelivery: 1,
  /** QoS 2, answered with PUBREC before: answered again, not delivered twice [MQTT-4.3.3-10]. */ Repeated: 2,
  /** DUP 0 under an identifier that is in use on this connection: a Protocol Error [MQTT-2.2.1-4]. */ IdentifierInUse: 3,
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
  #connectionNumber = 0;
  #outstanding = 0;
  #unsettled = 0;
  #unsettledBytes = 0;
  #uncounted = 0;
  #skipped = 0;
  #skippedSettled = 0;
  #place = 0;

  /** QoS > 0 messages of this connection without PUBACK, PUBCOMP or refusing PUBREC: what Receive Maximum counts. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Messages the application has not settled. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** Their bytes of topic, properties and payload. */
  get unsettledBytes(): number {
    return this.#unsettledBytes;
  }

  /** Unsettled messages that count against `receiveMaximum`: those the application may still come to. */
  get counted(): number {
    return this.#unsettled - this.#uncounted;
  }

  /** Messages that are not acknowledged on this connection, though those behind them are. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Those of them that the application has settled since: the next connection can answer them. */
  get skippedSettled(): number {
    return this.#skippedSettled;
  }

  /** What is known under a Packet Identifier of the server's. */
  get(packetId: number): Receipt | undefined {
    return this.#table.get(packetId);
  }

  /** What a PUBLISH with an identifier that `known` has is; `same`: topic and payload are those of `known`. */
  classify(known: Receipt, qos: QoS, duplicate: boolean, same: boolean): Arrival {
    if (known.state === ReceiptState.Received && qos === 2) return Arrival.Repeated;
    const again = duplicate && same && known.qos === qos;
    if (again) return Arrival.Redelivery;
    return known.connectionNumber === this.#connectionNumber && !duplicate
      ? Arrival.IdentifierInUse
      : Arrival.New;
  }

  /** Enters a new message that holds `size` bytes. The message that had its identifier is over. */
  open(publish: ReceivedPublish, payload: Uint8Array, size: number): Receipt {
    const old = this.#table.get(publish.packetId);
    if (old !== undefined) this.#forget(old);
    const receipt = new Receipt(publish, payload, size, this.#connectionNumber);
    this.#table.set(receipt);
    this.#enqueue(receipt);
    this.#outstanding++;
    this.#unsettled++;
    this.#unsettledBytes += size;
    return receipt;
  }

  /** The server sent `receipt` again: on a new connection it takes its place in the order of receipt there. */
  matchRedelivery(receipt: Receipt): void {
    if (receipt.connectionNumber === this.#connectionNumber) return;
    // One that was passed over on this connection still has its place in the server's window.
    if (receipt.skippedOn === this.#connectionNumber) this.#takeBack(receipt);
    else this.#outstanding++;
    receipt.connectionNumber = this.#connectionNumber;
    this.#enqueue(receipt);
  }

  /** QoS 2 that was answered with PUBREC came again: to be answered again, in its turn. */
  resendPubrec(receipt: Receipt): void {
    if (receipt.connectionNumber !== this.#connectionNumber) {
      receipt.connectionNumber = this.#connectionNumber;
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
    this.#settled(receipt);
    return receipt.connectionNumber === this.#connectionNumber;
  }

  /** `receipt` is acknowledged without the application. */
  release(receipt: Receipt): void {
    if (receipt.state === ReceiptState.Unsettled) this.#settled(receipt);
  }

  /**
   * Not acknowledged on this connection, and no longer in the way of those behind it: an acknowledgement that is never
   * sent breaks no order. If it settles later, the answer goes out when the server sends the message again. Returns
   * whether it was in the way.
   */
  skip(receipt: Receipt): boolean {
    if (receipt.state !== ReceiptState.Unsettled || receipt.connectionNumber !== this.#connectionNumber)
      return false;
    receipt.connectionNumber = NO_CONNECTION;
    receipt.skippedOn = this.#connectionNumber;
    this.#skipped++;
    this.uncount(receipt);
    return true;
  }

  /** The application has not come to `receipt` for long: from now on it holds up no other message. */
  uncount(receipt: Receipt): void {
    if (receipt.state !== ReceiptState.Unsettled || receipt.weight === 'uncounted') return;
    receipt.weight = 'uncounted';
    this.#uncounted++;
  }

  /** The place of the message that came last. */
  get lastPlace(): number {
    return this.#place;
  }

  /** Messages up to `place` that an acknowledgement behind them waits for. */
  inTheWay(place: number): Receipt[] {
    return [...this.#inTheWay(this.#pubacks, place), ...this.#inTheWay(this.#pubrecs, place)];
  }

  /** Messages of this connection that the application has not settled, in the order they came. */
  unsettledOnConnection(): Receipt[] {
    return [...this.#pubacks, ...this.#pubrecs].filter((receipt) => this.#isAwaited(receipt));
  }

  /** The application will never settle `receipt`: forgotten, but for its place in the window of this connection. */
  abandon(receipt: Receipt): void {
    if (receipt.state !== ReceiptState.Unsettled) return;
    this.skip(receipt);
    this.#discount(receipt);
    receipt.state = ReceiptState.Over;
    this.#table.delete(receipt);
  }

  /** Writes every acknowledgement whose turn it is. */
  answer(answers: Answers): void {
    for (let head = this.#due(this.#pubacks); head !== undefined; head = this.#due(this.#pubacks)) {
      answers.puback(head.packetId, head.reasonCode);
      this.#forget(head);
    }
    for (let head = this.#due(this.#pubrecs); head !== undefined; head = this.#due(this.#pubrecs)) {
      answers.pubrec(head.packetId, head.reasonCode);
      // A refused message is over, and its identifier names a new one next [MQTT-4.3.3-9].
      if (head.reasonCode >= 0x80) this.#forget(head);
      else head.state = ReceiptState.Received;
    }
  }

  /** PUBREL: the identifier is free again [MQTT-4.3.3-12]. Returns whether it was known. */
  onPubrel(packetId: number): boolean {
    const receipt = this.#table.get(packetId);
    if (receipt === undefined || receipt.qos !== 2) return false;
    this.#forget(receipt);
    return true;
  }

  /** A new Network Connection: nothing is owed on it yet. */
  connected(connectionNumber: number): void {
    this.#connectionNumber = connectionNumber;
    this.#outstanding = 0;
    this.#skipped = 0;
    this.#skippedSettled = 0;
    this.#pubacks = new Ring();
    this.#pubrecs = new Ring();
  }

  /** The connection ended: nothing that came on it may be acknowledged any more. */
  connectionLost(): void {
    this.connected(BETWEEN_CONNECTIONS);
  }

  /**
   * Nobody here will settle what is unsettled any more: it is forgotten, so that the server's next attempt is a new
   * message for whoever is there then.
   */
  abandonAll(): void {
    for (const receipt of this.#table.values())
      if (receipt.state === ReceiptState.Unsettled) this.#forget(receipt);
  }

  /** The session is gone at the server: settling what came in it is of no effect any more. Returns how many. */
  discard(): number {
    const { unsettled } = this;
    for (const receipt of this.#table.values()) receipt.state = ReceiptState.Over;
    this.#table.clear();
    this.#unsettled = 0;
    this.#unsettledBytes = 0;
    this.#uncounted = 0;
    return unsettled;
  }

  #line(qos: QoS): Ring<Receipt> {
    return qos === 1 ? this.#pubacks : this.#pubrecs;
  }

  #enqueue(receipt: Receipt): void {
    receipt.place = ++this.#place;
    this.#line(receipt.qos).push(receipt);
  }

  #inTheWay(line: Ring<Receipt>, place: number): Receipt[] {
    const all = [...line];
    const last = all.findLastIndex((receipt) => receipt.state === ReceiptState.Settled);
    return all.filter((receipt, at) => at <= last && receipt.place <= place && this.#isAwaited(receipt));
  }

  /** Takes out of the line what is to be answered next, and before it all that is not to be answered here. */
  #due(line: Ring<Receipt>): Receipt | undefined {
    for (let head = line.peek(); head !== undefined; head = line.peek()) {
      if (this.#isAwaited(head)) {
        if (!head.isSkippable || !isWaitedFor(line)) return undefined;
        this.skip(head);
      }
      line.shift();
      if (head.state !== ReceiptState.Over && head.connectionNumber === this.#connectionNumber) return head;
    }
    return undefined;
  }

  #isAwaited(head: Receipt): boolean {
    return head.state === ReceiptState.Unsettled && head.connectionNumber === this.#connectionNumber;
  }

  #settled(receipt: Receipt): void {
    this.#discount(receipt);
    receipt.state = ReceiptState.Settled;
    if (receipt.skippedOn === this.#connectionNumber) this.#skippedSettled++;
  }

  /** `receipt` is unsettled no more. */
  #discount(receipt: Receipt): void {
    this.#unsettled--;
    this.#unsettledBytes -= receipt.size;
    if (receipt.weight === 'uncounted') this.#uncounted--;
  }

  /** A message that was passed over on this connection came again on it. */
  #takeBack(receipt: Receipt): void {
    receipt.skippedOn = NO_CONNECTION;
    this.#skipped--;
    if (receipt.state === ReceiptState.Settled) this.#skippedSettled--;
  }

  #forget(receipt: Receipt): void {
    if (receipt.state === ReceiptState.Unsettled) this.#discount(receipt);
    if (this.#table.delete(receipt)) {
      if (receipt.connectionNumber === this.#connectionNumber) this.#outstanding--;
      else if (receipt.skippedOn === this.#connectionNumber) {
        this.#takeBack(receipt);
        this.#outstanding--;
      }
    }
    receipt.state = ReceiptState.Over;
  }
}

/** Whether an acknowledgement waits behind the head of `line`. */
function isWaitedFor(line: Ring<Receipt>): boolean {
  for (const { state } of line) if (state === ReceiptState.Settled) return true;
  return false;
}
