/**
 * Finds packets in a stream of bytes. `next()` only moves integers: it allocates no object per packet.
 *
 * Bytes come in two ways, which may be mixed. A transport that can read into given memory calls `allocate()`, reads into
 * it, and calls `commit(n)`. A transport with chunks of its own calls `push(chunk)`.
 *
 * ```
 *   slab   |xxxxxxxxxxxxxxx|---------|pppppppp|..............|
 *          0          retainedEnd   read     fill         capacity
 *           payloads point   done,    partial    allocate()
 *           into this        reusable packet
 * ```
 *
 * The rules of memory:
 * 1. Memory that a payload points into (`retain()`) is never moved, reused or overwritten. Pushed chunks are never
 *    written to.
 * 2. Other memory is reused: reads that bring only acknowledgements fill the same bytes again.
 * 3. A Remaining Length alone allocates nothing. Memory for a packet larger than a slab grows with the bytes that have
 *    arrived. The packet gets a slab of its own size once a sixteenth of it has arrived.
 */

import { ProtocolError } from '../errors.ts';
import { malformed } from './errors.ts';
import type { ProtocolVersion } from './packets.ts';
import { VARINT_MAX } from './varint.ts';

const SMALLEST_SLAB = 4 * 1024;
const LARGEST_SLAB = 128 * 1024;

/** A large packet gets a slab of its own size once a sixteenth of it has arrived, and at least so many bytes. */
const OWN_SLAB_MINIMUM = 64 * 1024;

const NOTHING = new Uint8Array(0);

/** The packets that a limit applies to: all of a connection, or those before its CONNACK is accepted. */
type LimitedPackets = 'always' | 'before CONNACK';

export interface FramerOptions {
  readonly protocolVersion: ProtocolVersion;
  /** In bytes, fixed header included. @default the largest size that the protocol can express */
  readonly maximumPacketSize?: number | undefined;
  readonly allocate?: ((size: number) => Uint8Array) | undefined;
  /** Called once for each pushed chunk that a payload points into: others may, too. */
  readonly protect?: ((chunk: Uint8Array) => void) | undefined;
}

export class Framer {
  protocolVersion: ProtocolVersion;

  // The packet that next() found. Plain fields, overwritten by the next call of next(), push() or allocate().

  /** The bytes that the packet is in. */
  bytes: Uint8Array = NOTHING;
  /** The first byte of the packet: type and flags. */
  header = 0;
  /** Where the first byte of the packet is. */
  packetStart = 0;
  /** Where its body begins: behind Remaining Length. */
  start = 0;
  /** Where its body ends. */
  end = 0;

  /** Bytes before this have been returned as packets. */
  #read = 0;
  /** Bytes before this have arrived. */
  #fill = 0;
  /** The largest packet that is accepted, and the packets that this limit applies to. */
  #maximum = 0;
  #limitedPackets: LimitedPackets = 'always';
  /** The size of the packet that is not complete yet; 0: not known. */
  #needed = 0;
  /** The result of #readLength(). */
  #length = 0;
  /** Pushed and committed bytes that follow `bytes`. */
  readonly #queue: Uint8Array[] = [];

  /** The slab that allocate() returns parts of. `bytes` is either this or a chunk that is only read. */
  #slab: Uint8Array = NOTHING;
  /** Payloads point into the slab before this. */
  #retainedEnd = 0;
  #slabSize = SMALLEST_SLAB;
  /** The memory that allocate() returned, until commit(), and its offset in the slab; -1: it is not in the slab. */
  #offer: Uint8Array | undefined;
  #offerAt = -1;
  readonly #allocate: (size: number) => Uint8Array;
  readonly #protect: ((chunk: Uint8Array) => void) | undefined;
  /** The last chunk that was protected. */
  #protected: Uint8Array = NOTHING;

  constructor({ protocolVersion, maximumPacketSize, allocate, protect }: FramerOptions) {
    this.protocolVersion = protocolVersion;
    this.#allocate = allocate ?? ((size) => new Uint8Array(size));
    this.#protect = protect;
    this.limit(maximumPacketSize);
  }

  /**
   * Sets the largest packet that is accepted from now on.
   * @param maximum in bytes, fixed header included; undefined: the largest that the protocol can express
   */
  limit(maximum: number | undefined, limited: LimitedPackets = 'always'): void {
    this.#maximum = maximum ?? VARINT_MAX + 5;
    this.#limitedPackets = limited;
  }

  /**
   * hot: finds the next complete packet.
   *
   * ```
   *  read                          fill
   *   |header|length 1…4|body ……    |
   * ```
   *
   * @returns false if there is none
   * @throws ProtocolError as soon as the bytes show a breach; the fields stay at the packet before it
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
   * The first byte of an incomplete packet, or -1. It allows an illegal packet to be refused before the rest of it
   * arrives. Valid after next() returned false.
   */
  get pendingHeader(): number {
    return this.#read < this.#fill ? this.bytes[this.#read]! : -1;
  }

  /** Puts the packet back: next() finds it again. */
  putBack(): void {
    this.#read = this.packetStart;
  }

  /** Reads a Remaining Length of more than one byte. @returns the offset of the body; 0: the length is incomplete */
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
        throw malformed('Remaining Length is longer than necessary', 'MQTT-1.5.5-1');
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
        `a packet of ${size} bytes arrived before CONNACK, where the client accepts at most ${maximum}`,
        '2.1.4',
        0x95,
      );
    }
    // [MQTT-3.1.2-24] "The Server MUST NOT send packets exceeding Maximum Packet Size".
    return new ProtocolError(
      `a packet of ${size} bytes exceeds the Maximum Packet Size of ${maximum}`,
      'MQTT-3.1.2-24',
      0x95,
    );
  }

  /** hot: a payload points into the packet, so its memory is not reused. */
  retain(): void {
    if (this.bytes === this.#slab && this.end > this.#retainedEnd) this.#retainedEnd = this.end; // fault: retain
    if (this.bytes !== this.#slab && this.bytes !== this.#protected) this.#protectChunk();
  }

  #protectChunk(): void {
    this.#protected = this.bytes;
    this.#protect?.(this.bytes);
  }

  /** Takes a chunk, which belongs to the framer from now on. It is copied only if a packet began before it. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    if (this.#read === this.#fill && this.#queue.length === 0) this.#adopt(chunk);
    else this.#queue.push(chunk);
  }

  /** hot: memory to read into, at least one byte. The packet that next() found is no longer valid, unless retained. */
  allocate(): Uint8Array {
    if (this.#queue.length > 0 || (this.bytes !== this.#slab && this.#read < this.#fill)) {
      // Pushed bytes, which are not in the slab, come first: read into a chunk that follows them.
      this.#offerAt = -1;
      this.#offer = this.#allocate(SMALLEST_SLAB);
    } else {
      this.#makeRoom();
      this.#offerAt = this.#fill;
      this.#offer = this.#slab.subarray(this.#fill);
    }
    return this.#offer;
  }

  /** hot: the first `count` bytes of the last allocate() have been filled. */
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
    // A chunk was pushed meanwhile and comes first. The bytes that were read stay in place, as a chunk.
    if (at >= 0 && offer.buffer === this.#slab.buffer)
      this.#retainedEnd = Math.max(this.#retainedEnd, at + count);
    this.#queue.push(offer.subarray(0, count));
  }

  #adopt(chunk: Uint8Array): void {
    // A slab that was made for a large packet is not kept.
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

  /** Moves on to the first chunk of the queue; of a packet that has begun, appends only the bytes that are missing. */
  #nextChunk(): void {
    const chunk = this.#queue[0]!;
    const partial = this.#fill - this.#read;
    if (partial === 0) {
      this.#queue.shift();
      this.#adopt(chunk);
      return;
    }
    // A read into the free part of the slab is under way: leave the slab to it.
    if (this.#offer !== undefined) {
      this.#dropSlab();
      this.#offerAt = -1;
    }
    this.#makeRoom();
    const missing = this.#needed === 0 ? 1 : this.#needed - partial;
    const count = Math.min(chunk.length, missing, this.#slab.length - this.#fill);
    this.#slab.set(chunk.subarray(0, count), this.#fill);
    this.#fill += count;
    if (count === chunk.length) this.#queue.shift();
    else this.#queue[0] = chunk.subarray(count);
  }

  /** Makes `bytes` the slab, with the incomplete packet in it and room behind. */
  #makeRoom(): void {
    const partial = this.#fill - this.#read;
    const least = this.#slabSize >> 3;
    const needed = this.#needed > partial ? this.#needed : 0;
    // Large: a slab cannot hold the packet with room to spare.
    const large = needed > this.#slabSize - least;
    const hasOwnSlab = large && partial >= Math.max(needed / 16, OWN_SLAB_MINIMUM);
    const wanted = large ? Math.min(needed - partial, least) : least;
    if (this.bytes === this.#slab && partial > 0 && this.#slab.length - this.#fill >= wanted) {
      if (!hasOwnSlab || this.#read + needed <= this.#slab.length) return;
    }
    const grown = partial + least > this.#slabSize ? 2 * partial : this.#slabSize;
    const size = hasOwnSlab ? needed : large ? Math.min(needed, Math.max(grown, 2 * partial)) : grown;
    this.#move(size, partial, wanted);
  }

  /** Moves the incomplete packet to the free part of the slab if that leaves enough room, else to a new slab. */
  #move(size: number, partial: number, wanted: number): void {
    const { bytes } = this;
    const from = this.#read;
    if (this.#slab.length !== size || size - this.#retainedEnd - partial < wanted) {
      this.#slab = this.#allocate(size);
      this.#retainedEnd = 0;
    }
    const to = this.#retainedEnd;
    // set() is correct for overlapping ranges.
    if (partial > 0) this.#slab.set(bytes.subarray(from, this.#fill), to);
    this.bytes = this.#slab;
    this.#read = to;
    this.#fill = to + partial;
  }
}
