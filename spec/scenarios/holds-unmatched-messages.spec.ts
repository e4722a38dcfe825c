import { describe, expect, it } from '@jest/globals';
import { SubscribeError } from '../../lib/errors.ts';
import type { ScriptedBroker } from '../support/scripted-broker.ts';
import { collect, errorOf, message, Stage, watch } from './stage.ts';

const KEEP = { cleanStart: false, clientId: 'me', messageRetry: 0 } as const;
const found = { sessionPresent: true };
const again = <Packet>(packet: Packet) => ({ ...packet, duplicate: true });

/** Packet Identifiers acknowledged with PUBACK, in order. */
const pubacks = (broker: ScriptedBroker): number[] =>
  broker.packets.flatMap((packet) => (packet.type === 'puback' ? [packet.packetId] : []));

/** One message for each number `from` to `to`, with the Packet Identifier one higher. */
const numbered = (topic: string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, n) => message(topic, String(from + n), from + n + 1));

describe('a message that comes before subscribe()', () => {
  it.each([
    ['3.1.1', KEEP],
    ['5.0', { ...KEEP, protocolVersion: 5, sessionExpiryInterval: 60 }],
  ] as const)(
    'is held unacknowledged, and delivered to the first matching subscription, in order (%s)',
    async (_, options) => {
      const stage = new Stage();
      const { client, broker } = await stage.online(options, found);
      broker.send(message('a', '1', 1), message('b', '2', 2), message('a', '3', 3));
      await stage.clock.advance(1_000);
      expect(pubacks(broker)).toEqual([]);
      const first = collect(await stage.subscribe(client, broker, 'a', { qos: 1 }));
      await broker.expect('puback', { packetId: 1 });
      const second = await stage.subscribe(client, broker, 'a', { qos: 1 });
      await stage.clock.advance(0);
      expect([first.texts, second.depth, pubacks(broker)]).toEqual([['1', '3'], 0, [1]]);
      const other = collect(await stage.subscribe(client, broker, '#', { qos: 1 }));
      await stage.clock.advance(0);
      expect([other.texts, pubacks(broker)]).toEqual([['2'], [1, 2, 3]]);
      await stage.end(client, broker);
      expect(stage.clock.armed).toBe(0);
    },
  );

  it('is delivered to a subscription that is iterated before its SUBACK', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP, found);
    broker.send(message('a', '1', 1));
    await stage.clock.advance(0);
    const looping = collect(client.subscribe('a', { qos: 1 }));
    await stage.clock.advance(0);
    expect([looping.texts, pubacks(broker)]).toEqual([['1'], [1]]);
    await stage.end(client, broker);
  });

  it('is delivered before messages that arrive after subscribe()', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP, found);
    broker.send(...numbered('a', 0, 10));
    await stage.clock.advance(0);
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    broker.send(...numbered('a', 10, 20));
    await stage.clock.advance(0);
    const looping = collect(subscription);
    await stage.clock.advance(0);
    expect(looping.texts).toEqual(Array.from({ length: 20 }, (_, n) => String(n)));
    await stage.end(client, broker);
  });

  it('is held with QoS 2, and not with QoS 0', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP, found);
    broker.send(message('a', 'gone'), { ...message('a', 'kept', 7), qos: 2 });
    await stage.clock.advance(0);
    const looping = collect(await stage.subscribe(client, broker, 'a', { qos: 2 }));
    await broker.expect('pubrec', { packetId: 7 });
    expect(looping.texts).toEqual(['kept']);
    await stage.end(client, broker);
  });

  it('is acknowledged at once with `unmatched: "acknowledge"`, and in a clean session', async () => {
    for (const options of [{ ...KEEP, unmatched: 'acknowledge' }, {}] as const) {
      const stage = new Stage();
      const { client, broker } = await stage.online(options, options === KEEP ? found : {});
      broker.send(message('a', '1', 1), { ...message('a', '2', 2), qos: 2 });
      await broker.expect('puback', { packetId: 1 });
      await broker.expect('pubrec', { packetId: 2 });
      const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
      expect(subscription.depth).toBe(0);
      await stage.end(client, broker);
    }
  });

  it('delays other messages for at most 10 s, causes a warning, and is kept for a late subscription', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP, found);
    const busy = collect(await stage.subscribe(client, broker, 'busy', { qos: 1 }));
    const held = message('later', '1', 1);
    broker.send(held, message('busy', '2', 2));
    await stage.clock.advance(9_999);
    expect([busy.texts, pubacks(broker), stage.log.join()]).toEqual([
      ['2'],
      [],
      expect.not.stringContaining('passed over'),
    ]);
    await stage.clock.advance(1);
    await broker.expect('puback', { packetId: 2 });
    expect(stage.log.filter((line) => line.startsWith('warn: 1 messages have had no sub'))).toHaveLength(1);
    const late = collect(await stage.subscribe(client, broker, 'later', { qos: 1 }));
    await stage.clock.advance(0);
    expect([late.texts, pubacks(broker)]).toEqual([['1'], [2]]);
    const next = await stage.reconnect(broker, found);
    next.send(again(held));
    await next.expect('puback', { packetId: 1 });
    expect(late.texts).toEqual(['1']);
    await stage.end(client, next);
    expect(stage.clock.armed).toBe(0);
  });

  it('is held once, however often the connection is lost', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP, found);
    const held = numbered('a', 0, 3);
    broker.send(...held);
    let last = broker;
    for (let n = 0; n < 3; n++) {
      await stage.clock.advance(0);
      last = await stage.reconnect(last, found);
      last.send(...held.map(again));
    }
    const looping = collect(await stage.subscribe(client, last, 'a', { qos: 1 }));
    await stage.clock.advance(0);
    expect([looping.texts, pubacks(last)]).toEqual([
      ['0', '1', '2'],
      [1, 2, 3],
    ]);
    await stage.end(client, last);
  });

  it('stops reading if there is no more room, until subscribe(), and the order is kept', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP, found);
    broker.send(...numbered('a', 0, 1_005));
    await stage.clock.advance(0);
    expect(client.stats()).toMatchObject({ held: 1_000, reading: 'stopped' });
    const looping = collect(await stage.subscribe(client, broker, 'a', { qos: 1 }));
    await stage.clock.advance(0);
    expect(looping.texts).toEqual(numbered('a', 0, 1_005).map((_, n) => `${n}`));
    expect([pubacks(broker).length, stage.targets.length]).toEqual([1_005, 1]);
    await stage.end(client, broker);
  });

  it('is dropped when the session is lost, as the server no longer has it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP, found);
    broker.send(message('a', '1', 1));
    await stage.clock.advance(0);
    const next = await stage.reconnect(broker);
    const subscription = await stage.subscribe(client, next, 'a', { qos: 1 });
    expect(subscription.depth).toBe(0);
    await stage.end(client, next);
    expect(stage.clock.armed).toBe(0);
  });

  it('is abandoned by disconnect(), and held again when the session is resumed', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP, found);
    broker.send(message('a', '1', 1));
    await stage.clock.advance(0);
    await stage.end(client, broker);
    expect([pubacks(broker), stage.clock.armed]).toEqual([[], 0]);
    const next = await stage.connect(client, found);
    next.send(again(message('a', '1', 1)));
    await stage.clock.advance(0);
    const looping = collect(await stage.subscribe(client, next, 'a', { qos: 1 }));
    await stage.clock.advance(0);
    expect([looping.texts, pubacks(next)]).toEqual([['1'], [1]]);
    await stage.end(client, next);
  });

  it('is not acknowledged with a failed subscribe(): the server sends it again', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP, found);
    const held = message('a', '1', 1);
    broker.send(held);
    await stage.clock.advance(0);
    const refused = watch(client.subscribe('a', { qos: 1 }));
    const { packetId } = await broker.expect('subscribe');
    broker.send({ type: 'suback', packetId, reasonCodes: [0x80] });
    await stage.clock.advance(0);
    expect(refused()).toMatchObject({ error: expect.any(SubscribeError) });
    expect(pubacks(broker)).toEqual([]);
    const next = await stage.reconnect(broker, found);
    next.send(again(held));
    const looping = collect(await stage.subscribe(client, next, 'a', { qos: 1 }));
    await stage.clock.advance(0);
    expect([looping.texts, pubacks(next)]).toEqual([['1'], [1]]);
    await stage.end(client, next);
  });

  it('is not acknowledged with a subscribe() that times out', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP, found);
    broker.send(message('a', '1', 1));
    await stage.clock.advance(0);
    const late = errorOf(client.subscribe('a', { qos: 1, timeout: 50 }));
    await stage.until(late);
    await stage.clock.advance(0);
    expect(pubacks(broker)).toEqual([]);
    await stage.end(client, broker);
  });
});
