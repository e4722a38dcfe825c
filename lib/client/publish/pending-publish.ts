import { NO_PROPERTIES, type AckProperties, type PublishProperties, type QoS } from '../../codec/packets.ts';
import { refusedMessage } from '../../engine/publish-refusal.ts';
import { withoutFrames } from '../../errors.ts';
import { Exchange, type PublishWaiter } from '../../session/exchange.ts';

/** The result of a successful `publish()`. */
export interface PublishResult {
  /** 0, or 0x10: there was no matching subscriber (5.0). */
  readonly reasonCode: number;
  /** The properties of the acknowledgement (5.0). */
  readonly properties: AckProperties;
}

/** The usual result, shared. */
export const PUBLISHED: PublishResult = Object.freeze({ reasonCode: 0, properties: NO_PROPERTIES });

/** The usual result of QoS 0 as a promise, shared: nothing is allocated per message. */
export const PUBLISHED_AT_ONCE: Promise<PublishResult> = Promise.resolve(PUBLISHED);

// One executor for all promises: its arguments are read right after the call, so no closure is allocated per message.
let resolveLast: (result: PublishResult) => void;
let rejectLast: (reason: unknown) => void;
function executor(resolve: (result: PublishResult) => void, reject: (reason: unknown) => void): void {
  resolveLast = resolve;
  rejectLast = reject;
}

/** An exchange and the promise of its `publish()` call in one object. */
export class PendingPublish extends Exchange implements PublishWaiter {
  readonly promise: Promise<PublishResult>;
  readonly #resolve: (result: PublishResult) => void;
  readonly #reject: (reason: unknown) => void;

  constructor(
    topicName: string,
    payload: Uint8Array | string,
    qos: QoS,
    retain: boolean,
    properties: PublishProperties | undefined,
  ) {
    super(topicName, payload, qos, retain, properties);
    this.promise = new Promise<PublishResult>(executor);
    this.#resolve = resolveLast;
    this.#reject = rejectLast;
    this.waiter = this;
  }

  settled(reasonCode: number, properties: AckProperties): void {
    if (reasonCode === 0 && properties === NO_PROPERTIES) this.#resolve(PUBLISHED);
    else if (reasonCode < 0x80) this.#resolve({ reasonCode, properties }); // fault: refused
    else this.#reject(withoutFrames(() => refusedMessage(reasonCode, properties)));
  }

  /** A call that was cancelled fails with any `reason`. Its message may still be sent. */
  failed(reason: unknown): void {
    this.#reject(reason);
  }

  stored(): 'done' | 'waits' {
    return 'waits';
  }
}

/** The same for a call that waits until the store has the message. */
export class StoredPublish extends PendingPublish {
  override stored(): 'done' {
    this.settled(0, NO_PROPERTIES);
    return 'done';
  }
}
