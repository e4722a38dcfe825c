import { describe, expect, it } from '@jest/globals';
import { FakeClock } from './fake-clock.ts';

describe('FakeClock', () => {
  it('stands still until it is advanced', async () => {
    const clock = new FakeClock(500);
    expect(clock.now()).toBe(500);
    await clock.advance(250);
    expect(clock.now()).toBe(750);
  });

  it('wakes in order of time, and of registration for equal times', async () => {
    const clock = new FakeClock(0);
    const log: string[] = [];
    for (const [name, at] of [
      ['d', 30],
      ['b', 20],
      ['a', 10],
      ['c', 20],
      ['late', 31],
    ] as const) {
      clock.wakeAt(at, () => log.push(`${name} at ${clock.now()}`));
    }
    expect(clock.armed).toBe(5);
    await clock.advance(30);
    expect(log).toEqual(['a at 10', 'b at 20', 'c at 20', 'd at 30']);
    expect(clock.armed).toBe(1);
  });

  it('wakes for a time in the past on the next advance, without going back', async () => {
    const clock = new FakeClock(100);
    const woken: number[] = [];
    clock.wakeAt(50, () => woken.push(clock.now()));
    expect(woken).toEqual([]);
    await clock.advance(0);
    expect(woken).toEqual([100]);
  });

  it('does not call a cancelled wake, even if another wake of the same time cancels it', async () => {
    const clock = new FakeClock(0);
    const log: string[] = [];
    const off = clock.wakeAt(20, () => log.push('off'));
    clock.wakeAt(10, () => off.cancel());
    clock.wakeAt(30, () => offLater.cancel());
    const offLater = clock.wakeAt(30, () => log.push('off later'));
    await clock.advance(100);
    off.cancel();
    expect(log).toEqual([]);
    expect(clock.armed).toBe(0);
  });

  it('waits for promises, ticks and turns before it continues', async () => {
    const clock = new FakeClock(0);
    const log: string[] = [];
    clock.wakeAt(10, () => {
      void (async () => {
        for (let i = 0; i < 20; i++) await Promise.resolve();
        await new Promise<void>((resolve) => process.nextTick(resolve));
        await new Promise<void>((resolve) => setImmediate(resolve));
        log.push(`settled at ${clock.now()}`);
        clock.wakeAt(15, () => log.push(`woken at ${clock.now()}`));
      })();
    });
    clock.wakeAt(20, () => log.push('next'));
    await clock.advance(20);
    expect(log).toEqual(['settled at 10', 'woken at 15', 'next']);
  });

  it('advances to the next wake, one at a time', async () => {
    const clock = new FakeClock(0);
    const log: number[] = [];
    clock.wakeAt(7, () => log.push(7));
    clock.wakeAt(7, () => log.push(8));
    await clock.advanceToNext();
    expect([clock.now(), log]).toEqual([7, [7]]);
    await clock.advanceToNext();
    expect([clock.now(), log]).toEqual([7, [7, 8]]);
    await expect(clock.advanceToNext()).rejects.toThrow('expected a pending wake, got none');
  });

  it('runs until a condition is true, and no further', async () => {
    const clock = new FakeClock(0);
    let ticks = 0;
    const tick = (): void => {
      ticks++;
      clock.wakeAt(clock.now() + 1000, tick);
    };
    tick();
    await clock.run(() => ticks === 4);
    expect(clock.now()).toBe(3000);
    await clock.run(() => true);
    expect(clock.now()).toBe(3000);
  });

  it('throws when the condition can no longer become true', async () => {
    const clock = new FakeClock(0);
    let done = false;
    clock.wakeAt(5, () => {});
    await expect(clock.run(() => done)).rejects.toThrow(
      /^expected \(\) ?=> ?done, but no wake is pending that could/,
    );
    expect(clock.now()).toBe(5);
    done = true;
  });
});
