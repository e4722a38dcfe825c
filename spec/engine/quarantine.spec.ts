import { describe, expect, it } from '@jest/globals';
import { PoisonedMessageError } from '../../lib/errors.ts';
import { brief, online, withSession } from '../support/engines.ts';
import { connack, puback, pubrec } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

const PRESENT = connack({ sessionPresent: true });

/** The connection is lost so many ms after the client wrote, and comes up again. Returns what is written then. */
function lose(rig: Rig, after = 10, answer = PRESENT): string[] {
  rig.sent();
  rig.now += after;
  return brief(rig.resume(answer));
}

describe('a message that takes the connection down', () => {
  it('peers P5 alone is given up at its third loss within a second, and those behind it go out', () => {
    const rig = withSession();
    const poison = rig.publish('poison');
    expect(lose(rig)).toEqual(['publish poison 1 DUP']);
    const next = rig.publish('next');
    expect(lose(rig)).toEqual(['publish poison 1 DUP']);
    expect(lose(rig)).toEqual(['publish next 2 DUP']);
    expect(poison.waiter.error).toBeInstanceOf(PoisonedMessageError);
    expect(poison.waiter.error).toMatchObject({ delivery: 'unknown', kept: false });
    rig.send(puback(2));
    expect(next.waiter.reasonCode).toBe(0);
  });

  it('among others is found by sending them one at a time', () => {
    const rig = withSession();
    const all = ['a', 'poison', 'c'].map((topic) => rig.publish(topic));
    expect(lose(rig)).toEqual(['publish a 1 DUP', 'publish poison 2 DUP', 'publish c 3 DUP']);
    expect(lose(rig)).toEqual(['publish a 1 DUP']);
    rig.send(puback(1));
    expect(brief(rig.sent())).toEqual(['publish poison 2 DUP']);
    expect(lose(rig)).toEqual(['publish poison 2 DUP']);
    expect(lose(rig)).toEqual(['publish c 3 DUP']);
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

  it('is found as well where every connection begins a new session', () => {
    const rig = online();
    const poison = rig.publish('poison');
    for (let i = 0; i < 3; i++) lose(rig, 10, connack());
    expect(poison.waiter.error).toBeInstanceOf(PoisonedMessageError);
  });

  it('is not one that was sent longer than a second before', () => {
    const rig = withSession({ keepAlive: 0 });
    const { waiter } = rig.publish('a');
    for (let i = 0; i < 5; i++) lose(rig, 1_001);
    expect(waiter.error).toBeUndefined();
  });

  it('is not one of several, nor one that was not sent on that connection', () => {
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

  it('is not one that a network hits which breaks again and again within a moment; it is one in the long run', () => {
    const rig = withSession({ reconnect: { minDelay: 5, maxDelay: 200, factor: 2, jitter: 0 } });
    const { waiter } = rig.publish('a');
    const begin = rig.now;
    while (rig.now < begin + 1_400) lose(rig);
    expect(waiter.error).toBeUndefined();
    while (rig.now < begin + 2_000) lose(rig);
    expect(waiter.error).toBeInstanceOf(PoisonedMessageError);
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
    expect(rig.engine.load.pending).toBe(0);
  });

  it('is not one that was lost with connections that worked', () => {
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

  it('or too many at once, are sent one at a time although some get halfway: only what is over is progress', () => {
    const rig = online({ maxInflight: 3 });
    for (const topic of ['a', 'b', 'c']) rig.publish(topic, { qos: 2 });
    for (let i = 0; i < 2; i++) {
      rig.sent();
      rig.send(pubrec(1));
      lose(rig, 10, connack());
    }
    expect(rig.engine.load.inFlight).toBe(1);
  });

  it('is not in the way of QoS 0', () => {
    const rig = withSession();
    rig.publish('poison');
    lose(rig);
    lose(rig);
    rig.publish('b', { qos: 0 });
    expect(brief(rig.sent())).toEqual(['publish b']);
  });
});
