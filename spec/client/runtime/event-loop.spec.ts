import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { EngineTimer } from '../../../lib/client/runtime/engine-timer.ts';
import { EventLoopYield } from '../../../lib/client/runtime/event-loop-yield.ts';
import { EventQueue } from '../../../lib/client/runtime/event-queue.ts';
import { Notifier } from '../../../lib/client/runtime/notifier.ts';
import { FakeClock, settled } from '../../support/fake-clock.ts';

describe('EventQueue', () => {
  it('runs an event at once if the engine is not running', () => {
    const log: string[] = [];
    new EventQueue().add(() => log.push('event'));
    expect(log).toEqual(['event']);
  });

  it('runs what was added meanwhile when the engine returns, in order', () => {
    const log: string[] = [];
    const events = new EventQueue();
    events.enter();
    events.add(() => log.push('first'));
    events.add(() => log.push('second'));
    log.push('engine');
    events.leave();
    expect(log).toEqual(['engine', 'first', 'second']);
    events.enter();
    events.leave();
    expect(log).toHaveLength(3);
  });

  it('runs what an event causes after the events that wait', () => {
    const log: string[] = [];
    const events = new EventQueue();
    events.enter();
    events.add(() => {
      events.enter();
      events.add(() => log.push('third'));
      events.leave();
      events.add(() => log.push('within the first'));
      log.push('first');
    });
    events.add(() => log.push('second'));
    events.leave();
    expect(log).toEqual(['within the first', 'first', 'second', 'third']);
  });

  it('keeps the other events if one throws', () => {
    const log: string[] = [];
    const events = new EventQueue();
    events.enter();
    events.add(() => {
      throw new Error('a bug');
    });
    events.add(() => log.push('second'));
    expect(() => events.leave()).toThrow('a bug');
    events.enter();
    events.leave();
    expect(log).toEqual(['second']);
  });
});

describe('Notifier', () => {
  it('calls its listeners until they leave, even while they are called', () => {
    const notifier = new Notifier();
    const heard: string[] = [];
    const leave = notifier.add(() => {
      heard.push('one');
      leave();
    });
    notifier.add(() => heard.push('two'));
    notifier.notify();
    notifier.notify();
    expect(heard).toEqual(['one', 'two', 'two']);
  });
});

describe('EngineTimer', () => {
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

describe('a caller that awaits results that are there at once', () => {
  const MIB = 1_048_576;

  it('waits for the event loop after each MiB, and not before', async () => {
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

  it('does not wait if the event loop has run meanwhile', () => {
    const loop = new EventLoopYield();
    expect(loop.written(MIB - 1)).toBe(true);
    loop.reset();
    expect(loop.written(MIB - 1)).toBe(true);
  });
});
