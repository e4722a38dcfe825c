import { setInterval as every } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import type { ProtocolVersion } from '../../lib/codec/packets.ts';
import type { Client, ClientOptions } from '../../lib/index.ts';
import { atEnd } from '../support/endings.ts';
import type { Mosquitto } from '../support/mosquitto.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import {
  actor,
  aedes,
  endActors,
  faultProxy,
  inTime,
  mosquitto,
  mosquittoSub,
  rejections,
  wireTap,
} from './actors.ts';

/*
 * Links that are dead and do not say so, and links that are slow. Both are about real time, which has to pass: what can
 * pass at the same time does.
 */

endActors();

const LONG = 30_000;
/** ms after which what has not come to its end is told of. */
const PATIENCE = 15_000;

/** In seconds. */
const KEEP_ALIVE = 1;
/** How late a busy machine may be, in ms. */
const GRACE = 400;

/** What a client is at when its link dies. */
type Work = (client: Client) => Promise<void>;

const nothing: Work = async () => {};

const publishingQos0: Work = async (client) => {
  for await (const _ of every(5)) {
    if (client.state !== 'connected') return;
    for (let i = 0; i < 50; i++) await client.publish('busy', 'x'.repeat(100));
  }
};

const publishingQos1: Work = async (client) => {
  for await (const _ of every(5)) {
    if (client.state !== 'connected') return;
    void client.publish('busy', 'x', { qos: 1 }).catch(() => {});
  }
};

/** More than the kernel keeps for one who does not read: from then on the client itself holds output back. */
const filling: Work = async (client) => {
  while (client.state === 'connected') await client.publish('busy', new Uint8Array(100_000));
};

interface Case {
  readonly target: number;
  readonly version?: ProtocolVersion;
  readonly work: Work;
  readonly fault?: 'halfOpen' | 'freeze';
}

/** ms from the moment when a link died to that when the client said so. Then it has to be up again. */
async function noticed({ target, version = 4, work, fault = 'halfOpen' }: Case): Promise<number> {
  const proxy = await faultProxy(target);
  const options: ClientOptions = { protocolVersion: version, keepAlive: KEEP_ALIVE };
  const { client, count, next } = await actor(proxy.url, options);
  const working = work(client).catch(() => {});
  atEnd(async () => {
    await client.disconnect();
    await working;
  });
  await client.publish('up', 'before', { qos: 1 });
  const disconnected = next('disconnected');
  proxy[fault]();
  const begin = performance.now();
  const { reason } = await inTime(disconnected, PATIENCE, () => `${client.state}, ${work.name}, ${fault}`);
  const duration = performance.now() - begin;
  expect(reason.message).toContain('PINGREQ');
  proxy.thaw();
  await client.publish('up', 'after', { qos: 1 });
  expect(count('disconnected')).toBe(1);
  return duration;
}

/** How the promises of calls, and of what was to arrive, came to their end over a slow link. */
interface Slow {
  readonly rejected: readonly string[];
  /** What the client got, and what others did, in the order of each QoS. */
  readonly received: readonly string[][];
  readonly witnessed: readonly string[][];
  readonly sent: number;
  readonly duplicates: number;
  readonly losses: number;
}

const EACH = 20;
const BYTES_PER_SECOND = 10_000;
/** Messages of 400 bytes that come at once: an answer to PINGREQ takes seconds to come through behind them. */
const BACKLOG = 60;
const TEXTS = [0, 1, 2].map((qos) => Array.from({ length: EACH }, (_, i) => `${qos} ${i}`.padEnd(400)));

/** Texts by the QoS that they begin with, in their order. */
const byQos = (texts: readonly string[]): string[][] =>
  [0, 1, 2].map((qos) => texts.filter((text) => text.startsWith(String(qos))));

/** A client that publishes to itself: each way takes its bytes at the pace of the link. */
async function overSlowLink(
  target: number,
  options: ClientOptions,
  witnessed: () => Promise<readonly string[]>,
): Promise<Slow> {
  const tap = await wireTap(target, options.protocolVersion);
  const proxy = await faultProxy(tap.port);
  const { client, count } = await actor(proxy.url, { keepAlive: 1, ...options });
  const subscription = await client.subscribe('slow', { qos: 2 });
  proxy.slow(BYTES_PER_SECOND);
  const received: string[] = [];
  const taking = (async () => {
    for await (const message of subscription) {
      received.push(message.text());
      if (received.length < 3 * EACH) continue;
      message.ack();
      return;
    }
  })();
  const calls = ([1, 2, 0] as const).flatMap((qos) =>
    (TEXTS[qos] as string[]).map((text) => client.publish('slow', text, { qos })),
  );
  const state = (): string => `${received.length} messages, ${JSON.stringify(client.stats())}`;
  const settled = await inTime(Promise.allSettled(calls), PATIENCE, state);
  await inTime(taking, PATIENCE, state);
  const seen = await witnessed();
  return {
    rejected: rejections(settled),
    received: byQos(received),
    witnessed: byQos(seen),
    sent: tap.sent,
    duplicates: tap.duplicates,
    losses: count('disconnected'),
  };
}

/** How many messages came to a client that only listens, and how often it was lost. The backlog is its link's alone. */
async function listening(target: number): Promise<{ readonly received: number; readonly losses: number }> {
  const proxy = await faultProxy(target);
  const { client, count } = await actor(proxy.url, { keepAlive: 1 });
  const { client: source } = await actor(`mqtt://127.0.0.1:${target}`);
  const subscription = await client.subscribe('backlog');
  proxy.slow(BYTES_PER_SECOND);
  for (let i = 0; i < BACKLOG; i++) await source.publish('backlog', 'x'.repeat(400));
  let received = 0;
  const taking = (async () => {
    for await (const _ of subscription) if (++received === BACKLOG) return;
  })();
  await inTime(taking, PATIENCE, () => `${received} messages, ${client.state}`);
  return { received, losses: count('disconnected') };
}

const NOTHING_LOST: Slow = {
  rejected: [],
  received: TEXTS,
  witnessed: TEXTS,
  sent: 2 * EACH,
  duplicates: 0,
  losses: 0,
};

describeWithMosquitto('a link on which nothing comes any more', () => {
  it(
    'is noticed within 1.5 Keep Alive and replaced, whatever the client is at',
    async () => {
      const broker = await mosquitto();
      const { port } = await aedes();
      const cases: Record<string, Case> = {
        'half open, nothing to do': { target: broker.port, work: nothing },
        'half open, nothing to do, 5.0': { target: broker.port, version: 5, work: nothing },
        'half open, nothing to do, 3.1 with Aedes': { target: port, version: 3, work: nothing },
        'half open, busy with QoS 0': { target: broker.port, work: publishingQos0 },
        'half open, busy with QoS 0, 3.1.1 with Aedes': { target: port, work: publishingQos0 },
        'half open, busy with QoS 1': { target: broker.port, work: publishingQos1 },
        'frozen, nothing to do': { target: broker.port, work: nothing, fault: 'freeze' },
        'frozen, QoS 0 until it is held back': { target: broker.port, work: filling, fault: 'freeze' },
      };
      const durations = await Promise.all(
        Object.entries(cases).map(async ([name, one]) => [name, await noticed(one)] as const),
      );
      const late = durations.filter(([, duration]) => duration > 1_500 * KEEP_ALIVE + GRACE);
      expect(late).toEqual([]);
    },
    LONG,
  );
});

describeWithMosquitto('a link of 10 kB/s', () => {
  // What is on its way takes longer than `messageRetry`, and than the client waits for an answer to PINGREQ: the one
  // clock begins anew with every acknowledgement, the other with every byte.
  it(
    'loses nothing of QoS 0, 1 and 2 either way, is not taken for dead, and nothing is sent twice, messageRetry or not',
    async () => {
      const [broker, other, local] = [await mosquitto(), await mosquitto(), await aedes()];
      const witness = async (of: Mosquitto): Promise<() => Promise<readonly string[]>> => {
        const { done } = await mosquittoSub(of, { topicFilter: 'slow', qos: 2, count: 3 * EACH });
        return async () => (await done).map(({ text }) => text);
      };
      const seen: string[] = [];
      local.aedes.on('publish', ({ topic, payload }) => {
        if (topic === 'slow') seen.push(payload.toString());
      });
      const [listened, ...outcomes] = await Promise.all([
        listening(broker.port),
        overSlowLink(broker.port, { messageRetry: 1_000 }, await witness(broker)),
        overSlowLink(other.port, { protocolVersion: 5 }, await witness(other)),
        overSlowLink(local.port, { protocolVersion: 3, messageRetry: 1_000 }, async () => seen),
      ]);
      expect(listened).toEqual({ received: BACKLOG, losses: 0 });
      expect(outcomes).toEqual([NOTHING_LOST, NOTHING_LOST, NOTHING_LOST]);
    },
    LONG,
  );

  it(
    'that holds output back for longer than messageRetry gets the message once',
    async () => {
      const broker = await mosquitto();
      const tap = await wireTap(broker.port);
      const proxy = await faultProxy(tap.port);
      const { client, count } = await actor(proxy.url, { messageRetry: 300 });
      proxy.freeze();
      // More than the kernel takes.
      const call = client.publish('large', new Uint8Array(5_000_000), { qos: 1 });
      // By then a repeat would be on its way.
      for await (const _ of every(600)) break;
      proxy.thaw();
      await call;
      expect([tap.sent, tap.duplicates, count('disconnected')]).toEqual([1, 0, 0]);
    },
    LONG,
  );
});
