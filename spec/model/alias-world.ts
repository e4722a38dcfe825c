import * as fc from 'fast-check';
import { encode } from '../../lib/codec/codec.ts';
import type { EncodablePacket, Packet, PublishPacket, QoS } from '../../lib/codec/packets.ts';
import { Engine } from '../../lib/engine/engine.ts';
import { connack, puback, pubcomp, pubrec } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { ServerAliases } from './topics.ts';

/*
 * An engine that chooses Topic Aliases, and a server that resolves them: each message has its topic in its payload, so
 * that the server can say whether it got the right one.
 */

const TOPICS = ['site/7/a', 'site/7/b', 'site/7/line/3', 'x', 'site/8/temperature/outside'] as const;

/** What a server grants. */
interface Grant {
  readonly topicAliasMaximum: number;
  readonly maximumPacketSize: number;
}

export type Step =
  | {
      readonly do: 'publish';
      readonly topic: string;
      readonly qos: QoS;
      readonly size: number;
      readonly named: number;
    }
  /** The memory of a large payload is transferred before it is written. */
  | { readonly do: 'spoil'; readonly topic: string; readonly qos: QoS; readonly named: number }
  | { readonly do: 'answer'; readonly reasonCode: number }
  | { readonly do: 'write' }
  | { readonly do: 'reconnect'; readonly sessionPresent: boolean; readonly grant: Grant };

const topic = fc.constantFrom(...TOPICS);
const qos = fc.constantFrom<QoS>(0, 1, 2);
/** 0 = the client chooses. */
const named = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }) },
);
const grant = fc.record({
  topicAliasMaximum: fc.integer({ min: 0, max: 4 }),
  maximumPacketSize: fc.constantFrom(40, 60, 100_000),
});

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('publish' as const),
        topic,
        qos,
        size: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 60 })),
        named,
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('spoil' as const), topic, qos, named }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('answer' as const), reasonCode: fc.constantFrom(0, 0, 0x87) }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('write' as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('reconnect' as const), sessionPresent: fc.boolean(), grant }),
    },
  ),
  { minLength: 1, maxLength: 80, size: 'max' },
);

export class AliasWorld {
  /** Packets that came with an alias in place of their topic. */
  shortened = 0;
  readonly #rig: Rig;
  #grant: Grant = { topicAliasMaximum: 2, maximumPacketSize: 60 };
  #aliases = new ServerAliases(2);
  #owed: EncodablePacket[] = [];
  /** Bytes of this connection, and what they would be without aliases that the client chose. */
  #bytes = 0;
  #plainBytes = 0;

  constructor(EngineClass: typeof Engine = Engine) {
    const options = {
      topicAlias: 'auto',
      cleanStart: false,
      sessionExpiryInterval: 3_600,
      maxInflight: 4,
    } as const;
    this.#rig = new Rig(options, {}, EngineClass);
    this.#rig.engine.connect('give up', this.#rig.now);
    this.#rig.open();
    this.#rig.send(connack({ ...this.#grant }));
    this.#rig.sent();
  }

  run(all: readonly Step[]): void {
    for (const step of all) this.#take(step);
    for (let i = 0; i < 200; i++) this.#take({ do: 'answer', reasonCode: 0 });
    if (this.#rig.engine.counts.pending > 0) throw new Error('messages are left');
  }

  #take(step: Step): void {
    const rig = this.#rig;
    if (rig.engine.state !== 'connected')
      this.#reconnect(true, this.#grant, (answer) => rig.reconnect(answer));
    switch (step.do) {
      case 'publish':
        return this.#publish(step.topic, step.qos, textOf(step).padEnd(step.size, '.'), step.named);
      case 'spoil': {
        const payload = Buffer.alloc(20_000, '.');
        payload.write(textOf(step));
        const bytes = new Uint8Array(payload);
        this.#publish(step.topic, step.qos, bytes, step.named);
        structuredClone(bytes, { transfer: [bytes.buffer] });
        return this.#write();
      }
      case 'answer':
        return this.#answer(step.reasonCode);
      case 'write':
        return this.#write();
      case 'reconnect':
        this.#write();
        return this.#reconnect(step.sessionPresent, step.grant, (answer) => rig.resume(answer));
    }
  }

  /** As the client does it: QoS 0 the fast way where that is possible. */
  #publish(topicName: string, qosGiven: QoS, payload: string | Uint8Array, alias: number): void {
    const properties = alias === 0 ? undefined : { topicAlias: alias };
    const message = { topicName, payload, qos: qosGiven, retain: false, properties };
    if (qosGiven === 0 && this.#rig.engine.publishNow(message)) return;
    const { waiter } = this.#rig.publish(topicName, {
      qos: qosGiven,
      payload,
      ...(properties && { properties }),
    });
    const { maximumPacketSize } = this.#grant;
    const { error } = waiter as { error?: { reasonCode?: number } };
    if (error?.reasonCode !== 0x95) return;
    const size = sizeOf({
      type: 'publish',
      topic: topicName,
      payload: Buffer.from(payload),
      qos: qosGiven,
      ...(qosGiven > 0 && { packetId: 1 }),
    });
    if (alias === 0 && size <= maximumPacketSize)
      throw new Error(`a message of ${size} bytes was refused, expected ${maximumPacketSize} to be allowed`);
  }

  #answer(reasonCode: number): void {
    this.#write();
    const answer = this.#owed.shift();
    if (answer === undefined) return;
    const isRefusal = reasonCode >= 0x80 && (answer.type === 'puback' || answer.type === 'pubrec');
    this.#rig.send(isRefusal ? { ...answer, reasonCode } : answer);
    this.#write();
  }

  #reconnect(sessionPresent: boolean, granted: Grant, come: (answer: EncodablePacket) => Packet[]): void {
    const { topicAliasMaximum } = granted;
    this.#grant = granted;
    this.#aliases = new ServerAliases(topicAliasMaximum);
    this.#owed = [];
    this.#bytes = this.#plainBytes = 0;
    // Not so soon that what was sent could be the reason.
    this.#rig.now += 2_000;
    this.#receive(come(connack({ sessionPresent, ...granted })));
  }

  #write(): void {
    const packets = this.#rig.sent();
    if (this.#rig.engine.state === 'connected') this.#receive(packets);
  }

  #receive(packets: readonly Packet[]): void {
    for (const packet of packets) {
      if (packet.type === 'publish') this.#receivePublish(packet);
      else if (packet.type === 'pubrel') this.#owed.push(pubcomp(packet.packetId));
    }
    const more = this.#bytes - this.#plainBytes;
    if (more > 1_024 + 3 * this.#grant.topicAliasMaximum) throw new Error(`aliases cost ${more} bytes`);
  }

  #receivePublish(packet: PublishPacket): void {
    const name = this.#aliases.resolve(packet);
    const text = Buffer.from(packet.payload).toString();
    if (!text.startsWith(`${name}|`)) throw new Error(`a message to ${text} arrived under ${name}`);
    const size = sizeOf(packet);
    if (size > this.#grant.maximumPacketSize) throw new Error(`a packet of ${size} bytes`);
    this.#bytes += size;
    const { topicAlias: _, ...properties } = packet.properties;
    const plainSize = sizeOf({ ...packet, topic: name, properties });
    if (plainSize > this.#grant.maximumPacketSize && !text.startsWith(`${name}|named`))
      throw new Error(`a message of ${plainSize} bytes with its topic`);
    this.#plainBytes += plainSize;
    if (packet.topic === '') this.shortened++;
    if (packet.qos > 0) this.#owed.push((packet.qos === 1 ? puback : pubrec)(packet.packetId as number));
  }
}

/** The beginning of a payload. */
function textOf({ topic: name, named: alias }: { readonly topic: string; readonly named: number }): string {
  return `${name}|${alias > 0 ? 'named' : ''}`;
}

function sizeOf(packet: EncodablePacket): number {
  return encode(packet, 5).length;
}
