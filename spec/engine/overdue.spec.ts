import { describe, expect, it } from '@jest/globals';
import { Connection } from '../../lib/connection/connection.ts';
import { Traffic } from '../../lib/connection/traffic.ts';
import { Deadlines, Timer } from '../../lib/engine/deadlines.ts';
import { Liveness } from '../../lib/engine/liveness.ts';
import { expireOn } from '../../lib/engine/overdue.ts';
import type { Publishing } from '../../lib/engine/publishing.ts';
import { ENGINE_DEFAULTS } from '../support/engine-options.ts';

/** A connection with nothing due, and what is asked of the parts that know what is late. */
function rig(overdue: 'overdue' | 'in time' = 'in time') {
  const asked: string[] = [];
  const deadlines = new Deadlines();
  const connection = new Connection(
    {
      epoch: 1,
      settings: { ...ENGINE_DEFAULTS, protocolVersion: 4 },
      identity: { clientId: 'a', cleanStart: true },
      traffic: new Traffic(),
      slabs: { take: () => new Uint8Array(64) },
      allocate: (size) => new Uint8Array(size),
    },
    0,
  );
  const publishing: Pick<Publishing, 'retry' | 'overdue'> = {
    retry: (_connection, held) => void asked.push(`retry, output ${held ? 'held' : 'free'}`),
    overdue: () => (asked.push('overdue?'), overdue === 'overdue'),
  };
  const options = { ...ENGINE_DEFAULTS, ackTimeout: 500 };
  const expire = (now: number, held = false) =>
    expireOn(connection, deadlines, new Liveness(deadlines), publishing as Publishing, options, held, now);
  return { asked, deadlines, connection, expire };
}

describe('what is due on a connection', () => {
  it('is nothing before its time', () => {
    const { asked, deadlines, expire } = rig('overdue');
    deadlines.set(Timer.Retry, 100);
    deadlines.set(Timer.Watchdog, 100);
    expect([expire(99), asked]).toEqual([undefined, []]);
  });

  it('is a PINGREQ after Keep Alive, and the end where it stays unanswered', () => {
    const { connection, deadlines, expire } = rig();
    deadlines.set(Timer.KeepAlive, 100);
    connection.keepAlive.sentAt = -Infinity;
    connection.pingedAt = 0;
    expire(100);
    deadlines.set(Timer.PingResp, 200);
    expect(expire(200)?.message).toContain('PINGREQ');
  });

  it('is a retry, which is told whether output is held back', () => {
    const { asked, deadlines, expire } = rig();
    deadlines.set(Timer.Retry, 100);
    expire(100, true);
    deadlines.set(Timer.Retry, 200);
    expire(200, false);
    expect(asked).toEqual(['retry, output held', 'retry, output free']);
  });

  it('is the end where an exchange is overdue', () => {
    for (const [state, message] of [
      ['in time', undefined],
      ['overdue', 'closed: an exchange was unanswered for 500 ms (ackTimeout)'],
    ] as const) {
      const { deadlines, expire } = rig(state);
      deadlines.set(Timer.Watchdog, 100);
      expect(expire(100)?.message).toBe(message);
    }
  });
});
