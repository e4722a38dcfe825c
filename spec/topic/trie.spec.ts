import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { topicFilterError } from '../../lib/topic/filters.ts';
import { topicNameError } from '../../lib/topic/names.ts';
import { hashOf, Trie } from '../../lib/topic/trie.ts';
import { codePoints } from '../support/code-points.ts';

/** The rules of §4.7 written down as plainly as possible, level by level. */
function matches(filter: string, name: string): boolean {
  const shared = /^\$share\/[^/]+\/(.*)$/s.exec(filter);
  const wanted = (shared?.[1] ?? filter).split('/');
  const levels = name.split('/');
  if (name.startsWith('$') && (wanted[0] === '+' || wanted[0] === '#')) return false;
  for (const [index, level] of wanted.entries()) {
    if (level === '#') return true;
    if (index >= levels.length) return false;
    if (level !== '+' && level !== levels[index]) return false;
  }
  return wanted.length === levels.length;
}

/** The values that `match()` visits. */
function visited<T>(trie: Trie<T>, topicName: string): T[] {
  const values: T[] = [];
  trie.match(topicName, (value) => values.push(value));
  return values;
}

/** Levels of two characters: where the first ones agree in all but 16 bits of their hash, second ones make up for it. */
function levelsOfEqualHash(count: number): string[] {
  const groups = new Map<number, string[]>();
  for (let unit = 0x4e00; unit < 0x9fff; unit++) {
    const first = String.fromCharCode(unit);
    const hash = hashOf(first, 0, 1);
    const second = 0x5000 ^ (hash & 0xffff);
    if (second < 0x100 || (second >= 0xd800 && second <= 0xdfff)) continue;
    const group = groups.get(hash >>> 16) ?? [];
    group.push(first + String.fromCharCode(second));
    if (group.length === count) return group;
    groups.set(hash >>> 16, group);
  }
  throw new Error(`there are no ${count} levels of equal hash`);
}

const EXAMPLES: readonly (readonly [number, string, string, boolean, string?])[] = [
  [1, 'sport/#', 'sport', true, 'v5 MQTT-4.7.1-1, v4 MQTT-4.7.1-2'],
  [2, 'sport/#', 'sport/', true, 'v5 MQTT-4.7.1-1, v4 MQTT-4.7.1-2'],
  [
    3,
    'sport/tennis/player1/#',
    'sport/tennis/player1/score/wimbledon',
    true,
    'v5 MQTT-4.7.1-1, v4 MQTT-4.7.1-2',
  ],
  [4, '#', 'a/b', true, 'v5 MQTT-4.7.1-1, v4 MQTT-4.7.1-2'],
  [5, '#', '/', true, 'v5 MQTT-4.7.1-1, v4 MQTT-4.7.1-2'],
  [6, '#', '$SYS/uptime', false, 'v5 MQTT-4.7.2-1, v4 MQTT-4.7.2-1'],
  [7, '+/monitor/Clients', '$SYS/monitor/Clients', false, 'v5 MQTT-4.7.2-1, v4 MQTT-4.7.2-1'],
  [8, '$SYS/#', '$SYS/monitor/Clients', true, 'v5 MQTT-4.7.2-1, v4 MQTT-4.7.2-1'],
  [9, '$SYS/monitor/+', '$SYS/monitor/Clients', true, 'v5 MQTT-4.7.2-1, v4 MQTT-4.7.2-1'],
  [10, 'a/#', 'a/$x', true, 'v5 MQTT-4.7.2-1, v4 MQTT-4.7.2-1'],
  [11, '+', 'sport', true, 'v5 MQTT-4.7.1-2, v4 MQTT-4.7.1-3'],
  [12, '+', '/finance', false, 'v5 MQTT-4.7.1-2, v4 MQTT-4.7.1-3'],
  [13, '/+', '/finance', true, 'v5 MQTT-4.7.1-2, v4 MQTT-4.7.1-3'],
  [14, '+/+', '/finance', true, 'v5 MQTT-4.7.1-2, v4 MQTT-4.7.1-3'],
  [15, 'sport/+', 'sport', false, 'v5 MQTT-4.7.1-2, v4 MQTT-4.7.1-3'],
  [16, 'sport/+', 'sport/', true, 'v5 MQTT-4.7.1-2, v4 MQTT-4.7.1-3'],
  [17, 'sport/tennis/+', 'sport/tennis/player1/ranking', false, 'v5 MQTT-4.7.1-2, v4 MQTT-4.7.1-3'],
  [18, '+/', 'a/', true],
  [19, '+/', 'a', false],
  [20, '/#', 'a/b', false],
  [21, '/#', '/', true],
  [22, 'a//b', 'a/b', false],
  [23, 'a/+/b', 'a//b', true],
  [24, 'Accounts', 'ACCOUNTS', false, 'v5 MQTT-4.7.3-4, v4 MQTT-4.7.3-4'],
  [25, 'caf\u00e9', 'cafe\u0301', false, 'v5 MQTT-4.7.3-4, v4 MQTT-4.7.3-4'],
  [26, '+/tennis/#', 'sport/tennis', true],
  [27, '$share/g//finance', '/finance', true, 'v5 MQTT-4.8.2-2'],
  [28, '$share/g/#', '$SYS/uptime', false, 'v5 MQTT-4.8.2-2, v5 MQTT-4.7.2-1'],
];

describe('v5 R7, v4 R7 the examples', () => {
  it.each(EXAMPLES)('%d: %j and %j match: %s (%s)', (_, filter, name, match) => {
    expect(topicFilterError(filter)).toBeUndefined();
    expect(topicNameError(name)).toBeUndefined();
    const trie = new Trie<string>();
    trie.add(filter, 'it');
    expect(visited(trie, name)).toEqual(match ? ['it'] : []);
    expect(matches(filter, name)).toBe(match);
  });

  it('hold with all filters in one trie, too', () => {
    const trie = new Trie<string>();
    const filters = [...new Set(EXAMPLES.map(([, filter]) => filter))];
    for (const filter of filters) trie.add(filter, filter);
    for (const [, , name] of EXAMPLES) {
      expect(visited(trie, name).toSorted()).toEqual(
        filters.filter((filter) => matches(filter, name)).toSorted(),
      );
    }
  });
});

describe('Trie', () => {
  it('v5 MQTT-4.7.2-1, v4 MQTT-4.7.2-1 knows $ as the first character of a name only', () => {
    const trie = new Trie<string>();
    for (const filter of ['#', '+', '+/#', '$', '$/#', '$/+', '$SYS/#']) trie.add(filter, filter);
    expect(visited(trie, '$')).toEqual(['$/#', '$']);
    expect(visited(trie, '$/$')).toEqual(['$/#', '$/+']);
    expect(visited(trie, 'a/$SYS')).toEqual(['#', '+/#']);
    expect(visited(trie, '/$SYS')).toEqual(['#', '+/#']);
  });

  it('visits the values of one filter in the order in which they were added, each as often as it was', () => {
    const trie = new Trie<string>();
    for (const value of ['one', 'two', 'one', 'three']) trie.add('a/+', value);
    expect(visited(trie, 'a/b')).toEqual(['one', 'two', 'one', 'three']);
    expect(trie.remove('a/+', 'one')).toBe(true);
    expect(visited(trie, 'a/b')).toEqual(['two', 'one', 'three']);
  });

  it('keeps a filter and its shared twins apart for their values only', () => {
    const trie = new Trie<string>();
    trie.add('a', 'plain');
    trie.add('$share/g/a', 'shared');
    trie.add('$share/h/a', 'shared');
    expect(visited(trie, 'a')).toEqual(['plain', 'shared', 'shared']);
    expect(trie.remove('$share/g/a', 'shared')).toBe(true);
    expect(visited(trie, 'a')).toEqual(['plain', 'shared']);
    expect(visited(trie, '$share/h/a')).toEqual([]);
  });

  it('removes only what is there', () => {
    const trie = new Trie<string>();
    trie.add('a/b', 'x');
    trie.add('a/b/#', 'x');
    for (const filter of ['a', 'a/b/c', 'a/+', 'a/#', '#', '+/b', 'b', 'a/b/+']) {
      expect([filter, trie.remove(filter, 'x')]).toEqual([filter, false]);
    }
    expect(trie.remove('a/b', 'y')).toBe(false);
    expect(trie.remove('a/b', 'x')).toBe(true);
    expect(trie.remove('a/b', 'x')).toBe(false);
    expect(visited(trie, 'a/b')).toEqual(['x']);
  });

  it('tells levels apart whose hashes are equal', () => {
    const levels = levelsOfEqualHash(5);
    expect(new Set(levels.map((text) => hashOf(text, 0, 2))).size).toBe(1);
    expect(new Set(levels).size).toBe(5);
    // Removed from the front, from the middle and from the back of those that are left.
    for (const order of [
      [0, 1, 2, 3, 4],
      [4, 3, 2, 1, 0],
      [2, 1, 3, 4, 0],
      [1, 3, 2, 0, 4],
    ]) {
      const trie = new Trie<string>();
      for (const text of levels.slice(0, 4)) trie.add(`${text}/+`, text);
      expect(trie.remove(`${levels[4]}/+`, levels[4] as string)).toBe(false);
      const left = new Set(levels.slice(0, 4));
      for (const index of order) {
        for (const text of levels) expect(visited(trie, `${text}/x`)).toEqual(left.has(text) ? [text] : []);
        const gone = levels[index] as string;
        expect(trie.remove(`${gone}/+`, gone)).toBe(left.delete(gone));
      }
    }
  });

  it('matches names and filters of tens of thousands of levels', () => {
    const trie = new Trie<string>();
    const name = '/'.repeat(65_535);
    const filters = ['+/'.repeat(32_000) + '#', '/'.repeat(65_535), '/'.repeat(40_000) + '+/#', 'a'];
    for (const filter of filters) trie.add(filter, filter.slice(0, 3) + filter.slice(-3));
    expect(visited(trie, name).toSorted()).toEqual(['+/++/#', '///+/#', '//////']);
    for (const filter of filters)
      expect(trie.remove(filter, filter.slice(0, 3) + filter.slice(-3))).toBe(true);
  });
});

const byValue = (a: number, b: number): number => a - b;

const level = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'ab', '', '$', '$SYS', 'é', 'e\u0301', '😀', ' ') },
  {
    weight: 1,
    arbitrary: fc
      .string({ unit: codePoints, maxLength: 3 })
      .filter((text) => !['/', '+', '#', '\u0000'].some((special) => text.includes(special))),
  },
);
const name = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));
const filter = fc
  .tuple(
    fc.array(fc.oneof({ weight: 3, arbitrary: level }, { weight: 1, arbitrary: fc.constant('+') }), {
      maxLength: 5,
    }),
    fc.boolean(),
    fc.option(fc.constantFrom('$share/g/', '$share/h/'), { freq: 6, nil: '' }),
  )
  .map(
    ([levels, rest, share]) => share + [...levels, ...(rest || levels.length === 0 ? ['#'] : [])].join('/'),
  )
  .filter((text) => topicFilterError(text) === undefined);

describe('any filters and names', () => {
  it('match as the rules say, whatever else is in the trie', () => {
    fc.assert(
      fc.property(
        fc.array(filter, { maxLength: 30 }),
        fc.array(name, { maxLength: 20 }),
        (filters, names) => {
          const trie = new Trie<number>();
          for (const [index, text] of filters.entries()) trie.add(text, index);
          const legal = names.filter((each) => topicNameError(each) === undefined);
          expect(legal.map((text) => visited(trie, text).toSorted(byValue))).toEqual(
            legal.map((text) => [...filters.keys()].filter((index) => matches(filters[index]!, text))),
          );
        },
      ),
      { numRuns: 80 },
    );
  });

  it('come and go like the entries of a list', () => {
    const step = fc.tuple(fc.boolean(), filter, fc.nat({ max: 2 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.array(name, { maxLength: 8 }), (steps, names) => {
        const trie = new Trie<number>();
        let list: { text: string; bare: string; value: number }[] = [];
        const wrong: string[] = [];
        for (const [adds, text, value] of steps) {
          const bare = text.replace(/^\$share\/[^/]+\//, '');
          if (adds) {
            trie.add(text, value);
            list.push({ text, bare, value });
          } else {
            const index = list.findIndex((entry) => entry.bare === bare && entry.value === value);
            if (trie.remove(text, value) !== (index !== -1)) wrong.push(text);
            list = list.filter((_, at) => at !== index);
          }
        }
        const legal = names.filter((each) => topicNameError(each) === undefined);
        const expected = (text: string): number[] =>
          list.filter((entry) => matches(entry.text, text)).map((entry) => entry.value);
        expect(legal.map((text) => visited(trie, text).toSorted(byValue))).toEqual(
          legal.map((text) => expected(text).toSorted(byValue)),
        );
        for (const entry of list) if (!trie.remove(entry.text, entry.value)) wrong.push(entry.text);
        expect(wrong).toEqual([]);
      }),
      { numRuns: 80 },
    );
  });
});

describe('Trie.overlapping', () => {
  const few = fc.constantFrom('a', 'b', '', '+', '$x');
  const narrow = fc
    .tuple(fc.array(few, { minLength: 1, maxLength: 4 }), fc.constantFrom('', '/#'))
    .map(([levels, end]) => levels.join('/') + end)
    .filter((text) => topicFilterError(text) === undefined);
  /** Every name of up to five levels of this alphabet, `c` standing for any that no filter names. */
  const alphabet = ['a', 'b', 'c', '', '$x'];
  const names = [1, 2, 3, 4, 5].flatMap((depth) =>
    Array.from({ length: alphabet.length ** depth }, (_, n) =>
      Array.from({ length: depth }, (__, i) => alphabet[Math.floor(n / alphabet.length ** i) % 5]).join('/'),
    ),
  );

  it('visits each value once whose filter shares a Topic Name with the given one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(narrow, fc.constant('#')), { maxLength: 8 }),
        narrow,
        (filters, asked) => {
          const trie = new Trie<number>();
          for (const [index, one] of filters.entries()) trie.add(one, index);
          const found: number[] = [];
          trie.overlapping(asked, (value) => found.push(value));
          const mine = names.filter((one) => matches(asked, one));
          const shared = filters.flatMap((one, i) =>
            mine.some((topicName) => matches(one, topicName)) ? [i] : [],
          );
          expect(found.toSorted((x, y) => x - y)).toEqual(shared);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('ignores the ShareName of a shared filter', () => {
    const trie = new Trie<string>();
    trie.add('$share/g/a/+', 'shared');
    const found: string[] = [];
    trie.overlapping('$share/h/+/b', (value) => found.push(value));
    expect(found).toEqual(['shared']);
  });
});
