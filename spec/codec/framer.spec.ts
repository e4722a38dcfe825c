import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Framer, type FramerOptions } from '../../lib/codec/framer.ts';
import { memoryFor } from '../../lib/codec/memory.ts';
import { writeVarint } from '../../lib/codec/varint.ts';
import { hex, join, splits, toHex } from '../support/bytes.ts';

const KIB = 1024;

/** A framer, and the sizes of the slabs it asked for. */
function counting(options: Partial<FramerOptions> = {}): { framer: Framer; slabs: number[] } {
  const slabs: number[] = [];
  const allocate = (size: number): Uint8Array => {
    slabs.push(size);
    return new Uint8Array(size);
  };
  return { framer: new Framer({ protocolVersion: 5, allocate, ...options }), slabs };
}

/** A packet of type PUBLISH whose body is `length` bytes of `value`. */
function packetOf(length: number, value: number): Uint8Array {
  const header = new Uint8Array(5);
  header[0] = 0x30;
  return join(header.subarray(0, writeVarint(header, 1, length)), new Uint8Array(length).fill(value));
}

/** Brings bytes in as a transport that reads into given memory does. @returns how many reads it took */
function readInto(framer: Framer, bytes: Uint8Array, atMost = Number.MAX_SAFE_INTEGER): number {
  let at = 0;
  let reads = 0;
  while (at < bytes.length) {
    const space = framer.allocate();
    expect(space.length).toBeGreaterThan(0);
    const count = Math.min(space.length, atMost, bytes.length - at);
    space.set(bytes.subarray(at, at + count));
    framer.commit(count);
    at += count;
    reads++;
  }
  return reads;
}

/** Whether all bytes are `value`. */
const isAll = (bytes: Uint8Array, value: number): boolean => Buffer.alloc(bytes.length, value).equals(bytes);

const bodyOf = ({ bytes, start, end }: Framer): Uint8Array => bytes.subarray(start, end);

/** The packets that are there, in hex. */
function packets(framer: Framer): string[] {
  const found: string[] = [];
  while (framer.next()) found.push(toHex(framer.bytes.subarray(framer.packetStart, framer.end)));
  return found;
}

describe('bounds of packets', () => {
  const stream = hex`30 03 00 01 61 d0 00 40 02 00 01`;
  const whole = ['30 03 00 01 61', 'd0 00', '40 02 00 01'];

  it.each(splits(stream))('are found wherever a stream is cut (%#)', (head, tail) => {
    const pushed = new Framer({ protocolVersion: 5 });
    pushed.push(head.slice());
    const first = packets(pushed);
    pushed.push(tail.slice());
    expect([...first, ...packets(pushed)]).toEqual(whole);

    const filled = new Framer({ protocolVersion: 5 });
    readInto(filled, head);
    const before = packets(filled);
    readInto(filled, tail);
    expect([...before, ...packets(filled)]).toEqual(whole);
  });

  it('are found byte by byte, with a Remaining Length of four bytes too', () => {
    const large = packetOf(2_097_152, 7);
    const framer = new Framer({ protocolVersion: 5 });
    for (const byte of large.subarray(0, 100)) {
      readInto(framer, new Uint8Array([byte]));
      expect(framer.next()).toBe(false);
    }
    readInto(framer, large.subarray(100), 60_000);
    expect(framer.next()).toBe(true);
    expect([framer.header, framer.start - framer.packetStart, framer.end - framer.start]).toEqual([
      0x30, 5, 2_097_152,
    ]);
    expect(framer.next()).toBe(false);
  });

  it('are within the chunk that was pushed, which is not copied', () => {
    const { framer, slabs } = counting();
    const chunk = stream.slice();
    framer.push(chunk);
    expect(framer.next()).toBe(true);
    expect(framer.bytes).toBe(chunk);
    expect(slabs).toEqual([]);
  });
});

describe('lengths that are refused', () => {
  it('[MQTT-1.5.5-1] in more bytes than necessary, on 5.0 only', () => {
    const padded = hex`d0 80 00`;
    const framer = new Framer({ protocolVersion: 5 });
    framer.push(padded);
    expect(() => framer.next()).toThrow('[MQTT-1.5.5-1]');
    const older = new Framer({ protocolVersion: 4 });
    older.push(padded);
    expect(older.next()).toBe(true);
    expect(older.end - older.start).toBe(0);
  });

  it('longer than four bytes, as soon as the fourth has arrived', () => {
    const framer = new Framer({ protocolVersion: 4 });
    framer.push(hex`30 ff ff ff`);
    expect(framer.next()).toBe(false);
    framer.push(hex`ff`);
    expect(() => framer.next()).toThrow(expect.objectContaining({ reasonCode: 0x81 }));
  });

  it('[MQTT-3.1.2-24] above the Maximum Packet Size, before the body arrives', () => {
    const framer = new Framer({ protocolVersion: 5, maximumPacketSize: 10 });
    framer.push(hex`30 08`);
    expect(framer.next()).toBe(false);
    framer.limit(9);
    expect(() => framer.next()).toThrow(
      expect.objectContaining({
        reasonCode: 0x95,
        statement: 'MQTT-3.1.2-24',
        message: expect.stringContaining('a packet of 10 bytes exceeds the Maximum Packet Size of 9'),
      }),
    );
  });

  it('above the limit before CONNACK, which the error names', () => {
    const framer = new Framer({ protocolVersion: 5 });
    framer.limit(9, 'before CONNACK');
    framer.push(hex`20 08`);
    expect(() => framer.next()).toThrow(
      expect.objectContaining({
        reasonCode: 0x95,
        statement: '2.1.4',
        message: expect.stringContaining(
          'a packet of 10 bytes arrived before CONNACK, where the client accepts at most 9',
        ),
      }),
    );
  });

  it('no longer after the limit was lifted', () => {
    const framer = new Framer({ protocolVersion: 5 });
    framer.limit(3, 'before CONNACK');
    framer.limit(undefined);
    framer.push(hex`40 02 00 01`);
    expect(framer.next()).toBe(true);
  });
});

describe('memory', () => {
  it('is reused for reads that no payload points into', () => {
    const { framer, slabs } = counting();
    for (let i = 0; i < 1_500; i++) {
      readInto(framer, hex`40 02 00 01 40 02 00`);
      assert.equal(packets(framer).length, 1);
      readInto(framer, hex`02`);
      assert.equal(packets(framer).length, 1);
    }
    assert.deepEqual(slabs, [4 * KIB]);
  });

  it('is not reused if a payload points into it', () => {
    const { framer } = counting();
    const views: Uint8Array[] = [];
    for (let i = 0; i < 300; i++) {
      readInto(framer, packetOf(100, i & 0xff));
      expect(framer.next()).toBe(true);
      framer.retain();
      views.push(bodyOf(framer));
    }
    for (const [i, view] of views.entries()) expect(isAll(view, i & 0xff)).toBe(true);
  });

  it('doubles from 4 to 128 KiB while reads fill it', () => {
    const { framer, slabs } = counting();
    const stream = join(...Array.from({ length: 600 }, () => packetOf(1_000, 1)));
    let found = 0;
    for (let at = 0; at < stream.length;) {
      // A transport with much input fills all the memory that it gets.
      const space = framer.allocate();
      const part = stream.subarray(at, at + space.length);
      space.set(part);
      framer.commit(part.length);
      at += part.length;
      for (; framer.next(); found++) framer.retain();
    }
    expect(found).toBe(600);
    expect(slabs.slice(0, 6)).toEqual([4, 8, 16, 32, 64, 128].map((size) => size * KIB));
    expect(Math.max(...slabs)).toBe(128 * KIB);
  });

  it('is not allocated for a Remaining Length alone', () => {
    const { framer, slabs } = counting();
    readInto(framer, hex`30 ff ff ff 7f`);
    expect(framer.next()).toBe(false);
    for (let i = 0; i < 100; i++) {
      readInto(framer, new Uint8Array(100));
      expect(framer.next()).toBe(false);
    }
    expect(Math.max(...slabs)).toBeLessThanOrEqual(32 * KIB);
  });

  it('has the size of a large packet once a sixteenth of it has arrived', () => {
    const size = 4 * KIB * KIB;
    const large = packetOf(size, 3);
    const asked = counting();
    let at = 0;
    while (at < large.length) {
      const space = asked.framer.allocate();
      const count = Math.min(space.length, large.length - at);
      space.set(large.subarray(at, at + count));
      asked.framer.commit(count);
      at += count;
      asked.framer.next();
    }
    expect(bodyOf(asked.framer)).toHaveLength(size);
    expect(asked.slabs.at(-1)).toBe(large.length);
    const others = asked.slabs.slice(0, -1).reduce((sum, slab) => sum + slab, 0);
    expect(others).toBeLessThan(size / 4);
  });

  it('is dropped after a large packet', () => {
    const { framer, slabs } = counting();
    const large = packetOf(KIB * KIB, 3);
    for (let at = 0; at < large.length; at += 32 * KIB) {
      readInto(framer, large.subarray(at, at + 32 * KIB));
      framer.next();
    }
    readInto(framer, hex`d0 00`);
    expect(packets(framer)).toEqual(['d0 00']);
    expect(slabs.at(-1)).toBeLessThanOrEqual(128 * KIB);
  });
});

describe('pushing and filling mixed', () => {
  it('keeps the order when a chunk is pushed while a read is under way', () => {
    const framer = new Framer({ protocolVersion: 5 });
    readInto(framer, hex`40 02 00`);
    expect(framer.next()).toBe(false);
    const space = framer.allocate();
    framer.push(hex`01 40 02`);
    expect(packets(framer)).toEqual(['40 02 00 01']);
    space.set(hex`00 02`);
    framer.commit(2);
    expect(packets(framer)).toEqual(['40 02 00 02']);
  });

  /** The calls of a transport. */
  interface Step {
    readonly count: number;
    readonly how: 'push' | 'fill' | 'fill around a push';
    readonly drain: boolean;
    readonly pin: boolean;
  }
  const step: fc.Arbitrary<Step> = fc.record({
    count: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9_000 })),
    how: fc.constantFrom('push', 'fill', 'fill', 'fill around a push'),
    drain: fc.boolean(),
    pin: fc.boolean(),
  });

  it('finds every packet once, and never touches retained memory', () => {
    const sizes = fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 3_000 }), fc.nat({ max: 150_000 }));
    fc.assert(
      fc.property(
        fc.array(sizes, { minLength: 1, maxLength: 16 }),
        fc.array(step, { minLength: 1, maxLength: 40 }),
        (lengths, steps) => {
          const stream = join(...lengths.map((length, i) => packetOf(length, i + 1)));
          // Large streams in larger steps: only the positions of steps and packets to each other matter.
          const scale = 1 + Math.floor(stream.length / 4_000);
          const framer = new Framer({ protocolVersion: 5 });
          const kept: { view: Uint8Array; value: number }[] = [];
          let found = 0;
          let at = 0;
          const take = (count: number): Uint8Array => {
            const part = stream.slice(at, at + count);
            at += part.length;
            return part;
          };
          const drain = (pin: boolean): void => {
            while (framer.next()) {
              const body = bodyOf(framer);
              assert.equal(body.length, lengths[found]!);
              found++;
              assert.ok(isAll(body, found));
              if (pin) {
                framer.retain();
                kept.push({ view: body, value: found });
              }
            }
          };
          for (let i = 0; at < stream.length; i++) {
            const { count: unit, how, drain: drained, pin } = steps[i % steps.length]!;
            const count = unit * scale;
            if (how === 'push') {
              framer.push(take(count));
            } else {
              const space = framer.allocate();
              if (how === 'fill around a push') {
                framer.push(take(count));
                drain(pin);
              }
              const part = take(Math.min(space.length, count));
              space.set(part);
              framer.commit(part.length);
            }
            if (drained) drain(pin);
          }
          drain(true);
          assert.equal(found, lengths.length);
          for (const { view, value } of kept) assert.ok(isAll(view, value));
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('memory for packets', () => {
  it('has the requested size, is zeroed, and is returned once', () => {
    const given = Array.from({ length: 500 }, (_, i) => memoryFor(i * 5));
    for (const [i, bytes] of given.entries()) {
      assert.equal(bytes.length, i * 5);
      assert.ok(bytes.every((byte) => byte === 0));
      bytes.fill(i);
    }
    for (const [i, bytes] of given.entries()) assert.ok(bytes.every((byte) => byte === (i & 0xff)));
  });

  it('is available after a shared ArrayBuffer was transferred', () => {
    const { buffer } = memoryFor(100);
    structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    expect(memoryFor(100)).toHaveLength(100);
  });
});
