import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { EventLoopYield } from '../../../lib/client/runtime/event-loop-yield.ts';

const MIB = 1_048_576;

describe('a caller that awaits what is done at once', () => {
  it('waits for the event loop after each MiB, and for nothing before', async () => {
    const loop = new EventLoopYield();
    expect([loop.written(MIB / 2), loop.written(MIB / 2 - 1)]).toEqual([true, true]);
    let turned = false;
    void turn().then(() => (turned = true));
    const first = loop.written(1);
    expect(loop.written(1)).toBe(first);
    await first;
    await turn();
    expect([turned, loop.written(MIB - 1)]).toEqual([true, true]);
  });

  it('waits for nothing where the event loop has gone on meanwhile', () => {
    const loop = new EventLoopYield();
    expect(loop.written(MIB - 1)).toBe(true);
    loop.reset();
    expect(loop.written(MIB - 1)).toBe(true);
  });
});
