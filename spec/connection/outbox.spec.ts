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

function takeAll(box: Outbox): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let piece = box.take(); piece !== undefined; piece = box.take()) pieces.push(piece);
  return pieces;
}

describe('Outbox', () => {
  it('gives out all bytes in their order, whatever their sizes and whenever they are taken', () => {
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
            else if (what === 'lend') box.appendPieces(bytes);
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

  it('never writes again into a slab that was handed over', () => {
    const { box, slabs } = outbox();
    box.append(utf8('one'));
    const piece = box.take();
    box.append(utf8('two'));
    expect(piece).toEqual(utf8('one'));
    expect(slabs).toHaveLength(2);
    expect(box.take()?.buffer).not.toBe(piece?.buffer);
  });

  it('hands a lent piece over as it is, behind what was written before it', () => {
    const { box } = outbox();
    const payload = new Uint8Array(20_000);
    box.append(utf8('before'));
    box.appendPieces(utf8('header'), payload);
    expect(box.lastPiece).toBe(payload);
    box.append(utf8('after'));
    const pieces = takeAll(box);
    expect(pieces[2]).toBe(payload);
    expect([pieces[0], pieces[1], pieces[3]]).toEqual([utf8('before'), utf8('header'), utf8('after')]);
  });

  it('has a copy of its own of what is lent no longer', () => {
    const { box } = outbox();
    const [one, two] = [utf8('one'), utf8('two')];
    box.appendPieces(one);
    box.appendPieces(two);
    expect([...box.detach(one.buffer).keys()]).toEqual([one]);
    one.fill(0);
    expect(box.take()).toEqual(utf8('one'));
    const copies = box.detach();
    two.fill(0);
    expect(box.take()).toBe(copies.get(two));
    expect(copies.get(two)).toEqual(utf8('two'));
    expect(box.detach().size).toBe(0);
  });

  it('makes room for what is larger than a slab', () => {
    const { box } = outbox();
    box.reserve(SLAB_SIZE + 1);
    expect(box.bytes.length).toBe(SLAB_SIZE + 1);
  });
});
