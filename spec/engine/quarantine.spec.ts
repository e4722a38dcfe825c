import { describe, expect, it } from '@jest/globals';
import type { Packet } from '../../lib/codec/packets.ts';
import { PoisonedMessageError } from '../../lib/errors.ts';
import { brief, online, withSession } from '../support/engines.ts';
import { connack, puback, pubrec, suback, unsuback } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

const PRESENT = connack({ sessionPresent: true });

/** The connection is lost `after` ms after the client wrote, and comes up again. Returns the packets written then. */
function lose(rig: Rig, after = 10, answer = PRESENT): string[] {
  rig.sent();
  rig.now += after;
  return brief(rig.resume(answer));
}

/** The connection lives for `ms` more. Returns the packets written meanwhile. */
function live(rig: Rig, ms: number): string[] {
  rig.advance(ms);
  return brief(rig.sent());
}

/** A connection has to live without suspects for so long, in ms. */
const PROOF = 2_000;

function filtersOf(packets: readonly Packet[]): string[] {
  return packets.flatMap((packet) =>
    packet.type === 'subscribe' ? packet.subscriptions.map(({ topicFilter }) => topicFilter) : [],
  );
}

describe('a message that costs the connection', () => {
  it('peers P5 is given up at its third loss, after the connection had lived without it, and the messages behind it go out', () => {
    const rig = withSession();
    const poison = rig.publish('poison');
    expect(lose(rig)).toEqual(['publish poison 1 DUP']);
    const next = rig.publish('next');
    expect(lose(rig)).toEqual([]);
    expect(live(rig, PROOF - 1)).toEqual([]);
    expect(live(rig, 1)).toEqual(['publish poison 1 DUP']);
    expect(lose(rig)).toEqual(['publish next 2 DUP']);
    expect(poison.waiter.error).toBeInstanceOf(PoisonedMessageError);
    expect(poison.waiter.error).toMatchObject({ delivery: 'unknown', kept: false });
    rig.send(puback(2));
    expect(next.waiter.reasonCode).toBe(0);
  });

  it('is given up within seconds with the default delays', () => {
    const rig = withSession({ reconnect: { minDelay: 1_000, maxDelay: 120_000, factor: 2, jitter: 0 } });
    const { waiter } = rig.publish('poison');
    const begin = rig.now;
    // The server ends the connection 10 ms after it got the message.
    for (let sent = ['publish']; waiter.told === 0 && rig.now < begin + 60_000;)
      sent = sent.length > 0 ? lose(rig) : live(rig, 100);
    expect(waiter.error).toBeInstanceOf(PoisonedMessageError);
    expect(rig.now - begin).toBeLessThan(15_000);
  });

  it('is found among others by sending them one at a time', () => {
    const rig = withSession();
    const all = ['a', 'poison', 'c'].map((topic) => rig.publish(topic));
    expect(lose(rig)).toEqual(['publish a 1 DUP', 'publish poison 2 DUP', 'publish c 3 DUP']);
    expect(lose(rig)).toEqual([]);
    expect(live(rig, PROOF)).toEqual(['publish a 1 DUP']);
    rig.send(puback(1));
    expect(brief(rig.sent())).toEqual(['publish poison 2 DUP']);
    // A network can break at that moment, too: only the second time tells.
    expect(lose(rig)).toEqual([]);
    expect(live(rig, PROOF)).toEqual(['publish poison 2 DUP']);
    expect(lose(rig)).toEqual([]);
    expect(live(rig, PROOF)).toEqual(['publish c 3 DUP']);
    rig.send(puback(3));
    expect(all.map(({ waiter }) => waiter.reasonCode ?? waiter.error?.name)).toEqual([
      0,
      'PoisonedMessageError',
      0,
    ]);
    // With no suspect left the window is open again.
    rig.publish('d');
    rig.publish('e');
    expect(brief(rig.sent())).toEqual(['publish d 4', 'publish e 5']);
  });

  it('is found even if every connection starts a new session', () => {
    const rig = online();
    const poison = rig.publish('poison');
    lose(rig, 10, connack());
    lose(rig, 10, connack());
    live(rig, PROOF);
    lose(rig, 10, connack());
    expect(poison.waiter.error).toBeInstanceOf(PoisonedMessageError);
  });

  it('is found by its PUBREL, too', () => {
    const rig = withSession();
    const { waiter } = rig.publish('poison', { qos: 2 });
    rig.sent();
    rig.send(pubrec(1));
    expect(lose(rig)).toEqual(['pubrel 1']);
    expect(lose(rig)).toEqual([]);
    expect(live(rig, PROOF)).toEqual(['pubrel 1']);
    lose(rig);
    expect(waiter.error).toBeInstanceOf(PoisonedMessageError);
  });

  it('is not one that was sent more than a second before the loss', () => {
    const rig = withSession({ keepAlive: 0 });
    const { waiter } = rig.publish('a');
    for (let i = 0; i < 5; i++) lose(rig, 1_001);
    expect(waiter.error).toBeUndefined();
  });

  it('is not one of several, nor one that was not written on that connection', () => {
    const rig = withSession({ maxInflight: 2 });
    const [one, two] = [rig.publish('a', { qos: 2 }), rig.publish('b', { qos: 2 })];
    lose(rig);
    for (let i = 0; i < 5; i++) {
      rig.engine.lost(undefined, rig.now);
      rig.now = rig.engine.nextTimeout();
      rig.engine.handleTimeout(rig.now);
      rig.open();
      rig.engine.lost(undefined, rig.now);
      rig.now = rig.engine.nextTimeout();
      rig.engine.handleTimeout(rig.now);
    }
    expect([one.waiter.error, two.waiter.error]).toEqual([undefined, undefined]);
  });

  it('is not any message on a network that breaks again and again', () => {
    const rig = withSession({ reconnect: { minDelay: 5, maxDelay: 200, factor: 2, jitter: 0 } });
    const { waiter } = rig.publish('a');
    const begin = rig.now;
    while (rig.now < begin + 60_000) lose(rig);
    expect(waiter.error).toBeUndefined();
  });

  it('is not one that was lost among others and once alone', () => {
    const rig = withSession();
    const calls = ['a', 'b', 'c'].map((topic) => rig.publish(topic));
    for (let i = 0; i < 2; i++) lose(rig);
    expect(live(rig, PROOF)).toEqual(['publish a 1 DUP']);
    lose(rig);
    expect(live(rig, PROOF)).toEqual(['publish a 1 DUP']);
    for (let packetId = 1; packetId <= 3; packetId++) rig.send(puback(packetId));
    expect(calls.map(({ waiter }) => waiter.reasonCode)).toEqual([0, 0, 0]);
  });

  it.each([5, 900, 1_900])('is not any message to a server that ends %d ms after each CONNACK', (life) => {
    const rig = withSession();
    const { waiter } = rig.publish('a');
    rig.sent();
    for (let i = 0; i < 20; i++) {
      live(rig, life);
      rig.resume(PRESENT);
    }
    expect(waiter.error).toBeUndefined();
    live(rig, PROOF);
    rig.send(puback(1));
    expect(waiter.reasonCode).toBe(0);
  });

  it.each<[string, (rig: Rig) => void]>([
    ['a malformed packet of the server', (rig) => rig.receive(Uint8Array.of(0x36, 3, 0, 1, 0x61))],
    [
      'another client that took the session over',
      (rig) => rig.send({ type: 'disconnect', reasonCode: 0x8d }),
    ],
    ['the end of the server', (rig) => rig.send({ type: 'disconnect', reasonCode: 0x8b })],
    [
      'an error of TLS',
      (rig) => rig.engine.lost(Object.assign(new Error('x'), { code: 'ERR_SSL_X' }), rig.now),
    ],
    ['the network', (rig) => rig.engine.lost(Object.assign(new Error('x'), { code: 'ETIMEDOUT' }), rig.now)],
  ])('is not one that is there when the connection ends because of %s', (_, end) => {
    const rig = withSession();
    const { waiter } = rig.publish('a');
    for (let i = 0; i < 10; i++) {
      end(rig);
      rig.reconnect(PRESENT);
      expect(rig.engine.state).toBe('connected');
    }
    expect(waiter.error).toBeUndefined();
  });

  it('is not one that is in flight at each planned reconnect', () => {
    const rig = withSession();
    const { waiter } = rig.publish('a');
    for (let i = 0; i < 10; i++) {
      rig.sent();
      rig.engine.reconnect(rig.now);
      rig.open();
      rig.send(PRESENT);
    }
    expect([brief(rig.sent()), waiter.error]).toEqual([['publish a 1 DUP'], undefined]);
  });

  it('is one after which the server sends a DISCONNECT that can concern it', () => {
    const rig = withSession();
    const { waiter } = rig.publish('a');
    for (let i = 0; i < 3; i++) {
      if (i === 2) live(rig, PROOF);
      rig.send({ type: 'disconnect', reasonCode: 0x99 });
      rig.reconnect(PRESENT);
    }
    expect(waiter.error).toBeInstanceOf(PoisonedMessageError);
  });

  it('is one that the server acknowledges wrongly three times in a row, even among others', () => {
    const rig = withSession();
    const [wrong, other] = [rig.publish('a', { qos: 2 }), rig.publish('b')];
    for (let i = 0; i < 3; i++) {
      expect(wrong.waiter.error).toBeUndefined();
      live(rig, PROOF);
      rig.send(puback(1));
      rig.reconnect(PRESENT);
    }
    expect(wrong.waiter.error).toBeInstanceOf(PoisonedMessageError);
    expect(other.waiter.error).toBeUndefined();
  });

  it('is one whose own ackTimeout closed the connection three times in a row', () => {
    const rig = withSession({ ackTimeout: 5_000, keepAlive: 0 });
    const { waiter } = rig.publish('a');
    rig.sent();
    for (let i = 0; i < 3; i++) {
      expect(waiter.error).toBeUndefined();
      rig.advance(5_000);
      rig.reconnect(PRESENT);
    }
    expect(waiter.error).toBeInstanceOf(PoisonedMessageError);
    expect(rig.engine.counts.pending).toBe(0);
  });

  it('is not one that was lost with connections on which others were acknowledged', () => {
    const rig = withSession();
    const [one, two] = [rig.publish('a'), rig.publish('b')];
    for (let i = 3; i < 9; i++) {
      rig.publish('c');
      rig.sent();
      rig.send(puback(i));
      lose(rig);
    }
    expect([one.waiter.error, two.waiter.error]).toEqual([undefined, undefined]);
  });

  it('and too many at once are sent one at a time, although some get PUBREC: only completed exchanges count', () => {
    const rig = online({ maxInflight: 3 });
    for (const topic of ['a', 'b', 'c']) rig.publish(topic, { qos: 2 });
    for (let i = 0; i < 2; i++) {
      rig.sent();
      rig.send(pubrec(1));
      lose(rig, 10, connack());
    }
    live(rig, PROOF);
    expect(rig.engine.counts.inFlight).toBe(1);
  });

  it('rejects with the last error of the connection', () => {
    const rig = withSession();
    const { waiter } = rig.publish('poison');
    for (let i = 0; i < 2; i++) lose(rig);
    live(rig, PROOF);
    lose(rig);
    expect(waiter.error).toMatchObject({
      message:
        'the message is not sent again: the connection was lost 3 times right after it was sent; the last error: the connection was lost',
      cause: rig.effects.last('disconnected').error,
    });
  });

  it('rejects with ackTimeout as the reason, if it was that', () => {
    const rig = withSession({ ackTimeout: 5_000, keepAlive: 0 });
    const { waiter } = rig.publish('a');
    rig.sent();
    for (let i = 0; i < 3; i++) {
      rig.advance(5_000);
      rig.reconnect(PRESENT);
    }
    expect(waiter.error).toMatchObject({
      message: expect.stringMatching(
        /^the message is not sent again: it was not acknowledged in time \(ackTimeout\) 3 times in a row; the last error: /,
      ),
      cause: rig.effects.last('disconnected').error,
    });
  });

  it('does not delay QoS 0', () => {
    const rig = withSession();
    rig.publish('poison');
    lose(rig);
    lose(rig);
    rig.publish('b', { qos: 0 });
    expect(brief(rig.sent())).toEqual(['publish b']);
  });
});

describe('a SUBSCRIBE that costs the connection', () => {
  it('is given up at its third loss, sent alone, and is not sent again', () => {
    const rig = withSession();
    const [poison, other] = [rig.ask('subscribe', 'poison'), rig.ask('subscribe', 'other')];
    rig.engine.flushRequests(rig.now);
    lose(rig);
    expect(lose(rig)).toEqual([]);
    expect(filtersOf(rig.sent())).toEqual([]);
    rig.advance(PROOF);
    expect(filtersOf(rig.sent())).toEqual(['poison']);
    expect(lose(rig)).toEqual([]);
    expect(poison).toMatchObject({ told: 1, reasonCodes: [0x80], givenUp: new Set(['poison']) });
    rig.advance(PROOF);
    const [packet] = rig.sent();
    expect(filtersOf([packet!])).toEqual(['other']);
    rig.send(suback((packet as { packetId: number }).packetId, 1));
    expect(other).toMatchObject({ told: 1, reasonCodes: [1], givenUp: new Set() });
    expect(rig.resume(connack())).toMatchObject([{ subscriptions: [{ topicFilter: 'other' }] }]);
  });

  it('does not stop messages, except during its trial: suspect messages go first, then the others', () => {
    const rig = withSession();
    const poison = rig.request('subscribe', 'poison');
    const first = rig.publish('first');
    lose(rig);
    expect(lose(rig)).toEqual([]);
    expect(live(rig, PROOF)).toEqual(['publish first 2 DUP']);
    rig.publish('second');
    rig.send(puback(2));
    expect([first.waiter.reasonCode, brief(rig.sent())[0]]).toEqual([0, 'subscribe 4']);
    // The trial: nothing else is on the wire.
    expect(brief(rig.sent())).toEqual([]);
    expect(lose(rig)).toEqual(['publish second 5']);
    expect(poison.givenUp).toEqual(new Set(['poison']));
    rig.send(puback(5));
    rig.publish('third');
    expect(brief(rig.sent())).toEqual(['publish third 6']);
  });

  it('delays messages for a second only, if it is not acknowledged', () => {
    const rig = withSession();
    const innocent = rig.request('subscribe', 'innocent');
    lose(rig);
    lose(rig);
    expect(live(rig, PROOF)).toEqual(['subscribe 3']);
    rig.publish('a');
    rig.request('subscribe', 'b');
    expect(live(rig, 999)).toEqual([]);
    expect(live(rig, 1)).toEqual(['subscribe 4', 'publish a 5']);
    rig.send(suback(3, 1));
    expect(innocent.reasonCodes).toEqual([1]);
  });

  it('is not one on a server or network that breaks by itself', () => {
    const rig = withSession({ requestTimeout: 1e9 });
    const waiter = rig.request('subscribe', 'a');
    for (let i = 0; i < 20; i++) lose(rig, 900);
    expect(waiter.told).toBe(0);
    rig.advance(PROOF);
    rig.sent();
    expect(waiter.told).toBe(0);
  });

  it('is found among any number of restored subscriptions, and is not restored again', () => {
    const rig = online();
    const all = Array.from({ length: 1_000 }, (_, i) => `f/${i}`);
    rig.request('subscribe', ...all);
    rig.sent();
    rig.send(suback(1, ...all.map(() => 0)));
    let losses = 0;
    const serve = (packets: readonly Packet[]): void => {
      for (const packet of packets) {
        if (packet.type !== 'subscribe') continue;
        const filters = filtersOf([packet]);
        if (filters.includes('f/700')) {
          losses++;
          serve(rig.resume(connack()));
          return;
        }
        rig.send(suback(packet.packetId, ...filters.map(() => 0)));
        serve(rig.sent());
      }
    };
    serve(rig.resume(connack()));
    for (let i = 0; i < 10; i++) {
      rig.advance(PROOF);
      serve(rig.sent());
    }
    expect(losses).toBeLessThanOrEqual(6);
    expect(rig.effects.last('refused')).toMatchObject({
      results: [{ topicFilter: 'f/700', reasonCode: 0x80 }],
      givenUp: new Set(['f/700']),
    });
    const restored = filtersOf(rig.resume(connack()));
    expect([restored.length, restored.includes('f/700')]).toEqual([999, false]);
  });

  it('is given up, and an UNSUBSCRIBE is, too', () => {
    const rig = withSession();
    const waiter = rig.request('unsubscribe', 'poison');
    lose(rig);
    lose(rig);
    expect(live(rig, PROOF)).toEqual(['unsubscribe 3']);
    lose(rig);
    expect(waiter.givenUp).toEqual(new Set(['poison']));
    rig.request('unsubscribe', 'a');
    expect(brief(rig.sent())).toEqual(['unsubscribe 4']);
    rig.send(unsuback(4, 0));
    expect(rig.engine.state).toBe('connected');
  });
});
