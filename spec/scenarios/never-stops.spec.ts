import { describe, expect, it } from '@jest/globals';
import type { ScriptedBroker } from '../support/scripted-broker.ts';
import { collect, eventsOf, message, Stage } from './stage.ts';

const KEEP = { cleanStart: false, clientId: 'me', messageRetry: 0 } as const;
const found = { sessionPresent: true };
const again = <Packet>(packet: Packet) => ({ ...packet, duplicate: true });
const never = () => new Promise(() => {});

/** Packet Identifiers acknowledged with PUBACK, in order. */
const pubacks = (broker: ScriptedBroker): number[] =>
  broker.packets.flatMap((packet) => (packet.type === 'puback' ? [packet.packetId] : []));

describe('an unread subscription', () => {
  it.each([
    ['3.1.1, a persistent session: it is skipped', KEEP, [2]],
    ['3.1.1, a clean session: it is acknowledged', {}, [1, 2]],
    [
      '5.0, a persistent session: it is skipped',
      { ...KEEP, protocolVersion: 5, sessionExpiryInterval: 60 },
      [2],
    ],
  ] as const)(
    'stops other subscriptions no longer than ackStallTimeout, and status() names it (%s)',
    async (_, options, answered) => {
      const stage = new Stage();
      const { client, broker } = await stage.online({ ...options, keepAlive: 0 });
      const stalls = eventsOf(client, 'ack-stalled');
      const unread = await stage.subscribe(client, broker, 'unread', { qos: 1 });
      const busy = collect(await stage.subscribe(client, broker, 'busy', { qos: 1 }));
      broker.send(message('unread', 'x', 1), message('busy', 'y', 2));
      await stage.clock.advance(29_999);
      expect([busy.texts, pubacks(broker), stalls]).toEqual([['y'], [], []]);
      await stage.clock.advance(1);
      expect(pubacks(broker)).toEqual(answered);
      expect(stalls).toEqual([{ type: 'ack-stalled', subscription: unread, ms: 30_000 }]);
      broker.send(message('busy', 'z', 3));
      await stage.clock.advance(0);
      expect([pubacks(broker), unread.depth]).toEqual([[...answered, 3], 1]);
      await stage.end(client, broker);
      expect(stage.clock.armed).toBe(0);
    },
  );

  it('stops a QoS 2 message that is answered a second time no longer than ackStallTimeout', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...KEEP, ackStallTimeout: 100 });
    const slow = await stage.subscribe(client, broker, 'slow', { qos: 2, ack: 'manual' });
    const busy = collect(await stage.subscribe(client, broker, 'busy', { qos: 2 }));
    const sent = [message('slow', 'x', 1), message('busy', 'y', 2)].map((one) => ({
      ...one,
      qos: 2 as const,
    }));
    broker.send(...sent);
    await stage.until(slow.receive());
    await stage.clock.advance(100);
    await broker.expect('pubrec', { packetId: 2 });
    // The PUBREC is lost with the connection.
    const next = await stage.reconnect(broker, found);
    next.send(...sent.map(again));
    await stage.clock.advance(99);
    expect(next.unread).toEqual([]);
    await stage.clock.advance(1);
    await next.expect('pubrec', { packetId: 2 });
    expect(busy.texts).toEqual(['y']);
    await stage.end(client, next);
  });

  it('has its messages acknowledged after the next resume, each delivered once', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...KEEP, ackStallTimeout: 100 });
    const unread = await stage.subscribe(client, broker, 'unread', { qos: 1 });
    const busy = collect(await stage.subscribe(client, broker, 'busy', { qos: 1 }));
    const left = [message('unread', 'x', 1), message('unread', 'y', 2)];
    broker.send(...left, message('busy', 'z', 3));
    await stage.clock.advance(100);
    expect(pubacks(broker)).toEqual([3]);
    const first = await stage.until(unread.receive());
    await stage.clock.advance(1_000);
    expect([first.text(), pubacks(broker)]).toEqual(['x', [3]]);
    const next = await stage.reconnect(broker, found);
    next.send(...left.map(again));
    await stage.clock.advance(0);
    expect(pubacks(next)).toEqual([1]);
    expect((await stage.until(unread.receive())).text()).toBe('y');
    await stage.clock.advance(0);
    expect([pubacks(next), unread.depth, busy.texts]).toEqual([[1, 2], 0, ['z']]);
    await stage.end(client, next);
  });

  it('is never skipped if ackStallTimeout is 0', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ackStallTimeout: 0, keepAlive: 0 });
    await stage.subscribe(client, broker, 'unread', { qos: 1 });
    collect(await stage.subscribe(client, broker, 'busy', { qos: 1 }));
    broker.send(message('unread', 'x', 1), message('busy', 'y', 2));
    await stage.clock.advance(1_000_000);
    expect(pubacks(broker)).toEqual([]);
    await stage.end(client, broker);
  });

  it('is skipped with QoS 2, too, and its PUBREL is answered after the resume', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...KEEP, ackStallTimeout: 100 });
    const unread = await stage.subscribe(client, broker, 'unread', { qos: 2 });
    collect(await stage.subscribe(client, broker, 'busy', { qos: 2 }));
    const left = { ...message('unread', 'x', 1), qos: 2 as const };
    broker.send(left, { ...message('busy', 'y', 2), qos: 2 });
    await broker.expect('pubrec', { packetId: 2 });
    await stage.until(unread.receive());
    const next = await stage.reconnect(broker, found);
    next.send(again(left));
    await next.expect('pubrec', { packetId: 1 });
    next.send({ type: 'pubrel', packetId: 1 });
    await next.expect('pubcomp', { packetId: 1 });
    expect(unread.depth).toBe(0);
    await stage.end(client, next);
  });
});

describe('a loop that has ended in a persistent session', () => {
  it('never delays other loops, neither with its last message nor with later ones', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const stalls = eventsOf(client, 'ack-stalled');
    const left = await stage.subscribe(client, broker, 'left', { qos: 1 });
    const busy = collect(await stage.subscribe(client, broker, 'busy', { qos: 1 }));
    broker.send(message('left', '1', 1));
    await stage.clock.advance(0);
    for await (const one of left) if (one.text() === '1') break;
    broker.send(message('busy', '2', 2));
    await stage.clock.advance(0);
    expect(pubacks(broker)).toEqual([2]);
    broker.send(message('left', '3', 3), message('busy', '4', 4));
    await stage.clock.advance(0);
    expect([pubacks(broker), busy.texts, stalls]).toEqual([[2, 4], ['2', '4'], []]);
    const next = await stage.reconnect(broker, found);
    const later = collect(left);
    next.send(again(message('left', '1', 1)), again(message('left', '3', 3)));
    await stage.clock.advance(0);
    expect([later.texts, pubacks(next)]).toEqual([
      ['1', '3'],
      [1, 3],
    ]);
    await stage.end(client, next);
  });

  it('is continued by a later loop, on the same connection if nothing else waited', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const left = await stage.subscribe(client, broker, 'left', { qos: 1 });
    broker.send(message('left', '1', 1));
    await stage.clock.advance(0);
    for await (const one of left) if (one.text() === '1') break;
    broker.send(message('left', '2', 2));
    await stage.clock.advance(50_000);
    expect(pubacks(broker)).toEqual([]);
    const later = collect(left);
    await stage.clock.advance(0);
    expect([later.texts, pubacks(broker)]).toEqual([
      ['1', '2'],
      [1, 2],
    ]);
    await stage.end(client, broker);
  });

  it('and is restarted keeps its place: its messages are not skipped at once', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const slow = await stage.subscribe(client, broker, 'slow', { qos: 1 });
    collect(await stage.subscribe(client, broker, 'busy', { qos: 1 }));
    broker.send(message('slow', '1', 1));
    await stage.clock.advance(0);
    for await (const one of slow) if (one.text() === '1') break;
    let finish = (): void => {};
    collect(slow, (one) => (one.text() === '3' ? new Promise<void>((resolve) => (finish = resolve)) : 0));
    await stage.clock.advance(0);
    broker.send(message('slow', '3', 3), message('busy', '4', 4));
    await stage.clock.advance(10);
    expect(pubacks(broker)).toEqual([1]);
    finish();
    await stage.clock.advance(0);
    expect(pubacks(broker)).toEqual([1, 3, 4]);
    await stage.end(client, broker);
  });
});

describe('2,500 messages at once, from a server without a window', () => {
  const COUNT = 2_500;
  const flood = Array.from({ length: COUNT }, (_, n) => message('a', String(n), n + 1));
  const EACH = flood.map((_, n) => String(n));

  it.each([
    ['a clean session', {}],
    ['a persistent session', KEEP],
  ])('reach a reading loop once and in order, and none is dropped (%s)', async (_, options) => {
    const stage = new Stage();
    const { client, broker } = await stage.online(options);
    const dropped = eventsOf(client, 'overflow');
    const looping = collect(await stage.subscribe(client, broker, 'a', { qos: 1 }));
    broker.send(...flood);
    // CONNECT and SUBSCRIBE came before.
    await broker.until(() => broker.packets.length === COUNT + 2);
    expect(looping.texts).toEqual(EACH);
    expect(pubacks(broker)).toEqual(flood.map(({ packetId }) => packetId));
    expect([dropped, stage.targets.length]).toEqual([[], 1]);
    await stage.end(client, broker);
  });

  it.each([
    ['a clean session', {}],
    ['a persistent session', KEEP],
  ])('wait in the network beyond receiveMaximum if unread, and none is lost (%s)', async (_, options) => {
    const stage = new Stage();
    const { client, broker } = await stage.online(options);
    const dropped = eventsOf(client, 'overflow');
    const unread = await stage.subscribe(client, broker, 'a', { qos: 1 });
    broker.send(...flood);
    await stage.clock.advance(0);
    expect([unread.depth, pubacks(broker), client.stats().reading]).toEqual([1_024, [], 'stopped']);
    const late = collect(unread);
    await stage.clock.advance(0);
    expect([late.texts, dropped, client.stats().reading]).toEqual([EACH, [], 'on']);
    expect(pubacks(broker)).toEqual(flood.map(({ packetId }) => packetId));
    expect(stage.targets).toHaveLength(1);
    await stage.end(client, broker);
  });

  it('do not stop other traffic: PUBACK and PINGRESP are read while the flood is unread', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    await stage.subscribe(client, broker, 'a', { qos: 1 });
    broker.send(...flood);
    broker.answer('publish', 'pingreq');
    await stage.until(client.publish('t', 'x', { qos: 1 }));
    await stage.clock.advance(200_000);
    expect([client.state, stage.targets.length]).toEqual(['connected', 1]);
    await stage.end(client, broker);
  });
});

describe('a handler that never ends', () => {
  it.each([
    ['a persistent session', KEEP, 10],
    ['a clean session', {}, 20],
  ] as const)('stops no other subscription (%s)', async (_, options, answered) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...options, ackStallTimeout: 100 });
    collect(await stage.subscribe(client, broker, 'stuck', { qos: 1 }), never);
    const busy = collect(await stage.subscribe(client, broker, 'busy', { qos: 1 }));
    for (let n = 0; n < 10; n++) {
      broker.send(message('stuck', 'x', 2 * n + 1), message('busy', String(n), 2 * n + 2));
      await stage.clock.advance(100);
    }
    expect(busy.texts).toHaveLength(10);
    expect(pubacks(broker)).toHaveLength(answered);
    await stage.end(client, broker);
  });
});

describe('a window of the server that is full of unread messages', () => {
  const WINDOW = 20;
  const held = Array.from({ length: WINDOW }, (_, n) => message('unread', String(n), n + 1));

  it.each([
    // Nothing comes for a whole ackStallTimeout, from the first of two that follow each other.
    ['3.1.1, a window that only the server knows', {}, 60_000],
    // Reading stops at once, so that nothing can come.
    ['5.0', { protocolVersion: 5, receiveMaximum: WINDOW }, 30_000],
  ] as const)(
    'is opened in a clean session: the messages are acknowledged, and kept for a late reader (%s)',
    async (_, options, delay) => {
      const stage = new Stage();
      const { client, broker } = await stage.online({ ...options, keepAlive: 0 });
      const stalls = eventsOf(client, 'ack-stalled');
      const unread = await stage.subscribe(client, broker, 'unread', { qos: 1 });
      const busy = collect(await stage.subscribe(client, broker, 'busy', { qos: 1 }));
      broker.send(...held);
      await stage.clock.advance(delay - 1);
      expect([pubacks(broker), stalls]).toEqual([[], []]);
      await stage.clock.advance(1);
      expect(pubacks(broker)).toEqual(held.map(({ packetId }) => packetId));
      expect(stalls).toEqual([{ type: 'ack-stalled', subscription: unread, ms: 30_000 }]);
      broker.send(message('busy', 'on', 21));
      await stage.clock.advance(0);
      expect(busy.texts).toEqual(['on']);
      const late = collect(unread);
      await stage.clock.advance(0);
      expect(late.texts).toEqual(held.map((_one, n) => String(n)));
      expect(pubacks(broker)).toHaveLength(WINDOW + 1);
      await stage.end(client, broker);
      expect(stage.clock.armed).toBe(0);
    },
  );

  it('is opened repeatedly, and memory stays within the limits of the subscription', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 0, ackStallTimeout: 100 });
    const unread = await stage.subscribe(client, broker, 'unread', { qos: 1, buffer: { messages: 50 } });
    await stage.subscribe(client, broker, 'other', { qos: 1 });
    for (let round = 0; round < 5; round++) {
      broker.send(...held);
      await stage.clock.advance(200);
    }
    expect(pubacks(broker)).toHaveLength(5 * WINDOW);
    expect([unread.depth, unread.dropped]).toEqual([50, 50]);
    await stage.end(client, broker);
  });

  it('is reported once in a persistent session, where only the application can open it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...KEEP, keepAlive: 0, ackStallTimeout: 100 });
    const stalls = eventsOf(client, 'ack-stalled');
    const unread = await stage.subscribe(client, broker, 'unread', { qos: 1 });
    await stage.subscribe(client, broker, 'busy', { qos: 1 });
    broker.send(...held);
    await stage.clock.advance(1_000);
    expect(stalls).toEqual([{ type: 'ack-stalled', subscription: unread, ms: 100 }]);
    expect(pubacks(broker)).toEqual([]);
    const late = collect(unread);
    await stage.clock.advance(1_000);
    expect([late.texts.length, pubacks(broker).length]).toEqual([WINDOW, WINDOW]);
    await stage.end(client, broker);
    expect(stage.clock.armed).toBe(0);
  });

  it.each([
    ['something else keeps coming', {}, 2],
    ['there is no other subscription', {}, 1],
    ['ackStallTimeout is 0', { ackStallTimeout: 0 }, 2],
  ] as const)('is not assumed if %s', async (_, options, subscriptions) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ackStallTimeout: 100, ...options, keepAlive: 0 });
    const stalls = eventsOf(client, 'ack-stalled');
    await stage.subscribe(client, broker, 'unread', { qos: 1 });
    const more = subscriptions > 1 ? await stage.subscribe(client, broker, 'busy', { qos: 2 }) : undefined;
    broker.send(...held);
    for (let n = 0; n < 8; n++) {
      // Of QoS 2, so that no PUBACK waits behind the others.
      if (more !== undefined && !('ackStallTimeout' in options))
        broker.send({ ...message('busy', 'x', 100 + n), qos: 2 });
      await stage.clock.advance(50);
    }
    expect([stalls, pubacks(broker)]).toEqual([[], []]);
    await stage.end(client, broker);
  });
});
