import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Timers, Timer } from '../../lib/engine/timers.ts';

describe('Timer', () => {
  it('has a slot of its own for each timer, from 0 on without gaps', () => {
    const slots = Object.values(Timer);
    expect(new Set(slots)).toEqual(new Set(slots.keys()));
  });
});

describe('Deadlines', () => {
  it('knows the first that is due, whatever is set, stopped, held or expires', () => {
    const timer = fc.constantFrom(...Object.values(Timer));
    const step = fc.tuple(
      fc.constantFrom('set', 'set', 'stop', 'expire', 'stopAll', 'stopOthers', 'hold', 'release'),
      timer,
      fc.nat(100),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100, size: 'max' }), (script) => {
        const timers = new Timers();
        const model = new Map<Timer, number>();
        const held = new Set<Timer>();
        for (const [what, which, at] of script) {
          if (what === 'set') {
            timers.set(which, at);
            model.set(which, at);
          } else if (what === 'stop') {
            timers.stop(which);
            model.delete(which);
          } else if (what === 'expire') {
            const due = !held.has(which) && (model.get(which) ?? Infinity) <= at;
            expect(timers.expire(which, at)).toBe(due);
            if (due) model.delete(which);
          } else if (what === 'hold') {
            timers.hold([which]);
            held.add(which);
          } else if (what === 'release') {
            timers.release();
            for (const waiting of held) model.delete(waiting);
            held.clear();
          } else if (what === 'stopOthers') {
            timers.stopAll(which);
            held.clear();
            for (const other of model.keys()) if (other !== which) model.delete(other);
          } else {
            timers.stopAll();
            model.clear();
            held.clear();
          }
          const running = [...model].filter(([one]) => !held.has(one));
          expect(timers.next()).toBe(Math.min(Infinity, ...running.map(([, due]) => due)));
          expect(timers.at(which)).toBe(model.get(which) ?? Infinity);
        }
      }),
    );
  });
});
