import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { onAbort } from '../../../lib/client/runtime/cancellation.ts';
import { settled } from '../../support/fake-clock.ts';
import { bytes, Stage, watch } from '../../scenarios/stage.ts';

const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('those who wait for a signal', () => {
  it('are all told, in the order they came, through one listener', () => {
    const controller = new AbortController();
    const { signal } = controller;
    const told: number[] = [];
    for (const n of [1, 2, 3]) onAbort(signal, () => told.push(n));
    expect(listenersOf(signal)).toBe(1);
    controller.abort();
    expect([told, listenersOf(signal)]).toEqual([[1, 2, 3], 0]);
  });

  it('are not told once they have left, and leave nothing behind', () => {
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

  it('are not told once one of them who was told first has seen them off', () => {
    const controller = new AbortController();
    const told: number[] = [];
    onAbort(controller.signal, () => leave());
    const leave = onAbort(controller.signal, () => told.push(2));
    onAbort(controller.signal, () => told.push(3));
    controller.abort();
    expect(told).toEqual([3]);
  });

  it('are told in the next microtask of a signal that is aborted already, unless they leave before', async () => {
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
