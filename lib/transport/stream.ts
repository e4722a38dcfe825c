/** A transport over a stream: a socket of TCP or TLS, or any other Duplex. */

import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import { copyOf, isBytes } from '../bytes.ts';
import { WriteBacklog } from './write-backlog.ts';
import { nextTick } from './next-tick.ts';
import type { TransportReceiver, Flushed, Transport } from './transport.ts';

/** Enough for most CONNACKs: see `Landing`. */
const FIRST_READ = 256;

/**
 * Where a socket of our own reads to: the memory of the receiver.
 *
 * A socket has to be told that when it is made, at a time when there is no receiver. Its first read therefore goes into
 * a little memory of its own; before every other read the receiver is asked.
 */
export class ReadTarget {
  readonly #first = new Uint8Array(FIRST_READ);
  /** Memory of the receiver that the next read is to fill. */
  #offered: Uint8Array | undefined;
  /** What came before there was a receiver. */
  readonly #early: Uint8Array[] = [];
  #receiver: TransportReceiver | undefined;
  #socket: Socket | undefined;
  /** For the making of the socket. */
  readonly options: SocketConstructorOpts & ConnectOpts = {
    onread: {
      buffer: () => this.#space(),
      callback: (length, bytes) => this.#read(length, bytes),
    },
  };

  /** `socket` was made with our options. */
  of(socket: Socket): void {
    this.#socket = socket;
  }

  open(receiver: TransportReceiver): void {
    this.#receiver = receiver;
    for (const bytes of this.#early.splice(0)) receiver.onData(bytes);
  }

  /** Called when the socket is made and after each read: where the next one goes. */
  #space(): Uint8Array {
    // After `destroy()` there is no next one, and the receiver may have nothing left to offer.
    this.#offered = this.#socket?.destroyed === true ? undefined : this.#receiver?.allocate();
    return this.#offered ?? this.#first;
  }

  /** Not every runtime reads into what it was offered. What was read elsewhere is copied, as it is not ours. */
  #read(length: number, bytes: Uint8Array): boolean {
    const receiver = this.#receiver;
    if (receiver !== undefined && isFilled(this.#offered, bytes, length)) receiver.onRead(length);
    else {
      const chunk = copyOf(bytes.subarray(0, length));
      if (receiver === undefined) this.#early.push(chunk);
      else receiver.onData(chunk);
    }
    return true;
  }
}

/** Whether the first `length` of `bytes` are the first of `offered`. */
function isFilled(offered: Uint8Array | undefined, bytes: Uint8Array, length: number): boolean {
  return (
    offered?.buffer === bytes.buffer && offered.byteOffset === bytes.byteOffset && offered.length >= length
  );
}

/** How a stream is read and written. */
export interface StreamOptions {
  /** Where the stream reads to, if it is a socket that was made for that. */
  readonly readTarget?: ReadTarget;
  /** What an error of the stream is for the client. @default itself */
  readonly explain?: (error: unknown) => unknown;
}

/** A stream as a transport. It takes the stream over: nobody else may read, write or end it any more. */
export class StreamTransport implements Transport {
  readonly #stream: Duplex;
  readonly #readTarget: ReadTarget | undefined;
  readonly #explain: (error: unknown) => unknown;
  readonly #holding: WriteBacklog;
  #receiver: TransportReceiver | undefined;
  /**
   * What ended the stream. That is what it emits, not what it has as `errored` at its end: since Node 22 these may be
   * writes that were cancelled because we had destroyed it.
   */
  #error: unknown;

  constructor(stream: Duplex, { readTarget, explain = (error) => error }: StreamOptions = {}) {
    this.#stream = stream;
    this.#readTarget = readTarget;
    this.#explain = explain;
    // It may have been over before anybody looked.
    this.#error = stream.errored ?? undefined;
    this.#holding = new WriteBacklog({
      // Other streams than sockets may keep what they have taken, and hand it on later.
      send: (bytes, done) => void stream.write(stream instanceof Socket ? bytes : copyOf(bytes), done),
      isEmpty: () => stream.writableLength === 0,
      drained: () => {
        if (!stream.destroyed) this.#receiver?.onDrain();
      },
    });
    // Without a listener for it, an error would be an uncaught exception. Streams may be told to go on after one
    // (`autoDestroy: false`): then nothing would follow.
    stream.on('error', (error) => {
      this.#error = error;
      stream.destroy();
    });
    // A peer that has finished sending has left: what is still held back here would only wait for it.
    stream.on('end', () => stream.destroy());
    stream.on('close', () => this.#closed());
    // What has ended before does not say so again.
    if (stream.readableEnded) stream.destroy();
  }

  open(receiver: TransportReceiver): void {
    const stream = this.#stream;
    this.#receiver = receiver;
    // Lost before it was opened: `close` has been or is about to be emitted, with or without a receiver.
    if (stream.closed) {
      nextTick(() => this.#closed());
      return;
    }
    if (this.#readTarget === undefined) stream.on('data', (chunk: unknown) => this.#chunk(chunk));
    else this.#readTarget.open(receiver);
    stream.resume();
  }

  write(bytes: Uint8Array, written: (bytes: Uint8Array, taken?: Flushed) => void): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.writableEnded) written(bytes);
    else this.#holding.write(bytes, written);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  get bytesPending(): number {
    return this.#holding.bytes;
  }

  end(): void {
    // Who does not read does not see that the peer has closed, too.
    if (this.#receiver === undefined) this.#stream.destroy();
    else this.#stream.end();
  }

  destroy(): void {
    this.#stream.destroy();
  }

  #chunk(chunk: unknown): void {
    if (isBytes(chunk)) this.#receiver?.onData(chunk);
    else
      this.#stream.destroy(new TypeError(`transport: expected bytes from the stream, got ${typeof chunk}`));
  }

  #closed(): void {
    const receiver = this.#receiver;
    // Where it was over before it was opened, `close` may be emitted all the same.
    this.#receiver = undefined;
    const error = this.#error;
    receiver?.onClose(error === undefined ? undefined : this.#explain(error));
  }
}

/**
 * A stream of bytes that is connected to a server, as the `transport` of an application may return it: a tunnel through
 * another protocol, a serial line, a socket that was made elsewhere. The stream belongs to the client from then on.
 * It has to emit `close`, as streams do unless they are told otherwise. Throws a `TypeError` for what is no Duplex.
 */
export function transportOver(stream: Duplex): Transport {
  const given = stream as Partial<Duplex> | null | undefined;
  // Not by its class: there are packages with streams of their own.
  for (const method of ['write', 'resume', 'destroy'] as const)
    if (typeof given?.[method] !== 'function')
      throw new TypeError(`transportOver: expected a Duplex, got ${typeof stream}`);
  return new StreamTransport(stream);
}

/** Resolves when `socket` emits `event`. Rejects, with the socket destroyed, when it closes before or `signal` aborts. */
export function socketEvent(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => void socket.destroy();
    const settle = (): void => {
      signal.removeEventListener('abort', abort);
      socket.off(event, up);
      socket.off('close', down);
    };
    const up = (): void => {
      settle();
      resolve();
    };
    const down = (): void => {
      settle();
      const why = socket.errored ?? new Error('the connection was closed');
      reject((signal.aborted ? signal.reason : why) as Error);
    };
    signal.addEventListener('abort', abort);
    socket.on(event, up);
    socket.on('close', down);
    if (signal.aborted) abort();
    // It may have been over before anybody looked.
    if (socket.closed) down();
  });
}

/** The outcome of `ask`. Rejects as soon as `signal` aborts: nobody waits for it any more. */
export function unlessAborted<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    ask()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort));
  });
}
