import { afterEach, describe, expect, it } from '@jest/globals';
import type { ProtocolVersion } from '../../lib/codec/packets.ts';
import { type LocalBroker, startAedes } from '../support/aedes.ts';
import { leakGuard } from '../support/leaks.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { type MosquittoSub, subscribeWithMosquitto } from '../support/mosquitto-sub.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { endPrograms, startProgram } from './children.ts';
import { Sequence } from './programs/numbered.ts';
import { WireTap } from './wire-tap.ts';

/*
 * A publisher and a consumer in processes of their own exchange hundreds of messages of each QoS. The publisher calls
 * publish() for all of them before it awaits one.
 */

const LONG = 60_000;
/** The default of `maxInflight`. */
const WINDOW = 20;

const ending: (() => Promise<void>)[] = [];

afterEach(async () => {
  await endPrograms();
  for (const end of ending.splice(0).toReversed()) await end();
});

leakGuard();

/** What other subscribers received, in order. */
type Seen = readonly { readonly topic: string; readonly text: string }[];

function summaries(seen: Seen): unknown[] {
  return [0, 1, 2].map((qos) => {
    const sequence = new Sequence();
    for (const { topic, text } of seen) if (topic === `spec/${qos}`) sequence.add(text);
    return sequence.summary();
  });
}

/** A server, and the protocol version for it. */
interface Exchange {
  readonly broker: { readonly port: number; readonly url: string };
  readonly version: ProtocolVersion;
}

/** Runs both programs with several servers, and checks their output and the packets on the wire. */
async function exchange(count: number, exchanges: readonly Exchange[]): Promise<void> {
  const taps = await Promise.all(exchanges.map(({ broker, version }) => WireTap.to(broker.port, version)));
  ending.push(...taps.map((tap) => () => tap.close()));
  const args = (urls: readonly string[]): readonly string[] => [
    `${count}`,
    ...exchanges.flatMap(({ version }, i) => [urls[i]!, `${version}`]),
  ];
  const consumer = startProgram('consumer', ...args(exchanges.map(({ broker }) => broker.url)));
  await consumer.printed('ready');
  const publisher = startProgram('publisher', ...args(taps.map(({ url }) => url)));
  const [published, taken] = await Promise.all([publisher.ended, consumer.ended]);
  expect(published).toMatchObject({ code: 0, complaint: '' });
  const all = { 0: count, 1: count, 2: count };
  expect(JSON.parse(published.lines.at(-1) ?? '')).toEqual(exchanges.map(() => all));
  expect(taken).toMatchObject({ code: 0, complaint: '' });
  const each = { ...Sequence.of(count), dropped: 0 };
  expect(JSON.parse(taken.lines.at(-1) ?? '')).toEqual(exchanges.map(() => [each, each, each]));
  for (const tap of taps) {
    expect(tap.peak).toEqual({ 1: WINDOW, 2: WINDOW });
    expect(tap.connections).toBe(1);
  }
}

/** A Mosquitto, and the summaries of what another subscriber of it receives. */
async function witnessed(version: ProtocolVersion, count: number) {
  // By default Mosquitto drops messages that wait for a slow reader.
  const broker: Mosquitto = await startMosquitto({ config: ['max_queued_messages 0'] });
  ending.push(() => broker.stop());
  // On 5.0 Mosquitto 2.0.11 exceeds the Receive Maximum of mosquitto_sub, which then ends.
  const witnessing = version === 5 ? 4 : version;
  const options = { topicFilter: 'spec/#', qos: 2, version: witnessing, count: 3 * count } as const;
  const witness: MosquittoSub = await subscribeWithMosquitto(broker, options);
  ending.push(() => witness.stop());
  return { broker, version, seen: async () => summaries(await witness.done) };
}

describeWithMosquitto('messages between two processes', () => {
  it(
    'arrive once and in order, and use the whole window (protocol versions 3 and 5, 200 of each QoS)',
    async () => {
      const count = 200;
      const sides = await Promise.all(([3, 5] as const).map((version) => witnessed(version, count)));
      await exchange(count, sides);
      const each = Sequence.of(count);
      for (const { seen } of sides) expect(await seen()).toEqual([each, each, each]);
    },
    LONG,
  );
});

describe('with Aedes: messages between two processes', () => {
  it(
    'arrive once and in order, and use the whole window (protocol version 4, 200 of each QoS)',
    async () => {
      const count = 200;
      const broker: LocalBroker = await startAedes();
      ending.push(() => broker.close());
      const seen: { topic: string; text: string }[] = [];
      broker.aedes.on('publish', ({ topic, payload }) => seen.push({ topic, text: payload.toString() }));
      await exchange(count, [{ broker, version: 4 }]);
      const each = Sequence.of(count);
      expect(summaries(seen)).toEqual([each, each, each]);
    },
    LONG,
  );
});
