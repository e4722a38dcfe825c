import { describe, expect, it } from '@jest/globals';
import type { Transport } from '../../lib/transport/transport.ts';
import { ChunkRecorder, hashOf, pattern, pressUp, Recorder } from './receivers.ts';

describe('a recorder', () => {
  it('records received bytes, in any memory, and events', async () => {
    const recorder = new Recorder();
    const all = recorder.until(5);
    recorder.allocate().set([1, 2, 3]);
    recorder.onRead(3);
    recorder.onData(Uint8Array.of(4, 5));
    await all;
    recorder.onDrain();
    recorder.onClose('rain');
    expect(recorder.pieces.map((piece) => [...piece])).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
    expect(recorder.chunks).toBe(1);
    expect(recorder.log).toEqual(['drained', 'closed']);
    expect(await recorder.gone).toBe('rain');
  });

  it('overwrites its memory after reading it', () => {
    const recorder = new Recorder();
    const memory = recorder.allocate();
    memory.set([1, 2, 3]);
    recorder.onRead(3);
    expect(new Set(memory)).toEqual(new Set([0xee]));
  });

  it('has none for those who may not read into it', () => {
    expect(() => new ChunkRecorder().allocate()).toThrow('expected chunks');
  });
});

describe('a pattern', () => {
  it('differs at every offset, and with another seed', () => {
    const hashes = [pattern(100), pattern(100, 2), pattern(101), pattern(101).subarray(1)];
    expect(new Set(hashes.map((bytes) => hashOf([bytes]))).size).toBe(hashes.length);
    expect(hashOf([pattern(100).subarray(0, 7), pattern(100).subarray(7)])).toBe(hashOf([pattern(100)]));
  });
});

describe('pressUp()', () => {
  it('counts how often each piece is returned, and throws for a network that is never full', () => {
    const back: (() => void)[] = [];
    const network = {
      bytesPending: 0,
      write(bytes: Uint8Array, written: (bytes: Uint8Array) => void): void {
        this.bytesPending += bytes.length;
        back.push(() => written(bytes));
      },
    };
    const given = pressUp(network as unknown as Transport);
    expect(given.size).toBe(32);
    for (const give of back) give();
    back[0]?.();
    expect([...given.values()]).toEqual([2, ...Array.from({ length: 31 }, () => 1)]);
    const quick = { bytesPending: 0, write: () => {} };
    expect(() => pressUp(quick as unknown as Transport)).toThrow('expected a network that is full');
  });
});
