/**
 * Chunks in, bounds of packets out. No object is made per packet: `next()` moves integers.
 *
 * Bytes come in two ways, which may be mixed. A transport that can read into given memory asks for `space()` and says
 * with `commit(n)` how much it filled; `push(chunk)` takes a chunk that the transport allocated.
 *
 * ```
 *   slab   |xxxxxxxxxxxxxxx|---------|pppppppp|..............|
 *          0            pinned     read     fill         capacity
 *           payloads point   done,    partial    space()
 *           into this        reusable packet
 * ```
 *
 * The rules of memory:
 * 1. What a payload points into (`pin`) is never moved, reused or overwritten. Pushed chunks are not written to at all.
 * 2. What nothing points into is reused: reads that bring only acknowledgements go to the same bytes again.
 * 3. A Remaining Length allocates nothing. Memory for a packet larger than a slab grows with what has arrived; a slab
 *    of the packet's own size is made only when a sixteenth of it is here.
 */

import { ProtocolError } from '../errors.ts';
import { malformed } from './errors.ts';
import type { ProtocolVersion } from './packets.ts';
import { VARINT_MAX } from './varint.ts';

const SMALLEST_SLAB = 4 * 1024;
const LARGEST_SLAB = 128 * 1024;

/** How much of a large packet must be here, besides a sixteenth, before it gets a slab of its own size. */
const OWN_SLAB_MINIMUM = 64 * 1024;

const NOTHING = new Uint8Array(0);

/** Which packets a limit is for: all of a connection, or those before its CONNACK is accepted. */
type LimitedPackets = 'always' | 'before CONNACK';

export interface FramerOptions {
  readonly protocolVersion: ProtocolVersion;
  /** Fixed header included. Default: what the protocol can express. */
  readonly maximumPacketSize?: number | undefined;
  readonly allocate?: ((size: number) => Uint8Array) | undefined;
}

export class Framer {
  protocolVersion: ProtocolVersion;

  // The packet that next() found. Plain fields, overwritten by the next call of next(), push() or space().

  /** What the packet is in. */
  bytes: Uint8Array = NOTHING;
  /** The first byte of the packet: type and flags. */
  header = 0;
  /** Where the first byte of the packet is. */
  packetStart = 0;
  /** Where its body begins: behind Remaining Length. */
  start = 0;
  /** Where its body ends. */
  end = 0;

  /** Bytes of `bytes` before this have been given out as packets. */
  #read = 0;
  /** Bytes of `bytes` before this have arrived. */
  #fill = 0;
  /** The largest packet that is taken, and what this limit is for. */
  #maximum = 0;
  #limitedPackets: LimitedPackets = 'always';
  /** The size of the packet that is not whole yet; 0: not known. */
  #needed = 0;
  /** What #readLength found. */
  #length = 0;
  /** Pushed and committed bytes that come behind `bytes`. */
  readonly #queue: Uint8Array[] = [];

  /** The slab that space() gives out parts of. `bytes` is either this or a chunk that is only read. */
  #slab: Uint8Array = NOTHING;
  /** Payloads point into the slab before this; what lies behind and is not held is free. */
  #retainedEnd = 0;
  /** The size of the next slab. */
  #slabSize = SMALLEST_SLAB;
  /** What space() gave out and commit() has not answered, and where it is in the slab; -1: not in it. */
  #offer: Uint8Array | undefined;
  #offerAt = -1;
  readonly #allocate: (size: number) => Uint8Array;

  constructor({ protocolVersion, maximumPacketSize, allocate }: FramerOptions) {
    this.protocolVersion = protocolVersion;
    this.#allocate = allocate ?? ((size) => new Uint8Array(size));
    this.limit(maximumPacketSize);
  }

  /**
   * Sets the largest packet that is taken from now on.
   * @param maximum in bytes, fixed header included; undefined: what the protocol can express
   */
  limit(maximum: number | undefined, limited: LimitedPackets = 'always'): void {
    this.#maximum = maximum ?? VARINT_MAX + 5;
    this.#limitedPackets = limited;
  }

  /**
   * Finds the next whole packet.
   *
   * ```
   *  read                          fill
   *   |header|length 1…4|body ……    |
   * ```
   *
   * @returns false when there is none
   * @throws ProtocolError as soon as the bytes show it; the bounds stay at the packet that came before
   */
  next(): boolean {
    for (;;) {
      const { bytes } = this;
      const at = this.#read;
      if (this.#fill - at >= 2) {
        let length = bytes[at + 1]!;
        let body = at + 2;
        if (length > 127) {
          body = this.#readLength(at);
          length = this.#length;
        }
        if (body !== 0) {
          const end = body + length;
          if (end - at > this.#maximum) throw this.#tooLarge(end - at);
          if (end <= this.#fill) {
            this.header = bytes[at]!;
            this.packetStart = at;
            this.start = body;
            this.end = end;
            this.#read = end;
            this.#needed = 0;
            return true;
          }
          this.#needed = end - at;
        }
      }
      if (this.#queue.length === 0) return false;
      this.#nextChunk();
    }
  }

  /**
   * The first byte of a packet that has begun to arrive, or -1: what cannot be is refused before the rest of it is
   * waited for. To be asked after next() found none.
   */
  get pendingHeader(): number {
    return this.#read < this.#fill ? this.bytes[this.#read]! : -1;
  }

  /** Puts the packet that next() just found back: the next call finds it again. */
  putBack(): void {
    this.#read = this.packetStart;
  }

  /** Reads a Remaining Length of more than one byte. @returns where the body begins, or 0: not all of it is here */
  #readLength(at: number): number {
    const { bytes } = this;
    let value = bytes[at + 1]! & 0x7f;
    for (let i = 2; i <= 4; i++) {
      if (at + i >= this.#fill) return 0;
      const byte = bytes[at + i]!;
      value |= (byte & 0x7f) << (7 * (i - 1));
      if (byte > 127) continue;
      // [MQTT-1.5.5-1] "MUST use the minimum number of bytes"; 3.1 and 3.1.1 have no such rule.
      if (byte === 0 && this.protocolVersion === 5)
        throw malformed('Remaining Length is padded', 'MQTT-1.5.5-1');
      this.#length = value;
      return at + i + 1;
    }
    throw malformed(
      'Remaining Length is longer than four bytes',
      this.protocolVersion === 5 ? '1.5.5' : '2.2.3',
    );
  }

  #tooLarge(size: number): ProtocolError {
    const maximum = this.#maximum;
    if (this.#limitedPackets === 'before CONNACK') {
      return new ProtocolError(
        `A packet of ${size} bytes before CONNACK was accepted; at most ${maximum} are taken`,
        '2.1.4',
        0x95,
      );
    }
    // [MQTT-3.1.2-24] "The Server MUST NOT send packets exceeding Maximum Packet Size".
    return new ProtocolError(
      `A packet of ${size} bytes exceeds the Maximum Packet Size of ${maximum}`,
      'MQTT-3.1.2-24',
      0x95,
    );
  }

  /** A payload points into the packet that next() found: its memory is not used again. */
  retain(): void {
    if (this.bytes === this.#slab && this.end > this.#retainedEnd) this.#retainedEnd = this.end;
  }

  /** Takes a chunk, which belongs to the framer from now on. It is copied only where a packet began before it. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    if (this.#read === this.#fill && this.#queue.length === 0) this.#adopt(chunk);
    else this.#queue.push(chunk);
  }

  /** Memory to read into, at least one byte. What next() found is no longer valid, unless it was pinned. */
  allocate(): Uint8Array {
    if (this.#queue.length > 0 || (this.bytes !== this.#slab && this.#read < this.#fill)) {
      // Bytes that were pushed come before these, and are not in the slab: read into a chunk that follows them.
      this.#offerAt = -1;
      this.#offer = this.#allocate(SMALLEST_SLAB);
    } else {
      this.#makeRoom();
      this.#offerAt = this.#fill;
      this.#offer = this.#slab.subarray(this.#fill);
    }
    return this.#offer;
  }

  /** The first `count` bytes of the last space() have been filled. */
  commit(count: number): void {
    const offer = this.#offer;
    const at = this.#offerAt;
    this.#offer = undefined;
    if (offer === undefined || count === 0) return;
    if (this.bytes === this.#slab && at === this.#fill && this.#queue.length === 0) {
      this.#fill += count;
      if (this.#fill === this.#slab.length && this.#slabSize < LARGEST_SLAB) this.#slabSize *= 2;
      return;
    }
    // Something was pushed meanwhile and comes first. What was read stays where it is, as a chunk of its own.
    if (at >= 0 && offer.buffer === this.#slab.buffer)
      this.#retainedEnd = Math.max(this.#retainedEnd, at + count);
    this.#queue.push(offer.subarray(0, count));
  }

  #adopt(chunk: Uint8Array): void {
    // One that was made for a large packet is not held for the next one, which may never come.
    if (this.#slab.length > LARGEST_SLAB && this.#offer === undefined) this.#dropSlab();
    this.bytes = chunk;
    this.#read = 0;
    this.#fill = chunk.length;
    this.#needed = 0;
  }

  #dropSlab(): void {
    this.#slab = NOTHING;
    this.#retainedEnd = 0;
  }

  /** Goes on to the first chunk of the queue; where a packet has begun, with only as much of it as the packet lacks. */
  #nextChunk(): void {
    const chunk = this.#queue[0]!;
    const held = this.#fill - this.#read;
    if (held === 0) {
      this.#queue.shift();
      this.#adopt(chunk);
      return;
    }
    // Someone is reading into the free part of the slab: leave the slab to them.
    if (this.#offer !== undefined) {
      this.#dropSlab();
      this.#offerAt = -1;
    }
    this.#makeRoom();
    const lacking = this.#needed === 0 ? 1 : this.#needed - held;
    const count = Math.min(chunk.length, lacking, this.#slab.length - this.#fill);
    this.#slab.set(chunk.subarray(0, count), this.#fill);
    this.#fill += count;
    if (count === chunk.length) this.#queue.shift();
    else this.#queue[0] = chunk.subarray(count);
  }

  /** Makes `bytes` the slab, with what is held of a packet in it and room behind. */
  #makeRoom(): void {
    const held = this.#fill - this.#read;
    const least = this.#slabSize >> 3;
    const needed = this.#needed > held ? this.#needed : 0;
    // A packet that a slab cannot hold with room to spare is large: memory for it is a question of its own.
    const large = needed > this.#slabSize - least;
    const earnest = large && held >= Math.max(needed / 16, OWN_SLAB_MINIMUM);
    const wanted = large ? Math.min(needed - held, least) : least;
    if (this.bytes === this.#slab && held > 0 && this.#slab.length - this.#fill >= wanted) {
      if (!earnest || this.#read + needed <= this.#slab.length) return;
    }
    const grown = held + least > this.#slabSize ? 2 * held : this.#slabSize;
    const size = earnest ? needed : large ? Math.min(needed, Math.max(grown, 2 * held)) : grown;
    this.#move(size, held, wanted);
  }

  /** Carries the held bytes to the free part of the slab if that leaves enough room, else to a new slab. */
  #move(size: number, held: number, wanted: number): void {
    const { bytes } = this;
    const from = this.#read;
    if (this.#slab.length !== size || size - this.#retainedEnd - held < wanted) {
      this.#slab = this.#allocate(size);
      this.#retainedEnd = 0;
    }
    const to = this.#retainedEnd;
    // set() is right for overlapping ranges too.
    if (held > 0) this.#slab.set(bytes.subarray(from, this.#fill), to);
    this.bytes = this.#slab;
    this.#read = to;
    this.#fill = to + held;
  }
}
