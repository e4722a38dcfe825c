import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type CallOptions,
  checkCall,
  checkSignal,
  isCancellable,
  onAbort,
  withCancellation,
} from '../../../lib/client/runtime/cancellation.ts';
import { TimeoutError } from '../../../lib/errors.ts';
import { bytes, Stage, watch } from '../../scenarios/stage.ts';
import { FakeClock, settled } from '../../support/fake-clock.ts';

/** A signal, and how many listen to it. */
function watched(): { controller: AbortController; listeners: () => number } {
  const controller = new AbortController();
  return { controller, listeners: () => getEventListeners(controller.signal, 'abort').length };
}

describe('the options of a call', () => {
  it('are checked', () => {
    expect(() => checkCall('call', { timeout: -1 })).toThrow(RangeError);
    expect(() => checkCall('call', { timeout: '1' as unknown as number })).toThrow(TypeError);
    expect(() => checkCall('call', { signal: {} as AbortSignal })).toThrow(
      /^signal: expected an AbortSignal, got an object/,
    );
    expect(() => checkCall('call', { signal: null as unknown as AbortSignal })).toThrow(TypeError);
    expect(() => checkCall('call', { signal: undefined, timeout: undefined })).not.toThrow();
    expect(() => checkCall('call', { timeout: 0 })).not.toThrow();
  });

  it.each([
    {},
    { aborted: false },
    { addEventListener() {}, removeEventListener() {} },
    { aborted: false, addEventListener() {} },
    { aborted: 'no', addEventListener() {}, removeEventListener() {} },
    7,
    'abort',
    null,
  ])('refuse a signal that lacks a part that is used: %p', (signal) => {
    for (const check of [checkSignal, (given: AbortSignal) => checkCall('call', { signal: given })])
      expect(() => check(signal as unknown as AbortSignal)).toThrow(/^signal: expected an AbortSignal, got /);
  });

  it('take the signal of a package, which may lack throwIfAborted()', () => {
    const signal = { aborted: true, reason: 'gone', addEventListener() {}, removeEventListener() {} };
    expect(() => checkCall('call', { signal: signal as unknown as AbortSignal })).toThrow('gone');
    expect(() => checkSignal(signal as unknown as AbortSignal)).not.toThrow();
  });

  it('with a signal that is aborted already throw its reason', () => {
    const reason = new Error('never mind');
    expect(() => checkCall('call', { signal: AbortSignal.abort(reason) })).toThrow(reason);
    expect(() => checkCall('call', { signal: AbortSignal.abort('text') })).toThrow('text');
  });

  it('bound it only where they say so', () => {
    const { signal } = new AbortController();
    expect([{}, { timeout: undefined }, { timeout: 5 }, { signal }].map(isCancellable)).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });
});

describe('a bounded call', () => {
  let clock: FakeClock;
  let reasons: unknown[];

  beforeEach(() => {
    clock = new FakeClock();
    reasons = [];
  });

  const begin = (options: CallOptions) =>
    withCancellation(options, clock, 'receive', (reason) => {
      reasons.push(reason);
    });

  afterEach(() => {
    expect(clock.armed).toBe(0);
  });

  it('is given up when its time is over, and not a moment before', async () => {
    begin({ timeout: 250 });
    await clock.advance(249);
    expect(reasons).toEqual([]);
    await clock.advance(1);
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).toBeInstanceOf(TimeoutError);
    expect((reasons[0] as Error).message).toBe('receive took longer than 250 ms (timeout)');
  });

  it('is given up with the reason of its signal', () => {
    const { controller, listeners } = watched();
    begin({ signal: controller.signal, timeout: 250 });
    const reason = new Error('shutting down');
    controller.abort(reason);
    expect(reasons).toEqual([reason]);
    expect(listeners()).toBe(0);
  });

  it('is given up once, whatever comes later', async () => {
    const { controller } = watched();
    begin({ signal: controller.signal, timeout: 250 });
    await clock.advance(250);
    controller.abort(new Error('too late'));
    await clock.advance(1_000);
    expect(reasons).toHaveLength(1);
  });

  it('is given up if its signal is aborted already, but not before it has begun', async () => {
    const reason = new Error('never mind');
    begin({ signal: AbortSignal.abort(reason), timeout: 250 });
    expect(reasons).toEqual([]);
    await Promise.resolve();
    expect(reasons).toEqual([reason]);
  });

  it('that is done at once is not given up, though its signal is aborted', async () => {
    begin({ signal: AbortSignal.abort() })();
    await Promise.resolve();
    expect(reasons).toEqual([]);
  });

  it('leaves no timer and no listener when it is done', async () => {
    const { controller, listeners } = watched();
    const done = begin({ signal: controller.signal, timeout: 250 });
    expect([clock.armed, listeners()]).toEqual([1, 1]);
    done();
    expect([clock.armed, listeners()]).toEqual([0, 0]);
    controller.abort();
    await clock.advance(1_000);
    expect(reasons).toEqual([]);
  });

  it('costs nothing without options', () => {
    const done = begin({});
    expect(clock.armed).toBe(0);
    expect(done).not.toThrow();
  });
});

const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('listeners of a signal', () => {
  it('are called in the order of their calls, through one event listener', () => {
    const controller = new AbortController();
    const { signal } = controller;
    const told: number[] = [];
    for (const n of [1, 2, 3]) onAbort(signal, () => told.push(n));
    expect(listenersOf(signal)).toBe(1);
    controller.abort();
    expect([told, listenersOf(signal)]).toEqual([[1, 2, 3], 0]);
  });

  it('are not called after they have left, and leave nothing behind', () => {
    const controller = new AbortController();
    const { signal } = controller;
    const told: number[] = [];
    const leave = [1, 2, 3].map((n) => onAbort(signal, () => told.push(n)));
    leave[1]!();
    leave[1]!();
    expect(listenersOf(signal)).toBe(1);
    leave[0]!();
    leave[2]!();
    expect(listenersOf(signal)).toBe(0);
    onAbort(signal, () => told.push(4));
    expect(listenersOf(signal)).toBe(1);
    controller.abort();
    expect(told).toEqual([4]);
  });

  it('are not called if an earlier one has removed them', () => {
    const controller = new AbortController();
    const told: number[] = [];
    onAbort(controller.signal, () => leave());
    const leave = onAbort(controller.signal, () => told.push(2));
    onAbort(controller.signal, () => told.push(3));
    controller.abort();
    expect(told).toEqual([3]);
  });

  it('are called in the next microtask if the signal is aborted already, unless they leave before', async () => {
    const signal = AbortSignal.abort();
    const told: number[] = [];
    onAbort(signal, () => told.push(1));
    onAbort(signal, () => told.push(2))();
    expect(told).toEqual([]);
    await Promise.resolve();
    expect([told, listenersOf(signal)]).toEqual([[1], 0]);
  });
});

describe('one signal for many calls', () => {
  it('is listened to once, is heard by all of them, and has no listener of ours afterwards', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const controller = new AbortController();
    const { signal } = controller;
    const calls = Array.from({ length: 30 }, (_, n) => client.publish('a', `${n}`, { qos: 1, signal }));
    const outcomes = calls.map((call) => watch(call));
    const subscribing = Array.from({ length: 12 }, (_, n) => client.subscribe(`b/${n}`, { signal }));
    for (const call of subscribing) call.catch(() => {});
    await broker.expect('publish', { payload: bytes('0') });
    expect(listenersOf(signal)).toBe(1);
    controller.abort(new Error('all of you'));
    await settled();
    for (const outcome of outcomes) expect(outcome()).toMatchObject({ error: { message: 'all of you' } });
    expect(listenersOf(signal)).toBe(0);
    await stage.end(client, broker);
  });

  it('is left alone by a subscription that had ended before its SUBACK came', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const { signal } = new AbortController();
    const subscribing = client.subscribe('a', { signal });
    subscribing.catch(() => {});
    const { packetId } = await broker.expect('subscribe');
    client.unsubscribe('a').catch(() => {});
    broker.send({ type: 'suback', packetId, reasonCodes: [0] });
    await stage.clock.advance(0);
    await subscribing;
    expect(listenersOf(signal)).toBe(0);
    await stage.end(client, broker);
  });
});
