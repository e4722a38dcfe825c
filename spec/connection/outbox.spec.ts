import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Traffic } from '../../lib/connection/traffic.ts';
import { Outbox, SLAB_SIZE } from '../../lib/connection/outbox.ts';
import { join } from '../support/bytes.ts';
import { utf8 } from '../support/packets.ts';

function outbox(): { box: Outbox; slabs: Uint8Array[] } {
  const slabs: Uint8Array[] = [];
  const take = (): Uint8Array => {
    const slab = new Uint8Array(SLAB_SIZE);
    slabs.push(slab);
    return slab;
  };
  return { box: new Outbox({ take }, new Traffic()), slabs };
}

/** Takes its memory away from `bytes`. */
function transfer({ buffer }: Uint8Array): void {
  structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
}

function takeAll(box: Outbox): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let piece = box.take(); piece !== undefined; piece = box.take()) pieces.push(piece);
  return pieces;
}

describe('Outbox', () => {
  it('returns all bytes in their order, in any sizes and whenever they are taken', () => {
    const size = fc.oneof(fc.nat(20), fc.integer({ min: 1, max: 80_000 }));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('copy', 'lend', 'take'), size), { maxLength: 40, size: 'max' }),
        (script) => {
          const { box } = outbox();
          const given: Uint8Array[] = [];
          const taken: Uint8Array[] = [];
          const snapshots: Uint8Array[] = [];
          for (const [i, [what, length]] of script.entries()) {
            const bytes = new Uint8Array(length).fill(i + 1);
            if (what === 'copy') box.append(bytes);
            else if (what === 'lend') box.appendByReference(bytes.subarray(0, 1), bytes.subarray(1), 7_000);
            else {
              const piece = box.take();
              if (piece !== undefined) {
                taken.push(piece);
                snapshots.push(piece.slice());
              }
              continue;
            }
            given.push(bytes);
            expect(box.size).toBe(join(...given).length - join(...taken).length);
          }
          const rest = takeAll(box);
          // Nothing was written into a piece after it had been handed over.
          expect(taken.every((piece, i) => Buffer.compare(piece, snapshots[i] as Uint8Array) === 0)).toBe(
            true,
          );
          expect(Buffer.compare(join(...taken, ...rest), join(...given))).toBe(0);
          expect(box.size).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('puts small packets into one piece', () => {
    const { box, slabs } = outbox();
    for (let i = 0; i < 100; i++) box.append(utf8('packet'));
    expect(takeAll(box).map((piece) => piece.length)).toEqual([600]);
    expect(slabs).toHaveLength(1);
  });

  it('never writes into a slab that was taken', () => {
    const { box, slabs } = outbox();
    box.append(utf8('one'));
    const piece = box.take();
    box.append(utf8('two'));
    expect(piece).toEqual(utf8('one'));
    expect(slabs).toHaveLength(2);
    expect(box.take()?.buffer).not.toBe(piece?.buffer);
  });

  it('returns a payload by reference without a copy, behind earlier bytes', () => {
    const { box } = outbox();
    const payload = new Uint8Array(20_000);
    box.append(utf8('before'));
    box.appendByReference(utf8('header'), payload, 16_000);
    const { lastPiece } = box;
    box.append(utf8('after'));
    const pieces = takeAll(box);
    expect(pieces.slice(2, 4).map((piece) => [piece.buffer, piece.length])).toEqual([
      [payload.buffer, 16_000],
      [payload.buffer, 4_000],
    ]);
    expect(pieces[3]).toBe(lastPiece);
    expect([pieces[0], pieces[1], pieces[4]]).toEqual([utf8('before'), utf8('header'), utf8('after')]);
  });

  it('replaces a payload by a copy when it is detached', () => {
    const { box } = outbox();
    const [one, two] = [utf8('one'), utf8('two')];
    box.appendByReference(utf8('1:'), one, 2);
    box.appendByReference(utf8('2:'), two, 4);
    const last = box.lastPiece as Uint8Array;
    expect([...box.detach(one.buffer).keys()]).toEqual([utf8('1:'), utf8('on'), utf8('e')]);
    one.fill(0);
    expect([box.take(), box.take(), box.take()]).toEqual([utf8('1:'), utf8('on'), utf8('e')]);
    box.take();
    const copies = box.detach();
    two.fill(0);
    expect(copies.get(last)).toEqual(utf8('two'));
    expect(box.take()).toBe(copies.get(last));
    expect(box.detach().size).toBe(0);
  });

  it('drops a packet whose memory was transferred before any of it was taken', () => {
    const { box } = outbox();
    const payload = new Uint8Array(20_000);
    box.append(utf8('before'));
    box.appendByReference(utf8('header'), payload, 16_000);
    const { lastPiece } = box;
    box.append(utf8('after'));
    transfer(payload);
    expect(box.dropUnwritable()).toBeUndefined();
    expect(box.take()).toEqual(utf8('before'));
    expect(box.dropUnwritable()).toEqual({ lastPiece, phase: 'whole' });
    expect([box.size, box.take(), box.size]).toEqual([5, utf8('after'), 0]);
  });

  it('drops everything if the memory was transferred after a part of the packet was taken', () => {
    const { box } = outbox();
    const payload = new Uint8Array(20_000);
    box.appendByReference(utf8('header'), payload, 16_000);
    const { lastPiece } = box;
    box.append(utf8('after'));
    box.take();
    box.take();
    transfer(payload);
    expect(box.dropUnwritable()).toEqual({ lastPiece, phase: 'cut' });
    expect([box.size, box.take()]).toEqual([0, undefined]);
  });

  it('takeAll() returns only packets that can be written completely', () => {
    const { box } = outbox();
    const [gone, kept] = [new Uint8Array(20_000), new Uint8Array(3)];
    box.append(utf8('one'));
    box.appendByReference(utf8('header'), gone, 16_000);
    box.appendByReference(utf8('two'), kept, 16_000);
    transfer(gone);
    expect([box.takeAll(), box.size]).toEqual([[utf8('one'), utf8('two'), kept], 0]);
    const cut = new Uint8Array(20_000);
    box.appendByReference(utf8('header'), cut, 16_000);
    box.append(utf8('after'));
    box.take();
    transfer(cut);
    expect([box.takeAll(), box.size]).toEqual([[], 0]);
  });

  it('copies no memory that was transferred', () => {
    const { box } = outbox();
    const payload = new Uint8Array(20_000);
    box.appendByReference(utf8('header'), payload, 16_000);
    transfer(payload);
    expect(box.detach().size).toBe(0);
    expect(box.dropUnwritable()).toMatchObject({ phase: 'whole' });
  });

  it('makes room for a packet larger than a slab', () => {
    const { box } = outbox();
    box.reserve(SLAB_SIZE + 1);
    expect(box.bytes.length).toBe(SLAB_SIZE + 1);
  });
});
