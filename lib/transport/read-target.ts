/** Lets a socket read directly into the memory of the receiver. */

import type { ConnectOpts, Socket, SocketConstructorOpts } from 'node:net';
import { copyOf } from '../bytes.ts';
import type { TransportReceiver } from './transport.ts';

/** Bytes of the first read: enough for most CONNACKs. */
const FIRST_READ = 256;

/**
 * The memory that a socket reads into. Node.js requires it when the socket is created, before there is a receiver. So the
 * first read uses a small buffer of the target, and every later one the memory that the receiver allocates.
 */
export class ReadTarget {
  readonly #first = new Uint8Array(FIRST_READ);
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
    this.#allocated = this.#socket?.destroyed === true ? undefined : this.#receiver?.allocate();
    return this.#allocated ?? this.#first;
  }

  /** Copies the bytes if the runtime has read into other memory than `#allocate()` returned. */
  #onRead(length: number, bytes: Uint8Array): boolean {
    const receiver = this.#receiver;
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
