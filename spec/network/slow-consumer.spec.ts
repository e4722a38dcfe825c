import { describe, expect, it } from '@jest/globals';
import type { QoS } from '../../lib/codec/packets.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { actor, aedes, endActors, inTime, mosquitto } from './actors.ts';
import { startProgram } from './children.ts';

/*
 * A consumer that takes 100 messages per second while thousands are there for it, in a process of its own. It is at it
 * for some seconds of real time: what holds then holds for the rest.
 */

const WARM_UP = 300;
const PACE = 100;
/** Seconds that it takes messages for, at the least. */
const SECONDS = 1;
const LONG = 60_000;
/** ms after which a run that has not come to its end is told of. */
const PATIENCE = 50_000;
const MIB = 1_048_576;
/** The consumers' `receiveMaximum`, and the messages that their `buffer` may hold. */
const [ROOM, RING] = [256, 1_000];

endActors();

interface Outcome {
  readonly taken: number;
  readonly unsettled: number;
  readonly depth: number;
  readonly letGo: number;
  readonly growth: number;
}

/** How a consumer subscribes, and whether it keeps its session. */
type Kind = readonly [qos: QoS, persistent: boolean];

/** Lets consumers run against `count` messages of QoS 1 and so many bytes. */
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
    // As many as the window holds are on their way at once.
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

/** What holds of each: memory stays where it was, and no more wait in it than may. */
function expectBounded({ taken, unsettled, depth, growth }: Outcome, room: number): void {
  expect(taken).toBeGreaterThanOrEqual(SECONDS * PACE);
  expect(Math.max(unsettled, depth)).toBeLessThanOrEqual(room);
  expect(growth).toBeLessThan(8 * MIB);
}

describeWithMosquitto('consumers of 100 messages per second behind 3,000', () => {
  it(
    'need no more memory than before, with QoS 1 in a clean session and in one to keep, and with QoS 0 and its ring',
    async () => {
      const { url } = await mosquitto();
      // More than memory may grow by.
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

describe('with Aedes: consumers of 100 messages per second behind 3,000, from a server without a window', () => {
  it(
    'need no more memory than before, and drop nothing',
    async () => {
      const { url } = await aedes();
      // No more than a connection takes: behind that Aedes has the publisher wait.
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
