import { describe, expect, it } from '@jest/globals';
import type { Packet } from '../../lib/codec/packets.ts';
import { Request, type SubscriptionEntry } from '../../lib/session/request.ts';
import { brief, online, withSession } from '../support/engines.ts';
import { connack, suback } from '../support/packets.ts';
import { Waiter } from '../support/recorder.ts';
import type { Rig } from '../support/rig.ts';

const A: SubscriptionEntry = { topicFilter: 'a/#', qos: 0, identifier: 7, qosWithoutIdentifier: 2 };
const B: SubscriptionEntry = { topicFilter: 'a/b', qos: 2, identifier: 300, qosWithoutIdentifier: 2 };

/** What was subscribed: filters with QoS, and the identifier of each packet. */
const subscribed = (packets: readonly Packet[]): unknown[] =>
  packets.flatMap((packet) =>
    packet.type === 'subscribe'
      ? [
          [
            packet.properties.subscriptionIdentifier,
            ...packet.subscriptions.map((one) => `${one.topicFilter} ${one.qos}`),
          ],
        ]
      : [],
  );

function subscribe(rig: Rig, ...entries: SubscriptionEntry[]): Packet[] {
  rig.engine.request(new Request('subscribe', entries, undefined, new Waiter()));
  rig.engine.flushRequests(rig.now);
  return rig.sent();
}

/** Answers each SUBSCRIBE with its code. */
function grant(rig: Rig, packets: readonly Packet[], ...codes: number[]): void {
  packets.forEach((packet, i) => {
    if (packet.type === 'subscribe') rig.send(suback(packet.packetId, codes[i]!));
  });
}

describe('SUBSCRIBE on 5.0', () => {
  it('v5 U-3.8.2-a carries the Subscription Identifier of its only Topic Filter, all in one turn', () => {
    const rig = online({ protocolVersion: 5 });
    expect(subscribed(subscribe(rig, A, B))).toEqual([
      [7, 'a/# 0'],
      [300, 'a/b 2'],
    ]);
  });

  it('v5 U-3.2.2-d carries none to a server that has none, and asks for the QoS that this takes', () => {
    const rig = online({ protocolVersion: 5 }, connack({ subscriptionIdentifiersAvailable: false }));
    expect(subscribed(subscribe(rig, A, B))).toEqual([[undefined, 'a/# 2', 'a/b 2']]);
  });

  it('carries none on 3.1.1', () => {
    const rig = online({ protocolVersion: 4 });
    expect(subscribed(subscribe(rig, A, B))).toEqual([[undefined, 'a/# 2', 'a/b 2']]);
  });

  it('v5 MQTT-3.8.4-3 has the same identifier when the subscription is restored, as the server then has', () => {
    const rig = withSession({ protocolVersion: 5 });
    subscribe(rig, A, B);
    rig.send(suback(1, 0), suback(2, 2));
    expect(subscribed(rig.resume(connack({ sessionPresent: true })))).toEqual([]);
    const restoring = rig.resume(connack());
    expect(subscribed(restoring)).toEqual([
      [7, 'a/# 0'],
      [300, 'a/b 2'],
    ]);
    grant(rig, restoring, 0, 2);
    expect(rig.effects.last('restored').topicFilters).toEqual(['a/#', 'a/b']);
    expect(subscribed(rig.resume(connack({ subscriptionIdentifiersAvailable: false })))).toEqual([
      [undefined, 'a/# 2', 'a/b 2'],
    ]);
  });

  it('says which subscriptions were restored, and which were refused', () => {
    const rig = withSession({ protocolVersion: 5 });
    subscribe(rig, A, B);
    rig.send(suback(1, 0), suback(2, 2));
    grant(rig, rig.resume(connack()), 0x87, 1);
    expect(rig.effects.last('restored').topicFilters).toEqual(['a/b']);
    expect(rig.effects.last('refused').results).toEqual([{ topicFilter: 'a/#', reasonCode: 0x87 }]);
  });

  it('v5 MQTT-2.2.1-3 for more filters than there are Packet Identifiers goes on as these become free', () => {
    const rig = online({ protocolVersion: 5 });
    const entries = Array.from({ length: 65_540 }, (_, n) => ({
      topicFilter: `${n}`,
      qos: 0 as const,
      identifier: n + 1,
    }));
    const first = subscribe(rig, ...entries);
    expect(first).toHaveLength(65_535);
    rig.send(suback(7, 0), suback(9, 0));
    expect(brief(rig.sent())).toEqual(['subscribe 7', 'subscribe 9']);
  });

  it('is larger than the server takes: it is refused, the identifier counted', () => {
    const rig = online({ protocolVersion: 5 }, connack({ maximumPacketSize: 20 }));
    const waiter = new Waiter();
    // 2 + 2 + 1 + 5 + 2 + 8 + 1 bytes.
    const entry = { topicFilter: 'x'.repeat(8), qos: 0 as const, identifier: 268_435_455 };
    rig.engine.request(new Request('subscribe', [entry], undefined, waiter));
    rig.engine.flushRequests(rig.now);
    expect([rig.sent(), waiter.reasonCodes]).toEqual([[], [0x95]]);
    expect(subscribe(rig, { ...entry, topicFilter: 'x'.repeat(7) })).toHaveLength(1);
  });
});

describe('a SUBSCRIBE with an identifier that costs the connection', () => {
  it('is found among many in few connections, as the suspects go out in groups', () => {
    const rig = withSession({ protocolVersion: 5 });
    const waiters = Array.from({ length: 40 }, () => new Waiter());
    waiters.forEach((waiter, n) => {
      const entry = { topicFilter: n === 17 ? 'poison' : `${n}`, qos: 0 as const, identifier: n + 1 };
      rig.engine.request(new Request('subscribe', [entry], undefined, waiter));
    });
    rig.engine.flushRequests(rig.now);
    let connections = 1;
    for (let steps = 0; steps < 2_000 && waiters.some(({ told }) => told === 0); steps++) {
      const packets = rig.sent().filter((packet) => packet.type === 'subscribe');
      if (packets.some(({ subscriptions }) => subscriptions[0]!.topicFilter === 'poison')) {
        rig.engine.lost(undefined, rig.now);
        rig.now = Math.max(rig.now, rig.engine.nextTimeout());
        rig.engine.handleTimeout(rig.now);
        rig.open();
        rig.send(connack({ sessionPresent: true }));
        connections++;
      } else for (const { packetId } of packets) rig.send(suback(packetId, 0));
      rig.advance(50);
    }
    expect(waiters[17]).toMatchObject({ reasonCodes: [0x80], givenUp: new Set(['poison']) });
    expect(waiters.filter(({ reasonCodes }) => reasonCodes?.[0] === 0)).toHaveLength(39);
    expect(connections).toBeLessThan(8);
  });
});
