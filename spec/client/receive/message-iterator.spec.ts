import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { NextCalls } from '../../../lib/client/receive/next-calls.ts';
import type { ReceivedMessage } from '../../../lib/client/receive/received-message.ts';
import { settled } from '../../support/fake-clock.ts';
import { END, loop, SubscriptionRig } from './subscription-rig.ts';

const textOf = ({ value }: IteratorResult<ReceivedMessage, unknown>): string | undefined =>
  (value as ReceivedMessage | undefined)?.text();

describe.each([
  ['clean', false],
  ['persistent', true],
])('a loop that is left while it waits, in a %s session', (_, persistent) => {
  it('ends every next() that waits', async () => {
    const rig = new SubscriptionRig({ persistent });
    const iterator = rig.subscription[Symbol.asyncIterator]();
    const asked = [iterator.next(), iterator.next(), iterator.next()];
    await expect(iterator.return?.()).resolves.toEqual(END);
    await expect(Promise.all(asked)).resolves.toEqual([END, END, END]);
    await expect(iterator.next()).resolves.toEqual(END);
    expect(rig.unsubscribed).toBe(persistent ? 0 : 1);
  });

  it('takes no message from the loops that go on', async () => {
    const rig = new SubscriptionRig({ persistent });
    const left = rig.subscription[Symbol.asyncIterator]();
    const staying = rig.subscription[Symbol.asyncIterator]();
    const pending = left.next();
    const [first, second] = [staying.next(), left.next()];
    await left.return?.();
    rig.push('a', 'b');
    expect(textOf(await first)).toBe('a');
    expect(textOf(await staying.next())).toBe('b');
    await expect(Promise.all([pending, second])).resolves.toEqual([END, END]);
    expect([rig.settled, rig.unsubscribed]).toEqual([['a'], 0]);
  });

  it('takes none from receive(), forEach() and batches() either', async () => {
    const rig = new SubscriptionRig({ persistent });
    const left = rig.subscription[Symbol.asyncIterator]();
    void left.next();
    const handled: string[] = [];
    const handling = rig.subscription.forEach((message) => void handled.push(message.text()));
    const received = rig.subscription.receive();
    const batch = rig.subscription.batches().next();
    await left.return?.();
    rig.push('a', 'b', 'c');
    await settled();
    const batched = (await batch).value as readonly ReceivedMessage[];
    expect([...handled, (await received).text(), ...batched.map((message) => message.text())]).toEqual([
      'a',
      'b',
      'c',
    ]);
    rig.subscription.end();
    await handling;
  });

  it('rejects throw() with its error, as a generator does', async () => {
    const rig = new SubscriptionRig({ persistent });
    const iterator = rig.subscription[Symbol.asyncIterator]();
    const pending = iterator.next();
    const error = new Error('no more');
    await expect(iterator.throw?.(error)).rejects.toBe(error);
    await expect(pending).resolves.toEqual(END);
    rig.push('a');
    expect([rig.settled, rig.unsubscribed]).toEqual([[], persistent ? 0 : 1]);
  });

  it.each([
    { how: 'without an error', error: undefined },
    { how: 'with an error', error: new Error('destroyed') },
  ])('ends like a stream that is destroyed $how', async ({ error }) => {
    const rig = new SubscriptionRig({ persistent });
    const stream = Readable.from(rig.subscription);
    const errors: unknown[] = [];
    stream.on('error', (one) => errors.push(one));
    stream.on('data', () => {});
    await settled();
    stream.destroy(error);
    await settled();
    expect([stream.closed, errors, rig.unsubscribed]).toEqual([
      true,
      error === undefined ? [] : [error],
      persistent ? 0 : 1,
    ]);
    rig.push('a');
    await settled();
    expect([rig.subscription.depth, rig.settled]).toEqual([1, []]);
  });
});

describe('a loop that is left while it waits', () => {
  it('in a persistent session leaves the next message to the next loop, unacknowledged', async () => {
    const rig = new SubscriptionRig({ persistent: true });
    const iterator = rig.subscription[Symbol.asyncIterator]();
    const next = iterator.next();
    // The usual time limit, written by hand.
    await Promise.race([next, settled()]);
    await iterator.return?.();
    rig.push('a', 'b');
    expect([rig.subscription.depth, rig.settled, rig.skippable]).toEqual([2, [], ['a', 'b']]);
    const texts = await loop(rig.subscription, (message) => (message.text() === 'b' ? 'break' : undefined));
    expect([texts, rig.settled]).toEqual([['a', 'b'], ['a']]);
  });

  it('gives back a message that came for it and that it has not asked behind', async () => {
    const rig = new SubscriptionRig({ persistent: true });
    const iterator = rig.subscription[Symbol.asyncIterator]();
    void iterator.next();
    rig.push('a', 'b');
    await iterator.return?.();
    await expect(rig.subscription.receive()).resolves.toMatchObject({ duplicate: true });
    expect(rig.settled).toEqual(['a']);
  });
});

describe.each([
  ['clean', false],
  ['persistent', true],
])('the message of a loop that is left, in a %s session', (_, persistent) => {
  it('goes at once to a reader that waits, before what comes later', async () => {
    const rig = new SubscriptionRig({ persistent });
    const leaving = rig.subscription[Symbol.asyncIterator]();
    rig.push('a');
    await leaving.next();
    const staying = rig.subscription[Symbol.asyncIterator]();
    const waiting = staying.next();
    await leaving.return?.();
    rig.push('b');
    await expect(waiting).resolves.toMatchObject({ value: { duplicate: true } });
    expect(textOf(await waiting)).toBe('a');
    expect(textOf(await staying.next())).toBe('b');
    expect(rig.settled).toEqual(['a']);
  });

  it('goes to a receive() that waits', async () => {
    const rig = new SubscriptionRig({ persistent });
    const leaving = rig.subscription[Symbol.asyncIterator]();
    rig.push('a');
    await leaving.next();
    const received = rig.subscription.receive();
    await leaving.return?.();
    expect([(await received).text(), rig.settled]).toEqual(['a', ['a']]);
  });

  it('is in the hands of a forEach() from the moment it has it', async () => {
    const rig = new SubscriptionRig({ persistent });
    const handling = rig.subscription.forEach(() => {});
    await settled();
    rig.push('a');
    expect(rig.subscription.busy).toBe(true);
    await settled();
    expect(rig.subscription.busy).toBe(false);
    rig.subscription.end();
    await handling;
  });
});

it('says when a loop has been left: perhaps nothing is waited for any more', async () => {
  const rig = new SubscriptionRig({ persistent: true });
  rig.push('a');
  const iterator = rig.subscription[Symbol.asyncIterator]();
  await iterator.next();
  const before = rig.looks.length;
  await iterator.return?.();
  expect(rig.looks.slice(before)).toEqual(['idle']);
});

it('throws once the error that the subscription was stopped with', async () => {
  const rig = new SubscriptionRig({ persistent: true });
  const iterator = rig.subscription[Symbol.asyncIterator]();
  const waiting = iterator.next();
  const reason = new Error('enough');
  await Promise.all([rig.subscription.finish({ reason }), expect(waiting).rejects.toBe(reason)]);
  await expect(iterator.next()).resolves.toEqual(END);
});

function nextCalls() {
  let overlaps = 0;
  const calls = new NextCalls<number>(() => void overlaps++);
  return { calls, overlaps: () => overlaps };
}

describe('calls of next() that wait', () => {
  it('get values in the order of the calls', async () => {
    const { calls } = nextCalls();
    const asked = [calls.add(), calls.add()];
    expect(calls.length).toBe(2);
    calls.give(1);
    expect(calls.length).toBe(1);
    calls.give(2);
    await expect(Promise.all(asked)).resolves.toEqual([
      { value: 1, done: false },
      { value: 2, done: false },
    ]);
    expect(calls.length).toBe(0);
  });

  it('all end when there are no more values, or reject with the error', async () => {
    const { calls } = nextCalls();
    const ending = [calls.add(), calls.add()];
    calls.end();
    await expect(Promise.all(ending)).resolves.toEqual([END, END]);
    const reason = new Error('gone');
    const failing = [calls.add(), calls.add()].map((call) => expect(call).rejects.toBe(reason));
    calls.end({ reason });
    await Promise.all(failing);
    expect(calls.length).toBe(0);
  });
});

describe('a call of next()', () => {
  it('settles the value before it as long as no call overlaps', async () => {
    const { calls, overlaps } = nextCalls();
    expect(calls.begin()).toBe(true);
    const handedOut = Promise.resolve();
    calls.markUnseen(handedOut);
    await handedOut;
    expect([calls.begin(), overlaps()]).toEqual([true, 0]);
  });

  it.each(['while another one waits', 'before the last value is seen'])(
    'overlaps %s, and settles nothing from then on',
    async (when) => {
      const { calls, overlaps } = nextCalls();
      calls.begin();
      if (when === 'while another one waits') void calls.add();
      else calls.markUnseen(Promise.resolve());
      expect([calls.begin(), calls.begin(), overlaps()]).toEqual([false, false, 1]);
      calls.end();
      await Promise.resolve();
      expect([calls.begin(), overlaps()]).toEqual([false, 1]);
    },
  );
});
