import { describe, expect, it } from '@jest/globals';
import type { Consumer, MessageWaiter } from '../../../lib/client/receive/consumer.ts';
import type { Message } from '../../../lib/client/receive/message.ts';
import { ClosedError, TimeoutError } from '../../../lib/errors.ts';
import { settled } from '../../support/fake-clock.ts';
import { loop, messageOf, SubscriptionRig } from './subscription-rig.ts';

describe('a loop', () => {
  it('gets messages that wait and that arrive, in order, and settles each when it asks for the next', async () => {
    const rig = new SubscriptionRig();
    rig.push('a', 'b');
    const before: string[][] = [];
    const looping = loop(rig.subscription, () => void before.push([...rig.settled]));
    await settled();
    expect(rig.settled).toEqual(['a', 'b']);
    rig.push('c');
    await settled();
    rig.subscription.end();
    await expect(looping).resolves.toEqual(['a', 'b', 'c']);
    expect(before).toEqual([[], ['a'], ['a', 'b']]);
    expect(rig.settled).toEqual(['a', 'b', 'c']);
  });

  it('shares the work with the other loops: each message goes to one of them', async () => {
    const rig = new SubscriptionRig();
    const [one, other] = [loop(rig.subscription, settled), loop(rig.subscription, settled)];
    await settled();
    rig.push('a', 'b', 'c', 'd');
    for (let i = 0; i < 5; i++) await settled();
    rig.subscription.end();
    const [first, second] = await Promise.all([one, other]);
    expect([...first, ...second].toSorted()).toEqual(['a', 'b', 'c', 'd']);
    expect([first.length, second.length]).toEqual([2, 2]);
  });

  it('that waits ends when the subscription does, and a later one at once', async () => {
    const rig = new SubscriptionRig();
    const looping = loop(rig.subscription, () => {});
    await settled();
    rig.subscription.end();
    await expect(looping).resolves.toEqual([]);
    await expect(loop(rig.subscription, () => {})).resolves.toEqual([]);
  });

  it('throws the error that the subscription ended with, after the messages that wait', async () => {
    const rig = new SubscriptionRig();
    rig.push('a', 'b');
    const error = new ClosedError('the end');
    rig.subscription.endAfterBuffer(error);
    const seen: string[] = [];
    const looping = loop(rig.subscription, (message) => seen.push(message.text()));
    await expect(looping).rejects.toBe(error);
    expect(seen).toEqual(['a', 'b']);
    await expect(loop(rig.subscription, () => {})).rejects.toBe(error);
  });

  it('gets no waiting messages if it ends at once: they are acknowledged and counted', async () => {
    const rig = new SubscriptionRig();
    rig.push('a', 'b');
    rig.subscription.end('acknowledge', new ClosedError('the end'));
    await expect(loop(rig.subscription, () => {})).rejects.toThrow('the end');
    expect([rig.settled, rig.counters.discarded, rig.subscription.depth]).toEqual([['a', 'b'], 2, 0]);
  });

  it('abandons waiting messages when the client is disconnected', () => {
    const rig = new SubscriptionRig();
    rig.push('a');
    rig.subscription.end('abandon');
    expect([rig.settled, rig.counters.discarded]).toEqual([[], 1]);
  });
});

describe.each(['break', 'return', 'throw'])('a loop that ends by %s', (how) => {
  const leave = async (rig: SubscriptionRig): Promise<void> => {
    const run = async (): Promise<void> => {
      for await (const message of rig.subscription) {
        if (message.text() !== 'b') continue;
        if (how === 'break') break;
        if (how === 'return') return;
        throw new Error('body failed');
      }
    };
    const thrown = await run().catch((error: unknown) => String(error));
    expect(thrown).toBe(how === 'throw' ? 'Error: body failed' : undefined);
  };

  it('unsubscribes in a clean session, and everything is acknowledged', async () => {
    const rig = new SubscriptionRig();
    rig.push('a', 'b', 'c');
    await leave(rig);
    expect(rig.unsubscribed).toBe(1);
    expect([rig.settled.toSorted(), rig.subscription.depth]).toEqual([['a', 'b', 'c'], 0]);
  });

  it('keeps a persistent session: the next loop continues with the message in hand', async () => {
    const rig = new SubscriptionRig({ persistent: true });
    rig.push('a', 'b', 'c');
    await leave(rig);
    expect([rig.unsubscribed, rig.settled]).toEqual([0, ['a']]);
    const duplicates: boolean[] = [];
    const texts = await loop(rig.subscription, (message) => {
      duplicates.push(message.duplicate);
      return message.text() === 'c' ? 'break' : undefined;
    });
    expect(texts).toEqual(['b', 'c']);
    expect(duplicates).toEqual([true, false]);
    expect(rig.settled).toEqual(['a', 'b']);
  });

  it('does not end the subscription of loops that continue', async () => {
    const rig = new SubscriptionRig();
    const staying = loop(rig.subscription, () => {});
    await settled();
    const leaving = leave(rig);
    await settled();
    rig.push('a', 'b', 'b');
    await leaving;
    await settled();
    expect(rig.unsubscribed).toBe(0);
    rig.subscription.end();
    await staying;
  });
});

describe('a message acknowledged before the loop is left', () => {
  it('does not come back', async () => {
    const rig = new SubscriptionRig({ persistent: true });
    rig.push('a', 'b');
    await loop(rig.subscription, (message) => {
      message.ack();
      return 'break';
    });
    expect([rig.settled, rig.subscription.depth]).toEqual([['a'], 1]);
    await expect(rig.subscription.receive()).resolves.toMatchObject({ duplicate: false });
  });
});

describe('the ack mode', () => {
  it('manual leaves every acknowledgement to the application', async () => {
    const rig = new SubscriptionRig({ ack: 'manual' });
    rig.push('a', 'b', 'c');
    const looping = loop(rig.subscription, (message) => message.text() === 'b' && message.ack());
    await settled();
    expect(rig.settled).toEqual(['b']);
    await rig.subscription.unsubscribe();
    await looping;
    // The server of a clean session would wait for the others as long as the connection lives.
    expect(rig.settled).toEqual(['b', 'a', 'c']);
  });

  it('manual holds for receive() and batches() too', async () => {
    const rig = new SubscriptionRig({ ack: 'manual' });
    rig.push('a', 'b');
    await rig.subscription.receive();
    const batches = rig.subscription.batches();
    await batches.next();
    const asking = batches.next();
    expect(rig.settled).toEqual([]);
    rig.subscription.end();
    await asking;
  });

  it('received acknowledges messages when they arrive, and limits those that wait', () => {
    const rig = new SubscriptionRig({ ack: 'received', buffer: { messages: 2 } });
    const deliveries = ['a', 'b', 'c'].map((text) => rig.pushOne(text));
    expect(deliveries).toEqual(['acknowledge', 'acknowledge-full', 'acknowledge']);
    expect([rig.subscription.depth, rig.subscription.dropped]).toEqual([2, 1]);
  });
});

describe('a subscription that nobody has read for long', () => {
  it('acknowledges messages when they arrive in a clean session, until somebody reads it', async () => {
    const rig = new SubscriptionRig({ buffer: { messages: 2 } });
    expect([rig.pushOne('a'), rig.pushOne('b')]).toEqual(['taken', 'taken']);
    rig.subscription.markStalled();
    rig.subscription.release();
    expect(rig.pushOne('c')).toBe('acknowledge-full');
    expect([rig.subscription.depth, rig.subscription.dropped]).toEqual([2, 1]);
    await rig.subscription.receive();
    expect(rig.pushOne('d')).toBe('taken');
  });

  it('does not do so while somebody waits for the next message', async () => {
    const rig = new SubscriptionRig();
    rig.subscription.markStalled();
    const next = rig.subscription.receive();
    expect(rig.pushOne('a')).toBe('taken');
    await next;
    expect(rig.settled).toEqual(['a']);
  });

  it('keeps them unsettled in a persistent session', () => {
    const rig = new SubscriptionRig({ persistent: true });
    rig.subscription.markStalled();
    expect(rig.pushOne('a')).toBe('taken');
    expect(rig.stalled).toEqual(['a']);
  });
});

describe('asking is settling', () => {
  it.each(['message by message', 'ahead of what waits'])(
    'except for overlapping calls of next(), %s',
    async (how) => {
      const rig = new SubscriptionRig();
      if (how === 'ahead of what waits') rig.push('a', 'b', 'c');
      const iterator = rig.subscription[Symbol.asyncIterator]();
      const asked = [iterator.next(), iterator.next(), iterator.next()];
      if (how === 'message by message') rig.push('a', 'b', 'c');
      const results = await Promise.all(asked);
      expect(results.map(({ value }) => (value as { text(): string }).text())).toEqual(['a', 'b', 'c']);
      rig.push('d', 'e');
      await iterator.next();
      const more = [iterator.next(), iterator.next()];
      rig.push('f');
      await Promise.all(more);
      expect(rig.settled).toEqual([]);
      expect(rig.warnings).toEqual([
        'overlapping next() calls on one iterator settle nothing: use ack: "manual" or forEach()',
      ]);
    },
  );

  it('for one call after the other, however soon', async () => {
    const rig = new SubscriptionRig();
    rig.push('a', 'b', 'c');
    const iterator = rig.subscription[Symbol.asyncIterator]();
    for (let i = 0; i < 3; i++) await iterator.next();
    expect([rig.settled, rig.warnings]).toEqual([['a', 'b'], []]);
  });
});

describe('receive()', () => {
  it('hands over one message and acknowledges it', async () => {
    const rig = new SubscriptionRig();
    rig.push('a');
    const message = await rig.subscription.receive();
    expect([message.text(), rig.settled]).toEqual(['a', ['a']]);
    const waiting = rig.subscription.receive();
    rig.push('b', 'c');
    await expect(waiting.then((next) => next.text())).resolves.toBe('b');
    expect([rig.settled, rig.subscription.depth]).toEqual([['a', 'b'], 1]);
  });

  it('gives up after its timeout or with its signal, and takes no message then', async () => {
    const rig = new SubscriptionRig();
    const aborting = new AbortController();
    const reason = new Error('enough');
    const late = rig.subscription.receive({ timeout: 50 });
    const aborted = rig.subscription.receive({ signal: aborting.signal });
    const third = rig.subscription.receive({ timeout: 1_000 });
    late.catch(() => {});
    aborting.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await rig.clock.advance(50);
    await expect(late).rejects.toBeInstanceOf(TimeoutError);
    rig.push('a');
    await expect(third.then((message) => message.text())).resolves.toBe('a');
    expect(rig.clock.armed).toBe(0);
    await expect(rig.subscription.receive({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('rejects when the subscription ends', async () => {
    const rig = new SubscriptionRig();
    const waiting = rig.subscription.receive();
    rig.subscription.end();
    await expect(waiting).rejects.toBeInstanceOf(ClosedError);
    await expect(rig.subscription.receive()).rejects.toBeInstanceOf(ClosedError);
  });

  it('checks its options', async () => {
    const { subscription } = new SubscriptionRig();
    await expect(subscription.receive({ timeout: -1 })).rejects.toThrow(RangeError);
    await expect(subscription.receive({ timout: 1 } as object)).rejects.toThrow(/got timout$/);
  });
});

describe('stop()', () => {
  it('in a persistent session ends loops after the message in hand, and a later loop continues', async () => {
    const rig = new SubscriptionRig({ persistent: true });
    rig.push('a', 'b');
    let finish = (): void => {};
    const busy = loop(rig.subscription, () => new Promise<void>((resolve) => (finish = resolve)));
    await settled();
    await rig.subscription.stop();
    finish();
    await expect(busy).resolves.toEqual(['a']);
    expect([rig.settled, rig.unsubscribed, rig.subscription.depth]).toEqual([['a'], 0, 1]);
    const idle = loop(rig.subscription, () => {});
    await settled();
    await rig.subscription.stop();
    await expect(idle).resolves.toEqual(['b']);
  });

  it('in a clean session is unsubscribe()', async () => {
    const rig = new SubscriptionRig();
    const idle = loop(rig.subscription, () => {});
    await settled();
    rig.push('a');
    await rig.subscription.stop();
    await idle;
    await rig.subscription.stop();
    expect(rig.unsubscribed).toBe(1);
  });

  it.each([true, false])('with a reason makes loops throw it (persistent: %s)', async (persistent) => {
    const rig = new SubscriptionRig({ persistent });
    rig.push('a', 'b');
    const reason = new Error('shutting down');
    let finish = (): void => {};
    const seen: string[] = [];
    const busy = loop(rig.subscription, (message) => {
      seen.push(message.text());
      return new Promise<void>((resolve) => (finish = resolve));
    });
    await settled();
    await rig.subscription.finish({ reason });
    finish();
    await expect(busy).rejects.toBe(reason);
    expect([seen, rig.settled.includes('a'), rig.unsubscribed]).toEqual([['a'], true, persistent ? 0 : 1]);
  });

  it('is what await using does', async () => {
    const [persistent, clean] = [new SubscriptionRig({ persistent: true }), new SubscriptionRig()];
    for (const { subscription } of [persistent, clean]) await subscription[Symbol.asyncDispose]();
    expect([persistent.unsubscribed, clean.unsubscribed]).toEqual([0, 1]);
  });
});

describe('unsubscribe()', () => {
  it('ends the subscription once, and acknowledges all unsettled messages', async () => {
    const rig = new SubscriptionRig({ persistent: true });
    rig.push('a', 'b', 'c');
    let finish = (): void => {};
    const busy = loop(rig.subscription, () => new Promise<void>((resolve) => (finish = resolve)));
    await settled();
    await rig.subscription.unsubscribe();
    await rig.subscription.unsubscribe();
    expect([rig.settled, rig.unsubscribed, rig.counters.discarded]).toEqual([['b', 'c'], 1, 2]);
    finish();
    await expect(busy).resolves.toEqual(['a']);
    expect(rig.settled).toEqual(['b', 'c', 'a']);
  });

  it('calls back those who wait for the end, however it ends', async () => {
    const ends: string[] = [];
    const ending = (end: (rig: SubscriptionRig) => unknown, name: string) => {
      const rig = new SubscriptionRig();
      rig.subscription.onEnd(() => ends.push(name));
      rig.push('a');
      return end(rig);
    };
    await ending((rig) => rig.subscription.unsubscribe(), 'unsubscribed');
    await ending((rig) => {
      rig.subscription.endAfterBuffer(new Error('refused'));
      return loop(rig.subscription, () => {}).catch(() => {});
    }, 'after its buffer');
    expect(ends).toEqual(['unsubscribed', 'after its buffer']);
  });
});

describe('messages that are settled by hand', () => {
  it('stay unsettled in a persistent session when the subscription ends', async () => {
    const rig = new SubscriptionRig({ ack: 'manual', persistent: true });
    rig.push('a');
    const message = await rig.subscription.receive();
    await rig.subscription.unsubscribe();
    expect(rig.settled).toEqual([]);
    message.ack();
    expect(rig.settled).toEqual(['a']);
  });

  it('are acknowledged when the subscription of a clean session ends, however many they are', async () => {
    const rig = new SubscriptionRig({ ack: 'manual' });
    const taken: Message[] = [];
    for (let n = 0; n < 200; n++) rig.push(String(n));
    const looping = loop(rig.subscription, (message) => {
      taken.push(message);
      if (taken.length % 2 === 0) message.ack();
      return taken.length === 200 ? 'break' : undefined;
    });
    await looping;
    expect(rig.settled).toHaveLength(200);
    for (const message of taken) message.ack();
    expect(new Set(rig.settled).size).toBe(200);
  });
});

describe('the consumers of a subscription', () => {
  const waiter = (log: unknown[]): MessageWaiter => ({
    take: () => void log.push('take'),
    end: (error) => void log.push(error === undefined ? 'end' : error.reason),
  });

  it('are awaited while a request waits and no message is in hand', () => {
    const { subscription } = new SubscriptionRig();
    expect([subscription.isUnread, subscription.isAwaited]).toEqual([true, false]);
    const one = waiter([]);
    subscription.request(one);
    expect([subscription.isUnread, subscription.isAwaited]).toEqual([false, true]);
    const consumer: Consumer = { held: [messageOf(Uint8Array.of(1))], finish: () => {} };
    subscription.addConsumer(consumer);
    expect([subscription.isUnread, subscription.isAwaited]).toEqual([false, false]);
    subscription.request(one);
    subscription.withdraw(one);
    subscription.removeConsumer(consumer);
    expect([subscription.isUnread, subscription.isAwaited]).toEqual([true, false]);
  });

  it('finish and flush one by one, and their requests end or fail', async () => {
    const { subscription } = new SubscriptionRig({ persistent: true });
    const log: unknown[] = [];
    const finish = (error: unknown): void => void log.push(error);
    subscription.addConsumer({ held: [], finish, flush: () => void log.push('flush') });
    subscription.addConsumer({ held: [], finish });
    subscription.flush();
    subscription.request(waiter(log));
    await subscription.stop();
    const reason = new Error('gone');
    subscription.request(waiter(log));
    await subscription.finish({ reason });
    const failure = { reason };
    expect(log).toEqual(['flush', undefined, undefined, 'end', failure, failure, reason]);
  });
});
