/** MQTT over TCP (§4.2). */

import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import type { Dial, Receiver, Target, Transport } from './transport.ts';

/** Enough for most CONNACKs: see `#first`. */
const FIRST_READ = 256;

/**
 * Opens a TCP connection. An address that is being looked up when `signal` aborts is looked up to the end, as the
 * platform cannot call that off; nobody hears of it any more.
 */
export const dialTcp: Dial = async (target, signal) => {
  signal.throwIfAborted();
  const transport = new TcpTransport();
  await transport.connect(target, signal);
  return transport;
};

/**
 * A `net.Socket` that reads straight into the memory of the receiver.
 *
 * A socket has to be told where to read to when it is made, at a time when there is no receiver. It is therefore
 * paused until `open()`, and its first read goes into a little memory of its own; before every other read the
 * receiver is asked.
 */
class TcpTransport implements Transport {
  readonly #socket: Socket;
  readonly #first = new Uint8Array(FIRST_READ);
  #receiver: Receiver | undefined;
  #error: unknown;
  /** Writes that the network did not take at once and has not finished yet. */
  #unfinished = 0;

  constructor() {
    const options: SocketConstructorOpts & ConnectOpts = {
      onread: {
        buffer: () => this.#space(),
        callback: (length, bytes) => this.#read(length, bytes),
      },
    };
    const socket = new Socket(options);
    this.#socket = socket;
    socket.pause();
    // To be said before the connection is there; an option of connect() would not do it.
    socket.setNoDelay(true);
    // Without a listener for it, an error would be an uncaught exception. `close` always follows.
    socket.on('error', (error) => {
      this.#error = error;
    });
    // A peer that has finished sending has left: what is still held back here would only wait for it.
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#receiver?.closed(this.#error));
  }

  /** Resolves with the connection. When it rejects, the socket is closed. */
  connect({ host, port, localAddress }: Target, signal: AbortSignal): Promise<void> {
    const socket = this.#socket;
    try {
      socket.connect({ host, port, ...(localAddress !== undefined && { localAddress }) });
    } catch (error) {
      // An address that is none is refused at once, and leaves the socket as it was.
      socket.destroy(error as Error);
    }
    return new Promise((resolve, reject) => {
      const abort = (): void => void socket.destroy();
      const settle = (): void => {
        signal.removeEventListener('abort', abort);
        socket.off('connect', up);
        socket.off('close', down);
      };
      const up = (): void => {
        settle();
        resolve();
      };
      const down = (): void => {
        settle();
        reject((signal.aborted ? signal.reason : explained(this.#error)) as Error);
      };
      signal.addEventListener('abort', abort);
      socket.on('connect', up);
      socket.on('close', down);
    });
  }

  open(receiver: Receiver): void {
    this.#receiver = receiver;
    // Lost before it was opened: `close` has been or is about to be emitted, with or without a receiver.
    if (this.#socket.closed) process.nextTick(() => receiver.closed(this.#error));
    else this.#socket.resume();
  }

  write(bytes: Uint8Array, written: (bytes: Uint8Array) => void): void {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) {
      written(bytes);
      return;
    }
    let isHeld = false;
    socket.write(bytes, () => {
      if (isHeld) this.#finished(bytes, written);
    });
    // Only where nothing at all is left has the kernel taken a copy. Else the socket keeps a reference to `bytes`.
    if (socket.writableLength === 0) {
      written(bytes);
    } else {
      isHeld = true;
      this.#unfinished++;
    }
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  get heldBack(): number {
    return this.#socket.writableLength;
  }

  end(): void {
    // Who does not read does not see that the peer has closed, too.
    if (this.#receiver === undefined) this.#socket.destroy();
    else this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Called when the socket is made and after each read: where the next one goes. */
  #space(): Uint8Array {
    // After `destroy()` there is no next one, and the receiver may have nothing left to offer.
    return this.#receiver === undefined || this.#socket.destroyed ? this.#first : this.#receiver.space();
  }

  #read(length: number, bytes: Uint8Array): boolean {
    if (bytes === this.#first) this.#receiver?.chunk(bytes.subarray(0, length));
    else this.#receiver?.filled(length);
    return true;
  }

  /** A write that had to wait is done, or has failed. */
  #finished(bytes: Uint8Array, written: (bytes: Uint8Array) => void): void {
    this.#unfinished--;
    written(bytes);
    if (this.#unfinished === 0 && !this.#socket.destroyed) this.#receiver?.drained();
  }
}

/** Where several addresses were tried, Node lists what happened to each, but leaves the message empty. */
function explained(error: unknown): unknown {
  if (!(error instanceof Object && 'errors' in error && Array.isArray(error.errors))) return error;
  const several = error as AggregateError;
  if (several.message === '') several.message = several.errors.map((each: Error) => each.message).join('; ');
  return several;
}
