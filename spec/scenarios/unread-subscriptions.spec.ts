import { describe, expect, it } from '@jest/globals';
import type { ScriptedBroker } from '../support/scripted-broker.ts';
import { collect, message, Stage } from './stage.ts';

/*
 * An unread subscription with far more messages than `receiveMaximum`, besides one that is read.
 */

const WINDOW = 20;
const STALL = 30_000;
const FIVE = { protocolVersion: 5 } as const;
const KEEP = { cleanStart: false, clientId: 'me', messageRetry: 0 } as const;
const KEEP_FIVE = { ...FIVE, cleanStart: false, clientId: 'me', sessionExpiryInterval: 600 } as const;

const CLEAN_SESSIONS = [
  ['3.1.1', {}],
  ['5.0', FIVE],
] as const;
const KEPT_SESSIONS = [
  ['3.1.1', KEEP],
  ['5.0', KEEP_FIVE],
] as const;

const OPTIONS = { keepAlive: 0, ackStallTimeout: STALL, receiveMaximum: WINDOW } as const;

const texts = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, n) => String(from + n));

/** Messages `from` to `from + count`: every fifth is for the subscription that is read. */
const mixed = (from: number, count: number) =>
  texts(from, count).map((text, n) => message((from + n) % 5 === 4 ? 'busy' : 'unread', text, from + n + 1));

/**
 * Skipped messages are acknowledged on later connections, on which the server sends all unacknowledged messages again.
 * Returns the broker's end of the last connection.
 */
async function sentAgain(stage: Stage, all: ReturnType<typeof mixed>): Promise<ScriptedBroker> {
  for (let n = 1; ; n++) {
    const brokers = stage.network.connections.map(({ broker }) => broker);
    const acknowledged = new Set(
      brokers.flatMap(({ packets }) => packets.flatMap((one) => (one.type === 'puback' ? one.packetId : []))),
    );
    const left = all.filter(({ packetId }) => !acknowledged.has(packetId!));
    const broker = brokers.at(-1)!;
    if (left.length === 0 || n > 20) return broker;
    if (brokers.length > n) {
      await broker.accept({ sessionPresent: true });
      broker.send(...left.map((one) => ({ ...one, duplicate: true })));
    }
    await stage.clock.advance(0);
  }
}

const busyOf = (all: readonly string[]): string[] => all.filter((text) => Number(text) % 5 === 4);
const unreadOf = (all: readonly string[]): string[] => all.filter((text) => Number(text) % 5 !== 4);

describe('an unread subscription besides one that is read, and a server without a window', () => {
  const COUNT = 600;
  const ALL = texts(0, COUNT);

  it.each(CLEAN_SESSIONS)(
    'delays it by one ackStallTimeout at most, and stays within its buffer in a clean session (%s)',
    async (_, version) => {
      const stage = new Stage();
      const { client, broker } = await stage.online({ ...OPTIONS, ...version });
      const limits = { qos: 1, buffer: { messages: 100 } } as const;
      const unread = await stage.subscribe(client, broker, 'unread', limits);
      const busy = collect(await stage.subscribe(client, broker, 'busy', { qos: 1 }));
      broker.send(...mixed(0, COUNT));
      await stage.clock.advance(STALL - 1);
      expect([client.stats().reading, busy.texts.length < COUNT / 5]).toEqual(['stopped', true]);
      await stage.clock.advance(1);
      expect(busy.texts).toEqual(busyOf(ALL));
      expect([unread.depth, unread.dropped]).toEqual([100, unreadOf(ALL).length - 100]);
      expect(client.stats()).toMatchObject({ reading: 'on', unsettled: { messages: 0 } });
      expect(stage.targets).toHaveLength(1);
      const late = collect(unread);
      await stage.clock.advance(0);
      expect(late.texts).toEqual(unreadOf(ALL).slice(-100));
      await stage.end(client, broker);
    },
  );

  it.each(KEPT_SESSIONS)(
    'delays it by one ackStallTimeout at most, and loses nothing in a persistent session (%s)',
    async (_, session) => {
      const stage = new Stage();
      const { client, broker } = await stage.online({ ...OPTIONS, ...session });
      const unread = await stage.subscribe(client, broker, 'unread', { qos: 1 });
      const busy = collect(await stage.subscribe(client, broker, 'busy', { qos: 1 }));
      broker.send(...mixed(0, COUNT));
      await stage.clock.advance(STALL);
      expect(busy.texts).toEqual(busyOf(ALL));
      expect([unread.depth, unread.dropped]).toEqual([unreadOf(ALL).length, 0]);
      const late = collect(unread);
      await stage.clock.advance(0);
      expect([late.texts, client.stats().overflowed]).toEqual([unreadOf(ALL), 0]);
      await stage.end(client, broker);
    },
  );

  it.each(KEPT_SESSIONS)(
    'holds no more than receiveBuffer in a persistent session; the rest waits in the network (%s)',
    async (_, session) => {
      const stage = new Stage();
      const limit = 2_000;
      const { client, broker } = await stage.online({ ...OPTIONS, ...session, receiveBuffer: limit });
      const unread = await stage.subscribe(client, broker, 'unread', { qos: 1 });
      const busy = collect(await stage.subscribe(client, broker, 'busy', { qos: 1 }));
      broker.send(...mixed(0, COUNT));
      await stage.clock.advance(10 * STALL);
      const { reading, unsettled } = client.stats();
      expect(reading).toBe('stopped');
      expect(unsettled.bytes).toBeLessThanOrEqual(limit);
      expect(unsettled.bytes).toBeGreaterThan(limit * 0.9);
      const late = collect(unread);
      await stage.clock.advance(0);
      const last = await sentAgain(stage, mixed(0, COUNT));
      expect([late.texts, busy.texts]).toEqual([unreadOf(ALL), busyOf(ALL)]);
      expect([unread.dropped, client.stats().overflowed]).toEqual([0, 0]);
      await stage.end(client, last);
    },
  );
});

describe('an unread subscription besides one that is read, and a server that respects Receive Maximum', () => {
  it.each(CLEAN_SESSIONS)(
    'delays it by one ackStallTimeout in all, however many windows it fills (%s)',
    async (_, version) => {
      const COUNT = 10 * WINDOW;
      const stage = new Stage();
      const { client, broker } = await stage.online({ ...OPTIONS, ...version });
      const unread = await stage.subscribe(client, broker, 'unread', { qos: 1 });
      const busy = collect(await stage.subscribe(client, broker, 'busy', { qos: 1 }));
      const waiting = mixed(0, COUNT);
      let inFlight = 0;
      let acknowledged = 0;
      const serve = (): void => {
        const { length } = broker.packets.filter(({ type }) => type === 'puback');
        inFlight -= length - acknowledged;
        acknowledged = length;
        while (inFlight < WINDOW && waiting.length > 0) {
          inFlight++;
          broker.send(waiting.shift()!);
        }
      };
      serve();
      await stage.clock.advance(STALL);
      for (let n = 0; n < COUNT; n++) {
        serve();
        await stage.clock.advance(0);
      }
      expect(busy.texts).toEqual(busyOf(texts(0, COUNT)));
      expect([unread.depth, unread.dropped, acknowledged]).toEqual([COUNT * 0.8, 0, COUNT]);
      await stage.end(client, broker);
    },
  );
});
