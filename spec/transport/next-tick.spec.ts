import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { nextTick } from '../../lib/transport/next-tick.ts';

afterEach(() => {
  jest.useRealTimers();
});

describe('nextTick', () => {
  it('calls back after the promises of the turn, while process.nextTick is a fake', async () => {
    jest.useFakeTimers();
    const order: string[] = [];
    process.nextTick(() => order.push('fake'));
    const ticked = new Promise<void>((resolve) => {
      nextTick(() => {
        order.push('tick');
        resolve();
      });
    });
    void Promise.resolve().then(() => order.push('promise'));
    await ticked;
    expect(order).toEqual(['promise', 'tick']);
  });
});
