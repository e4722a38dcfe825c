import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { copyOf, isBytes, isPlainBytes } from '../lib/bytes.ts';

class Special extends Uint8Array {}

describe('bytes', () => {
  it('are a Uint8Array of any class and realm', () => {
    const foreign: unknown = runInNewContext('new Uint8Array(2)');
    for (const value of [new Uint8Array(2), Buffer.from('ab'), new Special(2), foreign])
      expect(isBytes(value)).toBe(true);
  });

  it.each([
    ['what says that it is', { [Symbol.toStringTag]: 'Uint8Array', length: 4 }],
    ['what has its prototype', Object.create(Uint8Array.prototype)],
    ['a proxy, whose bytes cannot be read as such', new Proxy(new Uint8Array(2), {})],
    ['other numbers', new Uint16Array(2)],
    ['a DataView', new DataView(new ArrayBuffer(2))],
    ['memory', new ArrayBuffer(2)],
    ['an array', [1, 2]],
    ['text', 'ab'],
    ['nothing', undefined],
    ['null', null],
  ])('are not %s', (_, value) => {
    expect(isBytes(value)).toBe(false);
  });

  it('are plain if they are no Buffer', () => {
    expect(isPlainBytes(new Uint8Array(2))).toBe(true);
    for (const value of [Buffer.from('ab'), new Special(2), Object.create(Uint8Array.prototype)])
      expect(isPlainBytes(value)).toBe(false);
  });
});

describe('copyOf()', () => {
  it.each([
    ['a Uint8Array', Uint8Array.of(1, 2, 3)],
    ['a part of one', Uint8Array.of(0, 1, 2, 3, 4).subarray(1, 4)],
    ['a Buffer', Buffer.from([1, 2, 3])],
    ['a Buffer out of a pool', Buffer.concat([Buffer.from([1, 2]), Buffer.from([3])])],
    ['a class of somebody else', Special.of(1, 2, 3)],
  ])('of %s is plain, and memory of its own', (_, bytes) => {
    const copy = copyOf(bytes);
    bytes.fill(9);
    expect(copy).toEqual(Uint8Array.of(1, 2, 3));
    expect([isPlainBytes(copy), copy.buffer.byteLength]).toEqual([true, 3]);
  });
});
