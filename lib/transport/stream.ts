/** A transport over a stream: a TCP or TLS socket, or any other Duplex. */

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { copyOf, isBytes } from '../bytes.ts';
import { nextTick } from './next-tick.ts';
import type { ReadTarget } from './read-target.ts';
import type { Flushed, Transport, TransportReceiver } from './transport.ts';
import { WriteBacklog } from './write-backlog.ts';

interface StreamOptions {
  /** Set if the stream is a socket that was created with the options of this target. */
  readonly readTarget?: ReadTarget;
  /** @default see `Transport` */
  readonly largestWrite?: number;
  /** Converts an error of the stream for the client. @default unchanged */
  readonly explain?: (error: unknown) => unknown;
}

/** A stream as a transport. It owns the stream: nobody else may read, write or end it. */
export class StreamTransport implements Transport {
  readonly largestWrite: number | undefined;
  readonly #stream: Duplex;
  readonly #readTarget: ReadTarget | undefined;
  readonly #explain: (error: unknown) => unknown;
  readonly #backlog: WriteBacklog;
  #receiver: TransportReceiver | undefined;
  /**
   * The last error that the stream emitted. Not `stream.errored`: after `destroy()`, since Node.js 22, that can be the
   * error of a write that was cancelled.
   */
  #error: unknown;

  constructor(stream: Duplex, options: StreamOptions = {}) {
    const { readTarget, largestWrite, explain = (error: unknown) => error } = options;
    this.largestWrite = largestWrite;
    this.#stream = stream;
    this.#readTarget = readTarget;
    this.#explain = explain;
    // The stream may have failed before it got here.
    this.#error = stream.errored ?? undefined;
    this.#backlog = new WriteBacklog({
      // Streams other than sockets may keep written bytes beyond the callback.
      send: (bytes, done) => void stream.write(stream instanceof Socket ? bytes : copyOf(bytes), done),
      isEmpty: () => stream.writableLength === 0,
      onDrain: () => {
        if (!stream.destroyed) this.#receiver?.onDrain();
      },
    });
    // Without a listener, an error would be an uncaught exception. With `autoDestroy: false`, the stream would stay open.
    stream.on('error', (error) => {
      this.#error = error;
      stream.destroy();
    });
    // A peer that has stopped sending has left. Pending bytes would wait for it in vain.
    stream.on('end', () => stream.destroy());
    stream.on('close', () => this.#onClose());
    // A stream that has ended already does not emit `end` again.
    if (stream.readableEnded) stream.destroy();
  }

  open(receiver: TransportReceiver): void {
    const stream = this.#stream;
    this.#receiver = receiver;
    // The connection may be lost already; `close` was then emitted before, or is about to be.
    if (stream.closed) {
      nextTick(() => this.#onClose());
      return;
    }
    if (this.#readTarget === undefined) stream.on('data', (chunk: unknown) => this.#onData(chunk));
    else this.#readTarget.open(receiver);
    stream.resume();
  }

  write(bytes: Uint8Array, written: (bytes: Uint8Array, flushed?: Flushed) => void): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.writableEnded) written(bytes);
    else this.#backlog.write(bytes, written);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  get bytesPending(): number {
    return this.#backlog.bytes;
  }

  end(): void {
    // Before `open()` nothing is read, so the end of the peer would go unnoticed.
    if (this.#receiver === undefined) this.#stream.destroy();
    else this.#stream.end();
  }

  destroy(): void {
    this.#stream.destroy();
  }

  #onData(chunk: unknown): void {
    if (isBytes(chunk)) this.#receiver?.onData(chunk);
    else
      this.#stream.destroy(new TypeError(`transport: expected bytes from the stream, got ${typeof chunk}`));
  }

  #onClose(): void {
    const receiver = this.#receiver;
    // `open()` on a closed stream schedules this too; the receiver must hear of it once.
    this.#receiver = undefined;
    const error = this.#error;
    receiver?.onClose(error === undefined ? undefined : this.#explain(error));
  }
}

/**
 * Makes a transport of a stream that is connected to a server, for the `transport` option: a tunnel through another
 * protocol, a serial line, a socket that was opened elsewhere. From then on the client owns the stream. The stream must
 * emit `close`, which it does unless it was created with `emitClose: false`.
 * @throws TypeError if `stream` is not a Duplex
 */
export function transportOver(stream: Duplex): Transport {
  const given = stream as Partial<Duplex> | null | undefined;
  // Not `instanceof`: some packages have stream classes of their own.
  for (const method of ['write', 'resume', 'destroy'] as const)
    if (typeof given?.[method] !== 'function')
      throw new TypeError(`transportOver: expected a Duplex, got ${typeof stream}`);
  return new StreamTransport(stream);
}
