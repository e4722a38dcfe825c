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
  /** Those of them that are not ours: memory that a caller lent until it is taken. */
  readonly #lent = new Set<Uint8Array>();
  #lentBytes = 0;
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
    return this.#sealedBytes - this.#lentBytes + this.at;
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

  /** Puts pieces behind what is there, as they are: they must not change until the transport gives them back. */
  appendPieces(...pieces: readonly Uint8Array[]): void {
    this.#seal();
    for (const piece of pieces) {
      this.#sealed.push(piece);
      this.#sealedBytes += piece.length;
      this.#lentBytes += piece.length;
      this.#lent.add(piece);
    }
  }

  /**
   * Whoever lent memory may change it from now on: puts copies in place of the pieces that lie in `memory`, or of all
   * that are lent. Returns each of them with its copy.
   */
  detach(memory?: ArrayBufferLike): Map<Uint8Array, Uint8Array> {
    const copies = new Map<Uint8Array, Uint8Array>();
    for (const [i, piece] of this.#sealed.entries()) {
      if (!this.#lent.has(piece) || (memory !== undefined && piece.buffer !== memory)) continue;
      const copy = copyOf(piece);
      this.#sealed[i] = copy;
      this.#unlend(piece);
      copies.set(piece, copy);
    }
    return copies;
  }

  /** The newest piece complete and not yet taken. */
  get lastPiece(): Uint8Array | undefined {
    return this.#sealed.at(-1);
  }

  /** The next piece to write, or undefined where all is taken. */
  take(): Uint8Array | undefined {
    const sealed = this.#sealed.shift();
    if (sealed !== undefined) {
      this.#unlend(sealed);
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

  /** Everything left to write, oldest first. */
  takeAll(): Uint8Array[] {
    this.#seal();
    this.#traffic.bytesSent += this.#sealedBytes;
    this.#sealedBytes = 0;
    this.#lentBytes = 0;
    this.#lent.clear();
    return this.#sealed.splice(0);
  }

  #unlend(piece: Uint8Array): void {
    if (this.#lent.delete(piece)) this.#lentBytes -= piece.length;
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
