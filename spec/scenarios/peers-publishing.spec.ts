import { describe, expect, it } from '@jest/globals';
import { PoisonedMessageError, QueueFullError, TimeoutError } from '../../lib/errors.ts';
import type { ScriptedBroker } from '../support/scripted-broker.ts';
import { errorOf, type Outcome, Stage, watch } from './stage.ts';

const KEEP = { cleanStart: false, clientId: 'me', messageRetry: 0 } as const;

/** Topics of the messages on a connection, in order. */
const topics = (broker: ScriptedBroker): string[] =>
  broker.packets.flatMap((packet) => (packet.type === 'publish' ? [packet.topic] : []));

/** `ok`, the name of the error, or `pending`. */
function inAWord(outcome: Outcome): string {
  if (outcome === 'pending') return outcome;
  return 'value' in outcome ? 'ok' : (outcome.error as Error).name;
}

/** A server that resets the connection at every message to `poison`, and acknowledges all others. */
async function breakAtPoison(
  stage: Stage,
  first: ScriptedBroker,
  sessionPresent: boolean,
  isOver: () => boolean,
): Promise<{ broker: ScriptedBroker; reconnects: number }> {
  let broker = first;
  for (let reconnects = 0; ;) {
    await broker.until(() => broker.unread.length > 0 || isOver());
    if (isOver()) return { broker, reconnects };
    const packet = broker.unread[0]!;
    if (packet.type === 'publish' && packet.topic === 'poison') {
      broker = await stage.reconnect(broker, { sessionPresent });
      reconnects++;
    } else if (packet.type === 'pubrel') {
      const { packetId } = await broker.expect('pubrel');
      broker.send({ type: 'pubcomp', packetId });
    } else {
      const { qos, packetId } = await broker.expect('publish');
      broker.send({ type: qos === 1 ? 'puback' : 'pubrec', packetId: packetId! });
    }
  }
}

describe('peers: poison', () => {
  it.each([4, 5] as const)(
    'peers P5: a message with a bad topic is rejected before anything is written, and later ones get through (version %d)',
    async (protocolVersion) => {
      const stage = new Stage();
      const { client, broker } = await stage.online({ protocolVersion, keepAlive: 0 });
      broker.ackPublishes();
      const bad = ['', 'a/+', '#', 'a\u0000b', '\ud800', 'x'.repeat(65_536)];
      const refused = bad.map((topic) => client.publish(topic, 'x', { qos: 1 }));
      const behind = client.publish('good', 'x', { qos: 1 });
      for (const one of refused) expect(await errorOf(one)).toBeInstanceOf(TypeError);
      await stage.until(behind);
      expect([topics(broker), stage.targets.length, client.state]).toEqual([['good'], 1, 'connected']);
      await stage.end(client, broker);
    },
  );

  it.each([0, 1, 2] as const)(
    'peers P5: a message of QoS %d above Maximum Packet Size is rejected before anything is written, also if it waited for the connection',
    async (qos) => {
      const stage = new Stage();
      const client = stage.client({ protocolVersion: 5, clientId: 'me', keepAlive: 0 });
      const large = 'x'.repeat(100);
      const waited = watch(client.publish('large', large, { qos }));
      const behind = [client.publish('good', 'x', { qos: 1 })];
      const broker = await stage.connect(client, { properties: { maximumPacketSize: 50 } });
      broker.ackPublishes();
      const direct = watch(client.publish('large', large, { qos }));
      behind.push(client.publish('good', 'x', { qos: 1 }));
      await stage.until(Promise.all(behind));
      const fate = { error: { reasonCode: 0x95, delivery: 'not-sent', kept: false } };
      expect([waited(), direct()]).toMatchObject([fate, fate]);
      await stage.clock.advance(100_000);
      expect([topics(broker), stage.targets.length, client.state]).toEqual([
        ['good', 'good'],
        1,
        'connected',
      ]);
      await stage.end(client, broker);
    },
  );

  it('peers P5: a message that no longer fits after a reconnect is rejected there, and later ones get through', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...KEEP, protocolVersion: 5, sessionExpiryInterval: 60 });
    const large = watch(client.publish('large', 'x'.repeat(100), { qos: 1 }));
    const behind = client.publish('good', 'x', { qos: 1 });
    await stage.clock.advance(1_001);
    const next = await stage.reconnect(broker, {
      sessionPresent: true,
      properties: { maximumPacketSize: 50 },
    });
    next.ackPublishes();
    await stage.until(behind);
    expect(large()).toMatchObject({ error: { reasonCode: 0x95, delivery: 'unknown', kept: false } });
    expect([topics(next), stage.targets.length]).toEqual([['good'], 2]);
    await stage.end(client, next);
  });

  it.each([
    ['QoS 1, 3.1.1, a persistent session', 1, { ...KEEP, protocolVersion: 4 }, true],
    ['QoS 2, 3.1.1, a persistent session', 2, { ...KEEP, protocolVersion: 4 }, true],
    ['QoS 1, 3.1.1, a clean session', 1, { protocolVersion: 4, messageRetry: 0 }, false],
    ['QoS 2, 3.1.1, a clean session', 2, { protocolVersion: 4, messageRetry: 0 }, false],
    ['QoS 1, 5.0', 1, { ...KEEP, protocolVersion: 5, sessionExpiryInterval: 60 }, true],
    ['QoS 2, 5.0', 2, { ...KEEP, protocolVersion: 5, sessionExpiryInterval: 60 }, true],
  ] as const)(
    'peers P5: a message that breaks each connection is rejected, and all others get through (%s)',
    async (_, qos, options, sessionPresent) => {
      const stage = new Stage();
      const { client, broker: first } = await stage.online({ ...options, keepAlive: 0 });
      const all = ['a', 'b', 'poison', 'c', 'd', 'e'];
      const outcomes = all.map((topic) => watch(client.publish(topic, topic, { qos })));
      const began = stage.clock.now();
      const isOver = () => outcomes.every((outcome) => outcome() !== 'pending');
      const { broker, reconnects } = await breakAtPoison(stage, first, sessionPresent, isOver);
      expect(outcomes.map((outcome) => inAWord(outcome()))).toEqual([
        'ok',
        'ok',
        'PoisonedMessageError',
        'ok',
        'ok',
        'ok',
      ]);
      expect(outcomes[2]!()).toMatchObject({
        error: expect.any(PoisonedMessageError),
      });
      expect(outcomes[2]!()).toMatchObject({ error: { delivery: 'unknown', kept: false } });
      expect(reconnects).toBeLessThanOrEqual(4);
      expect(stage.clock.now() - began).toBeLessThan(60_000);
      // Later messages are sent at once, and the connection stays.
      broker.ackPublishes();
      await stage.until(client.publish('later', 'x', { qos }));
      await stage.clock.advance(100_000);
      expect([client.state, stage.targets.length]).toEqual(['connected', reconnects + 1]);
      await stage.end(client, broker);
    },
  );
});

describe('peers: the queue', () => {
  /** Publishes six messages of five bytes, topics included. Returns which are rejected at once and which arrive later. */
  async function six(options: object): Promise<{ fates: string[]; arrived: string[] }> {
    const stage = new Stage();
    const client = stage.client(options);
    const published = Array.from({ length: 6 }, (_, n) => client.publish(`t/${n}`, 'xx', { qos: 1 }));
    const outcomes = published.map(watch);
    await stage.clock.advance(0);
    const full = outcomes.map((outcome) => outcome());
    for (const outcome of full)
      if (outcome !== 'pending')
        expect(outcome).toMatchObject({ error: { delivery: 'not-sent', kept: false } });
    const broker = await stage.connect(client);
    broker.ackPublishes();
    await stage.clock.advance(0);
    await stage.end(client, broker);
    return { fates: full.map(inAWord), arrived: topics(broker).map((topic) => topic.slice(2)) };
  }
  const full = QueueFullError.prototype.name;

  it('peers P14: can be limited in messages: further ones are rejected at once', async () => {
    expect(await six({ maxQueued: 4 })).toEqual({
      fates: ['pending', 'pending', 'pending', 'pending', full, full],
      arrived: ['0', '1', '2', '3'],
    });
  });

  it('peers P14: can be limited in bytes: further messages are rejected at once', async () => {
    expect(await six({ maxQueuedBytes: 11 })).toEqual({
      fates: ['pending', 'pending', full, full, full, full],
      arrived: ['0', '1'],
    });
  });

  it('peers P14: drops the oldest messages instead on request', async () => {
    for (const limit of [{ maxQueued: 2 }, { maxQueuedBytes: 11 }])
      expect(await six({ ...limit, onQueueFull: 'drop-oldest' })).toEqual({
        fates: [full, full, full, full, 'pending', 'pending'],
        arrived: ['4', '5'],
      });
  });

  it('peers P14: drops nothing for a message that is larger than the whole queue', async () => {
    const stage = new Stage();
    const client = stage.client({ maxQueuedBytes: 5, onQueueFull: 'drop-oldest' });
    const small = watch(client.publish('t', 'xx', { qos: 1 }));
    expect(await errorOf(client.publish('t', 'x'.repeat(6), { qos: 1 }))).toBeInstanceOf(QueueFullError);
    expect(small()).toBe('pending');
    await client.disconnect();
  });

  it('peers P14: has the same limit for messages that wait behind the window', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ maxInflight: 2, maxQueued: 1, messageRetry: 0 });
    const outcomes = Array.from({ length: 5 }, (_, n) => watch(client.publish(`t/${n}`, 'x', { qos: 1 })));
    await stage.clock.advance(0);
    expect(outcomes.map((outcome) => inAWord(outcome()))).toEqual([
      'pending',
      'pending',
      'pending',
      full,
      full,
    ]);
    // QoS 0 does not wait for the window, and takes no place.
    await client.publish('at most once', 'x');
    broker.ackPublishes();
    await stage.clock.advance(0);
    expect(outcomes.map((outcome) => inAWord(outcome()))).toEqual(['ok', 'ok', 'ok', full, full]);
    await stage.end(client, broker);
  });

  it('peers P14: has no limit by default', async () => {
    const stage = new Stage();
    const client = stage.client();
    const outcomes = Array.from({ length: 5_000 }, () => watch(client.publish('t', 'x', { qos: 1 })));
    const broker = await stage.connect(client);
    broker.ackPublishes();
    await stage.clock.advance(0);
    expect(outcomes.every((outcome) => inAWord(outcome()) === 'ok')).toBe(true);
    await stage.end(client, broker);
  });

  it('peers P14: drops a message after its timeout, never sends it later, and reuses its place', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...KEEP, maxQueued: 2 });
    for (let n = 0; n < 3; n++) stage.refusals.push(new Error('down'));
    broker.reset();
    await stage.clock.advance(0);
    const stale = watch(client.publish('stale', 'x', { qos: 1, timeout: 2_000 }));
    const kept = watch(client.publish('kept', 'x', { qos: 1, timeout: 60_000 }));
    expect(await errorOf(client.publish('refused', 'x', { qos: 1 }))).toBeInstanceOf(QueueFullError);
    await stage.clock.advance(1_999);
    expect(stale()).toBe('pending');
    await stage.clock.advance(1);
    expect(stale()).toMatchObject({ error: expect.any(TimeoutError) });
    expect(stale()).toMatchObject({ error: { delivery: 'not-sent', kept: false } });
    const later = watch(client.publish('later', 'x', { qos: 1 }));
    const next = await stage.network.next();
    next.ackPublishes();
    await next.accept({ sessionPresent: true });
    await stage.clock.advance(0);
    expect(topics(next)).toEqual(['kept', 'later']);
    expect([inAWord(kept()), inAWord(later())]).toEqual(['ok', 'ok']);
    await stage.end(client, next);
    expect(stage.clock.armed).toBe(0);
  });

  it('peers P14: rejects QoS 0 without a connection on request', async () => {
    const stage = new Stage();
    const client = stage.client({ queueQos0Offline: false });
    expect(await errorOf(client.publish('t', 'x'))).toMatchObject({ delivery: 'not-sent', kept: false });
    await client.disconnect();
  });
});
