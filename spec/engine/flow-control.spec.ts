import { describe, expect, it } from '@jest/globals';
import { OUTPUT_LIMIT } from '../../lib/engine/flow-control.ts';
import type { EngineOptions } from '../../lib/engine/options.ts';
import { brief, online } from '../support/engines.ts';
import { connack, publish, pubrel } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

/** A clean session on 3.1.1 with room for four messages. */
const clean = (options: Partial<EngineOptions> = {}, ports = {}): Rig =>
  online({ protocolVersion: 4, persistent: false, receiveMaximum: 4, ...options }, connack(), ports);

const numbered = (from: number, to: number, payload = 'x') =>
  Array.from({ length: to - from + 1 }, (_, i) => publish({ qos: 1, packetId: from + i, payload }));

/** The application settles the messages that were delivered in these places, from 0. */
function settle(rig: Rig, ...places: number[]): void {
  for (const place of places) rig.engine.settle(rig.effects.delivered[place]!.receipt!, 0, rig.now);
}

const count = (rig: Rig): number => rig.effects.delivered.length;

describe('a limit of messages', () => {
  it('gives the application a turn, then stops the reading, which goes on at half of it', () => {
    const rig = clean();
    rig.engine.onData(rig.bytes(...numbered(1, 9)));
    expect([rig.engine.read(rig.now), count(rig)]).toEqual(['turn', 4]);
    expect([rig.engine.read(rig.now), rig.engine.mayRead]).toEqual(['stop', false]);
    settle(rig, 0);
    expect([rig.engine.mayRead, rig.engine.read(rig.now), count(rig)]).toEqual([false, 'stop', 4]);
    settle(rig, 1);
    expect([rig.engine.mayRead, rig.engine.read(rig.now), count(rig)]).toEqual([true, 'turn', 6]);
    settle(rig, 2, 3, 4, 5);
    expect([rig.engine.read(rig.now), count(rig)]).toEqual(['all', 9]);
  });

  it('is no limit for a loop that keeps up: it settles what came in its turn', () => {
    const rig = clean({ receiveMaximum: 1 });
    rig.engine.onData(rig.bytes(...numbered(1, 5)));
    for (let n = 0; n < 4; n++) {
      expect(rig.engine.read(rig.now)).toBe('turn');
      settle(rig, n);
    }
    expect([rig.engine.read(rig.now), count(rig)]).toEqual(['turn', 5]);
  });

  it('does not count messages that the application has not come to for long', () => {
    const rig = clean();
    rig.send(...numbered(1, 5));
    for (const { receipt } of rig.effects.delivered.slice(0, 2))
      rig.engine.acknowledgements.markStalled(receipt!);
    expect([rig.read(), count(rig)]).toEqual(['all', 5]);
  });

  it('holds for those of the connection before, too', () => {
    const rig = online({ protocolVersion: 4, cleanStart: false, receiveMaximum: 4 });
    rig.send(...numbered(1, 4));
    rig.resume(connack({ sessionPresent: true }));
    rig.send(...numbered(5, 6));
    expect(count(rig)).toBe(4);
    settle(rig, 0, 1);
    rig.read();
    expect(count(rig)).toBe(6);
  });
});

describe('a limit of bytes', () => {
  it('counts topic, properties and payload', () => {
    const properties = { userProperties: [['a'.repeat(100), 'b'.repeat(95)]] as const };
    const rig = online({ persistent: false, receiveBuffer: 1_000 });
    rig.send(...numbered(1, 9).map((one) => ({ ...one, topic: 'a'.repeat(200), properties })));
    expect(count(rig)).toBe(2);
    expect(rig.engine.counts.unsettled.bytes).toBeGreaterThan(800);
  });

  it('has a message wait that would go beyond it, and lets one alone be as large as it is', () => {
    const rig = clean({ receiveBuffer: 1_000 });
    rig.send(publish({ qos: 1, packetId: 1 }), publish({ qos: 1, packetId: 2, payload: 'x'.repeat(5_000) }));
    expect(rig.receive(rig.bytes(...numbered(3, 3)))).toBe('stop');
    expect([count(rig), rig.engine.counts.unsettled.messages]).toEqual([1, 1]);
    settle(rig, 0);
    expect([rig.read(), count(rig)]).toEqual(['stop', 2]);
    settle(rig, 1);
    expect([rig.read(), count(rig)]).toEqual(['all', 3]);
  });
});

describe('a buffer that pauses', () => {
  it('stops the reading while it is full', () => {
    const buffers = { full: 0, bytes: 0 };
    const rig = clean({}, { buffers });
    buffers.full = 1;
    rig.send(publish({ payload: 'a' }));
    expect([count(rig), rig.engine.mayRead]).toEqual([0, false]);
    buffers.full = 0;
    expect([rig.read(), rig.effects.texts]).toEqual(['all', ['a']]);
  });

  it('is read past for an answer, until all that may be held is held', () => {
    const buffers = { full: 1, bytes: 0 };
    const rig = clean({ receiveBuffer: 100 }, { buffers });
    rig.publish('t');
    rig.send(publish({ payload: 'a' }));
    expect(rig.effects.texts).toEqual(['a']);
    buffers.bytes = 100;
    rig.send(publish({ payload: 'b' }));
    expect(rig.effects.texts).toEqual(['a']);
  });
});

describe('a full buffer that drops', () => {
  it('gives its readers a turn before the next message', () => {
    const rig = clean();
    rig.effects.turnAfter = 3;
    rig.engine.onData(rig.bytes(...[1, 2, 3, 4].map(() => publish())));
    expect([rig.engine.read(rig.now), count(rig)]).toEqual(['turn', 3]);
    expect([rig.engine.read(rig.now), count(rig)]).toEqual(['all', 4]);
  });
});

describe('an answer that is awaited', () => {
  it('has the client read past the limit, one read at a time, and no longer than until it is there', () => {
    const rig = clean();
    rig.send(...numbered(1, 5));
    expect(rig.engine.mayRead).toBe(false);
    const { waiter } = rig.publish('t');
    rig.sent();
    expect([rig.engine.mayRead, rig.engine.read(rig.now), count(rig)]).toEqual([true, 'turn', 5]);
    // Nothing is left of what had come, so the next read is due.
    expect(rig.engine.read(rig.now)).toBe('all');
    rig.engine.onData(rig.bytes(...numbered(6, 7), { type: 'puback', packetId: 1 }, ...numbered(8, 9)));
    expect([rig.engine.read(rig.now), waiter.told, count(rig)]).toEqual(['turn', 1, 7]);
    expect([rig.engine.read(rig.now), rig.engine.mayRead, count(rig)]).toEqual(['stop', false, 7]);
  });

  it.each(['subscribe', 'unsubscribe'] as const)('may be that of %s', (kind) => {
    const rig = clean();
    rig.send(...numbered(1, 5));
    rig.request(kind, 'a');
    expect([rig.engine.mayRead, rig.read(), count(rig)]).toEqual([true, 'all', 5]);
  });

  it('is read for up to receiveBuffer and no further', () => {
    const rig = clean({ receiveBuffer: 100 });
    rig.send(...numbered(1, 5));
    rig.publish('t');
    rig.send(...numbered(6, 40));
    expect(rig.engine.counts.unsettled.bytes).toBeGreaterThan(80);
    expect(rig.engine.counts.unsettled.bytes).toBeLessThanOrEqual(100);
    expect(rig.engine.mayRead).toBe(false);
  });
});

describe('while nothing is read', () => {
  const stopped = (options: Partial<EngineOptions> = {}): Rig => {
    const rig = clean({ keepAlive: 10, ackStallTimeout: 0, ...options });
    rig.send(...numbered(1, 5));
    expect(rig.engine.mayRead).toBe(false);
    rig.sent();
    return rig;
  };

  it('PINGREQ goes out twice per Keep Alive, and its answer is not missed', () => {
    const rig = stopped();
    rig.advance(4_499);
    expect(rig.sent()).toEqual([]);
    rig.advance(1);
    expect(brief(rig.sent())).toEqual(['pingreq']);
    rig.advance(60_000);
    expect([rig.engine.state, brief(rig.sent()).length]).toEqual(['connected', 13]);
  });

  it('no Keep Alive is none here either', () => {
    const rig = stopped({ keepAlive: 0 });
    expect(rig.engine.nextTimeout()).toBe(Infinity);
  });

  it('the wait for PINGRESP begins anew when reading goes on, and ends the connection then', () => {
    const rig = stopped();
    rig.advance(30_000);
    settle(rig, 0, 1, 2, 3);
    rig.read();
    rig.sent();
    rig.advance(4_999);
    expect(rig.engine.state).toBe('connected');
    rig.advance(1);
    expect([rig.engine.state, rig.effects.last('disconnected').error.message]).toEqual([
      'waiting',
      'closed: the server did not answer PINGREQ in time',
    ]);
  });

  it('neither messageRetry nor ackTimeout nor requestTimeout runs, and each begins anew', () => {
    const rig = stopped({
      receiveBuffer: 25,
      messageRetry: 1_000,
      ackTimeout: 3_000,
      requestTimeout: 4_000,
      keepAlive: 0,
    });
    const { waiter } = rig.publish('t');
    const asked = rig.request('subscribe', 'a');
    expect(brief(rig.sent())).toEqual(['publish t 1', 'subscribe 2']);
    rig.advance(600_000);
    expect([rig.sent(), waiter.told, asked.told, rig.engine.state]).toEqual([[], 0, 0, 'connected']);
    settle(rig, 0, 1, 2, 3);
    rig.read();
    rig.sent();
    rig.advance(999);
    expect(brief(rig.sent())).toEqual([]);
    rig.advance(1);
    expect(brief(rig.sent())).toEqual(['publish t 1 DUP']);
    rig.advance(1_999);
    expect(rig.engine.state).toBe('connected');
    rig.advance(1);
    expect(rig.engine.state).toBe('waiting');
  });

  it('what comes after disconnect() is read and dropped, so that the server can close', () => {
    const rig = stopped();
    rig.disconnect('keep', 60_000);
    expect([rig.engine.mayRead, rig.receive(rig.bytes(...numbered(6, 99))), count(rig)]).toEqual([
      true,
      'all',
      4,
    ]);
    rig.sent();
    rig.advance(59_999);
    expect([rig.sent(), rig.engine.state]).toEqual([[], 'disconnecting']);
  });
});

describe('output that the server does not take', () => {
  /** What is answered by as many PUBCOMP. */
  const releases = (rig: Rig): Uint8Array =>
    rig.bytes(...Array.from({ length: 10_000 }, (_, n) => pubrel(n + 1)));

  it('stops the reading beyond its limit, and the server is judged all the same', () => {
    const rig = online({ keepAlive: 10 });
    const bytes = releases(rig);
    for (let reads = 0; rig.engine.mayRead && reads < 1_000; reads++) rig.receive(bytes);
    expect(rig.engine.outputSize).toBeGreaterThan(OUTPUT_LIMIT);
    expect(rig.engine.outputSize).toBeLessThan(OUTPUT_LIMIT + 1_000);
    expect(rig.read()).toBe('stop');
    rig.advance(14_500);
    expect(rig.engine.state).toBe('waiting');
  });

  it('lets reading go on at half of the limit', () => {
    const rig = online();
    const bytes = releases(rig);
    while (rig.engine.mayRead) rig.receive(bytes);
    while (!rig.engine.mayRead) {
      const piece = rig.engine.takeOutput(rig.now)!;
      rig.engine.flushed(piece, false, rig.now);
    }
    expect(rig.engine.outputSize).toBeLessThanOrEqual(OUTPUT_LIMIT / 2);
    expect(rig.engine.outputSize).toBeGreaterThan(OUTPUT_LIMIT / 2 - 70_000);
  });

  it('is not what a large payload of ours is, which leaves by reference', () => {
    const rig = online();
    rig.publish('t', { payload: new Uint8Array(3 * OUTPUT_LIMIT) });
    expect([rig.engine.outputSize > OUTPUT_LIMIT, rig.engine.mayRead]).toEqual([true, true]);
  });
});

describe('the last resort, where an answer is behind more than may be held', () => {
  const large = (from: number, to: number) => numbered(from, to, 'x'.repeat(100));
  const stuck = (options: Partial<EngineOptions> = {}): Rig => {
    const rig = online({ receiveMaximum: 4, receiveBuffer: 560, ackStallTimeout: 1_000, ...options });
    rig.send(...large(1, 4));
    rig.publish('t');
    rig.sent();
    rig.send(...large(5, 12));
    expect([rig.engine.mayRead, count(rig)]).toEqual([false, 5]);
    rig.effects.take();
    return rig;
  };

  it('comes only when nothing was settled for ackStallTimeout', () => {
    const rig = stuck({ persistent: false });
    rig.advance(900);
    settle(rig, 0);
    rig.read();
    rig.advance(999);
    expect(rig.effects.take()).not.toContain('changed: lastResort');
    rig.advance(1_000);
    expect(rig.effects.take()).toContain('changed: lastResort');
  });

  it('never comes with ackStallTimeout 0', () => {
    const rig = stuck({ persistent: false, ackStallTimeout: 0 });
    rig.advance(600_000);
    expect(rig.effects.take()).toEqual([]);
  });

  it('drops the newest in a clean session, acknowledged in their turn, until the answer is there', () => {
    const rig = stuck({ persistent: false });
    rig.advance(1_000);
    expect([rig.effects.take(), rig.engine.mayRead]).toEqual([['changed: lastResort'], true]);
    rig.send({ type: 'puback', packetId: 1 }, ...large(13, 14));
    expect([count(rig), rig.effects.take().filter((one) => one === 'overflowed: a/b').length]).toEqual([
      5, 7,
    ]);
    expect(rig.engine.mayRead).toBe(false);
    settle(rig, 0, 1, 2, 3, 4);
    const answers = brief(rig.sent());
    expect(answers).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map((id) => `puback ${id}`));
    rig.read();
    expect(count(rig)).toBe(7);
  });

  it('ends with the next message that is settled', () => {
    const rig = stuck({ persistent: false });
    rig.advance(1_000);
    settle(rig, 0);
    rig.read();
    expect(rig.effects.take()).not.toContain('overflowed: a/b');
    expect(count(rig)).toBe(6);
  });

  const KEPT = { cleanStart: false, sessionExpiryInterval: 3_600 } as const;
  const again = (from: number, to: number) => large(from, to).map((one) => ({ ...one, duplicate: true }));

  it('leaves the newest to the server in a session to keep, which sends them again after the answer', () => {
    const rig = stuck(KEPT);
    rig.advance(1_000);
    expect([rig.effects.take(), rig.engine.mayRead, rig.read()]).toEqual([
      ['changed: lastResort'],
      true,
      'all',
    ]);
    rig.send(...large(13, 14));
    expect([rig.engine.state, rig.engine.counts.unsettled.messages, count(rig)]).toEqual(['connected', 5, 5]);
    rig.send({ type: 'puback', packetId: 1 });
    expect(brief(rig.rest())).toEqual(['disconnect 0x93']);
    expect(rig.effects.take()).not.toContain('overflowed: a/b');
    rig.open();
    rig.send(connack({ sessionPresent: true }));
    settle(rig, 0, 1, 2, 3, 4);
    rig.send(...again(1, 14));
    expect(brief(rig.sent())).toEqual([1, 2, 3, 4, 5].map((id) => `puback ${id}`));
    expect(rig.effects.delivered.map(({ packetId }) => packetId).slice(0, 9)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9,
    ]);
  });

  it('takes none that is behind one that was left, even where there is room, and reconnects for them', () => {
    const rig = stuck(KEPT);
    rig.advance(1_000);
    rig.read();
    settle(rig, 0);
    rig.send(...large(13, 14));
    expect([rig.engine.state, count(rig)]).toEqual(['dialing', 5]);
  });

  it('does not reconnect in a session to keep where the answer was the next to come', () => {
    const rig = online({ receiveMaximum: 4, receiveBuffer: 400, ackStallTimeout: 1_000, ...KEPT });
    rig.send(...numbered(1, 1, 'x'.repeat(500)));
    rig.publish('t');
    rig.sent();
    expect(rig.read()).toBe('stop');
    rig.advance(1_000);
    rig.send({ type: 'puback', packetId: 1 });
    expect([rig.engine.state, rig.engine.mayRead]).toEqual(['connected', false]);
    settle(rig, 0);
    rig.send(...large(2, 3));
    expect([rig.engine.state, count(rig)]).toEqual(['connected', 3]);
  });
});
