import { createHash } from 'node:crypto';
import type { TransportReceiver, Transport } from '../../lib/transport/transport.ts';

/*
 * Receivers of a transport, and byte patterns that verify that everything arrived.
 */

/** Fills memory that must not be read any more. */
const POISON = 0xee;

/** A receiver that records what it gets, and overwrites its memory after each read. */
export class Recorder implements TransportReceiver {
  /** `drained` and `closed` events, in order. */
  readonly log: string[] = [];
  readonly pieces: Uint8Array[] = [];
  /** Resolves when the transport is closed, with the error if there is one. */
  readonly gone: Promise<unknown>;
  bytes = 0;
  /** Number of pieces that arrived in separate memory. */
  chunks = 0;
  onBytes: () => void = () => {};
  onDrained: () => void = () => {};
  #memory = new Uint8Array(0);
  #goes!: (error: unknown) => void;

  constructor() {
    this.gone = new Promise((resolve) => {
      this.#goes = resolve;
    });
  }

  allocate(): Uint8Array {
    this.#memory = new Uint8Array(10_000).fill(POISON);
    return this.#memory;
  }

  onRead(length: number): void {
    const piece = this.#memory.slice(0, length);
    this.#memory.fill(POISON);
    this.#memory = new Uint8Array(0);
    this.#take(piece);
  }

  onData(bytes: Uint8Array): void {
    this.chunks++;
    this.#take(bytes);
  }

  onDrain(): void {
    this.log.push('drained');
    this.onDrained();
  }

  onClose(error?: unknown): void {
    this.log.push('closed');
    this.#goes(error);
  }

  get text(): string {
    return Buffer.concat(this.pieces).toString();
  }

  get hash(): string {
    return hashOf(this.pieces);
  }

  /** Waits until a number of bytes have arrived. */
  until(bytes: number): Promise<void> {
    return new Promise((resolve) => {
      this.onBytes = () => {
        if (this.bytes >= bytes) resolve();
      };
      this.onBytes();
    });
  }

  #take(bytes: Uint8Array): void {
    this.pieces.push(bytes);
    this.bytes += bytes.length;
    this.onBytes();
  }
}

/** A receiver for transports that cannot read into our memory. */
export class ChunkRecorder extends Recorder {
  override allocate(): never {
    throw new Error('expected chunks, got a read into memory of ours');
  }
}

// A local name, as looking up a global is slow in a spec.
const { imul } = Math;

/** Bytes that differ at every offset. */
export function pattern(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** A hash of a byte sequence, independent of how it is split. */
export function hashOf(pieces: Iterable<Uint8Array>): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}

/** More than the kernel takes for a peer that does not read, however late a busy machine does so. */
const MORE_THAN_KERNEL_BUFFERS = 8_388_608;

/** Writes until the network is full, and stays so until the peer reads. Returns how often each piece was returned. */
export function pressUp(transport: Transport): Map<Uint8Array, number> {
  const given = new Map<Uint8Array, number>();
  const source = pattern(262_144 + 100);
  for (let i = 0; i < 100 && transport.bytesPending < MORE_THAN_KERNEL_BUFFERS; i++) {
    const piece = source.slice(i, i + 262_144);
    given.set(piece, 0);
    transport.write(piece, (bytes) => given.set(bytes, (given.get(bytes) ?? Number.NaN) + 1));
  }
  if (transport.bytesPending === 0) throw new Error('expected a network that is full, got none');
  return given;
}
