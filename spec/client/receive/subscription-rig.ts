import { NO_PROPERTIES, type QoS } from '../../../lib/codec/packets.ts';
import type { Message } from '../../../lib/client/receive/message.ts';
import {
  ReceivedMessage,
  type PublishFields,
  type Settler,
} from '../../../lib/client/receive/received-message.ts';
import type { Delivery } from '../../../lib/engine/delivery.ts';
import {
  ClientSubscription,
  type Intake,
  type SubscriptionParts,
} from '../../../lib/client/receive/client-subscription.ts';
import { BufferPressure } from '../../../lib/client/receive/buffer-pressure.ts';
import { Receipt } from '../../../lib/session/incoming.ts';
import { FakeClock } from '../../support/fake-clock.ts';

interface RigOptions extends Partial<Omit<Intake, 'buffer'>> {
  readonly persistent?: boolean;
  readonly canReject?: boolean;
  readonly buffer?: Partial<Intake['buffer']>;
  readonly topicFilters?: readonly string[];
}

/** The result of next() after the last value. */
export const END = { value: undefined, done: true };

const encoder = new TextEncoder();

/** A subscription with a client around it that writes down what is asked of it. */
export class SubscriptionRig {
  readonly clock: FakeClock = new FakeClock();
  readonly subscription: ClientSubscription;
  /** What was acknowledged, by its text, and refused, by its text and Reason Code. */
  readonly settled: string[] = [];
  /** What nobody may come back for on this connection, and what nobody will come to, by their texts. */
  readonly skippable: string[] = [];
  readonly abandoned: string[] = [];
  /** What has been waiting for long, by their texts. */
  readonly stalled: string[] = [];
  readonly warnings: string[] = [];
  readonly pressure: BufferPressure = new BufferPressure(1_000_000);
  overflowed = 0;
  /** What the client saw each time it was told to look whether there is something to wait for. */
  readonly looks: ('busy' | 'idle')[] = [];
  onLook: () => void = () => {};
  readonly counters: { discarded: number } = { discarded: 0 };
  unsubscribed = 0;
  readonly #settler: Settler;
  #packetId = 0;

  constructor(options: RigOptions = {}) {
    const { persistent = false, canReject = true, ack = 'processed', overflow = 'drop-oldest' } = options;
    this.#settler = {
      canReject,
      settle: ({ payload }, reasonCode) => {
        const text = new TextDecoder().decode(payload);
        this.settled.push(reasonCode === 0 ? text : `${text} refused ${reasonCode}`);
      },
      markSkippable: ({ payload }) => void this.skippable.push(new TextDecoder().decode(payload)),
      markStalled: ({ payload }) => void this.stalled.push(new TextDecoder().decode(payload)),
      abandon: ({ payload }) => void this.abandoned.push(new TextDecoder().decode(payload)),
    };
    const parts: SubscriptionParts = {
      clock: this.clock,
      counters: this.counters,
      driver: this.#settler,
      persistent,
      pressure: this.pressure,
      overflowReports: { dropped: () => void this.overflowed++ },
      drain: {
        checkDone: () => {
          this.looks.push(this.subscription.busy ? 'busy' : 'idle');
          this.onLook();
        },
      },
      logger: { debug() {}, warn: (message) => void this.warnings.push(message) },
    };
    const buffer = { messages: 10_000, bytes: 1_000_000, ...options.buffer };
    const entries = (options.topicFilters ?? ['#']).map((topicFilter) => ({ topicFilter, qos: 1 as const }));
    this.subscription = new ClientSubscription(entries, { ack, overflow, buffer }, parts, () => {
      this.unsubscribed++;
      return Promise.resolve();
    });
  }

  /** Messages come, each with a text of its own. */
  push(...texts: string[]): void {
    for (const text of texts) this.pushOne(text);
  }

  pushOne(text: string, qos: QoS = 1, topic = 't'): Delivery {
    const payload = encoder.encode(text);
    const receipt = qos === 0 ? undefined : receiptOf(++this.#packetId, qos, topic, payload);
    return this.subscription.push(messageOf(payload, { topic, qos }, receipt, this.#settler));
  }
}

/** A receipt of the first connection. */
export function receiptOf(packetId: number, qos: QoS, topic: string, payload: Uint8Array): Receipt {
  return new Receipt({ packetId, qos, topic }, payload, topic.length + payload.length, 1);
}

/** A settler that nobody listens to. */
export const NO_SETTLER: Settler = {
  canReject: true,
  settle() {},
  markSkippable() {},
  markStalled() {},
  abandon() {},
};

/** A message of topic `t` with QoS 0, unless `fields` say otherwise. `bytes`: what its payload is a view into. */
export function messageOf(
  payload: Uint8Array,
  fields: Partial<PublishFields> = {},
  receipt?: Receipt,
  settler: Settler = NO_SETTLER,
): ReceivedMessage {
  const publish: PublishFields = {
    topic: 't',
    bytes: payload,
    qos: 0,
    retain: false,
    duplicate: false,
    properties: NO_PROPERTIES,
    propertiesSize: 0,
    ...fields,
  };
  return new ReceivedMessage(publish, payload, receipt, settler);
}

/** Goes through a subscription like a loop, until `body` says otherwise or it ends. */
export async function loop(
  messages: AsyncIterable<Message>,
  body: (message: Message) => unknown,
): Promise<string[]> {
  const texts: string[] = [];
  for await (const message of messages) {
    texts.push(message.text());
    if ((await body(message)) === 'break') break;
  }
  return texts;
}
