import { copyOf } from '../bytes.ts';
import type { Traffic } from './traffic.ts';

/** The size of a slab, in bytes: what one write hands to the network at the most. */
export const SLAB_SIZE = 65_536;

/** Where slabs come from. They come back, once the network has taken them, without the outbox. */
export interface SlabPool {
  /** A slab of `SLAB_SIZE` bytes that nobody else uses. */
  take(): Uint8Array;
}

const NONE = new Uint8Array(0);

/** A packet of which the payload is memory that a caller lent until the transport has taken it. */
interface BorrowedPacket {
  /** All of it, and how long it was when it was lent: memory that was transferred or resized shows in its length. */
  readonly payload: Uint8Array;
  readonly length: number;
  /** The header, then the payload in slices. */
  readonly pieces: readonly Uint8Array[];
}

/** A packet that cannot be written any more. */
interface UnwritablePacket {
  readonly lastPiece: Uint8Array;
  /** `cut`: its beginning was taken. What comes behind it would be taken for the rest, so nothing can be written. */
  readonly phase: 'whole' | 'cut';
}

/**
 * Bytes to be written. Packets are put into a slab one after the other, and a slab is handed over once, as one
 * piece: from then on it belongs to the transport, and the outbox never writes into the rest of it. Large payloads
 * are handed over by reference, behind a header of their own.
 */
export class Outbox {
  readonly #pool: SlabPool;
  readonly #traffic: Traffic;
  /** Pieces complete, oldest first. */
  readonly #sealed: Uint8Array[] = [];
  #sealedBytes = 0;
  /** Those of them that belong to a packet with a lent payload. */
  readonly #borrowed = new Map<Uint8Array, BorrowedPacket>();
  #borrowedBytes = 0;
  /** The slab in hand: `reserve()` makes room in it. */
  bytes: Uint8Array = NONE;
  /** How far it is filled. */
  at = 0;

  constructor(pool: SlabPool, traffic: Traffic) {
    this.#pool = pool;
    this.#traffic = traffic;
  }

  /** Bytes waiting to be taken. */
  get size(): number {
    return this.#sealedBytes + this.at;
  }

  /** Those of them that are in memory of ours. */
  get ownSize(): number {
    return this.#sealedBytes - this.#borrowedBytes + this.at;
  }

  /** Makes room for `length` bytes from `at` on. Whoever writes them into `bytes` sets `at` behind them. */
  reserve(length: number): void {
    if (this.at + length <= this.bytes.length) return;
    this.#seal();
    this.bytes = length <= SLAB_SIZE ? this.#pool.take() : new Uint8Array(length);
  }

  /** Copies a packet in. */
  append(packet: Uint8Array): void {
    this.reserve(packet.length);
    this.bytes.set(packet, this.at);
    this.at += packet.length;
    this.#traffic.packetsSent++;
  }

  /**
   * Puts a packet behind what is there, its payload as it is, in slices of at most `most` bytes: they must not change
   * until the transport gives them back.
   */
  appendByReference(header: Uint8Array, payload: Uint8Array, most: number): void {
    this.#seal();
    const { length } = payload;
    const pieces = [header];
    for (let at = 0; at < length; at += most) pieces.push(payload.subarray(at, Math.min(at + most, length)));
    const loan = { payload, length, pieces };
    for (const piece of pieces) {
      this.#sealed.push(piece);
      this.#sealedBytes += piece.length;
      this.#borrowedBytes += piece.length;
      this.#borrowed.set(piece, loan);
    }
  }

  /**
   * Whoever lent memory may change it from now on: puts copies in place of the pieces that lie in `memory`, or of all
   * that are lent. Returns each of them with its copy.
   */
  detach(memory?: ArrayBufferLike): Map<Uint8Array, Uint8Array> {
    const copies = new Map<Uint8Array, Uint8Array>();
    for (const [i, piece] of this.#sealed.entries()) {
      const loan = this.#borrowed.get(piece);
      if (loan === undefined || !isIntact(loan)) continue;
      if (memory !== undefined && loan.payload.buffer !== memory) continue;
      const copy = copyOf(piece);
      this.#sealed[i] = copy;
      this.#forget(piece);
      copies.set(piece, copy);
    }
    return copies;
  }

  /**
   * Takes the next packet out if it cannot be written any more, as the memory of its payload was transferred or resized;
   * where that is told of too late, takes all out.
   */
  dropUnwritable(): UnwritablePacket | undefined {
    if (this.#borrowed.size === 0) return undefined;
    const [head] = this.#sealed;
    const loan = head === undefined ? undefined : this.#borrowed.get(head);
    if (loan === undefined || isIntact(loan)) return undefined;
    const { pieces, length } = loan;
    const [header] = pieces as [Uint8Array];
    const lastPiece = pieces.at(-1) as Uint8Array;
    if (head !== header) {
      this.clear();
      return { lastPiece, phase: 'cut' };
    }
    for (const piece of this.#sealed.splice(0, pieces.length)) this.#borrowed.delete(piece);
    this.#sealedBytes -= header.length + length;
    this.#borrowedBytes -= header.length + length;
    return { lastPiece, phase: 'whole' };
  }

  /** Nothing of what is here is written. */
  clear(): void {
    this.#sealed.length = 0;
    this.#sealedBytes = 0;
    this.#borrowedBytes = 0;
    this.#borrowed.clear();
    this.bytes = NONE;
    this.at = 0;
  }

  /** The newest piece complete and not yet taken. */
  get lastPiece(): Uint8Array | undefined {
    return this.#sealed.at(-1);
  }

  /** The next piece to write, or undefined where all is taken. */
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

  /** Everything left that can be written, oldest first. */
  takeAll(): Uint8Array[] {
    this.#seal();
    const pieces: Uint8Array[] = [];
    while (this.#sealed.length > 0)
      if (this.dropUnwritable() === undefined) pieces.push(this.take() as Uint8Array);
    return pieces;
  }

  #forget(piece: Uint8Array): void {
    if (this.#borrowed.delete(piece)) this.#borrowedBytes -= piece.length;
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
