import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it } from '@jest/globals';
import type { Message } from '../../../lib/client/receive/message.ts';
import type { ForEachOptions } from '../../../lib/client/receive/for-each.ts';
import { ClosedError, TimeoutError } from '../../../lib/errors.ts';
import { settled } from '../../support/fake-clock.ts';
import { SubscriptionRig } from './subscription-rig.ts';

/** Handlers that go on until they are told to end. */
class Handlers {
  readonly begun: string[] = [];
  readonly #ends = new Map<string, (error?: Error) => void>();

  readonly handle = (message: Message): Promise<void> => {
    const text = message.text();
    this.begun.push(text);
    return new Promise((resolve, reject) => {
      this.#ends.set(text, (error) => (error === undefined ? resolve() : reject(error)));
    });
  };

  async end(text: string, error?: Error): Promise<void> {
    this.#ends.get(text)?.(error);
    await settled();
  }
}

describe('forEach()', () => {
  it('settles each message when its handler has finished, and not before', async () => {
    const rig = new SubscriptionRig();
    const handlers = new Handlers();
    rig.push('a', 'b');
    const running = rig.subscription.forEach(handlers.handle);
    await settled();
    expect([handlers.begun, rig.settled]).toEqual([['a'], []]);
    await handlers.end('a');
    expect([handlers.begun, rig.settled]).toEqual([['a', 'b'], ['a']]);
    await handlers.end('b');
    rig.subscription.end();
    await expect(running).resolves.toBeUndefined();
    expect(rig.settled).toEqual(['a', 'b']);
  });

  it('has so many handlers at work, and leaves the rest to whoever else asks', async () => {
    const rig = new SubscriptionRig({ persistent: true });
    const handlers = new Handlers();
    rig.push('a', 'b', 'c', 'd');
    const running = rig.subscription.forEach(handlers.handle, { concurrency: 2 });
    await settled();
    expect([handlers.begun, rig.subscription.depth]).toEqual([['a', 'b'], 2]);
    await handlers.end('b');
    expect([handlers.begun, rig.settled]).toEqual([['a', 'b', 'c'], ['b']]);
    const other = await rig.subscription.receive();
    expect(other.text()).toBe('d');
    await handlers.end('a');
    await handlers.end('c');
    await rig.subscription.stop();
    await running;
    expect(rig.settled).toEqual(['b', 'd', 'a', 'c']);
  });

  it('takes a handler that is not asynchronous, and one that throws at once', async () => {
    const rig = new SubscriptionRig({ persistent: true });
    rig.push('a', 'b');
    const seen: string[] = [];
    const running = rig.subscription.forEach((message) => {
      seen.push(message.text());
      if (seen.length === 2) throw new Error('sync');
    });
    await expect(running).rejects.toThrow('sync');
    expect([seen, rig.settled]).toEqual([['a', 'b'], ['a']]);
  });

  it('runs handlers in the context of the call', async () => {
    const rig = new SubscriptionRig();
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const running = storage.run('of the call', () =>
      rig.subscription.forEach(() => void seen.push(storage.getStore())),
    );
    storage.run('of the network', () => rig.push('a', 'b'));
    await settled();
    rig.subscription.end();
    await running;
    expect(seen).toEqual(['of the call', 'of the call']);
  });
});

describe('a handler that throws', () => {
  const error = new Error('handler failed');

  it('stops it: nothing new begins, what is at work finishes, the message stays unsettled', async () => {
    const rig = new SubscriptionRig({ persistent: true });
    const handlers = new Handlers();
    rig.push('a', 'b', 'c');
    const running = rig.subscription.forEach(handlers.handle, { concurrency: 2 });
    const outcome = running.catch((thrown: unknown) => thrown);
    await settled();
    await handlers.end('a', error);
    expect(handlers.begun).toEqual(['a', 'b']);
    await handlers.end('b');
    await expect(outcome).resolves.toBe(error);
    expect(rig.settled).toEqual(['b']);
    const again = await rig.subscription.receive();
    expect([again.text(), again.duplicate]).toEqual(['a', true]);
  });

  it('is as good as one that does not, with acknowledge', async () => {
    const rig = new SubscriptionRig();
    rig.push('a', 'b');
    const running = rig.subscription.forEach(() => Promise.reject(error), { onError: 'acknowledge' });
    await settled();
    rig.subscription.end();
    await running;
    expect(rig.settled).toEqual(['a', 'b']);
  });

  it('refuses its message, with reject', async () => {
    const rig = new SubscriptionRig();
    rig.push('a');
    const running = rig.subscription.forEach(() => Promise.reject(error), { onError: 'reject' });
    await settled();
    rig.subscription.end();
    await running;
    expect(rig.settled).toEqual(['a refused 128']);
  });

  it('cannot refuse its message on 3.1 and 3.1.1: that is told at once', async () => {
    const rig = new SubscriptionRig({ canReject: false });
    await expect(rig.subscription.forEach(() => {}, { onError: 'reject' })).rejects.toThrow(
      /^onError: expected "stop" or "acknowledge"/,
    );
  });
});

describe('forEach() ends', () => {
  it('with its signal or timeout, after the handlers at work', async () => {
    const rig = new SubscriptionRig({ persistent: true });
    const handlers = new Handlers();
    const aborting = new AbortController();
    const reason = new Error('shutting down');
    rig.push('a', 'b');
    const running = rig.subscription.forEach(handlers.handle, { signal: aborting.signal });
    running.catch(() => {});
    await settled();
    aborting.abort(reason);
    await settled();
    expect(rig.settled).toEqual([]);
    await handlers.end('a');
    await expect(running).rejects.toBe(reason);
    expect([rig.settled, handlers.begun]).toEqual([['a'], ['a']]);
    const timed = rig.subscription.forEach(() => {}, { timeout: 20 });
    timed.catch(() => {});
    await rig.clock.advance(20);
    await expect(timed).rejects.toBeInstanceOf(TimeoutError);
    expect(rig.clock.armed).toBe(0);
  });

  it('with the error of the subscription, and acknowledges nothing that is still at work', async () => {
    const rig = new SubscriptionRig();
    const handlers = new Handlers();
    rig.push('a');
    const running = rig.subscription.forEach(handlers.handle, { concurrency: 2 });
    running.catch(() => {});
    await settled();
    rig.subscription.endAfterBuffer(new ClosedError('refused'));
    await settled();
    expect(rig.settled).toEqual([]);
    await handlers.end('a');
    await expect(running).rejects.toThrow('refused');
    expect(rig.settled).toEqual(['a']);
  });

  it('as the last reader of a clean session: the subscription ends with it', async () => {
    const rig = new SubscriptionRig();
    rig.push('a', 'b');
    await expect(
      rig.subscription.forEach(() => {
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect([rig.unsubscribed, rig.settled]).toEqual([1, ['a', 'b']]);
  });

  it('after the handlers at work when the subscription is stopped', async () => {
    const rig = new SubscriptionRig({ persistent: true });
    const handlers = new Handlers();
    rig.push('a', 'b');
    const running = rig.subscription.forEach(handlers.handle);
    await settled();
    expect(rig.subscription.busy).toBe(true);
    await rig.subscription.stop();
    await handlers.end('a');
    await expect(running).resolves.toBeUndefined();
    expect([handlers.begun, rig.settled, rig.subscription.depth]).toEqual([['a'], ['a'], 1]);
    expect(rig.subscription.busy).toBe(false);
  });
});

describe('the arguments of forEach()', () => {
  it.each([
    ['work', {}, TypeError],
    [() => {}, { concurrency: 0 }, RangeError],
    [() => {}, { concurrency: '2' }, TypeError],
    [() => {}, { onError: 'retry' }, TypeError],
    [() => {}, { parallel: 2 }, TypeError],
    [() => {}, { timeout: -1 }, RangeError],
  ])('are checked (%#)', async (handler, options, kind) => {
    const { subscription } = new SubscriptionRig();
    await expect(subscription.forEach(handler as () => void, options as ForEachOptions)).rejects.toThrow(
      kind,
    );
  });
});
