import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { endOf, nameOf, ownerOf, prefixOf } from '../../lib/store/session-keys.ts';

const text = fc.string({ unit: 'grapheme' });
const owners = fc.record({ scope: text, clientId: text });

describe('the prefix of a session', () => {
  it('is ASCII, and leads back to its owner', () => {
    fc.assert(
      fc.property(owners, text, (owner, key) => {
        const prefix = prefixOf(owner);
        expect(prefix).toMatch(/^[!-~]+\/$/);
        expect(ownerOf(prefix + key)).toEqual(owner);
      }),
    );
  });

  it('is no prefix of another one', () => {
    fc.assert(
      fc.property(owners, owners, (one, other) => {
        fc.pre(one.scope !== other.scope || one.clientId !== other.clientId);
        expect(prefixOf(one).startsWith(prefixOf(other))).toBe(false);
      }),
    );
  });

  it('ends behind its keys, and before any other', () => {
    const prefix = prefixOf({ scope: '', clientId: 'a' });
    expect(endOf(prefix) > `${prefix}~~~`).toBe(true);
    expect(endOf(prefix) < prefixOf({ scope: '', clientId: 'b' })).toBe(true);
  });

  it.each(['a', 'mqtt-await', 'mqtt-await/a/b', 'mqtt-await/%/b/c', 'x/mqtt-await/a/b/c'])(
    'is not found in %s',
    (key) => {
      expect(ownerOf(key)).toBeUndefined();
    },
  );

  it('is named by Client Identifier and scope, on one line', () => {
    expect(nameOf({ scope: '', clientId: 'a\nb' })).toBe('the Client Identifier "a?b"');
    expect(nameOf({ scope: 'x', clientId: 'a' })).toBe('the Client Identifier "a" in the scope "x"');
  });
});
