import { describe, expect, it } from '@jest/globals';
import { TimeoutError } from '../../lib/errors.ts';
import { Request } from '../../lib/session/request.ts';
import { brief, offline, online, withSession } from '../support/engines.ts';
import { connack, suback, unsuback } from '../support/packets.ts';
import { Waiter } from '../support/recorder.ts';
import type { Packet } from '../../lib/codec/packets.ts';

function filtersOf(packets: readonly Packet[]): string[][] {
  return packets.map((packet) => {
    if (packet.type === 'subscribe') return packet.subscriptions.map(({ topicFilter }) => topicFilter);
    return packet.type === 'unsubscribe' ? [...packet.topicFilters] : [];
  });
}

const LONG = Array.from({ length: 10 }, (_, i) => `${i}`.repeat(20));

describe('SUBSCRIBE and UNSUBSCRIBE', () => {
  it('of one turn share a packet, and each gets its own Reason Codes', () => {
    const rig = online();
    const one = rig.ask('subscribe', 'a', 'b');
    const two = rig.ask('subscribe', { topicFilter: 'c', qos: 2 });
    const three = rig.ask('unsubscribe', 'd');
    rig.engine.flushRequests(rig.now);
    expect(brief(rig.sent())).toEqual(['subscribe 1', 'unsubscribe 2']);
    rig.send(unsuback(2, 0x11), suback(1, 1, 0x87, 2));
    expect([one, two, three].map(({ reasonCodes }) => reasonCodes)).toEqual([[1, 0x87], [2], [0x11]]);
  });

  it('v5 MQTT-3.8.4-7, MQTT-3.9.3-1 report a refused Topic Filter and keep the granted ones', () => {
    const rig = withSession();
    rig.request('subscribe', 'a', 'b');
    rig.sent();
    rig.send(suback(1, 0x80, 0));
    expect(filtersOf(rig.resume(connack()))).toEqual([['b']]);
  });

  it('on the same Topic Filter leave in call order, without waiting for acknowledgements', () => {
    const rig = online();
    const waiters = [
      rig.request('subscribe', 'a'),
      rig.request('unsubscribe', 'a'),
      rig.request('subscribe', 'a', 'b'),
    ];
    expect(brief(rig.sent())).toEqual(['subscribe 1', 'unsubscribe 2', 'subscribe 3']);
    rig.send(suback(1, 1), unsuback(2, 0), suback(3, 2, 1));
    expect(waiters.map(({ reasonCodes }) => reasonCodes)).toEqual([[1], [0], [2, 1]]);
    rig.engine.lost(undefined, rig.now);
    expect(filtersOf(rig.reconnect())).toEqual([['a', 'b']]);
  });

  it('that ask for the same in one turn are sent once, and each call gets its Reason Codes', () => {
    const rig = online();
    const waiters = Array.from({ length: 300 }, () => rig.ask('subscribe', 'a'));
    waiters.push(rig.ask('subscribe', 'b', 'a'));
    rig.engine.flushRequests(rig.now);
    expect(filtersOf(rig.sent())).toEqual([['a', 'b']]);
    rig.send(suback(1, 1, 0x87));
    expect(waiters.map(({ reasonCodes }) => reasonCodes)).toEqual([
      ...Array.from({ length: 300 }, () => [1]),
      [0x87, 1],
    ]);
  });

  it('leave the subscription as the last of them asked, in whatever order acknowledgements come', () => {
    const rig = online();
    rig.request('subscribe', 'a');
    rig.request('unsubscribe', 'a');
    rig.sent();
    rig.send(unsuback(2, 0), suback(1, 1));
    expect(rig.resume(connack())).toEqual([]);
    rig.request('unsubscribe', 'a');
    rig.request('subscribe', 'a');
    const [none, some] = rig.sent() as { packetId: number }[];
    rig.send(suback(some!.packetId, 1), unsuback(none!.packetId, 0));
    expect(filtersOf(rig.resume(connack()))).toEqual([['a']]);
  });

  it('are split by maxFiltersPerPacket', () => {
    const rig = online({ maxFiltersPerPacket: 3 });
    const waiter = rig.request('subscribe', ...LONG.slice(0, 7));
    expect(filtersOf(rig.sent()).map((filters) => filters.length)).toEqual([3, 3, 1]);
    rig.send(suback(3, 1), suback(1, 1, 1, 1), suback(2, 0, 0, 0x80));
    expect(waiter).toMatchObject({ told: 1, reasonCodes: [1, 1, 1, 0, 0, 0x80, 1] });
  });

  it('v5 MQTT-3.2.2-15 are split by Maximum Packet Size, and a Topic Filter that does not fit alone is refused', () => {
    const rig = online({}, connack({ maximumPacketSize: 90 }));
    const waiter = rig.request('subscribe', ...LONG, 'x'.repeat(90));
    const packets = rig.sent();
    expect(filtersOf(packets).flat()).toEqual(LONG);
    expect(packets.length).toBeGreaterThan(1);
    for (const [i, filters] of filtersOf(packets).entries()) rig.send(suback(i + 1, ...filters.map(() => 1)));
    expect(waiter.reasonCodes).toEqual([...LONG.map(() => 1), 0x95]);
  });

  it('v5 MQTT-3.2.2-15 are split with their User Properties counted', () => {
    const rig = online({}, connack({ maximumPacketSize: 90 }));
    const entries = LONG.map((topicFilter) => ({ topicFilter, qos: 1 as const }));
    const waiter = new Waiter();
    rig.engine.request(new Request('subscribe', entries, [['name', 'x'.repeat(30)]], waiter));
    rig.engine.flushRequests(rig.now);
    expect(filtersOf(rig.sent()).flat()).toEqual(LONG);
    expect(waiter.told).toBe(0);
  });

  it('v5 U-3.2.2-c, U-3.2.2-e are refused if the server does not support them', () => {
    const rig = online(
      {},
      connack({ wildcardSubscriptionAvailable: false, sharedSubscriptionAvailable: false }),
    );
    const waiter = rig.request('subscribe', 'a/#', 'b', '+', '$share/g/c');
    expect(filtersOf(rig.sent())).toEqual([['b']]);
    rig.send(suback(1, 1));
    expect(waiter.reasonCodes).toEqual([0xa2, 1, 0xa2, 0x9e]);
    rig.request('unsubscribe', 'a/#');
    expect(filtersOf(rig.sent())).toEqual([['a/#']]);
  });

  it('wait for a connection', () => {
    const rig = offline();
    const waiter = rig.request('subscribe', 'a');
    rig.engine.connect('give up', rig.now);
    rig.advance(1_000);
    rig.open();
    rig.send(connack());
    expect(brief(rig.sent())).toEqual(['subscribe 1']);
    rig.send(suback(1, 1));
    expect(waiter.reasonCodes).toEqual([1]);
  });

  it('v4 U4-2.2.1-a UNSUBACK of 3.1.1 has no codes and means success', () => {
    const rig = online({ protocolVersion: 4 });
    const waiter = rig.request('unsubscribe', 'a', 'b');
    rig.sent();
    rig.send({ type: 'unsuback', packetId: 1 });
    expect(waiter.reasonCodes).toEqual([0, 0]);
  });

  it('v5 U-4.13.2-a leave the subscription as it was if UNSUBSCRIBE is refused', () => {
    const rig = withSession();
    rig.request('subscribe', 'a');
    rig.request('unsubscribe', 'a');
    rig.sent();
    rig.send(suback(1, 1), unsuback(2, 0x83));
    rig.sent();
    expect(filtersOf(rig.resume(connack()))).toEqual([['a']]);
  });
});

describe('a late acknowledgement', () => {
  it('fails the call after requestTimeout, once', () => {
    const rig = online({ requestTimeout: 500 });
    const waiter = rig.request('subscribe', 'a');
    rig.sent();
    rig.advance(499);
    expect(waiter.told).toBe(0);
    rig.advance(1);
    expect(waiter.error).toBeInstanceOf(TimeoutError);
    expect(rig.engine.nextTimeout()).toBe(Infinity);
    rig.send(suback(1, 1));
    expect(waiter.told).toBe(1);
    expect(rig.engine.state).toBe('connected');
  });

  it('is counted from the first sending, across connections', () => {
    const rig = withSession({ requestTimeout: 10_000 });
    const begin = rig.now;
    const waiter = rig.request('subscribe', 'a');
    while (waiter.told === 0 && rig.now < begin + 60_000) {
      rig.advance(1_500);
      rig.sent();
      if (rig.engine.state === 'connected') rig.engine.lost(undefined, rig.now);
      else if (rig.engine.state === 'dialing') {
        rig.open();
        rig.send(connack());
      }
    }
    expect(waiter.error).toBeInstanceOf(TimeoutError);
    expect(rig.now - begin).toBeLessThanOrEqual(11_500);
    // It is not sent again.
    rig.advance(60_000);
    rig.open();
    rig.send(connack());
    expect(rig.sent()).toEqual([]);
  });

  it('is impossible before the first connection', () => {
    const rig = offline({ requestTimeout: 500 });
    const waiter = rig.request('subscribe', 'a');
    rig.engine.connect('retry', rig.now);
    rig.advance(100_000);
    expect(waiter.told).toBe(0);
  });

  it('ends its whole call', () => {
    const rig = online({ requestTimeout: 500, maxFiltersPerPacket: 1 });
    const first = rig.request('subscribe', 'a');
    const both = rig.request('subscribe', 'a', 'b');
    rig.sent();
    rig.advance(500);
    expect([first.told, both.told]).toEqual([1, 1]);
    const third = rig.request('subscribe', 'a');
    const [packet] = rig.sent() as { packetId: number }[];
    rig.send(suback(packet!.packetId, 2), suback(1, 0), suback(2, 0));
    expect(third.reasonCodes).toEqual([2]);
  });
});

describe('a call that was given up', () => {
  it('is not sent if it still waits', () => {
    const rig = offline();
    const waiter = new Waiter();
    const request = new Request('subscribe', [{ topicFilter: 'a', qos: 0 }], undefined, waiter);
    rig.engine.request(request);
    rig.engine.withdrawRequest(request);
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.send(connack());
    expect(rig.sent()).toEqual([]);
    expect(waiter.told).toBe(0);
  });

  it('is not sent again if it was sent, and its acknowledgement is ignored', () => {
    const rig = withSession();
    const waiter = new Waiter();
    const request = new Request('subscribe', [{ topicFilter: 'a', qos: 0 }], undefined, waiter);
    rig.engine.request(request);
    rig.engine.flushRequests(rig.now);
    rig.sent();
    rig.engine.withdrawRequest(request);
    expect(rig.resume()).toEqual([]);
    expect(waiter.told).toBe(0);
  });
});
