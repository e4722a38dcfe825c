import type { TransportReceiver, Transport } from '../../lib/transport/transport.ts';
import type { FakeClock } from './fake-clock.ts';

/** Behaviour of a connection in memory. All of it can be changed while the connection is open. */
export interface Link {
  /** ms that bytes are in transit. */
  latency: number;
  /** Maximum bytes of the next read: determines how the stream is split. */
  chunks: () => number;
  /**
   * Bytes that the network copies, so that it returns the originals at once. It keeps bytes beyond this limit
   * uncopied: writing to them before they are returned corrupts what arrives.
   */
  room: number;
  /** While true, nothing arrives at either end. */
  isFrozen: boolean;
}

interface Segment {
  bytes: Uint8Array;
  /** Number of bytes that have not arrived, even if their memory was returned. */
  left: number;
  readonly at: number;
  /** Returns the original, unless `bytes` is a copy. */
  readonly written: (() => void) | undefined;
}

/** One end of a connection in memory. */
export class MemoryEnd implements Transport {
  readonly #clock: FakeClock;
  readonly #link: Link;
  /** Bytes that this end has written and the other has not received, oldest first. */
  #sent: Segment[] = [];
  #copied = 0;
  #bytesPending = 0;
  #reads: 'what comes' | 'not now' = 'what comes';
  #receiver: TransportReceiver | undefined;
  #peer: MemoryEnd = this;
  #state: 'open' | 'ending' | 'closed' = 'open';
  #isMoving = false;

  constructor(clock: FakeClock, link: Link) {
    this.#clock = clock;
    this.#link = link;
  }

  /** Creates both ends of a connection. */
  static pair(clock: FakeClock, link: Link): [MemoryEnd, MemoryEnd] {
    const [one, other] = [new MemoryEnd(clock, link), new MemoryEnd(clock, link)];
    one.#peer = other;
    other.#peer = one;
    return [one, other];
  }

  open(receiver: TransportReceiver): void {
    this.#receiver = receiver;
    if (this.#state === 'closed') this.#clock.wakeAt(this.#clock.now(), () => receiver.onClose());
    else this.#peer.move();
  }

  write(bytes: Uint8Array, written: (bytes: Uint8Array) => void): void {
    if (this.#state !== 'open') return written(bytes);
    const at = this.#clock.now() + this.#link.latency;
    if (this.#bytesPending === 0 && this.#copied + bytes.length <= this.#link.room) {
      this.#copied += bytes.length;
      this.#sent.push({ bytes: bytes.slice(), left: bytes.length, at, written: undefined });
      written(bytes);
    } else {
      this.#bytesPending += bytes.length;
      this.#sent.push({ bytes, left: bytes.length, at, written: () => written(bytes) });
    }
    this.move();
  }

  pause(): void {
    this.#reads = 'not now';
  }

  resume(): void {
    this.#reads = 'what comes';
    this.#peer.move();
  }

  get bytesPending(): number {
    return this.#bytesPending;
  }

  end(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    this.move();
  }

  destroy(): void {
    if (this.#state === 'closed') return;
    const lost = this.#sent.filter(({ written }) => written !== undefined);
    this.#sent = this.#sent.filter(({ written }) => written === undefined);
    this.#clock.wakeAt(this.#clock.now(), () => this.#receiver?.onClose());
    this.#state = 'closed';
    this.#bytesPending = 0;
    for (const { written } of lost) written?.();
    this.move();
  }

  /** Breaks the connection: both ends are closed, and bytes in transit are lost. */
  drop(error?: unknown): void {
    for (const end of [this, this.#peer]) end.#break(error);
  }

  /** Delivers bytes in transit when they are due. Call it when the link has changed. */
  move(): void {
    if (this.#isMoving || this.#link.isFrozen || this.#peer.#state === 'closed') return;
    if (this.#peer.#reads === 'not now') return;
    const [first] = this.#sent;
    if (first === undefined ? this.#state === 'open' : this.#peer.#receiver === undefined) return;
    this.#isMoving = true;
    const at = first?.at ?? this.#clock.now() + this.#link.latency;
    this.#clock.wakeAt(Math.max(at, this.#clock.now()), () => {
      this.#isMoving = false;
      if (this.#link.isFrozen || this.#peer.#state === 'closed' || this.#peer.#reads === 'not now') return;
      if (first === undefined) for (const end of [this.#peer, this]) end.#break(undefined); // end of the stream
      else if (first === this.#sent[0]) this.#arrive(first);
      this.move();
    });
  }

  /** Performs one read at the other end. */
  #arrive(segment: Segment): void {
    const receiver = this.#peer.#receiver as TransportReceiver;
    const space = receiver.allocate();
    const length = Math.min(space.length, segment.bytes.length, Math.max(1, this.#link.chunks()));
    // Memory that was transferred before it was flushed never arrives.
    const isLast = length === segment.bytes.length;
    if (length > 0) {
      space.set(segment.bytes.subarray(0, length));
      segment.bytes = segment.bytes.subarray(length);
    }
    const moved = isLast ? segment.left : length;
    segment.left -= moved;
    if (segment.written === undefined) this.#copied -= moved;
    else this.#bytesPending -= moved;
    if (isLast) this.#sent.shift();
    receiver.onRead(length);
    if (!isLast) return;
    segment.written?.();
    if (segment.written !== undefined && this.#bytesPending === 0 && this.#state === 'open')
      this.#receiver?.onDrain();
  }

  #break(error: unknown): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    const lost = this.#sent;
    this.#sent = [];
    this.#bytesPending = 0;
    this.#receiver?.onClose(error);
    for (const { written } of lost) written?.();
  }
}

/** A connection in memory. By default it has no latency, 64 KiB of room, and does not split the stream. */
export function memoryPair(
  clock: FakeClock,
  options: Partial<Link> = {},
): { client: MemoryEnd; server: MemoryEnd; link: Link } {
  const link: Link = { latency: 0, chunks: () => Infinity, room: 65_536, isFrozen: false, ...options };
  const [client, server] = MemoryEnd.pair(clock, link);
  return { client, server, link };
}
