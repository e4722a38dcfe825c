import { expect, it } from '@jest/globals';
import type { FaultProxy } from '../support/fault-proxy.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import {
  actor,
  type Actor,
  endActors,
  faultProxy,
  inTime,
  rejections,
  sharedMosquitto,
  wireTap,
} from './actors.ts';
import { seeded } from './random.ts';

/*
 * Publisher and consumer each keep a session while the network breaks again and again, with and without a reset, under
 * a load of many messages.
 */

const COUNT = 400;
const CUTS = 15;
const LONG = 40_000;
/** Maximum ms for an exchange. */
const PATIENCE = 15_000;

endActors();

const broker = sharedMosquitto();

interface Side extends Actor {
  readonly name: string;
  readonly proxy: FaultProxy;
}

/** A client with its own session, behind its own network. */
async function side(port: number, name: string): Promise<Side> {
  const proxy = await faultProxy(port);
  return { ...(await actor(proxy.url, { clientId: name, cleanStart: false })), name, proxy };
}

/**
 * A tap to the broker that knows whether a session is being resumed. Mosquitto 2.0.11 forgets that it has released
 * messages of QoS 2 if it loses the connection while it repeats their PUBRELs. It then sends them again, and nobody can
 * tell them from new messages. A message after the PUBRELs shows that they are sent.
 */
async function resumption(
  port: number,
): Promise<{ readonly port: number; readonly isUnderWay: () => boolean }> {
  const tap = await wireTap(port);
  let isUnderWay = false;
  tap.onPacket = ({ type }, from) => {
    if (type === 'connect') isUnderWay = tap.connections > 1;
    else if (type === 'publish' && from === 'server') isUnderWay = false;
  };
  return { port: tap.port, isUnderWay: () => isUnderWay };
}

/** Breaks one side or both after a number of steps, except while `isBad`. The seed decides when and how. */
function breaker(
  seed: number,
  sides: readonly Side[],
  isBad: () => boolean,
): { readonly step: () => void; readonly story: readonly string[] } {
  const random = seeded(seed);
  // Not too close to each other: a client that loses its connection again before anything is acknowledged waits 2 s.
  const apart = (COUNT * 1.6) / CUTS;
  const points = Array.from({ length: CUTS }, (_, i) => Math.floor((i + random() / 2) * apart) + 10);
  const story: string[] = [];
  let steps = 0;
  const step = (): void => {
    steps++;
    while (points[0] !== undefined && steps >= points[0] && !isBad()) {
      points.shift();
      const which = Math.floor(random() * 3);
      for (const [i, { name, proxy }] of sides.entries()) {
        if (which !== 2 && which !== i) continue;
        const how = random() < 0.5 ? 'cut' : 'reset';
        proxy[how]();
        story.push(`${steps}: ${name} ${how} at ${Math.round(performance.now())} ms`);
      }
    }
  };
  return { step, story };
}

interface Outcome {
  /** Payloads in order of arrival, with repetitions. */
  readonly received: readonly number[];
  /** Errors of calls. If there are any, also the cuts. */
  readonly rejected: readonly string[];
  readonly losses: readonly number[];
  readonly cuts: number;
}

/** Publishes all messages at once and breaks the network until each has arrived. */
async function exchange(qos: 1 | 2, seed: number): Promise<Outcome> {
  const { port } = broker();
  const topic = `numbers/${qos}/${seed}`;
  const publisher = await side(port, `publisher of ${topic}`);
  const { port: tapped, isUnderWay } = await resumption(port);
  const consumer = await side(qos === 2 ? tapped : port, `consumer of ${topic}`);
  const { step, story } = breaker(seed, [publisher, consumer], isUnderWay);
  const received: number[] = [];
  const subscription = await consumer.client.subscribe(topic, { qos });
  const calls = Array.from({ length: COUNT }, (_, i) => publisher.client.publish(topic, i, { qos }));
  for (const call of calls) call.then(step, () => {});
  const distinct = new Set<number>();
  const taking = (async () => {
    for await (const message of subscription) {
      const value = Number(message.text());
      received.push(value);
      distinct.add(value);
      step();
      if (distinct.size === COUNT) return;
    }
  })();
  const state = (): string =>
    [
      `${distinct.size} of ${COUNT} messages, publisher ${JSON.stringify(publisher.client.stats())}`,
      `consumer ${JSON.stringify(consumer.client.stats())}`,
      ...story,
    ].join('\n');
  const rejected = rejections(await inTime(Promise.allSettled(calls), PATIENCE, state));
  const losses = [publisher, consumer].map((one) => one.count('disconnected'));
  // A rejected message may never arrive, so do not wait for it.
  if (rejected.length > 0) return { received, rejected: [...rejected, ...story], losses, cuts: story.length };
  await inTime(taking, PATIENCE, state);
  await consumer.client.unsubscribe(topic);
  return { received, rejected, losses, cuts: story.length };
}

const ALL = Array.from({ length: COUNT }, (_, i) => i);
const SEEDS = [1, 17] as const;

/** One exchange for each seed, at the same time. */
async function exchanges(qos: 1 | 2): Promise<readonly Outcome[]> {
  const outcomes = await Promise.all(SEEDS.map((seed) => exchange(qos, seed)));
  for (const { rejected, losses, cuts } of outcomes) {
    expect(rejected).toEqual([]);
    expect(cuts).toBeGreaterThanOrEqual(CUTS);
    for (const count of losses) expect(count).toBeGreaterThan(3);
  }
  return outcomes;
}

describeWithMosquitto('a network that breaks 15 times in 400 messages', () => {
  it(
    'loses no message of QoS 1 and keeps the order of first arrivals',
    async () => {
      for (const { received } of await exchanges(1)) expect([...new Set(received)]).toEqual(ALL);
    },
    LONG,
  );

  it(
    'delivers each message of QoS 2 exactly once, in order',
    async () => {
      for (const { received } of await exchanges(2)) expect(received).toEqual(ALL);
    },
    LONG,
  );
});
