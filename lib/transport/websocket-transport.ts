/** An open WebSocket as a transport (6). */

import type { Socket } from 'node:net';
import type * as Ws from 'ws';
import { ProtocolError, shown } from '../errors.ts';
import { nextTick } from './next-tick.ts';
import type { Flushed, Transport, TransportReceiver } from './transport.ts';
import { WriteBacklog } from './write-backlog.ts';

/**
 * Bytes of a write from which it is compressed, if compression was negotiated. Compression delays a write; a short one, such
 * as a DISCONNECT that is followed by the end, must leave at once.
 */
const MIN_COMPRESSED = 128;

/** Close codes (RFC 6455, 7.4.1) that report no error: normal, going away, none given. */
const NORMAL_CODES = [1000, 1001, 1005];
const NORMAL_CLOSURE = 1000;
const UNSUPPORTED_DATA = 1003;
/** Reported by `ws` if the connection ended without a close frame. */
const ABNORMAL_CLOSURE = 1006;

const NO_BYTES = new Uint8Array(0);

/** Converts an error of the stream for the client. */
export type Explain = (error: unknown) => unknown;

/** An open WebSocket. The data of its messages is a stream of bytes: frame boundaries have no meaning. */
export class WebSocketTransport implements Transport {
  readonly #ws: Ws.WebSocket;
  readonly #stream: Socket;
  readonly #backlog: WriteBacklog;
  #receiver: TransportReceiver | undefined;
  /** `ending`: `end()` was called. `broken`: the connection is being closed and further input is ignored. */
  #state: 'open' | 'ending' | 'broken' | 'closed' = 'open';
  /** The cause for `onClose()`. */
  #error: unknown;
  /** Whether the last read has completed a message or control frame. */
  #lastRead: 'incomplete' | 'complete' = 'incomplete';

  constructor(ws: Ws.WebSocket, stream: Socket, explain: Explain) {
    this.#ws = ws;
    this.#stream = stream;
    this.#backlog = new WriteBacklog({
      send: (bytes, done) => ws.send(bytes, { binary: true, compress: bytes.length >= MIN_COMPRESSED }, done),
      isEmpty: () => ws.bufferedAmount === 0,
      onDrain: () => this.#onDrain(),
    });
    ws.on('message', (data, isBinary) => this.#onMessage(data, isBinary));
    for (const control of ['ping', 'pong'] as const) ws.on(control, () => (this.#lastRead = 'complete'));
    // `ws` added its listener first, so it has processed the bytes before `#onRead()` is called.
    stream.on('data', () => this.#onRead());
    ws.on('error', (error) => this.#onError(error));
    ws.on('close', (code, reason) => this.#onClose(code, reason.toString()));
    // Not `stream.errored`: after `destroy()`, since Node.js 22, that can be the error of a write that was cancelled.
    stream.on('error', (error) => {
      this.#error ??= explain(error);
    });
  }

  open(receiver: TransportReceiver): void {
    this.#receiver = receiver;
    // The connection may be lost already.
    if (this.#state === 'closed') nextTick(() => receiver.onClose(this.#error));
    else this.#ws.resume();
  }

  write(bytes: Uint8Array, written: (bytes: Uint8Array, flushed?: Flushed) => void): void {
    const { readyState, OPEN } = this.#ws;
    if (this.#state === 'open' && readyState === OPEN) {
      this.#backlog.write(bytes, written);
      return;
    }
    written(bytes);
    // The server has sent a close frame but has not closed the connection.
    if (this.#state === 'open') this.#ws.terminate();
  }

  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  /** Does not include answers to pings: `ws` does not report when they have left. */
  get bytesPending(): number {
    return this.#backlog.bytes;
  }

  end(): void {
    // Before `open()` nothing is read, so the end of the server would go unnoticed.
    if (this.#receiver === undefined) this.destroy();
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    if (this.#backlog.bytes === 0) this.#sendClose();
  }

  destroy(): void {
    if (this.#state !== 'closed') this.#state = 'broken';
    this.#ws.terminate();
  }

  /** Starts a time-out of 30 s in `ws`, so it must not be called before all bytes have left. */
  #sendClose(): void {
    this.#ws.close(NORMAL_CLOSURE);
  }

  #onDrain(): void {
    if (this.#stream.destroyed) return;
    if (this.#state === 'ending') this.#sendClose();
    this.#receiver?.onDrain();
  }

  /** A message is delivered when it is complete, which may take long. Until then, each part is a sign of life. */
  #onRead(): void {
    const lastRead = this.#lastRead;
    this.#lastRead = 'incomplete';
    if (lastRead === 'incomplete' && this.#state === 'open') this.#receiver?.onData(NO_BYTES);
  }

  #onMessage(data: Ws.RawData, isBinary: boolean): void {
    this.#lastRead = 'complete';
    if (this.#state !== 'open' && this.#state !== 'ending') return;
    if (!isBinary) {
      this.#ws.close(UNSUPPORTED_DATA);
      const message = 'expected binary frames from the server, got a text frame';
      this.#fail(new ProtocolError(message, 'MQTT-6.0.0-1', 0x82));
    } else if ((data as Uint8Array).length > 0) this.#receiver?.onData(data as Uint8Array);
  }

  /** The input is not valid or too large. `ws` has sent a close frame. */
  #onError(cause: Error): void {
    if (this.#state === 'closed') return;
    const { code } = cause as Error & { code?: string };
    const suffix = code === undefined ? '' : ` (${code})`;
    this.#fail(new Error(`websocket: ${cause.message}${suffix}`, { cause }));
  }

  #fail(error: unknown): void {
    this.#error = error;
    this.#state = 'broken';
    this.#ws.terminate();
  }

  #onClose(code: number, reason: string): void {
    if (this.#error === undefined && this.#state === 'open') this.#error = closeError(code, reason);
    this.#state = 'closed';
    this.#receiver?.onClose(this.#error);
  }
}

/** The error for a close by the server; undefined for a normal one. */
function closeError(code: number, reason: string): Error | undefined {
  if (NORMAL_CODES.includes(code) && reason === '') return undefined;
  if (code === ABNORMAL_CLOSURE)
    return new Error(`websocket: the connection ended without a close frame (${code})`);
  return new Error(`websocket: the server closed with ${code}${reason === '' ? '' : `: ${shown(reason)}`}`);
}
