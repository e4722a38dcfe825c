import type { QoS } from '../codec/packets.ts';
import type { PublishReader } from '../codec/publish-reader.ts';
import { IdentifierTable } from './identifier-table.ts';
import { Ring } from './ring.ts';

/** The state of a QoS 1 or 2 message from the server. */
export const ReceiptState = {
  /** With the application. */ Unsettled: 0,
  /** The application is done. The acknowledgement waits for its turn, or for the server to send again. */ Settled: 1,
  /** QoS 2: PUBREC was sent, PUBREL is awaited. */ Received: 2,
  /** Answered, or its identifier names another message now. */ Over: 3,
  /** QoS 2: the server sent it again after PUBREC, which waits for its turn. */ Repeated: 4,
} as const;
export type ReceiptState = (typeof ReceiptState)[keyof typeof ReceiptState];

/** A number that no receipt has: nothing may be acknowledged. */
const BETWEEN_CONNECTIONS = -1;

/** No Network Connection: their numbers start at 1. */
const NO_CONNECTION = 0;

const NOTHING = new Uint8Array(0);

/** The fields of a PUBLISH that a receipt keeps. */
export type ReceivedPublish = Pick<PublishReader, 'packetId' | 'qos' | 'topic'>;

/** A QoS 1 or 2 message from the server, until it is acknowledged. */
export class Receipt {
  readonly packetId: number;
  readonly qos: QoS;
  readonly topicName: string;
  /** To recognise the message when it is sent again. May be replaced by a copy. */
  payload: Uint8Array;
  /** The Network Connection on which the server last sent it, or none once it was skipped. It is acknowledged only there. */
  connectionNumber: number;
  state: ReceiptState = ReceiptState.Unsettled;
  /** The Reason Code the acknowledgement will carry. */
  reasonCode = 0;
  /** How many subscriptions have a copy. The message is settled when all of them have settled it. */
  copies = 1;
  /** Its place in the order of receipt. */
  place = 0;
  /** Whether it is skipped as soon as an acknowledgement behind it waits. */
  isSkippable = false;
  /** The connection on which it was skipped. */
  skippedOn: number = NO_CONNECTION;
  /** Whether it does not count against `receiveMaximum`: the application has not taken it for long, or it was skipped. */
  isStalled = false;
  /** Bytes of topic, properties and payload. */
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

/** Writes acknowledgements. */
export interface Answers {
  puback(packetId: number, reasonCode: number): void;
  /** Returns whether it was written. If not, a refusal is reported to `refused()` when it is. */
  pubrec(packetId: number, reasonCode: number): 'written' | 'waits';
}

/** How a PUBLISH relates to the message that has its identifier. */
export const Arrival = {
  /** A new message. */ New: 0,
  /** The same message, which the application has or has settled: not delivered twice. */ Redelivery: 1,
  /** QoS 2 that was answered with PUBREC: answered again, not delivered twice [MQTT-4.3.3-10]. */ Repeated: 2,
  /** DUP 0 with an identifier that is in use on this connection: a Protocol Error [MQTT-2.2.1-4]. */ IdentifierInUse: 3,
} as const;
export type Arrival = (typeof Arrival)[keyof typeof Arrival];

/**
 * QoS 1 and 2 messages from the server that are not fully acknowledged. PUBACK and PUBREC are each sent in the order of
 * receipt [MQTT-4.6.0-2, MQTT-4.6.0-3], from the front of two queues. An acknowledgement belongs to one Network
 * Connection, so the queues are emptied when it ends. The table stays, to recognise messages that are sent again.
 */
export class Incoming {
  readonly #table = new IdentifierTable<Receipt>();
  #pubacks = new Ring<Receipt>();
  #pubrecs = new Ring<Receipt>();
  #connectionNumber = 0;
  #outstanding = 0;
  #unsettled = 0;
  #unsettledBytes = 0;
  #stalled = 0;
  #skipped = 0;
  #skippedSettled = 0;
  #place = 0;

  /** Messages that count against Receive Maximum: of this connection, without PUBACK, PUBCOMP or a refusing PUBREC. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Messages that the application has not settled. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** Bytes of their topics, properties and payloads. */
  get unsettledBytes(): number {
    return this.#unsettledBytes;
  }

  /** Unsettled messages that count against `receiveMaximum`: those that are not stalled. */
  get counted(): number {
    return this.#unsettled - this.#stalled;
  }

  /** Messages skipped on this connection. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Skipped messages that are settled by now: the next connection can answer them. */
  get skippedSettled(): number {
    return this.#skippedSettled;
  }

  /** The message with a Packet Identifier of the server. */
  get(packetId: number): Receipt | undefined {
    return this.#table.get(packetId);
  }

  /** Relates a PUBLISH to `known`, which has its identifier. `same`: topic and payload are equal. */
  classify(known: Receipt, qos: QoS, duplicate: boolean, same: boolean): Arrival {
    const isAnswered = known.state === ReceiptState.Received || known.state === ReceiptState.Repeated;
    if (isAnswered && qos === 2) return Arrival.Repeated; // fault: repeated
    const again = duplicate && same && known.qos === qos;
    if (again) return Arrival.Redelivery; // fault: redelivery
    return known.connectionNumber === this.#connectionNumber && !duplicate
      ? Arrival.IdentifierInUse
      : Arrival.New;
  }

  /** Takes over a QoS 2 message that an earlier process has answered with PUBREC: it is not delivered again. */
  restoreReceived(packetId: number): void {
    const receipt = new Receipt({ packetId, qos: 2, topic: '' }, NOTHING, 0, NO_CONNECTION);
    receipt.state = ReceiptState.Received;
    this.#table.set(receipt);
  }

  /** Adds a new message of `size` bytes. An older message with its identifier is over. */
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

  /** The server sent `receipt` again. On a new connection it gets a new place in the order of receipt. */
  matchRedelivery(receipt: Receipt): void {
    if (receipt.connectionNumber === this.#connectionNumber) return;
    // A message that was skipped on this connection still has its place in the server's window.
    if (receipt.skippedOn === this.#connectionNumber) this.#unskip(receipt);
    else this.#outstanding++;
    receipt.connectionNumber = this.#connectionNumber;
    this.#enqueue(receipt); // fault: answer-again
  }

  /** The server sent QoS 2 again after PUBREC: PUBREC is sent again, in its turn. */
  resendPubrec(receipt: Receipt): void {
    const isHere = receipt.connectionNumber === this.#connectionNumber;
    // Its PUBREC waits already.
    if (isHere && receipt.state === ReceiptState.Repeated) return;
    if (!isHere) {
      receipt.connectionNumber = this.#connectionNumber;
      this.#outstanding++;
    }
    receipt.state = ReceiptState.Repeated;
    this.#pubrecs.push(receipt);
  }

  /**
   * One copy is settled. Returns whether acknowledgements may be due: not if other copies remain, or if the message did not
   * arrive on this connection. A refusal of any copy refuses the message.
   */
  settle(receipt: Receipt, reasonCode: number): boolean {
    if (receipt.state !== ReceiptState.Unsettled) return false;
    if (reasonCode > receipt.reasonCode) receipt.reasonCode = reasonCode;
    if (--receipt.copies > 0) return false;
    this.#settled(receipt);
    return receipt.connectionNumber === this.#connectionNumber;
  }

  /** Settles `receipt` without the application. */
  release(receipt: Receipt): void {
    if (receipt.state === ReceiptState.Unsettled) this.#settled(receipt);
  }

  /**
   * Does not acknowledge `receipt` on this connection, so that those behind it can be: an acknowledgement that is never
   * sent breaks no order. If it is settled later, it is answered when the server sends it again.
   */
  skip(receipt: Receipt): void {
    if (!this.#isUnsettledHere(receipt)) return;
    receipt.connectionNumber = NO_CONNECTION;
    receipt.skippedOn = this.#connectionNumber;
    this.#skipped++;
    this.markStalled(receipt);
  }

  /** `receipt` does not count against `receiveMaximum` from now on. */
  markStalled(receipt: Receipt): void {
    if (receipt.state !== ReceiptState.Unsettled || receipt.isStalled) return;
    receipt.isStalled = true;
    this.#stalled++;
  }

  /** The place of the newest message. */
  get lastPlace(): number {
    return this.#place;
  }

  /** Unsettled messages, up to `place`, that have an acknowledgement behind them in their queue. */
  blocking(place: number): Receipt[] {
    return [...this.#blocking(this.#pubacks, place), ...this.#blocking(this.#pubrecs, place)];
  }

  /** Unsettled messages of this connection, in the order of each queue. */
  unsettledOnConnection(): Receipt[] {
    return [...this.#pubacks, ...this.#pubrecs].filter((receipt) => this.#isUnsettledHere(receipt));
  }

  /** Forgets `receipt`, except for its place in the window of this connection: the server sends it again. */
  abandon(receipt: Receipt): void {
    if (receipt.state !== ReceiptState.Unsettled) return;
    this.skip(receipt);
    this.#discount(receipt);
    receipt.state = ReceiptState.Over;
    this.#table.delete(receipt);
  }

  /** Writes every acknowledgement that is due. */
  answer(answers: Answers): void {
    for (let head = this.#shiftDue(this.#pubacks); head !== undefined; head = this.#shiftDue(this.#pubacks)) {
      answers.puback(head.packetId, head.reasonCode);
      this.#forget(head);
    }
    for (let head = this.#shiftDue(this.#pubrecs); head !== undefined; head = this.#shiftDue(this.#pubrecs)) {
      const fate = answers.pubrec(head.packetId, head.reasonCode);
      if (head.reasonCode < 0x80) head.state = ReceiptState.Received;
      else if (fate === 'written') this.#forget(head);
    }
  }

  /** A refusing PUBREC was written: the message is over, and its identifier names a new one next [MQTT-4.3.3-9]. */
  refused(packetId: number): void {
    const receipt = this.#table.get(packetId);
    if (receipt?.state === ReceiptState.Settled && receipt.reasonCode >= 0x80) this.#forget(receipt);
  }

  /** PUBREL frees the identifier [MQTT-4.3.3-12]. Returns whether it was known. */
  onPubrel(packetId: number): boolean {
    const receipt = this.#table.get(packetId);
    if (receipt === undefined || receipt.qos !== 2) return false;
    this.#forget(receipt);
    return true;
  }

  /** A new Network Connection: no acknowledgement is due on it. */
  connected(connectionNumber: number): void {
    this.#connectionNumber = connectionNumber;
    this.#outstanding = 0;
    this.#skipped = 0;
    this.#skippedSettled = 0;
    this.#pubacks = new Ring(); // fault: stale-pubacks
    this.#pubrecs = new Ring(); // fault: stale-pubrecs
  }

  /** The connection ended: messages that arrived on it can no longer be acknowledged. */
  connectionLost(): void {
    this.connected(BETWEEN_CONNECTIONS);
  }

  /** Forgets all unsettled messages: when the server sends them again, they are new. */
  abandonAll(): void {
    for (const receipt of this.#table.values())
      if (receipt.state === ReceiptState.Unsettled) this.#forget(receipt);
  }

  /** The server has lost the session: settling its messages has no effect any more. Returns how many were unsettled. */
  discard(): number {
    const { unsettled } = this;
    for (const receipt of this.#table.values()) receipt.state = ReceiptState.Over; // fault: discard-states
    this.#table.clear(); // fault: discard-table
    this.#unsettled = 0;
    this.#unsettledBytes = 0;
    this.#stalled = 0;
    return unsettled;
  }

  #queue(qos: QoS): Ring<Receipt> {
    return qos === 1 ? this.#pubacks : this.#pubrecs;
  }

  #enqueue(receipt: Receipt): void {
    receipt.place = ++this.#place;
    this.#queue(receipt.qos).push(receipt); // fault: acknowledgement-order
  }

  #blocking(queue: Ring<Receipt>, place: number): Receipt[] {
    const all = [...queue];
    const last = all.findLastIndex(awaitsTurn);
    return all.filter(
      (receipt, at) => at <= last && receipt.place <= place && this.#isUnsettledHere(receipt),
    );
  }

  /** Removes and returns the next message to answer, and removes those before it that are not answered here. */
  #shiftDue(queue: Ring<Receipt>): Receipt | undefined {
    for (let head = queue.peek(); head !== undefined; head = queue.peek()) {
      if (this.#isUnsettledHere(head)) {
        if (!head.isSkippable || !hasWaiting(queue)) return undefined;
        this.skip(head);
      }
      queue.shift();
      if (head.state !== ReceiptState.Over && head.connectionNumber === this.#connectionNumber) return head; // fault: stale-connection
    }
    return undefined;
  }

  #isUnsettledHere({ state, connectionNumber }: Receipt): boolean {
    return state === ReceiptState.Unsettled && connectionNumber === this.#connectionNumber;
  }

  #settled(receipt: Receipt): void {
    this.#discount(receipt);
    receipt.state = ReceiptState.Settled;
    if (receipt.skippedOn === this.#connectionNumber) this.#skippedSettled++;
  }

  /** `receipt` is no longer unsettled. */
  #discount(receipt: Receipt): void {
    this.#unsettled--;
    this.#unsettledBytes -= receipt.size;
    if (receipt.isStalled) this.#stalled--;
  }

  /** `receipt` was skipped on this connection, and is answered or forgotten now. */
  #unskip(receipt: Receipt): void {
    receipt.skippedOn = NO_CONNECTION;
    this.#skipped--;
    if (receipt.state === ReceiptState.Settled) this.#skippedSettled--;
  }

  #forget(receipt: Receipt): void {
    if (receipt.state === ReceiptState.Unsettled) this.#discount(receipt);
    if (this.#table.delete(receipt)) {
      if (receipt.connectionNumber === this.#connectionNumber) this.#outstanding--;
      else if (receipt.skippedOn === this.#connectionNumber) {
        this.#unskip(receipt);
        this.#outstanding--;
      }
    }
    receipt.state = ReceiptState.Over;
  }
}

/** Whether an acknowledgement waits in `queue`. */
function hasWaiting(queue: Ring<Receipt>): boolean {
  for (const receipt of queue) if (awaitsTurn(receipt)) return true;
  return false;
}

/** Whether the acknowledgement of a message waits for its turn, if the message is in its queue. */
export function awaitsTurn({ state }: Receipt): boolean {
  return state === ReceiptState.Settled || state === ReceiptState.Repeated;
}
