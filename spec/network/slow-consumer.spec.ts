import { describe, expect, it } from '@jest/globals';
import type { QoS } from '../../lib/codec/packets.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { actor, aedes, endActors, inTime, mosquitto } from './actors.ts';
import { startProgram } from './children.ts';

/*
 * A consumer in a process of its own that takes 100 messages per second while thousands wait for it. It runs for about a
 * second of real time: if memory is bounded then, it stays bounded.
 */

const WARM_UP = 300;
const PACE = 100;
/** Minimum run time in seconds. */
const SECONDS = 1;
const LONG = 60_000;
/** Maximum ms for a run. */
const PATIENCE = 50_000;
const MIB = 1_048_576;
/** `receiveMaximum` of the consumers, and the messages that their `buffer` may hold. */
const [ROOM, RING] = [256, 1_000];

endActors();

interface Outcome {
  readonly taken: number;
  readonly unsettled: number;
  readonly depth: number;
  readonly letGo: number;
  readonly growth: number;
}

/** QoS of a consumer, and whether its session is persistent. */
type Kind = readonly [qos: QoS, persistent: boolean];

/** Runs consumers against `count` messages of QoS 1 of `size` bytes. */
async function consume(url: string, count: number, size: number, kinds: readonly Kind[]): Promise<Outcome[]> {
  const { client } = await actor(url, { maxInflight: 1_000 });
  const consumers = kinds.map(([qos, persistent]) =>
    startProgram(
      'slow-consumer',
      url,
      String(qos),
      String(persistent),
      String(WARM_UP),
      String(ROOM),
      String(RING),
    ),
  );
  const all = (line: string): Promise<unknown> => Promise.all(consumers.map((one) => one.printed(line)));
  const payload = 'x'.repeat(size);
  const publish = async (topic: string, messages: number): Promise<void> => {
    // One window of messages at a time.
    for (let sent = 0; sent < messages; sent += 1_000)
      await Promise.all(
        Array.from({ length: Math.min(1_000, messages - sent) }, () =>
          client.publish(topic, payload, { qos: 1 }),
        ),
      );
  };
  const running = (async () => {
    await all('ready');
    await publish('warm-up', WARM_UP);
    await all('warm');
    await Promise.all([publish('backlog', count), all(`taken ${SECONDS * PACE}`)]);
    await client.publish('end', '', { qos: 1 });
    return Promise.all(consumers.map(({ ended }) => ended));
  })();
  const ended = await inTime(running, PATIENCE, () => JSON.stringify(client.stats()));
  return ended.map(({ code, lines, complaint }) => {
    expect({ code, complaint }).toEqual({ code: 0, complaint: '' });
    return JSON.parse(lines.at(-1) ?? '') as Outcome;
  });
}

/** Memory and the number of waiting messages are bounded. */
function expectBounded({ taken, unsettled, depth, growth }: Outcome, room: number): void {
  expect(taken).toBeGreaterThanOrEqual(SECONDS * PACE);
  expect(Math.max(unsettled, depth)).toBeLessThanOrEqual(room);
  expect(growth).toBeLessThan(8 * MIB);
}

describeWithMosquitto('consumers of 100 messages per second with a backlog of 3,000', () => {
  it(
    'need no more memory, with QoS 1 in a clean and in a persistent session, and with the ring buffer of QoS 0',
    async () => {
      const { url } = await mosquitto();
      // The backlog is larger than memory may grow.
      const [clean, kept, ring] = (await consume(url, 3_000, 4_000, [
        [1, false],
        [1, true],
        [0, false],
      ])) as [Outcome, Outcome, Outcome];
      expectBounded(clean, ROOM);
      expectBounded(kept, ROOM);
      expectBounded(ring, RING);
      expect([clean.letGo, kept.letGo]).toEqual([0, 0]);
      expect(ring.letGo).toBeGreaterThan(0);
    },
    LONG,
  );
});

describe('with Aedes: consumers of 100 messages per second with a backlog of 3,000, from a server without a window', () => {
  it(
    'need no more memory and drop nothing',
    async () => {
      const { url } = await aedes();
      // As much as a connection buffers: beyond that, Aedes blocks the publisher.
      const [clean, kept] = (await consume(url, 3_000, 100, [
        [1, false],
        [1, true],
      ])) as [Outcome, Outcome];
      expectBounded(clean, ROOM);
      expectBounded(kept, ROOM);
      expect([clean.letGo, kept.letGo]).toEqual([0, 0]);
    },
    LONG,
  );
});
