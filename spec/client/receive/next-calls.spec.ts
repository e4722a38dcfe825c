import { describe, expect, it } from '@jest/globals';
import { END, NextCalls } from '../../../lib/client/receive/next-calls.ts';

describe('calls of next() that wait', () => {
  it('get values in the order of the calls', async () => {
    const calls = new NextCalls<number>();
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

  it('all end where no value will come, or reject with what is the matter', async () => {
    const calls = new NextCalls<number>();
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
