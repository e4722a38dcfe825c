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
 * Dead and slow links. Both need real time, so independent cases run at the same time.
 */

endActors();

const LONG = 30_000;
/** Maximum ms for a test step. */
const PATIENCE = 15_000;

/** Seconds. */
const KEEP_ALIVE = 1;
/** Tolerance for a busy machine, in ms. */
const GRACE = 400;

/** What a client does when its link dies. */
type Work = (client: Client) => Promise<void>;

const nothing: Work = async () => {};

const publishingQos0: Work = async (client) => {
  for await (const _ of every(10)) {
    if (client.state !== 'connected') return;
    for (let i = 0; i < 10; i++) await client.publish('busy', 'x'.repeat(100));
  }
};

const publishingQos1: Work = async (client) => {
  for await (const _ of every(10)) {
    if (client.state !== 'connected') return;
    void client.publish('busy', 'x', { qos: 1 }).catch(() => {});
  }
};

/** More than the kernel buffers for a peer that does not read: then output waits in the client. */
const filling: Work = async (client) => {
  const payload = new Uint8Array(100_000);
  while (client.state === 'connected') await client.publish('busy', payload);
};

interface Case {
  readonly target: number;
  readonly version?: ProtocolVersion;
  readonly work: Work;
  readonly fault?: 'halfOpen' | 'freeze';
}

/** ms until the client noticed a dead link. Afterwards it must be connected again. */
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

/** Outcome of publishing and receiving over a slow link. */
interface Slow {
  readonly rejected: readonly string[];
  /** What the client and what others received, in order, by QoS. */
  readonly received: readonly string[][];
  readonly witnessed: readonly string[][];
  readonly sent: number;
  readonly duplicates: number;
  readonly losses: number;
}

const EACH = 20;
const BYTES_PER_SECOND = 10_000;
/** Messages of 400 bytes that are sent at once: PINGRESP needs seconds to pass them. */
const BACKLOG = 60;
const TEXTS = [0, 1, 2].map((qos) => Array.from({ length: EACH }, (_, i) => `${qos} ${i}`.padEnd(400)));

/** Texts by their QoS, in order. */
const byQos = (texts: readonly string[]): string[][] =>
  [0, 1, 2].map((qos) => texts.filter((text) => text.startsWith(String(qos))));

/** A client that publishes to itself, so that the link is slow in both directions. */
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

/** How many messages a mere subscriber received and how often it lost its connection. Only its own link is slow. */
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

describeWithMosquitto('a dead link', () => {
  it(
    'is noticed within 1.5 x Keep Alive and replaced, whatever the client is doing',
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
        'frozen, QoS 0 until output is pending': { target: broker.port, work: filling, fault: 'freeze' },
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
  // The traffic takes longer than `messageRetry` and than the time-out of PINGREQ. Each acknowledgement restarts the
  // first timer, each byte the second.
  it(
    'loses nothing of QoS 0, 1 and 2, stays connected and repeats nothing, with and without messageRetry',
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
        overSlowLink(broker.port, { messageRetry: 2_000 }, await witness(broker)),
        overSlowLink(other.port, { protocolVersion: 5 }, await witness(other)),
        overSlowLink(local.port, { protocolVersion: 3, messageRetry: 2_000 }, async () => seen),
      ]);
      expect(listened).toEqual({ received: BACKLOG, losses: 0 });
      expect(outcomes).toEqual([NOTHING_LOST, NOTHING_LOST, NOTHING_LOST]);
    },
    LONG,
  );

  it(
    'gets a message once while output is pending for longer than messageRetry',
    async () => {
      const broker = await mosquitto();
      const tap = await wireTap(broker.port);
      const proxy = await faultProxy(tap.port);
      const { client, count } = await actor(proxy.url, { messageRetry: 300 });
      proxy.freeze();
      // More than the kernel buffers.
      const call = client.publish('large', new Uint8Array(8_000_000), { qos: 1 });
      // A retry would be sent by then.
      for await (const _ of every(600)) break;
      const { packets } = client.stats();
      proxy.thaw();
      await call;
      // CONNECT and PUBLISH. Afterwards a busy machine may take longer than `messageRetry` to acknowledge the message.
      expect([packets.sent, tap.sent - tap.duplicates, count('disconnected')]).toEqual([2, 1, 0]);
    },
    LONG,
  );
});
