import { describe, expect, it } from '@jest/globals';
import { NO_PROPERTIES } from '../../lib/codec/packets.ts';
import { Parking } from '../../lib/client/parking.ts';
import { Receipt } from '../../lib/session/incoming.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { SubscriptionRig } from './subscription-rig.ts';

/** A place to park, and what it asks of its client. */
function rig() {
  const clock = new FakeClock();
  const gaveWay: number[] = [];
  const settled: number[] = [];
  const warnings: string[] = [];
  const fetched: number[] = [];
  const parking = new Parking({
    clock,
    settle: (receipt) => void settled.push(receipt.packetId),
    giveWay: (receipt) => {
      receipt.givesWay = true;
      gaveWay.push(receipt.packetId);
    },
    fetch: (size) => void fetched.push(size),
    warn: (message) => void warnings.push(message),
  });
  let packetId = 0;
  const park = (topicName: string, size = 1, memory = new Uint8Array(size)): boolean => {
    const payload = memory.subarray(0, size);
    const receipt = new Receipt(++packetId, 1, topicName, payload, 1);
    const publish = {
      bytes: memory,
      qos: 1 as const,
      retain: false,
      duplicate: false,
      properties: NO_PROPERTIES,
      payload: () => payload,
    };
    return parking.park(publish, topicName, receipt);
  };
  return { clock, gaveWay, settled, warnings, fetched, parking, park };
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

  it('has its room: a thousand messages, and 16 MiB', () => {
    const { park, parking } = rig();
    for (let i = 0; i < 1_000; i++) expect(park('a')).toBe(true);
    expect(park('a')).toBe(false);
    parking.clear();
    expect(park('a', 16 * 1_048_576)).toBe(true);
    expect(park('a')).toBe(false);
  });

  it('gives way after ten seconds, which is told once, and can be had all the same', async () => {
    const { park, parking, clock, gaveWay, warnings } = rig();
    park('a');
    await clock.advance(4_000);
    park('a');
    await clock.advance(5_999);
    expect(gaveWay).toEqual([]);
    await clock.advance(1);
    expect(gaveWay).toEqual([1]);
    await clock.advance(4_000);
    expect(gaveWay).toEqual([1, 2]);
    expect(warnings).toEqual([
      '1 messages have had no subscription for 10000 ms and are passed over',
      '1 messages have had no subscription for 10000 ms and are passed over',
    ]);
    const late = new SubscriptionRig();
    parking.handOver(late.subscription, texts(['a']));
    expect([late.subscription.depth, clock.armed]).toEqual([2, 0]);
  });

  it('is asked for again where there was no room for it, once somebody has come for those there was room for', () => {
    const { park, parking, fetched } = rig();
    for (let i = 0; i < 1_000; i++) park('a');
    for (const size of [7, 5, 9]) park('a', size);
    const [other, first] = [new SubscriptionRig(), new SubscriptionRig()];
    parking.handOver(other.subscription, texts(['b']));
    expect(fetched).toEqual([]);
    parking.handOver(first.subscription, texts(['a']));
    expect(fetched).toEqual([5]);
    for (let i = 0; i <= 1_000; i++) park('a');
    parking.connected();
    parking.handOver(first.subscription, texts(['a']));
    expect(fetched).toEqual([5]);
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
