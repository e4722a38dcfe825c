import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { ConnectionTimers } from '../../lib/engine/connection-timers.ts';
import type { EngineParts } from '../../lib/engine/engine-parts.ts';
import { KeepAliveTimer } from '../../lib/engine/keep-alive-timer.ts';
import type { OutboundPublish } from '../../lib/engine/outbound-publish.ts';
import { SMALLEST_SLICE } from '../../lib/connection/slices.ts';
import type { RequestSender } from '../../lib/engine/request-sender.ts';
import { Timer, Timers } from '../../lib/engine/timers.ts';
import { newConnection } from '../support/connections.ts';
import { ENGINE_DEFAULTS } from '../support/engine-options.ts';
import { brief, online } from '../support/engines.ts';
import { connack, pingresp, publish } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';

describe('Timer', () => {
  it('has one slot for each timer, from 0 without gaps', () => {
    const slots = Object.values(Timer);
    expect(new Set(slots)).toEqual(new Set(slots.keys()));
  });
});

describe('Timers', () => {
  it('knows the first due time, whatever is set, stopped, held or expires', () => {
    const timer = fc.constantFrom(...Object.values(Timer));
    const step = fc.tuple(
      fc.constantFrom('set', 'set', 'stop', 'expire', 'stopAll', 'stopOthers', 'hold', 'release'),
      timer,
      fc.nat(100),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100, size: 'max' }), (script) => {
        const timers = new Timers();
        const model = new Map<Timer, number>();
        const held = new Set<Timer>();
        for (const [what, which, at] of script) {
          if (what === 'set') {
            timers.set(which, at);
            model.set(which, at);
          } else if (what === 'stop') {
            timers.stop(which);
            model.delete(which);
          } else if (what === 'expire') {
            const due = !held.has(which) && (model.get(which) ?? Infinity) <= at;
            assert.equal(timers.expire(which, at), due);
            if (due) model.delete(which);
          } else if (what === 'hold') {
            timers.hold([which]);
            held.add(which);
          } else if (what === 'release') {
            timers.release();
            for (const waiting of held) model.delete(waiting);
            held.clear();
          } else if (what === 'stopOthers') {
            timers.stopAll(which);
            held.clear();
            for (const other of model.keys()) if (other !== which) model.delete(other);
          } else {
            timers.stopAll();
            model.clear();
            held.clear();
          }
          const running = [...model].filter(([one]) => !held.has(one));
          assert.equal(timers.next(), Math.min(Infinity, ...running.map(([, due]) => due)));
          assert.equal(timers.at(which), model.get(which) ?? Infinity);
        }
      }),
    );
  });
});

describe('Keep Alive', () => {
  it('v5 MQTT-3.1.2-20, v4 MQTT-3.1.2-23 pings when nothing was sent for Keep Alive less a margin', () => {
    const rig = online({ keepAlive: 60 });
    rig.advance(54_999);
    expect(rig.sent()).toEqual([]);
    rig.advance(1);
    expect(brief(rig.sent())).toEqual(['pingreq']);
    rig.send(pingresp);
    rig.advance(54_999);
    expect(rig.sent()).toEqual([]);
    rig.advance(1);
    expect(brief(rig.sent())).toEqual(['pingreq']);
  });

  it('v5 MQTT-3.12.4-1 ignores a PINGRESP without a PINGREQ', () => {
    const rig = online({ keepAlive: 60 });
    rig.send(pingresp, pingresp);
    expect(rig.effects.take()).toEqual([]);
    expect(rig.engine.state).toBe('connected');
  });

  it('is not needed while both sides talk', () => {
    const rig = online({ keepAlive: 10 });
    for (let i = 0; i < 20; i++) {
      rig.advance(5_000);
      rig.publish('a', { qos: 0 });
      expect(brief(rig.sent())).toEqual(['publish a']);
      rig.send(publish());
    }
  });

  it('peers P15 is not put off by what comes in', () => {
    const rig = online({ keepAlive: 10 });
    for (let i = 0; i < 8; i++) {
      rig.advance(1_000);
      rig.send(publish());
    }
    rig.advance(1_000);
    expect(brief(rig.sent())).toEqual(['pingreq']);
  });

  it('peers P15 notices a half-open connection though it publishes all the time', () => {
    const rig = online({ keepAlive: 10 });
    const seen: string[] = [];
    for (let ms = 0; ms < 15_000 && rig.engine.state === 'connected'; ms += 100) {
      rig.publish('a', { qos: 0 });
      seen.push(...brief(rig.sent()));
      rig.advance(100);
    }
    expect(seen.filter((packet) => packet === 'pingreq')).toHaveLength(1);
    expect(rig.effects.take()).toEqual(['hang up', 'changed: disconnected']);
  });

  it('v5 U-3.1.2-b, v3 V31-12 hangs up when PINGRESP is late, then dials after the delay', () => {
    const rig = online({ keepAlive: 60 });
    rig.advance(55_000);
    rig.sent();
    rig.advance(29_999);
    expect(rig.effects.take()).toEqual([]);
    rig.advance(1);
    expect(rig.effects.take()).toEqual(['hang up', 'changed: disconnected']);
    expect(rig.engine.nextTimeout()).toBe(rig.now + 1_000);
  });

  it('waits for pingTimeout if it is given', () => {
    const rig = online({ keepAlive: 60, pingTimeout: 2_000 });
    rig.advance(56_999);
    expect(rig.engine.state).toBe('connected');
    rig.advance(1);
    expect(rig.engine.state).toBe('waiting');
  });

  it('counts any byte as a sign of life, even a part of a packet', () => {
    const rig = online({ keepAlive: 10, pingTimeout: 1_000 });
    rig.advance(9_000);
    expect(brief(rig.sent())).toEqual(['pingreq']);
    rig.advance(900);
    rig.receive(Uint8Array.of(0x30));
    rig.advance(8_000);
    expect(rig.engine.state).toBe('connected');
    rig.advance(1_000);
    expect(brief(rig.sent())).toEqual(['pingreq']);
  });

  it('v5 MQTT-3.1.2-20 keeps to Keep Alive even while PINGRESP is awaited for longer', () => {
    const rig = online({ keepAlive: 1, pingTimeout: 5_000 });
    for (let i = 0; i < 6; i++) {
      rig.advance(900);
      expect(brief(rig.sent())).toEqual(['pingreq']);
    }
    rig.advance(499);
    expect(rig.engine.state).toBe('connected');
    rig.advance(1);
    expect(rig.engine.state).toBe('waiting');
  });

  it('counts output that the transport accepts as a sign of life', () => {
    const rig = online({ keepAlive: 10, pingTimeout: 1_000 });
    rig.publish('a', { qos: 0 });
    const piece = rig.engine.takeOutput(rig.now) as Uint8Array;
    rig.advance(9_900);
    rig.engine.flushed(piece, true, rig.now);
    rig.advance(999);
    expect(rig.engine.state).toBe('connected');
    rig.advance(1);
    expect(rig.engine.state).toBe('waiting');
  });

  it('v5 MQTT-3.1.2-21, MQTT-3.2.2-21, peers P24 is the value of the server, for this connection', () => {
    const rig = online({ keepAlive: 60 }, connack({ serverKeepAlive: 10 }));
    rig.advance(9_000);
    expect(brief(rig.sent())).toEqual(['pingreq']);
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    expect(rig.open()).toMatchObject([{ type: 'connect', keepAlive: 60 }]);
    rig.send(connack());
    rig.advance(54_999);
    expect(rig.sent()).toEqual([]);
  });

  it('v5 U-3.1.2-a is off with 0, ours or the server’s', () => {
    for (const rig of [
      online({ keepAlive: 0 }),
      online({ keepAlive: 60 }, connack({ serverKeepAlive: 0 })),
    ]) {
      expect(rig.engine.nextTimeout()).toBe(Infinity);
    }
  });

  it('starts with CONNACK, and ends with the connection', () => {
    const rig = online({ keepAlive: 60 });
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    rig.open();
    rig.advance(20_000);
    rig.send(connack());
    rig.advance(54_999);
    expect(rig.sent()).toEqual([]);
    rig.disconnect();
    rig.engine.lost(undefined, rig.now);
    expect(rig.engine.nextTimeout()).toBe(Infinity);
  });
});

describe('a large message on a slow link', () => {
  it('does not pass for a dead server: it leaves in slices, each of them a sign of life', () => {
    const rig = online({ keepAlive: 10 });
    const payload = new Uint8Array(2_621_439).map((_, i) => i * 7);
    const { waiter } = rig.publish('firmware', { qos: 0, payload });
    const left: Uint8Array[] = [];
    while (left.length < 11) {
      const piece = rig.engine.takeOutput(rig.now)!;
      expect([waiter.told, piece.length <= SMALLEST_SLICE]).toEqual([0, true]);
      rig.advance(4_000);
      rig.engine.flushed(piece, true, rig.now);
      left.push(piece);
    }
    expect(rig.engine.state).toBe('connected');
    expect(Buffer.concat(left.slice(1)).equals(payload)).toBe(true);
    expect([waiter.told, waiter.reasonCode]).toEqual([1, 0]);
  });
});

describe('a large message on a quick link', () => {
  it.each([
    ['leaves in larger and larger slices, as the transport takes them', 4, [1, 2, 4, 4]],
    [
      'leaves in small slices, if the transport does not say that it takes larger ones',
      undefined,
      [1, 1, 1, 1],
    ],
  ] as const)('%s', (_, times, expected) => {
    const rig = new Rig();
    rig.engine.connect('give up', rig.now);
    const largestWrite = times === undefined ? undefined : times * SMALLEST_SLICE;
    rig.engine.opened({}, rig.now, largestWrite);
    rig.sent();
    rig.send(connack());
    const sizes = expected.map(() => {
      rig.publish('firmware', { qos: 0, payload: new Uint8Array(4 * SMALLEST_SLICE) });
      rig.engine.flushed(rig.engine.takeOutput(rig.now)!, false, rig.now);
      const slice = rig.engine.takeOutput(rig.now)!;
      rig.engine.flushed(slice, true, rig.now + 10);
      for (
        let rest = rig.engine.takeOutput(rig.now);
        rest !== undefined;
        rest = rig.engine.takeOutput(rig.now)
      )
        rig.engine.flushed(rest, true, rig.now + 200);
      return slice.length / SMALLEST_SLICE;
    });
    expect(sizes).toEqual(expected);
  });
});

describe('a timer of a connection', () => {
  /** A connection with nothing due, and what is asked of the parts that know what is late. */
  function rig(ack: 'overdue' | 'in time' = 'in time') {
    const asked: string[] = [];
    const timers = new Timers();
    const connection = newConnection({ protocolVersion: 4 });
    const outbound: Pick<OutboundPublish, 'retry' | 'isAckOverdue' | 'pump'> = {
      pump: () => void asked.push('pump'),
      retry: () => void asked.push('retry'),
      isAckOverdue: () => (asked.push('overdue?'), ack === 'overdue'),
    };
    const options = { ...ENGINE_DEFAULTS, ackTimeout: 500 };
    const flow = {
      isStopped: false,
      expire: () => void asked.push('last resort?'),
    };
    const requests: Pick<RequestSender, 'trialOver'> = { trialOver: () => void asked.push('trialOver') };
    const acknowledgements = { expire: () => void asked.push('stall') };
    const keepAliveTimer = new KeepAliveTimer(timers);
    const parts = { keepAliveTimer, acknowledgements, outbound, requests, flow } as unknown as EngineParts;
    const connectionTimers = new ConnectionTimers({ timers, options }, parts);
    const expire = (now: number) => connectionTimers.expire(connection, now);
    return { asked, timers, connection, expire, flow };
  }

  it('does nothing before its time', () => {
    const { asked, timers, expire } = rig('overdue');
    timers.set(Timer.Retry, 100);
    timers.set(Timer.Watchdog, 100);
    expect([expire(99), asked]).toEqual([undefined, []]);
  });

  it('sends PINGREQ after Keep Alive, and ends the connection if it stays unanswered', () => {
    const { connection, timers, expire } = rig();
    timers.set(Timer.KeepAlive, 100);
    connection.keepAlive.sentAt = -Infinity;
    connection.pingedAt = 0;
    expire(100);
    timers.set(Timer.PingResp, 200);
    expect(String(expire(200))).toContain('PINGREQ');
  });

  it('retries', () => {
    const { asked, timers, expire } = rig();
    timers.set(Timer.Retry, 100);
    expire(100);
    expect(asked).toEqual(['retry']);
  });

  it('judges the server only while the client reads, and sends PINGREQ meanwhile', () => {
    const { asked, connection, timers, expire, flow } = rig('overdue');
    flow.isStopped = true;
    connection.keepAlive.sentAt = -Infinity;
    for (const timer of [Timer.Retry, Timer.Watchdog, Timer.PingResp, Timer.KeepAlive, Timer.Stall])
      timers.set(timer, 100);
    expect([expire(100), asked]).toEqual([undefined, ['stall']]);
    expect([connection.outbox.size, timers.at(Timer.PingResp)]).toEqual([2, 100]);
  });

  it('begins the last resort', () => {
    const { asked, timers, expire } = rig();
    timers.set(Timer.LastResort, 100);
    expect([expire(100), asked]).toEqual([undefined, ['last resort?']]);
  });

  it('ends the connection if an exchange is overdue', () => {
    for (const [state, message] of [
      ['in time', 'undefined'],
      ['overdue', 'ConnectionLostError: closed: an exchange was unanswered for 500 ms (ackTimeout)'],
    ] as const) {
      const { timers, expire } = rig(state);
      timers.set(Timer.Watchdog, 100);
      expect(String(expire(100))).toBe(message);
    }
  });

  it('ends a trial: suspect requests go first, then messages', () => {
    const { asked, timers, expire } = rig();
    timers.set(Timer.Trial, 100);
    expire(99);
    expire(100);
    expect(asked).toEqual(['trialOver', 'pump']);
  });
});
