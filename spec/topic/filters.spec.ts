import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import {
  deliveredFilters,
  hasWildcard,
  isGroup,
  isShared,
  matchedFilter,
  matchesFilter,
  topicFilterError,
} from '../../lib/topic/filters.ts';
import { Trie } from '../../lib/topic/trie.ts';

describe('v5 R7, v4 R7 topicFilterError', () => {
  it.each([
    'a',
    '/',
    '//',
    '+',
    '#',
    '+/+',
    '/+',
    '+/',
    '/#',
    '+/#',
    'a/+/b',
    'a/#',
    'a//b',
    'sport/tennis/player1/#',

    '+/tennis/#',
    '$SYS/#',
    '$SYS/monitor/+',
    '$',
    '$share',
    '$shared/g',
    '$SHARE/g',
    'a/$share/g',
    ' ',
    '😀/+',

    '$share/g/a',
    '$share/g//finance',
    '$share/g/#',
    '$share/g/+/b',
    '$share/g//',
    '$share/😀/a',
    '$share/$/$SYS/#',
  ])('accepts %j', (filter) => {
    expect(topicFilterError(filter)).toBeUndefined();
  });

  it('v5 MQTT-4.7.3-1, v4 MQTT-4.7.3-1 refuses the empty filter', () => {
    expect(topicFilterError('')).toBe(
      'expected a Topic Filter of at least one character, got an empty string',
    );
  });

  it.each([
    'sport/tennis#',
    'sport/tennis/#/ranking',
    '#/a',
    '##',
    'a/##',
    '#/',
    '#+',
    '$share/g/#/a',
    '$share/g/a#',
  ])('v5 MQTT-4.7.1-1, v4 MQTT-4.7.1-2 refuses # elsewhere than alone in the last level: %j', (filter) => {
    expect(topicFilterError(filter)).toBe(
      `expected a Topic Filter with # alone in its last level, got "${filter}"`,
    );
  });

  it.each(['sport+', '+a/b', 'a/b+', '++', '+#', 'a/+b', '$share/g/a+', '$share/g/+a'])(
    'v5 MQTT-4.7.1-2, v4 MQTT-4.7.1-3 refuses + elsewhere than alone in its level: %j',
    (filter) => {
      expect(topicFilterError(filter)).toBe(
        `expected a Topic Filter with + alone in its level, got "${filter}"`,
      );
    },
  );

  it.each(['$share/g', '$share/g/', '$share/', '$share/+'])(
    'v5 MQTT-4.8.2-2 refuses a Shared Subscription without a filter: %j',
    (filter) => {
      expect(topicFilterError(filter)).toBe(
        `expected a Topic Filter after $share/{ShareName}/, got "${filter}"`,
      );
    },
  );

  it.each(['$share//a', '$share//'])('v5 MQTT-4.8.2-1 refuses an empty ShareName: %j', (filter) => {
    expect(topicFilterError(filter)).toMatch(/^expected a (ShareName of at least one|Topic Filter after)/);
  });

  it.each(['$share/g+/a', '$share/#/a', '$share/+/a', '$share/g#/a'])(
    'v5 MQTT-4.8.2-2 refuses a ShareName with a wildcard: %j',
    (filter) => {
      expect(topicFilterError(filter)).toBe(
        `expected a ShareName of at least one character and without + and #, got "${filter}"`,
      );
    },
  );

  it.each(['\u0000', 'a/\u0000/+', '$share/g\u0000/a'])(
    'v5 MQTT-4.7.3-2, v4 MQTT-4.7.3-2 refuses U+0000: %j',
    (filter) => {
      expect(topicFilterError(filter)).toMatch(/^expected a Topic Filter without U\+0000, got "/);
    },
  );

  it.each(['\ud800/+', '$share/\udc00/a'])('refuses half of a surrogate pair: %j', (filter) => {
    expect(topicFilterError(filter)).toMatch(/^expected a Topic Filter of well-formed Unicode, got "/);
  });

  it('v5 MQTT-4.7.3-3, v4 MQTT-4.7.3-3 allows 65,535 bytes, $share and ShareName included', () => {
    expect(topicFilterError('a'.repeat(65_533) + '/+')).toBeUndefined();
    expect(topicFilterError('a'.repeat(65_534) + '/+')).toMatch(/at most 65,535 bytes, got 65536 bytes$/);
    expect(topicFilterError('$share/g/' + 'a'.repeat(65_526))).toBeUndefined();
    expect(topicFilterError('$share/g/' + 'a'.repeat(65_527))).toMatch(
      /at most 65,535 bytes, got 65536 bytes$/,
    );
  });
});

describe('shared filters', () => {
  it.each([
    ['$share/g/a/b', 'a/b'],
    ['$share/g//finance', '/finance'],
    ['$share/consumers 1/+/#', '+/#'],
    ['$share/g/$share/h/a', '$share/h/a'],
  ])('matches %j by its part %j', (filter, topicFilter) => {
    expect(isShared(filter)).toBe(true);
    expect(matchedFilter(filter)).toBe(topicFilter);
  });

  it.each(['a/b', '$share', '$SYS/#', '$shared/g/a', 'a/$share/g/b', '/$share/g/a'])(
    'matches %j as a whole',
    (filter) => {
      expect(isShared(filter)).toBe(false);
      expect(matchedFilter(filter)).toBe(filter);
    },
  );
});

describe('hasWildcard', () => {
  it.each([
    ['a/b', false],
    ['/', false],
    ['$share/g/a', false],
    ['a/+', true],
    ['#', true],
    ['$share/g/a/#', true],
  ])('says of %j: %s', (filter, wildcard) => {
    expect(hasWildcard(filter)).toBe(wildcard);
  });
});

describe('deliveredFilters', () => {
  it.each([
    ['a/#', ['a/#']],
    ['$share/g/a', ['a']],
    ['$share/g/$queue/a', ['$queue/a']],
    ['$SYS/#', ['$SYS/#']],
    ['$queue/a/+', ['$queue/a/+', 'a/+']],
    ['$exclusive/a', ['$exclusive/a', 'a']],
    ['$delayed/15/a/b', ['$delayed/15/a/b', 'a/b']],
    ['$queue/', ['$queue/']],
    ['$queue/#', ['$queue/#', '#']],
    ['$queue//a', ['$queue//a', '/a']],
    ['$queue/$share/g/a', ['$queue/$share/g/a']],
    ['$delayed/x/a', ['$delayed/x/a']],
    ['$delayed/15', ['$delayed/15']],
    ['$queues/a', ['$queues/a']],
    ['a/$queue/b', ['a/$queue/b']],
  ])('of %j are %j', (filter, delivered) => {
    expect(deliveredFilters(filter)).toEqual(delivered);
  });

  it('know the groups of which one client gets each message', () => {
    expect(['$share/g/a', '$queue/a', '$exclusive/a', '$delayed/1/a', 'a'].map(isGroup)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

describe('matchesFilter', () => {
  it.each([
    ['a/#', 'a', true],
    ['a/#', 'a/', true],
    ['a/#', 'a/b/c', true],
    ['a/#', 'ab', false],
    ['#', '/', true],
    ['#', '$SYS', false],
    ['+/a', '$SYS/a', false],
    ['$SYS/#', '$SYS', true],
    ['+', '', true],
    ['+/+', '/', true],
    ['+', '/', false],
    ['a/+', 'a', false],
    ['a/+/', 'a/b/', true],
    ['+/#', 'a', true],
    ['a', 'a/', false],
    ['a/', 'a', false],
  ])('v5 MQTT-4.7.2-1 %j, %j: %s', (filter, name, expected) => {
    expect(matchesFilter(filter, name)).toBe(expected);
  });

  it('says the same as the tree of filters', () => {
    const level = fc.constantFrom('', 'a', 'b', 'ab', '$x');
    const levels = (one: fc.Arbitrary<string>) => fc.array(one, { minLength: 1, maxLength: 4 });
    const filters = fc
      .tuple(levels(fc.oneof(level, fc.constant('+'))), fc.constantFrom('', '/#'))
      .map(([all, rest]) => all.join('/') + rest)
      .filter((filter) => filter !== '');
    const names = levels(level).map((all) => all.join('/'));
    fc.assert(
      fc.property(filters, names, (filter, name) => {
        const trie = new Trie<string>();
        trie.add(filter, filter);
        const found: string[] = [];
        trie.match(name, (one) => found.push(one));
        assert.equal(matchesFilter(filter, name), found.length === 1);
      }),
      { numRuns: 2_000 },
    );
  });
});
