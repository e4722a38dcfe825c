import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { quoted, topicNameError, utf8Length } from '../../lib/topic/names.ts';
import { codePoints } from '../support/code-points.ts';

const E_ACUTE = '\u00e9'; // two bytes in UTF-8

describe('v5 R7, v4 R7 topicNameError', () => {
  it.each([
    'a',
    '/',
    '//',
    ' ',
    'sport/tennis/player1',
    '/finance',
    'a//b',
    '$SYS/uptime',
    'Accounts payable',
    '𪛔/😀',
  ])('accepts %j', (name) => {
    expect(topicNameError(name)).toBeUndefined();
  });

  it.each(['a/+', 'a/#', '+', '#', 'sport+', 'a#b', '\u0000/+'])(
    'v5 MQTT-4.7.0-1, v5 MQTT-3.3.2-2, v4 MQTT-4.7.1-1 refuses wildcards: %j',
    (name) => {
      expect(topicNameError(name)).toMatch(/^expected a Topic Name without the wildcards \+ and #, got "/);
    },
  );

  it('v5 MQTT-4.7.3-1, v4 MQTT-4.7.3-1 refuses the empty name', () => {
    expect(topicNameError('')).toBe('expected a Topic Name of at least one character, got an empty string');
  });

  it.each(['\u0000', 'a/\u0000', '\u0000a/b'])(
    'v5 MQTT-4.7.3-2, v4 MQTT-4.7.3-2 refuses U+0000: %j',
    (name) => {
      expect(topicNameError(name)).toMatch(/^expected a Topic Name without U\+0000, got "/);
    },
  );

  it.each(['\ud800', 'a/\udc00', '\udc00\ud800', 'a\ud83d/b'])(
    'refuses half of a surrogate pair: %j',
    (name) => {
      expect(topicNameError(name)).toMatch(/^expected a Topic Name of well-formed Unicode, got "/);
    },
  );

  it.each(['\u0001', '\u001f', '\u007f', '\u009f', '\ufeff', '\uffff', '\u{1fffe}'])(
    'accepts control characters, the byte order mark and non-characters, which are only advised against: %j',
    (name) => {
      expect(topicNameError(name)).toBeUndefined();
    },
  );

  describe('v5 MQTT-4.7.3-3, v4 MQTT-4.7.3-3 allows 65,535 bytes of UTF-8', () => {
    it.each([
      ['65,535 x a', 'a'.repeat(65_535)],
      ['32,767 x U+00E9 and an a', E_ACUTE.repeat(32_767) + 'a'],
      ['21,845 x U+20AC', '€'.repeat(21_845)],
      ['16,383 x U+1F600 and 3 x a', '😀'.repeat(16_383) + 'aaa'],
    ])('accepts %s', (_, name) => {
      expect(new TextEncoder().encode(name).length).toBe(65_535);
      expect(topicNameError(name)).toBeUndefined();
    });

    it.each([
      ['65,536 x a', 'a'.repeat(65_536)],
      ['32,768 x U+00E9', E_ACUTE.repeat(32_768)],
      ['21,845 x U+20AC and an a', '€'.repeat(21_845) + 'a'],
      ['16,384 x U+1F600', '😀'.repeat(16_384)],
    ])('refuses %s', (_, name) => {
      expect(topicNameError(name)).toBe('expected a Topic Name of at most 65,535 bytes, got 65536 bytes');
    });
  });
});

describe('utf8Length', () => {
  it('is the number of bytes that an encoder writes', () => {
    fc.assert(
      fc.property(fc.string({ unit: codePoints }), (text) => {
        expect(utf8Length(text)).toBe(new TextEncoder().encode(text).length);
      }),
    );
  });
});

describe('quoted', () => {
  it('puts a text on one line', () => {
    expect(quoted('a\n\u0000"')).toBe('"a\\n\\u0000\\""');
  });

  it('cuts a text that is longer than a line, and says how long it was', () => {
    expect(quoted('x'.repeat(70_000))).toBe(`"${'x'.repeat(80)}"… (70000 characters)`);
  });
});
