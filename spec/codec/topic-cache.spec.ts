import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { TopicCache } from '../../lib/codec/topic-cache.ts';

const encoder = new TextEncoder();

/** A cache, and the strings that it decoded, in order. */
function counting(): { cache: TopicCache; decoded: string[] } {
  const decoded: string[] = [];
  const decoder = new TextDecoder();
  const cache = new TopicCache((bytes, start, end) => {
    const s = decoder.decode(bytes.subarray(start, end));
    decoded.push(s);
    return s;
  });
  return { cache, decoded };
}

function get(cache: TopicCache, s: string): string {
  const bytes = encoder.encode(`##${s}##`);
  return cache.get(bytes, 2, bytes.length - 2);
}

describe('TopicCache', () => {
  it('decodes a string twice, then not again while it is the last one', () => {
    const { cache, decoded } = counting();
    for (let i = 0; i < 10; i++) expect(get(cache, 'site/7/temperature')).toBe('site/7/temperature');
    expect(decoded).toHaveLength(2);
  });

  it('keeps many strings that alternate', () => {
    const { cache, decoded } = counting();
    const topics = Array.from({ length: 100 }, (_, i) => `site/${i}/temperature`);
    for (let round = 0; round < 20; round++) for (const topic of topics) get(cache, topic);
    // A few share a place and miss alternately.
    expect(decoded.length).toBeLessThan(20 * 20 + 200);
  });

  it('does not rewrite its places when more strings alternate than it can keep', () => {
    const { cache, decoded } = counting();
    for (let i = 0; i < 3; i++) get(cache, 'kept');
    const before = decoded.length;
    for (let i = 0; i < 20_000; i++) get(cache, `other/${i}`);
    get(cache, 'kept');
    expect(decoded.slice(before).filter((s) => s === 'kept')).toHaveLength(0);
  });

  it('decodes long strings each time, so that they cannot fill the memory', () => {
    const { cache, decoded } = counting();
    for (let i = 0; i < 4; i++) get(cache, 'x'.repeat(257));
    expect(decoded).toHaveLength(4);
  });

  it('caches nothing that could not be decoded', () => {
    let attempts = 0;
    const cache = new TopicCache(() => {
      attempts++;
      throw new Error('no');
    });
    for (let i = 0; i < 4; i++) expect(() => get(cache, 'a/b')).toThrow('no');
    expect(attempts).toBe(4);
  });

  it('drops everything when it is cleared', () => {
    const { cache, decoded } = counting();
    for (let i = 0; i < 4; i++) get(cache, 'a/b');
    cache.clear();
    get(cache, 'a/b');
    expect(decoded).toHaveLength(3);
  });

  it('returns the right string for any bytes, in any order and place', () => {
    const letters = fc.string({
      unit: fc.constantFrom('a', 'b', '/', '\0', 'é'),
      minLength: 1,
      maxLength: 9,
    });
    fc.assert(
      fc.property(fc.array(letters, { minLength: 1, maxLength: 60 }), fc.boolean(), (strings, together) => {
        const { cache } = counting();
        const parts = strings.map((s) => encoder.encode(s));
        const all = encoder.encode(strings.join(''));
        for (let round = 0; round < 3; round++) {
          let at = 0;
          for (const [i, s] of strings.entries()) {
            const part = parts[i]!;
            expect(together ? cache.get(all, at, at + part.length) : cache.get(part, 0, part.length)).toBe(s);
            at += part.length;
          }
        }
      }),
    );
  });
});
