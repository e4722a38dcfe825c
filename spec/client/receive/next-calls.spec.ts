import { describe, expect, it } from '@jest/globals';
import { END, NextCalls } from '../../../lib/client/receive/next-calls.ts';

function rig() {
  let overlaps = 0;
  const calls = new NextCalls<number>(() => void overlaps++);
  return { calls, overlaps: () => overlaps };
}

describe('calls of next() that wait', () => {
  it('get values in the order of the calls', async () => {
    const { calls } = rig();
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
    const { calls } = rig();
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
    const { calls, overlaps } = rig();
    expect(calls.begin()).toBe(true);
    const handedOut = Promise.resolve();
    calls.markUnseen(handedOut);
    await handedOut;
    expect([calls.begin(), overlaps()]).toEqual([true, 0]);
  });

  it.each(['while another one waits', 'before the last value is seen'])(
    'overlaps %s, and settles nothing from then on',
    async (when) => {
      const { calls, overlaps } = rig();
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
