import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Ring } from '../../lib/session/ring.ts';

const step = fc.oneof(
  { weight: 4, arbitrary: fc.constant('push' as const) },
  { weight: 3, arbitrary: fc.constant('shift' as const) },
  fc.constantFrom('unshift' as const, 'filter' as const, 'removeFirst' as const),
  { weight: 1, arbitrary: fc.constantFrom('takeAll' as const, 'clear' as const) },
);

describe('Ring', () => {
  it('behaves like an array', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const ring = new Ring<number>();
        let model: number[] = [];
        for (const [i, what] of steps.entries()) {
          if (what === 'push') expect([ring.push(i), model.push(i)][0]).toBeUndefined();
          else if (what === 'unshift') expect([ring.unshift(i), model.unshift(i)][0]).toBeUndefined();
          else if (what === 'shift') expect(ring.shift()).toBe(model.shift());
          else if (what === 'filter') {
            ring.filter((n) => n % 3 > 0);
            model = model.filter((n) => n % 3 > 0);
          } else if (what === 'removeFirst') {
            const at = model.findIndex((n) => n % 5 === 0);
            expect(ring.removeFirst((n) => n % 5 === 0)).toBe(at < 0 ? undefined : model.splice(at, 1)[0]);
          } else if (what === 'takeAll') expect(ring.takeAll()).toEqual(model.splice(0));
          else {
            ring.clear();
            model = [];
          }
          expect(ring.length).toBe(model.length);
          expect(ring.peek()).toBe(model[0]);
          expect([...ring]).toEqual(model);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('keeps the order over many times its capacity', () => {
    const ring = new Ring<number>();
    for (let i = 0; i < 1_000; i++) ring.push(i);
    expect(Array.from({ length: 1_000 }, () => ring.shift())).toEqual(
      Array.from({ length: 1_000 }, (_, i) => i),
    );
    expect(ring.shift()).toBeUndefined();
    expect(ring.length).toBe(0);
  });
});
