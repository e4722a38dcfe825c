import { describe, expect, it } from '@jest/globals';
import { describeWithMosquitto } from '../support/programs.ts';
import { actor, aedes, endActors, inTime, mosquitto } from './actors.ts';
import { startProgram } from './children.ts';
import type { Kind, Observed, Report } from './programs/slow-consumer.ts';

/*
 * Consumers in another process that take 100 messages per second while hundreds wait for each. They run for about half a
 * second of real time: if memory is bounded then, it stays bounded.
 */

const WARM_UP = 100;
/** Minimum number of messages that each takes slowly: half a second. */
const TAKEN = 50;
const LONG = 60_000;
/** Maximum ms for a run. */
const PATIENCE = 50_000;
const MIB = 1_048_576;
/** `receiveMaximum` of the consumers, and the messages that their `buffer` may hold. */
const [ROOM, RING] = [64, 250];

endActors();

/** Runs consumers against `count` messages of QoS 1 of `size` bytes. */
async function consume(url: string, count: number, size: number, kinds: readonly Kind[]): Promise<Report> {
  const { client } = await actor(url, { maxInflight: 1_000 });
  const args = [WARM_UP, ROOM, RING].map(String);
  const child = startProgram('slow-consumer', url, ...args, JSON.stringify(kinds));
  const payload = 'x'.repeat(size);
  const publish = async (topic: string, messages: number): Promise<void> => {
    await Promise.all(Array.from({ length: messages }, () => client.publish(topic, payload, { qos: 1 })));
  };
  const running = (async () => {
    await child.printed('ready');
    await publish('warm-up', WARM_UP);
    await child.printed('warm');
    await Promise.all([publish('backlog', count), child.printed(`taken ${TAKEN}`)]);
    await client.publish('end', '', { qos: 1 });
    return child.ended;
  })();
  const { code, lines, complaint } = await inTime(running, PATIENCE, () => JSON.stringify(client.stats()));
  expect({ code, complaint }).toEqual({ code: 0, complaint: '' });
  return JSON.parse(lines.at(-1) ?? '') as Report;
}

/** The number of waiting messages is bounded. */
function expectBounded({ taken, unsettled, depth }: Observed, room: number): void {
  expect(taken).toBeGreaterThanOrEqual(TAKEN);
  expect(Math.max(unsettled, depth)).toBeLessThanOrEqual(room);
}

describeWithMosquitto('consumers of 100 messages per second with a backlog of 800', () => {
  it(
    'need no more memory, with QoS 1 in a clean and in a persistent session, and with the ring buffer of QoS 0',
    async () => {
      const { url } = await mosquitto();
      const { consumers, growth } = await consume(url, 800, 16_000, [
        [1, false],
        [1, true],
        [0, false],
      ]);
      const [clean, kept, ring] = consumers as [Observed, Observed, Observed];
      expectBounded(clean, ROOM);
      expectBounded(kept, ROOM);
      expectBounded(ring, RING);
      expect([clean.letGo, kept.letGo]).toEqual([0, 0]);
      expect(ring.letGo).toBeGreaterThan(0);
      // The backlog of one is larger, and that of all is 38 MB.
      expect(growth).toBeLessThan(10 * MIB);
    },
    LONG,
  );
});

describe('with Aedes: consumers of 100 messages per second with a backlog of 800, from a server without a window', () => {
  it(
    'need no more memory and drop nothing',
    async () => {
      const { url } = await aedes();
      // As much as a connection buffers: beyond that, Aedes blocks the publisher.
      const { consumers, growth } = await consume(url, 800, 100, [
        [1, false],
        [1, true],
      ]);
      const [clean, kept] = consumers as [Observed, Observed];
      expectBounded(clean, ROOM);
      expectBounded(kept, ROOM);
      expect([clean.letGo, kept.letGo]).toEqual([0, 0]);
      expect(growth).toBeLessThan(8 * MIB);
    },
    LONG,
  );
});
