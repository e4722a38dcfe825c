import { describe, expect, it } from '@jest/globals';
import { UnmatchedMessages } from '../../../lib/client/receive/unmatched-messages.ts';
import { BufferPressure } from '../../../lib/client/receive/buffer-pressure.ts';
import type { Receipt } from '../../../lib/session/incoming.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { messageOf, NO_SETTLER, receiptOf, SubscriptionRig } from './subscription-rig.ts';

/** Held messages, and a client that records their calls. */
function rig() {
  const clock = new FakeClock();
  const stalled: number[] = [];
  const settled: number[] = [];
  const left: number[] = [];
  const warnings: string[] = [];
  let [fetches, rooms] = [0, 0];
  const pressure = new BufferPressure(1_000);
  pressure.add(() => void rooms++);
  const unmatched = new UnmatchedMessages({
    clock,
    pressure,
    driver: {
      settle: (receipt) => void settled.push(receipt.packetId),
      reconnect: () => ++fetches > 0,
    },
    logger: { warn: (message) => void warnings.push(message) },
  });
  const settler = {
    ...NO_SETTLER,
    markStalled: (receipt: Receipt) => void stalled.push(receipt.packetId),
    abandon: (receipt: Receipt) => void left.push(receipt.packetId),
  };
  let packetId = 0;
  const hold = (topicName: string, size = 1, memory = new Uint8Array(size)): void => {
    const payload = memory.subarray(0, size);
    const receipt = receiptOf(++packetId, 1, topicName, payload);
    unmatched.hold(messageOf(payload, { topic: topicName, qos: 1, bytes: memory }, receipt, settler));
  };
  return {
    clock,
    stalled,
    settled,
    left,
    warnings,
    unmatched,
    hold,
    pressure,
    counts: () => ({ fetches, rooms }),
  };
}

const texts = (topics: readonly string[]) => (topicName: string) => topics.includes(topicName);

describe('a message without a subscription', () => {
  it('goes to the first subscription that matches, in order of arrival', async () => {
    const { unmatched, hold, clock } = rig();
    for (const topic of ['a', 'b', 'a']) hold(topic);
    const [one, other] = [new SubscriptionRig(), new SubscriptionRig()];
    unmatched.handOver(one.subscription, texts(['a']));
    unmatched.handOver(other.subscription, texts(['a']));
    expect([one.subscription.depth, other.subscription.depth, unmatched.depth]).toEqual([2, 0, 1]);
    unmatched.handOver(other.subscription, texts(['b']));
    expect([other.subscription.depth, unmatched.depth, clock.armed]).toEqual([1, 0, 0]);
    expect((await other.subscription.receive()).topic).toBe('b');
  });

  it('is acknowledged when it is handed over to a subscription that acknowledges on receipt', () => {
    const { unmatched, hold, settled } = rig();
    hold('a');
    const [processing, receiving] = [new SubscriptionRig(), new SubscriptionRig({ ack: 'received' })];
    unmatched.handOver(processing.subscription, texts(['a']));
    expect(settled).toEqual([]);
    hold('a');
    unmatched.handOver(receiving.subscription, texts(['a']));
    expect([settled, receiving.subscription.depth, receiving.settled]).toEqual([[2], 1, []]);
  });

  it.each([
    ['a thousand messages', 1_000, 1],
    ['16 MiB of them', 4, 4 * 1_048_576],
  ])('stops the reading with %s, until a subscription takes half of them', (_, count, size) => {
    const { hold, unmatched, pressure, counts } = rig();
    for (let i = 1; i < count; i++) hold('a', size);
    expect(pressure.full).toBe(0);
    hold('b', size);
    hold('b', size);
    expect([pressure.full, unmatched.depth]).toEqual([1, count + 1]);
    unmatched.handOver(new SubscriptionRig().subscription, texts(['a']));
    expect([pressure.full, unmatched.depth, counts().rooms]).toEqual([0, 2, 1]);
  });

  it('holds up no others after 10 s, with one warning, and can still be handed over', async () => {
    const { hold, unmatched, clock, stalled, warnings } = rig();
    hold('a');
    await clock.advance(4_000);
    hold('a');
    await clock.advance(5_999);
    expect(stalled).toEqual([]);
    await clock.advance(1);
    expect(stalled).toEqual([1]);
    await clock.advance(4_000);
    expect(stalled).toEqual([1, 2]);
    expect(warnings).toEqual([
      '1 messages have had no subscription for 10000 ms: they no longer hold up others',
      '1 messages have had no subscription for 10000 ms: they no longer hold up others',
    ]);
    const late = new SubscriptionRig();
    unmatched.handOver(late.subscription, texts(['a']));
    expect([late.subscription.depth, clock.armed]).toEqual([2, 0]);
  });

  it('makes room after 10 s: the oldest are abandoned, and a later subscription causes a reconnect', async () => {
    const { hold, unmatched, clock, left, pressure, counts } = rig();
    for (let i = 0; i < 1_000; i++) hold(i === 0 ? 'a' : 'b');
    expect(pressure.full).toBe(1);
    await clock.advance(10_000);
    expect([pressure.full, left]).toEqual([0, []]);
    for (let i = 0; i < 3; i++) hold('b');
    expect([left, unmatched.depth]).toEqual([[1, 2, 3], 1_000]);
    unmatched.handOver(new SubscriptionRig().subscription, texts(['c']));
    expect(counts().fetches).toBe(0);
    unmatched.handOver(new SubscriptionRig().subscription, texts(['b']));
    unmatched.handOver(new SubscriptionRig().subscription, texts(['b']));
    expect(counts().fetches).toBe(1);
  });

  it('causes no reconnect after a new connection', async () => {
    const { hold, unmatched, clock, counts } = rig();
    for (let i = 0; i < 1_000; i++) hold('a');
    await clock.advance(10_000);
    hold('a');
    unmatched.connected();
    unmatched.handOver(new SubscriptionRig().subscription, texts(['a']));
    expect(counts().fetches).toBe(0);
  });

  it('does not keep a large piece of memory alive for a small payload', async () => {
    const { hold, unmatched } = rig();
    const memory = new Uint8Array(65_536);
    hold('a', 10, memory);
    const { subscription } = new SubscriptionRig();
    unmatched.handOver(subscription, texts(['a']));
    expect((await subscription.receive()).payload.buffer.byteLength).toBe(10);
  });

  it('is forgotten when its session is over', () => {
    const { hold, unmatched, clock } = rig();
    hold('a');
    unmatched.clear();
    expect([unmatched.depth, clock.armed]).toEqual([0, 0]);
  });
});
