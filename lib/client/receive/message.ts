import type { PublishProperties, QoS } from '../../codec/packets.ts';

/** One Application Message as one subscription gets it. An interface, so that tests can make one of an object literal. */
export interface Message {
  readonly topic: string;
  /**
   * A view into the memory the network was read into, not a copy: valid for as long as it is held and never
   * overwritten. Holding a small one keeps all of that memory alive, and `postMessage()` or `structuredClone()` of it
   * carries all of that memory along: `copy()` is for messages that are kept or passed to another thread.
   */
  readonly payload: Uint8Array;
  readonly qos: QoS;
  /** As received: 1 = a stored message, or as it was published with `retainAsPublished` (3.3.1.3). */
  readonly retain: boolean;
  /** It may have been here before (3.3.1.1). */
  readonly duplicate: boolean;
  /** 5.0; an empty frozen object otherwise. */
  readonly properties: PublishProperties;
  /** The payload as UTF-8 text; ill-formed parts are replaced by U+FFFD. */
  text(): string;
  /** The payload as JSON. Throws `SyntaxError` where it is not. */
  json<T = unknown>(): T;
  /** The payload in memory of its own. */
  copy(): Uint8Array;
  /**
   * The message is processed: its acknowledgement goes out as soon as those before it have (4.6). The loop does the
   * same when it asks for the next message. Of no effect with QoS 0, and from the second time on.
   */
  ack(): void;
  /**
   * Refuses the message (5.0): its PUBACK or PUBREC carries `reasonCode`, one of 0x80, 0x83, 0x87, 0x90, 0x91, 0x97,
   * 0x99. The server does not send it again. Throws a `TypeError` on 3.x, which has no such answer, and a `RangeError`
   * for another code. Of no effect with QoS 0, and once the message is settled.
   */
  reject(reasonCode: number): void;
}
