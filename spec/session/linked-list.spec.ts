import assert from 'node:assert/strict';
import { describe, it } from '@jest/globals';
import * as fc from 'fast-check';
import { LinkedList, type Linked } from '../../lib/session/linked-list.ts';

class Item implements Linked<Item> {
  previous: Item | undefined = undefined;
  next: Item | undefined = undefined;
}

const step = fc.oneof(
  fc.constantFrom('append' as const, 'prepend' as const),
  fc.record({ remove: fc.nat() }),
);

describe('LinkedList', () => {
  it('behaves like an array', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const list = new LinkedList<Item>();
        const model: Item[] = [];
        for (const what of steps) {
          const item = new Item();
          if (what === 'append') {
            list.append(item);
            model.push(item);
          } else if (what === 'prepend') {
            list.prepend(item);
            model.unshift(item);
          } else {
            const [gone] = model.splice(what.remove % Math.max(1, model.length), 1);
            if (gone !== undefined) list.remove(gone);
            assert.deepEqual([gone?.previous, gone?.next], [undefined, undefined]);
          }
          assert.equal(list.first, model[0]);
        }
        const items = [...list];
        assert.equal(items.length, model.length);
        assert.ok(items.every((item, i) => item === model[i] && item.previous === model[i - 1]));
      }),
      { numRuns: 200 },
    );
  });
});
