import { copyOf } from '../bytes.ts';
import type { Traffic } from './traffic.ts';

/** The size of a slab in bytes, and so the most that one write hands to the network, apart from large payloads. */
export const SLAB_SIZE = 65_536;

/** The size of the memory that output begins in, in bytes. Most clients write less than this in one turn. */
export const FIRST_SLAB_SIZE = 1_024;

/** Gives out slabs. The transport's owner returns them, after they have been written. */
export interface SlabPool {
  /** A slab of `size` bytes, `FIRST_SLAB_SIZE` or `SLAB_SIZE`, that nobody else uses. */
  take(size: number): Uint8Array;
}

const NONE = new Uint8Array(0);

/** A packet whose payload is passed by reference: the memory stays its owner's. */
interface BorrowedPacket {
  readonly payload: Uint8Array;
  /** The length of the payload when it was appended: it differs once the memory was transferred or resized. */
  readonly length: number;
  /** The header, then the payload in slices. */
  readonly pieces: readonly Uint8Array[];
}

interface UnwritablePacket {
  readonly lastPiece: Uint8Array;
  /** `cut`: a part of it was taken. Anything written now would be read as the rest of it. */
  readonly phase: 'whole' | 'cut';
}

/**
 * Bytes to be written. Packets are put into a slab one after the other: a small one first, whose content moves to a large
 * one when it is full. A slab is taken once, as one piece: then it belongs to the transport, and the outbox does not write
 * into the rest of it. Large payloads are passed by reference, behind a header in a piece of its own.
 */
export class Outbox {
  readonly #pool: SlabPool;
  readonly #traffic: Traffic;
  /** Complete pieces, oldest first. */
  readonly #sealed: Uint8Array[] = [];
  #sealedBytes = 0;
  /** Complete pieces of packets whose payload is passed by reference. */
  #borrowed: Map<Uint8Array, BorrowedPacket> | undefined = undefined;
  #borrowedBytes = 0;
  /** The present slab: `reserve()` makes room in it. */
  bytes: Uint8Array = NONE;
  /** How far the slab is filled. */
  at = 0;

  constructor(pool: SlabPool, traffic: Traffic) {
    this.#pool = pool;
    this.#traffic = traffic;
  }

  /** Bytes that wait to be taken. */
  get size(): number {
    return this.#sealedBytes + this.at;
  }

  /** Those of them in memory of the client. */
  get ownSize(): number {
    return this.#sealedBytes - this.#borrowedBytes + this.at;
  }

  /** hot: makes room for `length` bytes from `at` on. The caller writes them into `bytes` and moves `at` behind them. */
  reserve(length: number): void {
    if (this.at + length > this.bytes.length) this.#makeRoom(length);
  }

  /** Copies a packet in. */
  append(packet: Uint8Array): void {
    this.reserve(packet.length);
    this.bytes.set(packet, this.at);
    this.at += packet.length;
    this.#traffic.packetsSent++;
  }

  /**
   * Appends a packet without copying its payload, in slices of at most `most` bytes. The payload must not change before
   * the last slice has been written.
   */
  appendByReference(header: Uint8Array, payload: Uint8Array, most: number): void {
    this.#seal();
    const { length } = payload;
    const pieces = [header];
    for (let at = 0; at < length; at += most) pieces.push(payload.subarray(at, Math.min(at + most, length)));
    const packet = { payload, length, pieces };
    const borrowed = (this.#borrowed ??= new Map());
    for (const piece of pieces) {
      this.#sealed.push(piece);
      this.#sealedBytes += piece.length;
      this.#borrowedBytes += piece.length;
      borrowed.set(piece, packet);
    }
  }

  /**
   * Puts copies in place of the pieces that lie in `memory`, or of all that are passed by reference, so that their owner
   * may change them. Returns each such piece with its copy.
   */
  detach(memory?: ArrayBufferLike): Map<Uint8Array, Uint8Array> {
    const copies = new Map<Uint8Array, Uint8Array>();
    for (const [i, piece] of this.#sealed.entries()) {
      const packet = this.#borrowed?.get(piece);
      if (packet === undefined || !isIntact(packet)) continue;
      if (memory !== undefined && packet.payload.buffer !== memory) continue;
      const copy = copyOf(piece);
      this.#sealed[i] = copy;
      this.#forget(piece);
      copies.set(piece, copy);
    }
    return copies;
  }

  /**
   * Removes the next packet if the memory of its payload was transferred or resized. If a part of the packet was taken
   * already, removes everything.
   */
  dropUnwritable(): UnwritablePacket | undefined {
    if ((this.#borrowed?.size ?? 0) === 0) return undefined;
    const [head] = this.#sealed;
    const packet = head === undefined ? undefined : this.#borrowed?.get(head);
    if (packet === undefined || isIntact(packet)) return undefined;
    const { pieces, length } = packet;
    const [header] = pieces as [Uint8Array];
    const lastPiece = pieces.at(-1) as Uint8Array;
    if (head !== header) {
      this.clear();
      return { lastPiece, phase: 'cut' };
    }
    for (const piece of this.#sealed.splice(0, pieces.length)) this.#borrowed?.delete(piece);
    this.#sealedBytes -= header.length + length;
    this.#borrowedBytes -= header.length + length;
    return { lastPiece, phase: 'whole' };
  }

  clear(): void {
    this.#sealed.length = 0;
    this.#sealedBytes = 0;
    this.#borrowedBytes = 0;
    this.#borrowed = undefined;
    this.bytes = NONE;
    this.at = 0;
  }

  /** The newest complete piece. */
  get lastPiece(): Uint8Array | undefined {
    return this.#sealed.at(-1);
  }

  /** hot: removes and returns the next piece to write; undefined: there is none. */
  take(): Uint8Array | undefined {
    const sealed = this.#sealed.shift();
    if (sealed !== undefined) {
      this.#forget(sealed);
      this.#sealedBytes -= sealed.length;
      this.#traffic.bytesSent += sealed.length;
      return sealed;
    }
    if (this.at === 0) return undefined;
    const piece = this.bytes.subarray(0, this.at);
    this.#traffic.bytesSent += this.at;
    this.bytes = NONE;
    this.at = 0;
    return piece;
  }

  /** Removes and returns every piece that can be written, oldest first. */
  takeAll(): Uint8Array[] {
    this.#seal();
    const pieces: Uint8Array[] = [];
    while (this.#sealed.length > 0)
      if (this.dropUnwritable() === undefined) pieces.push(this.take() as Uint8Array);
    return pieces;
  }

  #makeRoom(length: number): void {
    const { bytes, at } = this;
    if (at > 0 && bytes.length === FIRST_SLAB_SIZE && at + length <= SLAB_SIZE) {
      this.bytes = this.#pool.take(SLAB_SIZE);
      this.bytes.set(bytes.subarray(0, at));
      return;
    }
    this.#seal();
    if (length > SLAB_SIZE) this.bytes = new Uint8Array(length);
    else this.bytes = this.#pool.take(length <= FIRST_SLAB_SIZE ? FIRST_SLAB_SIZE : SLAB_SIZE);
  }

  #forget(piece: Uint8Array): void {
    if (this.#borrowed?.delete(piece) === true) this.#borrowedBytes -= piece.length;
  }

  #seal(): void {
    if (this.at > 0) {
      this.#sealed.push(this.bytes.subarray(0, this.at));
      this.#sealedBytes += this.at;
    }
    this.bytes = NONE;
    this.at = 0;
  }
}

function isIntact({ payload, length }: BorrowedPacket): boolean {
  return payload.length === length;
}
