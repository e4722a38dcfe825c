import type { PublishProperties, QoS } from '../../codec/packets.ts';

/** An Application Message as one subscription gets it. An interface, so that tests can use an object literal. */
export interface Message {
  readonly topic: string;
  /**
   * A view into the memory that was read from the network, not a copy. It is never overwritten. A small payload keeps all
   * of this memory alive, and `postMessage()` or `structuredClone()` copies all of it: use `copy()` for payloads that are
   * kept or passed to another thread.
   */
  readonly payload: Uint8Array;
  readonly qos: QoS;
  /** The RETAIN flag: a stored message, or with `retainAsPublished` the flag of the publisher (3.3.1.3). */
  readonly retain: boolean;
  /** The DUP flag: the message may have been delivered before (3.3.1.1). Also set when a loop ended with it in hand. */
  readonly duplicate: boolean;
  /** The properties of a 5.0 PUBLISH (3.3.2.3); else an empty frozen object. */
  readonly properties: PublishProperties;
  /** The payload as UTF-8 text. Ill-formed parts become U+FFFD. */
  text(): string;
  /** The payload as JSON. Throws a `SyntaxError` if it is not JSON. */
  json<T = unknown>(): T;
  /** A copy of the payload in memory of its own. */
  copy(): Uint8Array;
  /**
   * Says that the message is processed. It is acknowledged after all messages before it (4.6). A loop does the same when
   * it asks for the next message. Has no effect with QoS 0, or when the message is settled already.
   */
  ack(): void;
  /**
   * Refuses the message (5.0): its PUBACK or PUBREC carries `reasonCode`, one of 0x80, 0x83, 0x87, 0x90, 0x91, 0x97 and
   * 0x99 (3.4.2.1). The server does not send it again. Throws a `TypeError` on 3.x, which cannot refuse a message, and a
   * `RangeError` for another code. Has no effect with QoS 0, or when the message is settled already.
   */
  reject(reasonCode: number): void;
}
