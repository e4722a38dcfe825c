import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { toBytes, toPayload, type Payload } from '../../lib/client/payload.ts';

describe('a payload', () => {
  it('is text as it is, a number as its decimal text, null as nothing', () => {
    expect(toPayload('21.5 °C')).toBe('21.5 °C');
    expect([toPayload(21.5), toPayload(-0.25), toPayload(1e21)]).toEqual(['21.5', '-0.25', '1e+21']);
    expect(toPayload(null)).toEqual(new Uint8Array(0));
  });

  it('is bytes as they are, not copied', () => {
    const bytes = Uint8Array.of(1, 2, 3);
    expect(toPayload(bytes)).toBe(bytes);
    const buffer = Buffer.from('abc');
    expect(toPayload(buffer)).toBe(buffer);
  });

  it('is the part of memory that a view shows, and no more', () => {
    const memory = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7).buffer;
    expect(toPayload(memory)).toEqual(new Uint8Array(memory));
    expect(toPayload(new DataView(memory, 2, 3))).toEqual(Uint8Array.of(2, 3, 4));
    const words = toPayload(new Uint16Array(memory, 4, 1)) as Uint8Array;
    expect(words).toEqual(Uint8Array.of(4, 5));
    expect(words.buffer).toBe(memory);
  });

  it('is memory of another realm too', () => {
    const memory = runInNewContext('new Uint8Array([7, 8]).buffer') as ArrayBuffer;
    expect(toPayload(memory)).toEqual(Uint8Array.of(7, 8));
  });

  it.each([undefined, true, {}, [1, 2], 5n, () => 'a', Symbol('a')])('is not %p', (value) => {
    expect(() => toPayload(value as unknown as Payload)).toThrow(TypeError);
    expect(() => toPayload(value as unknown as Payload)).toThrow(
      /^payload: expected a string, bytes, a number or null, got /,
    );
  });

  it('is well-formed text', () => {
    expect(() => toPayload('a\ud800')).toThrow(
      new TypeError('payload: expected well-formed text, got a lone surrogate'),
    );
    expect(toPayload('a\ud83d\ude00')).toBe('a\ud83d\ude00');
  });
});

describe('toBytes', () => {
  it('gives bytes of their own: what the caller does to his does not show', () => {
    const bytes = Uint8Array.of(1, 2);
    const own = toBytes(bytes);
    bytes[0] = 9;
    expect(own).toEqual(Uint8Array.of(1, 2));
    expect([toBytes('é'), toBytes(7), toBytes(null)]).toEqual([
      Uint8Array.of(0xc3, 0xa9),
      Uint8Array.of(0x37),
      new Uint8Array(0),
    ]);
  });
});
