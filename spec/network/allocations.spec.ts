import { afterEach, describe, expect, it } from '@jest/globals';
import { endPrograms, startProgram } from './children.ts';

/*
 * How much heap a published message takes, garbage included. Most of the work of a fast publisher is to collect it. The
 * figures are the same in every run; the budgets leave room for other versions of Node.js.
 */

/** Bytes per message with QoS 0, 1 and 2. A promise with its two functions takes 216 of them. */
const BUDGETS = [16, 430, 430];

const LONG = 60_000;

afterEach(() => endPrograms());

describe('the bytes allocated for a published message', () => {
  it.each(['4', '5'])(
    'are within the budget of each QoS, with protocol version %s',
    async (version) => {
      const { code, lines, complaint } = await startProgram('allocates', version).ended;
      expect({ code, complaint }).toEqual({ code: 0, complaint: '' });
      const bytes = lines.map((line) => Number(/^qos \d: (\d+)$/.exec(line)?.[1]));
      expect(bytes.map((figure, qos) => figure <= BUDGETS[qos]!)).toEqual([true, true, true]);
      // Nothing was collected while it was measured.
      expect(bytes.map((figure, qos) => figure >= BUDGETS[qos]! / 2)).toEqual([false, true, true]);
    },
    LONG,
  );
});
