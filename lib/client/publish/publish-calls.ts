import { copyOf } from '../../bytes.ts';
import { encode } from '../../codec/codec.ts';
import type { ProtocolVersion, PublishProperties, QoS } from '../../codec/packets.ts';
import type { OutgoingPublish } from '../../codec/publish-writer.ts';
import { TimeoutError, withoutFrames, type MessageFate } from '../../errors.ts';
import { COPY_LIMIT } from '../../engine/publish-output.ts';
import { topicNameError } from '../../topic/names.ts';
import { withCancellation, checkCall, isCancellable, type CallOptions } from '../runtime/cancellation.ts';
import { checkEncodable, boolean, oneOf, string } from '../config/validate.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Driver } from '../runtime/driver.ts';
import {
  PendingPublish,
  StoredPublish,
  PUBLISHED,
  PUBLISHED_AT_ONCE,
  type PublishResult,
} from './pending-publish.ts';
import { toPayload, type Payload } from './payload.ts';

/** Options of `publish()`. */
export interface PublishOptions extends CallOptions {
  /** Quality of Service (4.3). @default 0 */
  readonly qos?: QoS | undefined;
  /** Whether the server keeps the message for later subscribers (3.3.1.3). @default false */
  readonly retain?: boolean | undefined;
  /** 5.0. Those of a received message fit: its Subscription Identifiers are left out. */
  readonly properties?: Omit<PublishProperties, 'subscriptionIdentifiers'> | undefined;
  /**
   * When the call resolves: `acknowledged`, or `stored` as soon as the store has the message, which is sent even if the
   * process ends. What becomes of it then is reported by `status()` only if it fails (`publish-failed`). `stored` needs
   * QoS 1 or 2 and the option `store`. @default "acknowledged"
   */
  readonly until?: 'acknowledged' | 'stored' | undefined;
}

const KEYS = ['qos', 'retain', 'properties', 'until', 'signal', 'timeout'];
const QOS = [0, 1, 2];
const NO_OPTIONS: PublishOptions = {};
const NO_PAYLOAD = new Uint8Array(0);

/** A QoS 0 message that is written at once. One object for all, as nothing of it is kept. */
class ReusablePublish implements OutgoingPublish {
  topicName = '';
  payload: Uint8Array | string = '';
  readonly qos = 0;
  retain = false;
  properties: PublishProperties | undefined = undefined;
}

/** `publish()`: checks the arguments, and writes QoS 0 at once or begins an exchange. */
export class PublishCalls {
  readonly #driver: Driver;
  readonly #clock: Clock;
  readonly #version: ProtocolVersion;
  readonly #reusable = new ReusablePublish();
  /** The last valid Topic Name: most calls repeat the previous one. */
  #lastTopicName: string | undefined = undefined;

  readonly #hasStore: boolean;

  constructor(driver: Driver, clock: Clock, version: ProtocolVersion, hasStore: boolean) {
    this.#hasStore = hasStore;
    this.#driver = driver;
    this.#clock = clock;
    this.#version = version;
  }

  /** hot. Throws on wrong arguments. */
  publish(topicName: string, payload: Payload, options: PublishOptions = NO_OPTIONS): Promise<PublishResult> {
    if (topicName !== this.#lastTopicName) this.#checkTopicName(topicName);
    const content = toPayload(payload);
    const given = options === NO_OPTIONS ? undefined : this.#check(options, topicName);
    const qos = options.qos ?? 0;
    const retain = options.retain ?? false;
    if (qos === 0) {
      const written = this.#publishNow(topicName, content, retain, given);
      if (written === true) return PUBLISHED_AT_ONCE;
      if (written !== undefined) return written.then(() => PUBLISHED);
    }
    const properties = given === undefined ? undefined : ownProperties(given);
    const canCancel = isCancellable(options);
    const kept = canCancel ? ownLarge(content) : content;
    const kind = options.until === 'stored' ? StoredPublish : PendingPublish;
    const exchange = new kind(topicName, kept, qos, retain, properties);
    if (canCancel) this.#cancelOn(exchange, options);
    this.#driver.publish(exchange);
    return exchange.promise;
  }

  /** hot: see `Driver.publishNow()`. */
  #publishNow(
    topicName: string,
    payload: Uint8Array | string,
    retain: boolean,
    properties: PublishProperties | undefined,
  ): true | Promise<void> | undefined {
    const message = this.#reusable;
    message.topicName = topicName;
    message.payload = payload;
    message.retain = retain;
    message.properties = properties;
    try {
      return this.#driver.publishNow(message);
    } finally {
      message.payload = '';
      message.properties = undefined;
    }
  }

  #checkTopicName(topicName: string): void {
    const wrong = topicNameError(string('topicName', topicName));
    if (wrong !== undefined) throw new TypeError(`topicName: ${wrong}`);
    this.#lastTopicName = topicName;
  }

  /** Checks the options. Returns the properties to send. */
  #check(options: PublishOptions, topicName: string): PublishProperties | undefined {
    checkCall('publish', options, KEYS);
    const { qos, retain, until } = options;
    if (qos !== undefined) oneOf('qos', qos, QOS);
    if (until !== undefined) this.#checkUntil(until, qos);
    if (retain !== undefined) boolean('retain', retain);
    if (options.properties === undefined) return undefined;
    if (this.#version < 5) throw new TypeError('properties: expected none, as only MQTT 5.0 has them');
    const properties = sendable(options.properties);
    // Encoded now, so that the call reports what is wrong.
    checkEncodable(() => encode({ type: 'publish', topic: topicName, payload: NO_PAYLOAD, properties }, 5));
    return properties;
  }

  #checkUntil(until: unknown, qos: QoS | undefined): void {
    if (oneOf('until', until, ['acknowledged', 'stored']) === 'acknowledged') return;
    if (!this.#hasStore) throw new TypeError('until: expected "acknowledged", as the client has no store');
    if ((qos ?? 0) === 0)
      throw new TypeError('until: expected "acknowledged" with QoS 0, which is not stored');
  }

  /** Cancelling rejects the promise. A message that was written is completed without it. */
  #cancelOn(exchange: PendingPublish, options: CallOptions): void {
    const done = withCancellation(options, this.#clock, 'publish', (reason) => {
      // A message that is queued again after the session was lost may have arrived in the previous one.
      const kept = this.#driver.withdraw(exchange); // fault: withdraw
      const fate: MessageFate = { delivery: exchange.written ? 'unknown' : 'not-sent', kept };
      exchange.failed(
        reason instanceof TimeoutError ? withoutFrames(() => new TimeoutError(reason.message, fate)) : reason,
      );
    });
    exchange.promise.then(done, done);
  }
}

/**
 * Properties without Subscription Identifiers, which only a server sends [MQTT-3.3.4-6]: those of a received message can be
 * published again.
 */
function sendable(properties: PublishProperties): PublishProperties {
  if (!('subscriptionIdentifiers' in properties)) return properties;
  const { subscriptionIdentifiers: _, ...others } = properties;
  return others;
}

/** A copy of properties that the caller may change. */
export function ownProperties(properties: PublishProperties): PublishProperties {
  const { correlationData } = properties;
  return correlationData === undefined
    ? { ...properties }
    : { ...properties, correlationData: copyOf(correlationData) };
}

/**
 * A large payload is written by reference. Once the network holds it, it cannot be replaced by a copy when the call is
 * cancelled, so it is copied before.
 */
export function ownLarge(payload: Uint8Array | string): Uint8Array | string {
  return typeof payload !== 'string' && payload.byteLength > COPY_LIMIT ? copyOf(payload) : payload; // fault: copy-large
}
