/** Lets a socket read directly into the memory of the receiver. */

import type { ConnectOpts, Socket, SocketConstructorOpts } from 'node:net';
import { copyOf } from '../bytes.ts';
import type { TransportReceiver } from './transport.ts';

/**
 * Memory that all sockets share for small reads, which are copied out of it before another socket reads: what is read is
 * reported in the same call. So a connection that brings little holds no memory to read into.
 */
const SHARED = new Uint8Array(1_024);

/**
 * The memory that a socket reads into. Node.js requires it when the socket is created, before there is a receiver. Reads
 * use the shared memory until one fills it, and from then on the memory that the receiver allocates.
 */
export class ReadTarget {
  #reads: 'small' | 'large' = 'small';
  /** Memory of the receiver for the next read. */
  #allocated: Uint8Array | undefined;
  /** Bytes that arrived before `open()`. */
  readonly #early: Uint8Array[] = [];
  #receiver: TransportReceiver | undefined;
  #socket: Socket | undefined;
  /** Options to create the socket with. */
  readonly options: SocketConstructorOpts & ConnectOpts = {
    onread: {
      buffer: () => this.#allocate(),
      callback: (length, bytes) => this.#onRead(length, bytes),
    },
  };

  /** Takes note of `socket`, which was created with `options`, and returns it. */
  attach<S extends Socket>(socket: S): S {
    this.#socket = socket;
    return socket;
  }

  open(receiver: TransportReceiver): void {
    this.#receiver = receiver;
    for (const bytes of this.#early.splice(0)) receiver.onData(bytes);
  }

  /** Called when the socket is created and after each read. */
  #allocate(): Uint8Array {
    // After `destroy()` there is no further read, and the receiver may have no memory left.
    const isSmall = this.#reads === 'small' || this.#socket?.destroyed === true;
    this.#allocated = isSmall ? undefined : this.#receiver?.allocate();
    return this.#allocated ?? SHARED;
  }

  /** Copies the bytes if the runtime has read into other memory than `#allocate()` returned. */
  #onRead(length: number, bytes: Uint8Array): boolean {
    const receiver = this.#receiver;
    if (length === SHARED.length) this.#reads = 'large';
    if (receiver !== undefined && startsWith(this.#allocated, bytes, length)) receiver.onRead(length);
    else {
      const chunk = copyOf(bytes.subarray(0, length));
      if (receiver === undefined) this.#early.push(chunk);
      else receiver.onData(chunk);
    }
    return true;
  }
}

/** Creates a socket that reads into the memory of a receiver. */
export function withReadTarget<S extends Socket>(
  create: (options: SocketConstructorOpts & ConnectOpts) => S,
): { readonly socket: S; readonly readTarget: ReadTarget } {
  const readTarget = new ReadTarget();
  return { socket: readTarget.attach(create(readTarget.options)), readTarget };
}

/** Whether the first `length` bytes of `bytes` are the first bytes of `allocated`, in the same memory. */
function startsWith(allocated: Uint8Array | undefined, bytes: Uint8Array, length: number): boolean {
  return (
    allocated?.buffer === bytes.buffer &&
    allocated.byteOffset === bytes.byteOffset &&
    allocated.length >= length
  );
}
