import { describe, expect, it } from '@jest/globals';
import { Connection } from '../../lib/connection/connection.ts';
import { Traffic } from '../../lib/connection/traffic.ts';
import { ConnectionTimers } from '../../lib/engine/connection-timers.ts';
import { Timers, Timer } from '../../lib/engine/timers.ts';
import { KeepAliveTimer } from '../../lib/engine/keep-alive-timer.ts';
import type { EngineParts } from '../../lib/engine/engine-parts.ts';
import type { OutboundPublish } from '../../lib/engine/outbound-publish.ts';
import type { RequestSender } from '../../lib/engine/request-sender.ts';
import { ENGINE_DEFAULTS } from '../support/engine-options.ts';

/** A connection with nothing due, and what is asked of the parts that know what is late. */
function rig(ack: 'overdue' | 'in time' = 'in time') {
  const asked: string[] = [];
  const timers = new Timers();
  const connection = new Connection(
    {
      connectionNumber: 1,
      settings: { ...ENGINE_DEFAULTS, protocolVersion: 4 },
      identity: { clientId: 'a', cleanStart: true },
      traffic: new Traffic(),
      slabs: { take: () => new Uint8Array(64) },
      allocate: (size) => new Uint8Array(size),
    },
    0,
  );
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

describe('what is due on a connection', () => {
  it('is nothing before its time', () => {
    const { asked, timers, expire } = rig('overdue');
    timers.set(Timer.Retry, 100);
    timers.set(Timer.Watchdog, 100);
    expect([expire(99), asked]).toEqual([undefined, []]);
  });

  it('is a PINGREQ after Keep Alive, and the end where it stays unanswered', () => {
    const { connection, timers, expire } = rig();
    timers.set(Timer.KeepAlive, 100);
    connection.keepAlive.sentAt = -Infinity;
    connection.pingedAt = 0;
    expire(100);
    timers.set(Timer.PingResp, 200);
    expect(String(expire(200))).toContain('PINGREQ');
  });

  it('is a retry', () => {
    const { asked, timers, expire } = rig();
    timers.set(Timer.Retry, 100);
    expire(100);
    expect(asked).toEqual(['retry']);
  });

  it('is nothing that judges the server while nothing is read, but for the PINGREQ that keeps the connection', () => {
    const { asked, connection, timers, expire, flow } = rig('overdue');
    flow.isStopped = true;
    connection.keepAlive.sentAt = -Infinity;
    for (const timer of [Timer.Retry, Timer.Watchdog, Timer.PingResp, Timer.KeepAlive, Timer.Stall])
      timers.set(timer, 100);
    expect([expire(100), asked]).toEqual([undefined, ['stall']]);
    expect([connection.outbox.size, timers.at(Timer.PingResp)]).toEqual([2, 100]);
  });

  it('is the last resort', () => {
    const { asked, timers, expire } = rig();
    timers.set(Timer.LastResort, 100);
    expect([expire(100), asked]).toEqual([undefined, ['last resort?']]);
  });

  it('is the end where an exchange is overdue', () => {
    for (const [state, message] of [
      ['in time', 'undefined'],
      ['overdue', 'ConnectionLostError: closed: an exchange was unanswered for 500 ms (ackTimeout)'],
    ] as const) {
      const { timers, expire } = rig(state);
      timers.set(Timer.Watchdog, 100);
      expect(String(expire(100))).toBe(message);
    }
  });

  it('is what was held back as suspect: requests, then messages', () => {
    const { asked, timers, expire } = rig();
    timers.set(Timer.Trial, 100);
    expire(99);
    expire(100);
    expect(asked).toEqual(['trialOver', 'pump']);
  });
});
