import { describe, expect, it } from '@jest/globals';
import { UnmatchedMessages } from '../../../lib/client/receive/unmatched-messages.ts';
import { BufferPressure } from '../../../lib/client/receive/buffer-pressure.ts';
import type { Receipt } from '../../../lib/session/incoming.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { messageOf, NO_SETTLER, receiptOf, SubscriptionRig } from './subscription-rig.ts';

/** A place to park, and what it asks of its client. */
function rig() {
  const clock = new FakeClock();
  const aside: number[] = [];
  const settled: number[] = [];
  const left: number[] = [];
  const warnings: string[] = [];
  let [fetches, rooms] = [0, 0];
  const pressure = new BufferPressure(1_000, () => void rooms++);
  const parking = new UnmatchedMessages({
    clock,
    pressure,
    settle: (receipt) => void settled.push(receipt.packetId),
    reconnect: () => void fetches++,
    warn: (message) => void warnings.push(message),
  });
  const settler = {
    ...NO_SETTLER,
    markStalled: (receipt: Receipt) => void aside.push(receipt.packetId),
    abandon: (receipt: Receipt) => void left.push(receipt.packetId),
  };
  let packetId = 0;
  const park = (topicName: string, size = 1, memory = new Uint8Array(size)): void => {
    const payload = memory.subarray(0, size);
    const receipt = receiptOf(++packetId, 1, topicName, payload);
    parking.hold(messageOf(payload, { topic: topicName, qos: 1, bytes: memory }, receipt, settler));
  };
  return {
    clock,
    aside,
    settled,
    left,
    warnings,
    parking,
    park,
    pressure,
    counts: () => ({ fetches, rooms }),
  };
}

const texts = (topics: readonly string[]) => (topicName: string) => topics.includes(topicName);

describe('a message for which there is no subscription yet', () => {
  it('is for the first that matches, in order of arrival, and for no other', async () => {
    const { parking, park, clock } = rig();
    for (const topic of ['a', 'b', 'a']) park(topic);
    const [one, other] = [new SubscriptionRig(), new SubscriptionRig()];
    parking.handOver(one.subscription, texts(['a']));
    parking.handOver(other.subscription, texts(['a']));
    expect([one.subscription.depth, other.subscription.depth, parking.depth]).toEqual([2, 0, 1]);
    parking.handOver(other.subscription, texts(['b']));
    expect([other.subscription.depth, parking.depth, clock.armed]).toEqual([1, 0, 0]);
    expect((await other.subscription.receive()).topic).toBe('b');
  });

  it('is acknowledged as it is handed over to a subscription that acknowledges on receipt', () => {
    const { parking, park, settled } = rig();
    park('a');
    const [processing, receiving] = [new SubscriptionRig(), new SubscriptionRig({ ack: 'received' })];
    parking.handOver(processing.subscription, texts(['a']));
    expect(settled).toEqual([]);
    park('a');
    parking.handOver(receiving.subscription, texts(['a']));
    expect([settled, receiving.subscription.depth, receiving.settled]).toEqual([[2], 1, []]);
  });

  it.each([
    ['a thousand messages', 1_000, 1],
    ['16 MiB of them', 4, 4 * 1_048_576],
  ])('stops the reading with %s, until a subscription takes half of them', (_, count, size) => {
    const { park, parking, pressure, counts } = rig();
    for (let i = 1; i < count; i++) park('a', size);
    expect(pressure.full).toBe(0);
    park('b', size);
    park('b', size);
    expect([pressure.full, parking.depth]).toEqual([1, count + 1]);
    parking.handOver(new SubscriptionRig().subscription, texts(['a']));
    expect([pressure.full, parking.depth, counts().rooms]).toEqual([0, 2, 1]);
  });

  it('holds up nothing any more after ten seconds, which is told once, and can be had all the same', async () => {
    const { park, parking, clock, aside, warnings } = rig();
    park('a');
    await clock.advance(4_000);
    park('a');
    await clock.advance(5_999);
    expect(aside).toEqual([]);
    await clock.advance(1);
    expect(aside).toEqual([1]);
    await clock.advance(4_000);
    expect(aside).toEqual([1, 2]);
    expect(warnings).toEqual([
      '1 messages have had no subscription for 10000 ms: they no longer hold up others',
      '1 messages have had no subscription for 10000 ms: they no longer hold up others',
    ]);
    const late = new SubscriptionRig();
    parking.handOver(late.subscription, texts(['a']));
    expect([late.subscription.depth, clock.armed]).toEqual([2, 0]);
  });

  it('makes room after ten seconds: the oldest are left to the server, and asked for when somebody comes', async () => {
    const { park, parking, clock, left, pressure, counts } = rig();
    for (let i = 0; i < 1_000; i++) park(i === 0 ? 'a' : 'b');
    expect(pressure.full).toBe(1);
    await clock.advance(10_000);
    expect([pressure.full, left]).toEqual([0, []]);
    for (let i = 0; i < 3; i++) park('b');
    expect([left, parking.depth]).toEqual([[1, 2, 3], 1_000]);
    parking.handOver(new SubscriptionRig().subscription, texts(['c']));
    expect(counts().fetches).toBe(0);
    parking.handOver(new SubscriptionRig().subscription, texts(['b']));
    parking.handOver(new SubscriptionRig().subscription, texts(['b']));
    expect(counts().fetches).toBe(1);
  });

  it('is not asked for where a new connection has brought it anyway', async () => {
    const { park, parking, clock, counts } = rig();
    for (let i = 0; i < 1_000; i++) park('a');
    await clock.advance(10_000);
    park('a');
    parking.connected();
    parking.handOver(new SubscriptionRig().subscription, texts(['a']));
    expect(counts().fetches).toBe(0);
  });

  it('does not keep a large piece of memory alive for the sake of a small payload', async () => {
    const { park, parking } = rig();
    const memory = new Uint8Array(65_536);
    park('a', 10, memory);
    const { subscription } = new SubscriptionRig();
    parking.handOver(subscription, texts(['a']));
    expect((await subscription.receive()).payload.buffer.byteLength).toBe(10);
  });

  it('is forgotten when what it came in is over', () => {
    const { park, parking, clock } = rig();
    park('a');
    parking.clear();
    expect([parking.depth, clock.armed]).toEqual([0, 0]);
  });
});
