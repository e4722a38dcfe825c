import { describe, expect, it } from '@jest/globals';
import type { EngineOptions } from '../../lib/engine/options.ts';
import { ConnectError } from '../../lib/errors.ts';
import { brief, offline, online } from '../support/engines.ts';
import { connack, disconnect } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

const failure = new ConnectError('dial', 'ECONNREFUSED');

function delays(rig: Rig, attempts: number): number[] {
  return Array.from({ length: attempts }, () => {
    rig.engine.dialFailed(failure, rig.now);
    const { willRetryIn } = rig.effects.last('disconnected');
    expect(rig.engine.nextTimeout()).toBe(rig.now + willRetryIn);
    rig.advance(willRetryIn);
    expect(rig.engine.state).toBe('dialing');
    return willRetryIn;
  });
}

function refused(rig: Rig, reasonCode: number): void {
  rig.open();
  rig.send(connack({ reasonCode }));
}

/** One that is dialing again, having been accepted once. */
function redialing(options: Partial<EngineOptions> = {}): Rig {
  const rig = online(options);
  rig.engine.lost(undefined, rig.now);
  rig.advance(1_000);
  rig.effects.take();
  return rig;
}

describe('a planned reconnect', () => {
  it('tells of large QoS 0 that the old connection may still be writing once that is closed, not before', () => {
    const rig = online();
    const { waiter } = rig.publish('a', { qos: 0, payload: new Uint8Array(20_000) });
    const pieces = [rig.engine.takeOutput(rig.now), rig.engine.takeOutput(rig.now)];
    expect(pieces.map((piece) => piece?.length)).toContain(20_000);
    rig.engine.reconnect(rig.now);
    expect(waiter.told).toBe(0);
    rig.disconnect();
    expect(waiter.told).toBe(0);
    rig.engine.closedGracefully();
    expect(waiter.error).toMatchObject({ delivery: 'unknown', kept: false });
  });
});

describe('after a connection was lost', () => {
  it('dials again after the delay, with the number of the attempt', () => {
    const rig = online();
    const cause = new Error('ECONNRESET');
    rig.engine.lost(cause, rig.now);
    expect(rig.effects.take()).toEqual(['changed: disconnected']);
    expect(rig.effects.last('disconnected')).toMatchObject({ error: { cause }, willRetryIn: 1_000 });
    rig.advance(999);
    expect(rig.effects.take()).toEqual([]);
    rig.advance(1);
    expect(rig.effects.take()).toEqual(['changed: connecting', 'dial 1']);
  });

  it('peers P16 delays go from minDelay to maxDelay', () => {
    const rig = redialing({ reconnect: { minDelay: 100, maxDelay: 1_000, factor: 2, jitter: 0 } });
    expect(delays(rig, 5)).toEqual([200, 400, 800, 1_000, 1_000]);
  });

  it('and go back to minDelay with CONNACK, not with the Network Connection', () => {
    const rig = redialing();
    delays(rig, 3);
    rig.open();
    rig.engine.lost(undefined, rig.now);
    expect(rig.effects.last('disconnected').willRetryIn).toBe(16_000);
    rig.advance(16_000);
    rig.open();
    rig.send(connack());
    rig.engine.lost(undefined, rig.now);
    expect(rig.effects.last('disconnected').willRetryIn).toBe(1_000);
  });

  it.each([
    [0, 800],
    [0.5, 1_000],
    [0.999_999, 1_200],
  ])('take jitter from chance: %p makes %p', (random, delay) => {
    const rig = online({ reconnect: { minDelay: 1_000, maxDelay: 5_000, factor: 2, jitter: 0.2 } });
    rig.random = random;
    rig.engine.lost(undefined, rig.now);
    expect(rig.effects.last('disconnected').willRetryIn).toBeCloseTo(delay, 0);
  });

  it('ends where reconnect is false', () => {
    const rig = online({ reconnect: false });
    const { waiter } = rig.publish('a');
    rig.engine.lost(undefined, rig.now);
    expect(rig.effects.take()).toEqual(['changed: closed']);
    expect(rig.engine.state).toBe('closed');
    expect(waiter.error).toMatchObject({ name: 'ClosedError', delivery: 'unknown', kept: true });
    expect(rig.engine.nextTimeout()).toBe(Infinity);
  });
});

describe('a first attempt that fails', () => {
  it('is given up', () => {
    const rig = offline();
    rig.engine.connect('give up', rig.now);
    rig.engine.dialFailed(failure, rig.now);
    expect(rig.effects.take()).toEqual(['changed: connecting', 'dial 0', 'changed: gaveUp']);
    expect(rig.effects.last('gaveUp').error).toBe(failure);
    expect(rig.engine.state).toBe('offline');
    expect(rig.engine.nextTimeout()).toBe(Infinity);
  });

  it('is retried where that was asked for', () => {
    const rig = offline();
    rig.engine.connect('retry', rig.now);
    expect(delays(rig, 3)).toEqual([1_000, 2_000, 4_000]);
  });

  it('is given up where reconnect is false as well', () => {
    const rig = offline({ reconnect: false });
    rig.engine.connect('give up', rig.now);
    rig.engine.dialFailed(failure, rig.now);
    expect(rig.engine.state).toBe('offline');
  });
});

describe('refusals', () => {
  it.each([0x81, 0x82, 0x84, 0x85, 0x8a, 0x8c, 0x90, 0x95, 0x99, 0x9a, 0x9b])(
    'v5 MQTT-3.1.3-8, MQTT-3.2.2-12, -13, MQTT-4.12.0-1 CONNACK %d is final, when reconnecting too',
    (reasonCode) => {
      const rig = redialing();
      const waiter = rig.ask('subscribe', 'a');
      refused(rig, reasonCode);
      expect(rig.effects.take()).toEqual(['hang up', 'changed: closed']);
      expect(waiter.error).toMatchObject({ name: 'ClosedError', cause: { reasonCode } });
    },
  );

  it.each([0x80, 0x83, 0x88, 0x9c, 0x9d])('v5 CONNACK %d is retried after the usual delay', (reasonCode) => {
    const rig = redialing();
    refused(rig, reasonCode);
    expect(rig.effects.last('disconnected').willRetryIn).toBe(2_000);
  });

  it.each([0x89, 0x97, 0x9f])('v5 CONNACK %d is retried with patience', (reasonCode) => {
    const rig = redialing();
    refused(rig, reasonCode);
    expect(rig.effects.last('disconnected').willRetryIn).toBe(30_000);
  });

  it.each([
    [5, 0x86],
    [5, 0x87],
    [4, 4],
    [3, 5],
  ] as const)(
    'v%d CONNACK %d is final for credentials never accepted, else retried with patience',
    (protocolVersion, reasonCode) => {
      const rig = offline({ protocolVersion });
      rig.engine.connect('retry', rig.now);
      refused(rig, reasonCode);
      expect(rig.engine.state).toBe('closed');
      const again = redialing({ protocolVersion });
      refused(again, reasonCode);
      expect(again.effects.last('disconnected').willRetryIn).toBe(30_000);
      const fresh = offline({ protocolVersion, credentialsVary: true });
      fresh.engine.connect('retry', fresh.now);
      refused(fresh, reasonCode);
      expect(fresh.engine.state).toBe('waiting');
    },
  );

  it('v4 MQTT-3.1.3-8, -9 return codes 1 and 2 are final, 3 is not', () => {
    for (const [reasonCode, state] of [
      [1, 'closed'],
      [2, 'closed'],
      [3, 'waiting'],
    ] as const) {
      const rig = redialing({ protocolVersion: 4 });
      refused(rig, reasonCode);
      expect(rig.engine.state).toBe(state);
    }
  });
});

describe('DISCONNECT of the server', () => {
  it('v5 MQTT-3.1.4-3, peers P17 Session taken over is the end', () => {
    const rig = online();
    rig.send(disconnect(0x8e));
    expect(rig.effects.take()).toEqual(['hang up', 'changed: closed']);
    expect(rig.effects.last('closed').error).toMatchObject({ reasonCode: 0x8e });
  });

  it('v5 U-3.14.4-a is not answered, and its code is told', () => {
    const rig = online();
    rig.send(disconnect(0x8b, { reasonString: 'tea' }));
    expect(rig.effects.take()).toEqual(['hang up', 'changed: disconnected']);
    expect(rig.rest()).toEqual([]);
    const { error, willRetryIn } = rig.effects.last('disconnected');
    expect(error).toMatchObject({ reasonCode: 0x8b, message: expect.stringContaining('tea') });
    expect(willRetryIn).toBe(1_000);
  });

  it.each([0x89, 0x97, 0x9f])('v5 %d is retried with patience', (reasonCode) => {
    const rig = online();
    rig.send(disconnect(reasonCode));
    expect(rig.effects.last('disconnected').willRetryIn).toBe(30_000);
  });

  it('v4 MQTT-3.14.1-1 is a breach on 3.1.1', () => {
    const rig = online({ protocolVersion: 4 });
    rig.send(disconnect());
    expect(rig.effects.last('disconnected').error).toMatchObject({ name: 'ProtocolError' });
    expect(brief(rig.rest())).toEqual([]);
  });

  it('what comes behind it is not read', () => {
    const rig = online();
    rig.send(disconnect(0x8b), { type: 'publish', topic: 'a', payload: new Uint8Array() });
    expect(rig.effects.delivered).toEqual([]);
  });
});
