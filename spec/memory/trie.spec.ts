import { describe, expect, it } from '@jest/globals';
import { Trie } from '../../lib/topic/trie.ts';
import { collectGarbage } from '../support/garbage.ts';

/** How many more bytes of heap are in use after `work` than before. */
function heapGrowth(work: () => void): number {
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  work();
  return process.memoryUsage().heapUsed - before;
}

describe('Trie', () => {
  it('allocates nothing to match', () => {
    const trie = new Trie<number>();
    for (let i = 0; i < 1000; i++) trie.add(`site/${i}/+/temperature`, i);
    for (const text of ['#', '+/+/+/+', 'site/#', 'site/+/kitchen/#', 'é/+']) trie.add(text, 0);
    const names = Array.from({ length: 100 }, (_, i) => `site/${i * 10}/kitchen/temperature`);
    let hits = 0;
    const visit = (value: number): void => {
      hits += value > 0 ? 2 : 1;
    };
    const run = (rounds: number): void => {
      for (let round = 0; round < rounds; round++) for (const text of names) trie.match(text, visit);
    };
    // The compilers of the engine use the heap too, now and then: a round without them tells.
    const growths = [1, 2, 3, 4, 5].map(() => heapGrowth(() => run(500)));
    expect(hits).toBe(5 * 500 * (99 * 6 + 5));
    // One number on the heap for each of the 50,000 matches would be 0.8 MB, one string more.
    expect(Math.min(...growths)).toBeLessThan(400_000);
  });

  it('gives the memory of filters back when they go', () => {
    const trie = new Trie<number>();
    const cycle = (from: number): void => {
      for (let i = from; i < from + 5_000; i++) trie.add(`site/${i}/+/${i}/#`, i);
      for (let i = from; i < from + 5_000; i++) trie.remove(`site/${i}/+/${i}/#`, i);
    };
    cycle(0);
    const growth = heapGrowth(() => {
      for (let round = 1; round < 6; round++) cycle(round * 5_000);
      collectGarbage();
    });
    expect(growth).toBeLessThan(500_000); // 75,000 nodes would be some 5 MB
  });
});
