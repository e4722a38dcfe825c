import { describe, expect, it } from '@jest/globals';
import type { Client, ClientOptions, Message } from '../../lib/index.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { startProgram } from './children.ts';
import { actor, aedes, endActors, inTime, sharedMosquitto, wireTap } from './actors.ts';

/*
 * Many parts of one application subscribe to equal and overlapping Topic Filters of real brokers. Mosquitto sends
 * retained messages right after SUBACK, one copy per filter; Aedes sends them later, one per packet.
 */

endActors();

const broker = sharedMosquitto();

/** Maximum ms for a test step. */
const PATIENCE = 15_000;
const TOPICS = Array.from({ length: 20 }, (_, n) => `kept/${n}`);
const EACH_ONCE = TOPICS.toSorted();

/** Reads `messages`. `has(count)` resolves when that many have come. */
function reader(messages: AsyncIterable<Message>) {
  const topics: string[] = [];
  let look = (): void => {};
  void (async () => {
    for await (const message of messages) {
      topics.push(message.topic);
      look();
    }
  })();
  const has = (count: number): Promise<void> =>
    new Promise((resolve) => {
      look = () => {
        if (topics.length >= count) resolve();
      };
      look();
    });
  return { topics, has };
}

async function keep(url: string): Promise<void> {
  const { client } = await actor(url);
  await Promise.all(TOPICS.map((topic) => client.publish(topic, topic, { qos: 1, retain: true })));
}

/** Subscribes in all ways. Returns the topics of the retained messages of each subscription. */
async function subscribeInAllWays(client: Client): Promise<string[][]> {
  const all: ReturnType<typeof reader>[] = [];
  const subscribe = (filter: string | string[], qos: 0 | 1 = 0): (() => Promise<unknown>) => {
    const subscribing = client.subscribe(filter, { qos });
    all.push(reader(subscribing));
    return () => subscribing;
  };
  const complete = () =>
    inTime(Promise.all(all.map(({ has }) => has(TOPICS.length))), PATIENCE, () =>
      JSON.stringify(all.map(({ topics }) => topics.length)),
    );
  // In one turn: equal filters, overlapping ones, another QoS, and filters that overlap within one subscription.
  const first = subscribe('kept/#');
  for (let n = 0; n < 10; n++) subscribe(n % 2 === 0 ? 'kept/#' : 'kept/+');
  subscribe('kept/#', 1);
  subscribe(['kept/#', ...TOPICS]);
  await first();
  // After SUBACK, while retained messages arrive.
  await Promise.all([subscribe('kept/#')(), subscribe('#')()]);
  await complete();
  // Much later. Its copies come after all messages that were under way.
  await subscribe('kept/#')();
  await complete();
  await subscribe('kept/+')();
  await complete();
  return all.map(({ topics }) => topics.toSorted());
}

describe('retained messages come once to each subscription of a client', () => {
  it.each(['clean', 'persistent'] as const)('at Aedes, in a %s session', async (session) => {
    const { url } = await aedes();
    await keep(url);
    const options = session === 'clean' ? {} : { clientId: 'parts', cleanStart: false };
    const all = await subscribeInAllWays((await actor(url, options)).client);
    expect(all).toEqual(all.map(() => EACH_ONCE));
  });
});

describeWithMosquitto('retained messages come once to each subscription of a client', () => {
  it.each<[string, ClientOptions]>([
    ['3.1', { protocolVersion: 3 }],
    ['3.1.1', {}],
    ['3.1.1, in a persistent session', { clientId: 'parts', cleanStart: false }],
    ['5.0', { protocolVersion: 5 }],
  ])('at Mosquitto, with %s', async (_, options) => {
    const { url } = broker();
    await keep(url);
    const all = await subscribeInAllWays((await actor(url, options)).client);
    expect(all).toEqual(all.map(() => EACH_ONCE));
  });
});

describeWithMosquitto('300 subscribe() calls on one Topic Filter', () => {
  it('send one SUBSCRIBE, and each gets its own messages', async () => {
    const tap = await wireTap(broker().port);
    let subscribes = 0;
    tap.onPacket = ({ type }) => {
      if (type === 'subscribe') subscribes++;
    };
    const { client } = await actor(tap.url);
    const all = await Promise.all(Array.from({ length: 300 }, () => client.subscribe('a/#', { qos: 1 })));
    expect(subscribes).toBe(1);
    await client.publish('a/b', 'x', { qos: 1 });
    const texts = await Promise.all(
      all.map(async (one) => (await one.receive({ timeout: PATIENCE })).text()),
    );
    expect(new Set(texts)).toEqual(new Set(['x']));
    await client.unsubscribe('a/#');
    expect(client.stats().subscriptions).toEqual([]);
  });
});

describe('1,000 subscriptions', () => {
  const COUNT = 1_000;

  it('made in one call, in many calls, or to one filter, and removed again cost work that grows linearly', async () => {
    const local = await aedes();
    const { lines, complaint } = await startProgram('counts-steps', local.url, `${COUNT}`).ended;
    expect(complaint).toBe('');
    const steps = lines.map(
      (line) => /^(.+): subscribed (\d+), unsubscribed (\d+)$/.exec(line)?.slice(1) ?? [],
    );
    expect(steps.map(([way]) => way)).toEqual(['in one call', 'in many calls', 'to one filter']);
    for (const [way, ...counts] of steps)
      for (const count of counts) expect([way, Number(count) < 100 * COUNT]).toEqual([way, true]);
  });
});
