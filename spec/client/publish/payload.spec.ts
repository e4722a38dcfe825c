import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { toBytes, toPayload, type Payload } from '../../../lib/client/publish/payload.ts';
import { BYTE_KINDS, payloadOf } from '../../support/payload-kinds.ts';

/** Memory that can be resized, which the types of the oldest Node do not know. */
const resizable = (size: number): ArrayBuffer & { resize(size: number): void } =>
  Reflect.construct(ArrayBuffer, [size, { maxByteLength: 2 * size }]) as ArrayBuffer & {
    resize(size: number): void;
  };

describe('a payload', () => {
  it('is text as it is, a number as its decimal text, null as nothing', () => {
    expect(toPayload('21.5 °C')).toBe('21.5 °C');
    expect([toPayload(21.5), toPayload(-0.25), toPayload(1e21)]).toEqual(['21.5', '-0.25', '1e+21']);
    expect(toPayload(null)).toEqual(new Uint8Array(0));
  });

  it('is bytes as they are, not copied: the same object where they are plain', () => {
    const bytes = Uint8Array.of(1, 2, 3);
    expect(toPayload(bytes)).toBe(bytes);
    const view = bytes.subarray(1);
    expect(toPayload(view)).toBe(view);
  });

  it.each(BYTE_KINDS)('is plain bytes over the same memory: %s', (kind) => {
    const { payload, reuse } = payloadOf(kind, 'precious');
    const bytes = toPayload(payload) as Uint8Array;
    expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
    expect(bytes).toEqual(new TextEncoder().encode('precious'));
    reuse();
    expect(bytes).toEqual(new Uint8Array(8).fill(0x7e));
  });

  it.each([
    ['memory', () => new ArrayBuffer(8)],
    ['bytes', () => new Uint8Array(8)],
    ['a part of bytes', () => new Uint8Array(16).subarray(8)],
    ['a Buffer', () => Buffer.alloc(8)],
    ['floats', () => new Float32Array(2)],
    ['a DataView', () => new DataView(new ArrayBuffer(8))],
  ])('is not %s whose memory was transferred away', (_, make) => {
    const payload = make();
    const memory = ArrayBuffer.isView(payload) ? payload.buffer : payload;
    structuredClone(memory, { transfer: [memory] });
    expect(() => toPayload(payload)).toThrow(TypeError);
    expect(() => toPayload(payload)).toThrow(
      'payload: expected bytes, got some whose memory was transferred or resized',
    );
  });

  it('is not bytes whose memory has shrunk below them', () => {
    const memory = resizable(16);
    const payloads = [new Uint8Array(memory, 8, 8), new Uint8Array(memory, 12), new DataView(memory, 8, 8)];
    memory.resize(4);
    for (const payload of payloads) expect(() => toPayload(payload)).toThrow(/transferred or resized/);
    expect(toPayload(memory)).toEqual(new Uint8Array(4));
  });

  it('is empty bytes, of whatever kind', () => {
    for (const payload of [new Uint8Array(0), Buffer.alloc(0), new ArrayBuffer(0), new Float32Array(0)])
      expect(toPayload(payload)).toEqual(new Uint8Array(0));
  });

  it('is bytes that threads share', () => {
    const bytes = new Uint16Array(new SharedArrayBuffer(4)).fill(0x101);
    expect(toPayload(bytes)).toEqual(Uint8Array.of(1, 1, 1, 1));
  });

  it.each([
    ['memory', { [Symbol.toStringTag]: 'ArrayBuffer', length: 4, byteLength: 4 }],
    ['bytes', Object.create(Uint8Array.prototype)],
    ['bytes, by its constructor', { constructor: Uint8Array, length: 4 }],
    ['bytes, by a proxy', new Proxy(new Uint8Array(4), {})],
    ['a view', { buffer: new ArrayBuffer(4), byteOffset: 0, byteLength: 4 }],
    ['a view, by its class', Object.create(DataView.prototype)],
    [
      'a view, with memory that is none',
      Object.defineProperty(new DataView(new ArrayBuffer(4)), 'buffer', { value: { length: 4 } }),
    ],
  ])('is not what only looks like %s', (_, value) => {
    expect(() => toPayload(value as Payload)).toThrow(TypeError);
    expect(() => toPayload(value as Payload)).toThrow(/^payload: expected /);
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
  it.each(BYTE_KINDS)('gives bytes of their own: what the caller does to a %s does not show', (kind) => {
    const { payload, reuse } = payloadOf(kind, 'precious');
    const own = toBytes(payload);
    reuse();
    expect(own).toEqual(new TextEncoder().encode('precious'));
  });

  it('encodes text and numbers', () => {
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
