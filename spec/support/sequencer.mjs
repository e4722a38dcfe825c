import Sequencer from '@jest/test-sequencer';

/** These collect garbage. In a worker that has run other files, that takes five times as long. */
const MEMORY = /[\\/]spec[\\/]memory[\\/]/;
/** Files that are short, and run long: most of what they run is in other files. */
const LONG = /[\\/](?:all|broker-\w+|model)\.spec\.ts$/;

function rank({ path, duration }) {
  if (MEMORY.test(path)) return 0;
  return duration === undefined && LONG.test(path) ? 1 : 2;
}

/**
 * Jest test sequencer: long files first, so that the workers end at the same time. Where it is not known how long a file
 * takes, as in a fresh clone, Jest goes by its size; this one also knows short files that run long.
 */
export default class LongestFirst extends Sequencer {
  sort(tests) {
    // oxlint-disable-next-line unicorn/no-array-sort -- it is not that of an array
    const sorted = super.sort(tests);
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}
