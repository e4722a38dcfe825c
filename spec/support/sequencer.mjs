import Sequencer from '@jest/test-sequencer';

/** Files that are short, and run long: most of what they run is in other files. */
const LONG = /[\\/](?:all|broker-\w+|model|package)\.spec\.ts$/;

/**
 * Jest test sequencer: long files first, so that the workers end at the same time. Where it is not known how long a file
 * takes, as in a fresh clone, Jest goes by its size; this one also knows short files that run long.
 */
export default class LongestFirst extends Sequencer {
  sort(tests) {
    // oxlint-disable-next-line unicorn/no-array-sort -- it is not that of an array
    const sorted = super.sort(tests);
    const isFirst = ({ path, duration }) => duration === undefined && LONG.test(path);
    return [...sorted.filter(isFirst), ...sorted.filter((test) => !isFirst(test))];
  }
}
