import { describe, expect, it } from '@jest/globals';
import type { ScriptedBroker } from '../support/scripted-broker.ts';
import { collect, eventsOf, message, Stage } from './stage.ts';

/*
 * A loop awaits an answer that comes behind more messages than `receiveBuffer` holds.
 */

const STALL = 30_000;
const FIVE = { protocolVersion: 5 } as const;
const KEEP = { cleanStart: false, clientId: 'me', messageRetry: 0 } as const;
const KEEP_FIVE = { ...FIVE, cleanStart: false, clientId: 'me', sessionExpiryInterval: 600 } as const;

const OPTIONS = { keepAlive: 0, receiveMaximum: 10, receiveBuffer: 2_000, ackStallTimeout: STALL } as const;

/** 100 bytes each, including the topic: this number fills `receiveBuffer`. */
const HELD = 20;
const COUNT = 60;
const backlog = Array.from({ length: COUNT }, (_, n) => message('a', `${n}`.padEnd(99, '.'), n + 1));
const numbersOf = (texts: readonly string[]): number[] => texts.map((text) => Number.parseInt(text, 10));
const EACH = backlog.map((_, n) => n);

/** The body of a loop that publishes at its first message, and continues after the acknowledgement. */
function publishing(stage: Stage, client: Awaited<ReturnType<Stage['online']>>['client']) {
  const report = { publish: 'not yet', after: 0 };
  const body = async (): Promise<void> => {
    if (report.publish !== 'not yet') return;
    report.publish = 'begun';
    const begun = stage.clock.now();
    await client.publish('own', 'x', { qos: 1 });
    report.publish = 'acknowledged';
    report.after = stage.clock.now() - begun;
  };
  return { report, body };
}

/** Packet Identifiers acknowledged with PUBACK on any connection. */
const acknowledged = (stage: Stage): Set<number> =>
  new Set(
    stage.network.connections.flatMap(({ broker }) =>
      broker.packets.flatMap((packet) => (packet.type === 'puback' ? [packet.packetId] : [])),
    ),
  );

/** A server that sends all its messages before it answers PUBLISH. */
async function answeredBehind(broker: ScriptedBroker, messages: typeof backlog): Promise<void> {
  const { packetId } = await broker.expect('publish', { topic: 'own' });
  broker.send(...messages, { type: 'puback', packetId: packetId! });
}

describe('an answer behind more than receiveBuffer, awaited by the only loop', () => {
  it.each([
    ['3.1.1', {}],
    ['5.0', FIVE],
  ] as const)(
    'is read after ackStallTimeout in a clean session: the newest messages are dropped and counted (%s)',
    async (_, version) => {
      const stage = new Stage();
      const { client, broker } = await stage.online({ ...OPTIONS, ...version, messageRetry: 0 });
      const overflows = eventsOf(client, 'overflow');
      const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
      const { report, body } = publishing(stage, client);
      const looping = collect(subscription, body);
      broker.send(backlog[0]!);
      await answeredBehind(broker, backlog.slice(1));
      await stage.clock.advance(STALL - 1);
      expect([report.publish, client.stats().reading, subscription.dropped]).toEqual(['begun', 'stopped', 0]);
      expect(client.stats().unsettled.bytes).toBeLessThanOrEqual(OPTIONS.receiveBuffer);
      await stage.clock.advance(1_001);
      expect(report).toEqual({ publish: 'acknowledged', after: STALL });
      expect(numbersOf(looping.texts)).toEqual(EACH.slice(0, HELD));
      expect([subscription.dropped, client.stats().overflowed]).toEqual([COUNT - HELD, COUNT - HELD]);
      expect(overflows.map(({ dropped }) => dropped).at(-1)).toBe(COUNT - HELD);
      expect(overflows.length).toBeLessThanOrEqual(2);
      // The window of the server is free again, and new messages are delivered.
      expect(acknowledged(stage).size).toBe(COUNT);
      broker.send(message('a', 'more', 100));
      await stage.clock.advance(0);
      expect([looping.texts.at(-1), stage.targets.length]).toEqual(['more', 1]);
      await stage.end(client, broker);
    },
  );

  it.each([
    ['3.1.1', KEEP],
    ['5.0', KEEP_FIVE],
  ] as const)(
    'is read after one reconnect in a persistent session, and no message is lost or repeated (%s)',
    async (_, session) => {
      const stage = new Stage();
      const { client, broker } = await stage.online({ ...OPTIONS, ...session });
      const overflows = eventsOf(client, 'overflow');
      const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
      const { report, body } = publishing(stage, client);
      const looping = collect(subscription, body);
      broker.send(backlog[0]!);
      await answeredBehind(broker, backlog.slice(1));
      await stage.clock.advance(STALL - 1);
      expect([report.publish, stage.targets.length]).toEqual(['begun', 1]);
      await stage.clock.advance(1);
      const next = await stage.network.next();
      await next.accept({ sessionPresent: true });
      next.send(...backlog.map((one) => ({ ...one, duplicate: true })));
      await stage.clock.advance(10 * STALL);
      expect(report).toEqual({ publish: 'acknowledged', after: STALL });
      expect(numbersOf(looping.texts)).toEqual(EACH);
      expect(acknowledged(stage).size).toBe(COUNT);
      expect([overflows, subscription.dropped, stage.targets.length]).toEqual([[], 0, 2]);
      await stage.end(client, next);
    },
  );
});

describe('a request whose answer is behind more than receiveBuffer', () => {
  it('does not time out while reading is stopped, and keeps no timer busy', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({
      ...OPTIONS,
      keepAlive: 10,
      ackStallTimeout: 0,
      requestTimeout: 1_000,
    });
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const [first, ...rest] = backlog as [(typeof backlog)[0], ...typeof backlog];
    broker.send(first);
    const loop = subscription[Symbol.asyncIterator]();
    await stage.until(loop.next());
    let outcome = 'pending';
    client.unsubscribe('other').then(
      () => (outcome = 'done'),
      (error: Error) => (outcome = error.name),
    );
    const { packetId } = await broker.expect('unsubscribe');
    broker.send(...rest, { type: 'unsuback', packetId });
    // The fake clock throws if timers fire endlessly at one moment.
    await stage.clock.advance(100_000);
    expect([outcome, client.stats().reading]).toEqual(['pending', 'stopped']);
    for (let taken = 1; taken < COUNT; taken++) await stage.until(loop.next());
    await stage.clock.advance(0);
    expect(outcome).toBe('done');
    await stage.end(client, broker);
  });

  it('times out after the connection is lost while reading is stopped', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({
      ...OPTIONS,
      ...KEEP,
      ackStallTimeout: 0,
      requestTimeout: 1_000,
      reconnect: { minDelay: 10_000 },
    });
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    broker.send(backlog[0]!);
    const loop = subscription[Symbol.asyncIterator]();
    await stage.until(loop.next());
    let outcome = 'pending';
    client.unsubscribe('other').then(
      () => (outcome = 'done'),
      (error: Error) => (outcome = error.name),
    );
    await broker.expect('unsubscribe');
    broker.send(...backlog.slice(1));
    await stage.clock.advance(5_000);
    expect([outcome, client.stats().reading]).toEqual(['pending', 'stopped']);
    broker.reset();
    await stage.clock.advance(999);
    expect(outcome).toBe('pending');
    await stage.clock.advance(1);
    expect(outcome).toBe('TimeoutError');
    await stage.end(client);
  });
});
