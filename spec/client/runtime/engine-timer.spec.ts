import { describe, expect, it } from '@jest/globals';
import { EngineTimer } from '../../../lib/client/runtime/engine-timer.ts';
import { FakeClock, settled } from '../../support/fake-clock.ts';

function rig(late: () => number = () => 0) {
  const clock = new FakeClock();
  const fired: number[] = [];
  const start = clock.now();
  const timer: EngineTimer = new EngineTimer(
    { now: () => clock.now() + late(), wakeAt: (at, wake) => clock.wakeAt(at, wake) },
    () => fired.push(clock.now() - start),
  );
  const set = (ms: number): void => timer.set(start + ms);
  return { clock, fired, timer, set };
}

describe('EngineTimer', () => {
  it('fires once, when it was set for', async () => {
    const { clock, fired, set } = rig();
    set(100);
    await clock.advance(99);
    expect(fired).toEqual([]);
    await clock.advance(1_000);
    expect([fired, clock.armed]).toEqual([[100], 0]);
  });

  it('is moved to an earlier time, and not to a later one', async () => {
    const { clock, fired, set } = rig();
    set(100);
    set(200);
    set(50);
    await clock.advance(1_000);
    expect(fired).toEqual([50]);
  });

  it('is stopped by Infinity', async () => {
    const { clock, fired, set } = rig();
    set(100);
    set(Infinity);
    expect(clock.armed).toBe(0);
    await clock.advance(1_000);
    expect(fired).toEqual([]);
  });

  it('tells how late it fired at most, and lets input be read before it reports a long lag', async () => {
    let lag = 5;
    const { clock, fired, timer, set } = rig(() => lag);
    set(100);
    await clock.advance(100);
    expect([timer.maxLag, fired]).toEqual([5, [100]]);
    lag = 50;
    set(300);
    const advancing = clock.advance(200);
    await settled();
    await advancing;
    expect([timer.maxLag, fired]).toEqual([50, [100, 300]]);
  });
});
