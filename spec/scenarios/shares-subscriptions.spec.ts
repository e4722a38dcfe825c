import { describe, expect, it } from '@jest/globals';
import { settled } from '../support/fake-clock.ts';
import type { ScriptedBroker } from '../support/scripted-broker.ts';
import { collect, message, Stage } from './stage.ts';

/*
 * Several subscriptions of one client with equal or overlapping Topic Filters: the server knows only filters.
 */

describe('an equal Topic Filter', () => {
  it('is subscribed with the highest QoS of all its subscriptions, so that none gets less than before', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    await stage.subscribe(client, broker, 'a/b', { qos: 2 });
    const second = client.subscribe('a/b', { qos: 0 });
    const { packetId } = await broker.expect('subscribe', {
      subscriptions: [{ topicFilter: 'a/b', qos: 2 }],
    });
    broker.send({ type: 'suback', packetId, reasonCodes: [2] });
    await stage.until(second);
    expect(stage.log.some((line) => line.includes('overlap'))).toBe(false);
    await stage.end(client, broker);
  });

  it('brings its retained messages to the new subscription only', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const retained = { ...message('a/b', 'kept'), retain: true };
    const first = collect(await stage.subscribe(client, broker, 'a/b'));
    broker.send(retained);
    await stage.clock.advance(0);
    const second = collect(await stage.subscribe(client, broker, 'a/#'));
    broker.send(retained, message('a/b', 'live'));
    await stage.clock.advance(0);
    expect([first.texts, second.texts]).toEqual([
      ['kept', 'live'],
      ['kept', 'live'],
    ]);
    await stage.end(client, broker);
  });

  it('brings retained messages to all subscriptions when they are restored', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const retained = { ...message('a/b', 'kept'), retain: true };
    const first = collect(await stage.subscribe(client, broker, 'a/b'));
    const second = collect(await stage.subscribe(client, broker, 'a/#'));
    const next = await stage.reconnect(broker);
    const { packetId } = await next.expect('subscribe');
    next.send({ type: 'suback', packetId, reasonCodes: [0, 0] }, retained);
    await stage.clock.advance(0);
    expect([first.texts, second.texts]).toEqual([['kept'], ['kept']]);
    await stage.end(client, next);
  });
});

describe('an overlapping Topic Filter', () => {
  it('is subscribed with the highest QoS of the overlapping ones, and a warning explains it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    await stage.subscribe(client, broker, 'a/#', { qos: 1 });
    const second = client.subscribe([{ topicFilter: 'a/+', qos: 0 }, 'c', '$share/g/a/b'], { qos: 0 });
    const { packetId } = await broker.expect('subscribe', {
      subscriptions: [
        { topicFilter: 'a/+', qos: 1 },
        { topicFilter: 'c', qos: 0 },
        { topicFilter: '$share/g/a/b', qos: 0 },
      ],
    });
    broker.send({ type: 'suback', packetId, reasonCodes: [1, 0, 0] });
    expect((await stage.until(second)).granted).toEqual([1, 0, 0]);
    expect(stage.log.filter((line) => line.startsWith('warn: Topic Filters overlap'))).toHaveLength(1);
    await stage.end(client, broker);
  });

  it('in the same call is subscribed with the higher QoS as well', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscribing = client.subscribe([
      { topicFilter: 'a/#', qos: 0 },
      { topicFilter: 'a/b', qos: 2 },
    ]);
    const { packetId } = await broker.expect('subscribe', {
      subscriptions: [
        { topicFilter: 'a/#', qos: 2 },
        { topicFilter: 'a/b', qos: 2 },
      ],
    });
    broker.send({ type: 'suback', packetId, reasonCodes: [2, 2] });
    expect((await stage.until(subscribing)).granted).toEqual([2, 2]);
    await stage.end(client, broker);
  });

  it('gets one copy of each message for each subscription, acknowledged when all are done with it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const first = await stage.subscribe(client, broker, 'a/#', { qos: 1 });
    const second = await stage.subscribe(client, broker, 'a/b', { qos: 1 });
    broker.send(message('a/b', 'one', 7));
    const done = stage.until(first.receive());
    expect((await done).text()).toBe('one');
    await stage.clock.advance(0);
    expect(broker.unread).toEqual([]);
    expect((await stage.until(second.receive())).text()).toBe('one');
    await broker.expect('puback', { packetId: 7 });
    await stage.end(client, broker);
  });
});

/** When a server sends the retained messages of a SUBSCRIBE, relative to its SUBACK. */
type When = 'before SUBACK' | 'right after SUBACK' | 'some time later';

/**
 * A broker that keeps one retained message of each topic. `per`: whether it sends one copy for each matching filter of a
 * SUBSCRIBE, as Mosquitto does, or one for the packet, as Aedes does.
 */
function retaining(stage: Stage, broker: ScriptedBroker, when: When, per: 'filter' | 'packet') {
  const topics = ['r/s', 'r/t'];
  let seen = 0;
  const serve = (): void => {
    for (const packet of broker.packets.slice(seen)) {
      seen++;
      if (packet.type !== 'subscribe') continue;
      const { packetId, subscriptions } = packet;
      const matching = subscriptions.flatMap(({ topicFilter }) =>
        topics.filter((topic) => topicFilter === topic || topicFilter === 'r/#'),
      );
      const copies = (per === 'filter' ? matching : [...new Set(matching)]).map((topic) => ({
        ...message(topic, `kept ${topic}`),
        retain: true,
      }));
      const suback = { type: 'suback' as const, packetId, reasonCodes: subscriptions.map(({ qos }) => qos) };
      if (when === 'before SUBACK') broker.send(...copies, suback);
      else if (when === 'right after SUBACK') broker.send(suback, ...copies);
      else {
        broker.send(suback);
        stage.clock.wakeAt(stage.clock.now() + 500, () => broker.send(...copies));
      }
    }
  };
  return async (ms: number): Promise<void> => {
    for (const until = stage.clock.now() + ms; ; await stage.clock.advance(Math.ceil(ms / 50))) {
      await stage.clock.advance(0);
      serve();
      await stage.clock.advance(0);
      if (stage.clock.now() >= until) return;
    }
  };
}

describe('retained messages come once to each subscription', () => {
  const servers = (['before SUBACK', 'right after SUBACK', 'some time later'] as const).flatMap((when) =>
    (['filter', 'packet'] as const).map((per) => [when, per] as const),
  );
  const KEPT = ['kept r/s', 'kept r/t'];

  it.each(servers)('however and whenever it is made (%s, one per %s)', async (when, per) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 0 });
    const wait = retaining(stage, broker, when, per);
    const all: { texts: string[] }[] = [];
    const subscribe = (filter: string, options = {}): void => {
      all.push(collect(client.subscribe(filter, options)));
    };
    // At once, with equal and other filters, with equal and other options.
    subscribe('r/#');
    subscribe('r/#');
    subscribe('r/#', { qos: 1 });
    subscribe('r/#', { qos: 0 });
    all.push(collect(client.subscribe(['r/#', 'r/s', 'r/t'])));
    // While those are under way, after SUBACK, and later.
    await settled();
    subscribe('r/#');
    await wait(0);
    subscribe('r/#');
    await wait(100);
    subscribe('r/#', { qos: 2 });
    await wait(5_000);
    subscribe('r/#');
    await wait(20_000);
    subscribe('r/#');
    await wait(1_000);
    expect(all.map(({ texts }) => texts.toSorted())).toEqual(all.map(() => KEPT));
    await stage.end(client, broker);
  });

  it('also to each of 300 and 300 subscriptions', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const all = Array.from({ length: 300 }, () => collect(client.subscribe('r/#')));
    const copies = Array.from({ length: 300 }, (_, n) => ({ ...message(`r/${n}`, `${n}`), retain: true }));
    for (let seen = 0, round = 0; round < 10; round++) {
      await stage.clock.advance(0);
      for (const packet of broker.packets.slice(seen)) {
        seen++;
        if (packet.type === 'subscribe')
          broker.send({ type: 'suback', packetId: packet.packetId, reasonCodes: [0] }, ...copies);
      }
    }
    expect(new Set(all.map(({ texts }) => texts.length))).toEqual(new Set([300]));
    await stage.end(client, broker);
  });

  it('and a copy for a subscription that has ended is acknowledged, and not held for the next one', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ clientId: 'a', cleanStart: false });
    broker.answer('subscribe');
    const first = collect(client.subscribe('r/#', { qos: 1 }));
    const second = collect(client.subscribe('r/s', { qos: 1 }));
    await stage.clock.advance(0);
    const copy = (packetId: number) => ({ ...message('r/s', 'kept', packetId), retain: true });
    broker.send(copy(7), copy(8));
    await broker.expect('puback', { packetId: 7 });
    await broker.expect('puback', { packetId: 8 });
    expect([first.texts, second.texts, client.stats().held]).toEqual([['kept'], ['kept'], 0]);
    await stage.end(client, broker);
  });
});
