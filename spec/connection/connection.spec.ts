import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type Connection, MAXIMUM_SIZE_BEFORE_CONNACK } from '../../lib/connection/connection.ts';
import type { Negotiated } from '../../lib/connection/negotiated.ts';
import { Outbox, SLAB_SIZE } from '../../lib/connection/outbox.ts';
import { Traffic } from '../../lib/connection/traffic.ts';
import { hex, join, varint } from '../support/bytes.ts';
import { newConnection } from '../support/connections.ts';
import { utf8 } from '../support/packets.ts';

const connection = (maximumPacketSize?: number): Connection =>
  newConnection({ maximumPacketSize, properties: { topicAliasMaximum: 2 } }, {}, 1_000);

describe('Connection', () => {
  it('has no window, no Topic Aliases and no Keep Alive before CONNACK', () => {
    const { quota, aliases, keepAlive, negotiated } = connection();
    expect(quota.free).toBe(0);
    expect(aliases.outgoingMaximum).toBe(0);
    expect(keepAlive.pingDue).toBe(Infinity);
    expect(negotiated).toBeUndefined();
  });

  it('v5 U-4.9-b, MQTT-3.3.2-7 uses the values of CONNACK', () => {
    const up = connection();
    const negotiated = { keepAlive: 10, topicAliasMaximum: 4 } as Negotiated;
    up.accepted(negotiated, 7, 500, 2_000);
    expect(up.negotiated).toBe(negotiated);
    expect(up.quota.free).toBe(7);
    expect(up.aliases.outgoingMaximum).toBe(4);
    expect(up.aliases.receive(2, 'a')).toBe('a');
    expect(up.keepAlive.pingDue).toBe(11_000);
    expect(up.keepAlive.silenceFatalAt(11_000)).toBe(11_500);
  });

  it('v5 MQTT-3.1.2-24 refuses a packet above Maximum Packet Size by its Remaining Length alone', () => {
    const { framer } = connection(10);
    framer.push(Uint8Array.of(0x30, 9));
    expect(() => framer.next()).toThrow(expect.objectContaining({ reasonCode: 0x95 }));
  });

  describe('before CONNACK is accepted', () => {
    const accept = (up: Connection): void =>
      up.accepted({ keepAlive: 0, topicAliasMaximum: 0 } as Negotiated, 1, undefined, 2_000);
    /** The first bytes of a packet of `size` bytes, with a Remaining Length of three bytes. */
    const begin = (size: number): Uint8Array => join(hex`20`, varint(size - 4));

    it('accepts a packet of 1 MiB', () => {
      const { framer } = connection();
      expect(MAXIMUM_SIZE_BEFORE_CONNACK).toBe(1_048_576);
      framer.push(begin(MAXIMUM_SIZE_BEFORE_CONNACK));
      expect(framer.next()).toBe(false);
    });

    it('refuses a larger one by its Remaining Length alone', () => {
      const { framer } = connection();
      framer.push(begin(MAXIMUM_SIZE_BEFORE_CONNACK + 1));
      expect(() => framer.next()).toThrow(/1048577 bytes arrived before CONNACK/);
    });

    it('accepts it afterwards', () => {
      const up = connection();
      accept(up);
      up.framer.push(begin(MAXIMUM_SIZE_BEFORE_CONNACK + 1));
      expect(up.framer.next()).toBe(false);
    });

    it('applies a smaller maximumPacketSize, before and after', () => {
      const up = connection(1_000_000);
      up.framer.push(begin(1_000_001));
      expect(() => up.framer.next()).toThrow(/exceeds the Maximum Packet Size of 1000000/);
      accept(up);
      expect(() => up.framer.next()).toThrow(/exceeds the Maximum Packet Size of 1000000/);
    });

    it('applies a larger maximumPacketSize only afterwards', () => {
      const up = connection(2_000_000);
      up.framer.push(begin(2_000_000));
      expect(() => up.framer.next()).toThrow(/arrived before CONNACK/);
      accept(up);
      expect(up.framer.next()).toBe(false);
      const other = connection(2_000_000);
      accept(other);
      other.framer.push(begin(2_000_001));
      expect(() => other.framer.next()).toThrow(/exceeds the Maximum Packet Size of 2000000/);
    });
  });
});

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

describe('Traffic', () => {
  it('counts acknowledged messages and their round trips', () => {
    const traffic = new Traffic();
    for (const ms of [3, 9, 0]) traffic.answeredAfter(ms);
    expect([traffic.answered, traffic.roundTrips, traffic.longestRoundTrip]).toEqual([3, 12, 9]);
  });
});
