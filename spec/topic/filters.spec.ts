import { describe, expect, it } from '@jest/globals';
import { hasWildcard, isShared, matchedFilter, topicFilterError } from '../../lib/topic/filters.ts';

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
