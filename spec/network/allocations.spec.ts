import { afterEach, describe, expect, it } from '@jest/globals';
import { endPrograms, startProgram } from './children.ts';

/*
 * What a message costs where figures are exact: bytes of heap, garbage included, and writes. Most of the work of a fast
 * client is to collect the first and to make the second. The figures are the same in every run; the budgets leave room
 * for other versions of Node.js.
 */

/** Bytes per message with QoS 0, 1 and 2. A promise with its two functions takes 216 of those of a published one. */
const BUDGETS: Readonly<Record<string, readonly number[]>> = {
  publish: [16, 430, 440],
  receive: [570, 790, 790],
};

/** Writes per 1,000 messages, of which 1,000 are outstanding. */
const MOST_WRITES = 5;

const LONG = 60_000;

afterEach(() => endPrograms());

describe('a message', () => {
  it.each(['4', '5'])(
    'costs no more bytes and writes than its budget, with protocol version %s',
    async (version) => {
      const { code, lines, complaint } = await startProgram('allocates', version).ended;
      expect({ code, complaint }).toEqual({ code: 0, complaint: '' });
      for (const [i, line] of lines.entries()) {
        const [, direction = '', , bytes, writes] =
          /^(\w+) qos (\d): (\d+), ([\d.]+) writes$/.exec(line) ?? [];
        const budget = BUDGETS[direction]?.[i % 3] ?? 0;
        expect([line, Number(bytes) <= budget]).toEqual([line, true]);
        // Nothing was collected while it was measured.
        expect([line, budget < 100 || Number(bytes) > budget / 2]).toEqual([line, true]);
        expect([line, Number(writes) <= MOST_WRITES]).toEqual([line, true]);
      }
      expect(lines).toHaveLength(6);
    },
    LONG,
  );
});
