import { afterEach, expect, it } from '@jest/globals';
import { Client, type ClientOptions, type StatusEvent } from '../../lib/index.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { leakGuard } from '../support/leaks.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { seeded } from './random.ts';

/*
 * Publisher and consumer each keep a session over a network that breaks again and again, in order or not, while a
 * thousand messages are on their way.
 */

const COUNT = 1_000;
const CUTS = 8;
const LONG = 30_000;

const ending: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0).toReversed()) await end();
});

leakGuard();

interface Side {
  readonly client: Client;
  readonly proxy: FaultProxy;
  /** How often its connection was lost. */
  losses(): number;
}

/** A client with a session of its own, behind a network of its own. */
async function side(port: number, clientId: string, options: ClientOptions = {}): Promise<Side> {
  const proxy = await FaultProxy.to(port);
  ending.push(() => proxy.close());
  const client = new Client(proxy.url, {
    clientId,
    cleanStart: false,
    reconnect: { minDelay: 5, maxDelay: 40 },
    ...options,
  });
  const events: StatusEvent[] = [];
  const reading = (async () => {
    for await (const event of client.status()) events.push(event);
  })();
  ending.push(async () => {
    await client.disconnect();
    await reading;
  });
  await client.connect();
  return { client, proxy, losses: () => events.filter(({ type }) => type === 'disconnected').length };
}

/** Breaks one side or both when so many steps have been taken, at steps and in ways that the seed decides. */
function breaker(seed: number, sides: readonly Side[]): () => void {
  const random = seeded(seed);
  const points = Array.from({ length: CUTS }, () => Math.floor(random() * COUNT * 1.6) + 10).toSorted(
    (a, b) => a - b,
  );
  let steps = 0;
  return () => {
    steps++;
    while (points[0] !== undefined && steps >= points[0]) {
      points.shift();
      const which = Math.floor(random() * 3);
      for (const [i, { proxy }] of sides.entries()) {
        if (which !== 2 && which !== i) continue;
        if (random() < 0.5) proxy.cut();
        else proxy.reset();
      }
    }
  };
}

interface Outcome {
  /** Payloads in the order in which they came, with repetitions. */
  readonly received: readonly number[];
  readonly settled: readonly PromiseSettledResult<{ readonly reasonCode: number }>[];
  readonly losses: number;
}

/** Publishes all at once and takes in until each was there once, and breaks the network meanwhile. */
async function exchange(qos: 1 | 2, seed: number, port: number): Promise<Outcome> {
  const publisher = await side(port, 'publisher');
  const consumer = await side(port, 'consumer');
  const step = breaker(seed, [publisher, consumer]);
  const received: number[] = [];
  const subscription = await consumer.client.subscribe('numbers', { qos });
  const taking = (async () => {
    const distinct = new Set<number>();
    for await (const message of subscription) {
      const value = Number(message.text());
      received.push(value);
      distinct.add(value);
      step();
      if (distinct.size === COUNT) return;
    }
  })();
  const calls = Array.from({ length: COUNT }, (_, i) => publisher.client.publish('numbers', i, { qos }));
  for (const call of calls) call.then(step, () => {});
  const settled = await Promise.allSettled(calls);
  await taking;
  await consumer.client.unsubscribe('numbers');
  return { received, settled, losses: publisher.losses() + consumer.losses() };
}

const ALL = Array.from({ length: COUNT }, (_, i) => i);
const SEEDS = [1, 2, 3] as const;

describeWithMosquitto('a network that breaks again and again', () => {
  it.each(SEEDS)(
    'loses no message of QoS 1, and first arrivals keep their order (seed %d)',
    async (seed) => {
      const broker = await startMosquitto({ config: ['max_queued_messages 0'] });
      ending.push(() => broker.stop());
      const { received, settled, losses } = await exchange(1, seed, broker.port);
      expect(losses).toBeGreaterThan(2);
      expect(settled.filter(({ status }) => status === 'rejected')).toEqual([]);
      expect([...new Set(received)]).toEqual(ALL);
    },
    LONG,
  );

  it.each(SEEDS)(
    'brings each message of QoS 2 exactly once, in order (seed %d)',
    async (seed) => {
      const broker = await startMosquitto({ config: ['max_queued_messages 0'] });
      ending.push(() => broker.stop());
      const { received, settled, losses } = await exchange(2, seed, broker.port);
      expect(losses).toBeGreaterThan(2);
      expect(settled.filter(({ status }) => status === 'rejected')).toEqual([]);
      expect(received).toEqual(ALL);
    },
    LONG,
  );
});
