import { afterEach, describe, expect, it } from '@jest/globals';
import { PendingPublish } from '../../lib/client/publish/pending-publish.ts';
import { QueueFullError, withoutFrames } from '../../lib/errors.ts';
import { offline, online, withSession } from '../support/engines.ts';
import { connack } from '../support/packets.ts';

/** Lines of the stack that name a function. */
function framesOf(error: Error | undefined): string[] {
  return (error?.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
}

const limit = Error.stackTraceLimit;

afterEach(() => {
  Object.defineProperty(Error, 'stackTraceLimit', { value: limit, writable: true, configurable: true });
});

describe('withoutFrames', () => {
  it('makes an error with its class and message, but without frames, and only that one', () => {
    const error = withoutFrames(() => new QueueFullError('full'));
    expect(error).toBeInstanceOf(QueueFullError);
    expect(error.stack).toBe('QueueFullError: full');
    expect(framesOf(new Error('next')).length).toBeGreaterThan(0);
    expect(Error.stackTraceLimit).toBe(limit);
  });

  it('restores the limit of the application if the error cannot be made', () => {
    Error.stackTraceLimit = 3;
    const make = (): Error => {
      throw new TypeError('no error');
    };
    expect(() => withoutFrames(make)).toThrow('no error');
    expect(Error.stackTraceLimit).toBe(3);
  });

  it('makes an error with frames if the limit cannot be changed', () => {
    Object.defineProperty(Error, 'stackTraceLimit', { value: 5, writable: false, configurable: true });
    const error = withoutFrames(() => new QueueFullError('full'));
    expect(framesOf(error).length).toBeGreaterThan(0);
    expect(Error.stackTraceLimit).toBe(5);
  });
});

describe('the error of a message that ends outside of its call', () => {
  it('has no frames: dropped for a newer message', () => {
    const rig = offline({ queueLimits: { messages: 1, bytes: 0 }, onQueueFull: 'drop-oldest' });
    const [dropped] = [rig.publish('a'), rig.publish('b')];
    expect(dropped.waiter.error).toBeInstanceOf(QueueFullError);
    expect(dropped.waiter.error?.message).toContain('message dropped for a newer one: the queue is full');
    expect(framesOf(dropped.waiter.error)).toEqual([]);
  });

  it('has no frames: expired in the queue, or in a lost session', () => {
    const rig = withSession({ onSessionLost: 'reject' });
    const sent = rig.publish('a', { qos: 2 });
    rig.sent();
    rig.engine.lost(undefined, rig.now);
    const expired = rig.publish('b', { properties: { messageExpiryInterval: 1 } });
    rig.advance(5_000);
    rig.open();
    rig.send(connack({ sessionPresent: false }));
    expect(sent.waiter.error?.message).toContain('the server lost the session');
    expect(expired.waiter.error?.message).toContain('it expired');
    for (const { waiter } of [sent, expired]) expect(framesOf(waiter.error)).toEqual([]);
  });

  it('has no frames: refused by the server', async () => {
    const pending = new PendingPublish('a', 'm', 1, false, undefined);
    pending.settle(0x87, {});
    const error: unknown = await pending.promise.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ERR_MQTT_PUBLISH', reasonCode: 0x87, delivery: 'rejected' });
    expect(framesOf(error as Error)).toEqual([]);
  });

  it('has frames if the call itself failed', () => {
    const rig = offline({ queueLimits: { messages: 1, bytes: 0 } });
    const [, refused] = [rig.publish('a'), rig.publish('b')];
    expect(framesOf(refused.waiter.error).length).toBeGreaterThan(0);
  });
});

describe('disconnect', () => {
  it.each(['keep', 'discard'] as const)(
    'makes one error for all messages of the same fate: %s',
    (pending) => {
      const rig = online({ maxInflight: 100 });
      const sent = Array.from({ length: 100 }, () => rig.publish('a'));
      const queued = Array.from({ length: 1_000 }, () => rig.publish('b'));
      rig.sent();
      rig.disconnect(pending);
      const errorsOf = (messages: typeof sent) => [...new Set(messages.map(({ waiter }) => waiter.error))];
      const kept = pending === 'keep';
      expect(errorsOf(sent)).toMatchObject([{ code: 'ERR_MQTT_CLOSED', delivery: 'unknown', kept }]);
      expect(errorsOf(queued)).toMatchObject([{ code: 'ERR_MQTT_CLOSED', delivery: 'not-sent', kept }]);
      expect(sent.every(({ waiter }) => waiter.told === 1)).toBe(true);
      expect(queued.every(({ waiter }) => waiter.told === 1)).toBe(true);
      expect(framesOf(sent[0]?.waiter.error).length).toBeGreaterThan(0);
    },
  );

  it('makes one error for all SUBSCRIBEs that wait', () => {
    const rig = offline();
    const waiters = Array.from({ length: 10 }, (_, i) => rig.request('subscribe', `a/${i}`));
    rig.disconnect();
    const errors = new Set(waiters.map(({ error }) => error));
    expect([...errors]).toMatchObject([{ code: 'ERR_MQTT_CLOSED', delivery: undefined }]);
  });
});
