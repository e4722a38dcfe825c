import { copyOf } from '../../bytes.ts';
import { encode } from '../../codec/codec.ts';
import type { ProtocolVersion, PublishProperties, QoS } from '../../codec/packets.ts';
import type { OutgoingPublish } from '../../codec/publish-writer.ts';
import { TimeoutError, type MessageFate } from '../../errors.ts';
import { COPY_LIMIT } from '../../engine/payload-references.ts';
import { topicNameError } from '../../topic/names.ts';
import { withCancellation, checkCall, isCancellable, type CallOptions } from '../runtime/cancellation.ts';
import { checkEncodable, boolean, oneOf, checkKeys, string } from '../config/validate.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Driver } from '../runtime/driver.ts';
import { PendingPublish, PUBLISHED, PUBLISHED_AT_ONCE, type PublishResult } from './pending-publish.ts';
import { toPayload, type Payload } from './payload.ts';

/** Options of `publish()`. */
export interface PublishOptions extends CallOptions {
  /** Quality of Service (4.3). @default 0 */
  readonly qos?: QoS | undefined;
  /** Whether the server keeps the message for later subscribers (3.3.1.3). @default false */
  readonly retain?: boolean | undefined;
  /** 5.0 */
  readonly properties?: Omit<PublishProperties, 'subscriptionIdentifiers'> | undefined;
}

const KEYS = ['qos', 'retain', 'properties', 'signal', 'timeout'];
const NO_OPTIONS: PublishOptions = {};
const NO_PAYLOAD = new Uint8Array(0);

/** QoS 0 on its way into the output: one for all, as nothing of it is kept. */
class ReusablePublish implements OutgoingPublish {
  topicName = '';
  payload: Uint8Array | string = '';
  readonly qos = 0;
  retain = false;
  properties: PublishProperties | undefined = undefined;
}

/** `publish()`: what it checks, and the two ways a message takes. */
export class PublishCalls {
  readonly #driver: Driver;
  readonly #clock: Clock;
  readonly #version: ProtocolVersion;
  readonly #reusable = new ReusablePublish();
  /** The last Topic Name found legal: most are the same as the one before. */
  #lastTopicName: string | undefined = undefined;

  constructor(driver: Driver, clock: Clock, version: ProtocolVersion) {
    this.#driver = driver;
    this.#clock = clock;
    this.#version = version;
  }

  /** hot. Throws on wrong arguments. */
  publish(topicName: string, payload: Payload, options: PublishOptions = NO_OPTIONS): Promise<PublishResult> {
    if (topicName !== this.#lastTopicName) this.#checkTopicName(topicName);
    const content = toPayload(payload);
    if (options !== NO_OPTIONS) this.#check(options, topicName);
    const qos = options.qos ?? 0;
    const retain = options.retain ?? false;
    if (qos === 0) {
      const passed = this.#publishNow(topicName, content, retain, options.properties);
      if (passed === true) return PUBLISHED_AT_ONCE;
      if (passed !== undefined) return passed.then(() => PUBLISHED);
    }
    const properties = options.properties === undefined ? undefined : ownProperties(options.properties);
    const isLeavable = isCancellable(options);
    const kept = isLeavable ? ownLarge(content) : content;
    const exchange = new PendingPublish(topicName, kept, qos, retain, properties);
    if (isLeavable) this.#bind(exchange, options);
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
    const passing = this.#reusable;
    passing.topicName = topicName;
    passing.payload = payload;
    passing.retain = retain;
    passing.properties = properties;
    try {
      return this.#driver.publishNow(passing);
    } finally {
      passing.payload = '';
      passing.properties = undefined;
    }
  }

  #checkTopicName(topicName: string): void {
    const wrong = topicNameError(string('topicName', topicName));
    if (wrong !== undefined) throw new TypeError(`topicName: ${wrong}`);
    this.#lastTopicName = topicName;
  }

  #check(options: PublishOptions, topicName: string): void {
    const { qos, retain, properties } = checkKeys('publish', options, KEYS) as PublishOptions;
    if (qos !== undefined) oneOf('qos', qos, [0, 1, 2]);
    if (retain !== undefined) boolean('retain', retain);
    checkCall(options);
    if (properties === undefined) return;
    if (this.#version < 5) throw new TypeError('properties: expected none, as only MQTT 5.0 has them');
    // [MQTT-3.3.4-6]
    if ('subscriptionIdentifiers' in properties)
      throw new TypeError('properties.subscriptionIdentifiers: expected none, as only a server sends them');
    // What is wrong is told now, not when the message comes to its turn.
    checkEncodable(() => encode({ type: 'publish', topic: topicName, payload: NO_PAYLOAD, properties }, 5));
  }

  /** The caller may give up: the promise then ends, and a message that was written goes on without it. */
  #bind(exchange: PendingPublish, options: CallOptions): void {
    const done = withCancellation(options, this.#clock, 'publish', (reason) => {
      // What waits again, since the session was lost, may have arrived in the one before.
      const kept = this.#driver.withdraw(exchange);
      const fate: MessageFate = { delivery: exchange.written ? 'unknown' : 'not-sent', kept };
      exchange.abandon(reason instanceof TimeoutError ? new TimeoutError(reason.message, fate) : reason);
    });
    exchange.promise.then(done, done);
  }
}

/** Properties that the caller cannot change any more. */
function ownProperties(properties: PublishProperties): PublishProperties {
  const { correlationData } = properties;
  return correlationData === undefined
    ? { ...properties }
    : { ...properties, correlationData: copyOf(correlationData) };
}

/**
 * A large payload is passed on by reference, and what the network holds of it cannot be exchanged for a copy any more
 * when its caller leaves: so it is copied before, where the caller can leave.
 */
function ownLarge(payload: Uint8Array | string): Uint8Array | string {
  return typeof payload !== 'string' && payload.byteLength > COPY_LIMIT ? copyOf(payload) : payload;
}
