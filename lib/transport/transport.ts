/**
 * The network as the client sees it: bytes in, bytes out, and an end. A transport knows no Control Packet.
 */

import type { AttemptContext, ProxyOptions, SocketOptions, TlsOptions, WebSocketOptions } from './options.ts';

/** Where a transport brings what happens to it. Nothing is called before `open()` and nothing after `closed()`. */
export interface TransportReceiver {
  /** Memory for the next read, at least one byte of it. Asked for before each read. */
  allocate(): Uint8Array;
  /** The first `length` bytes of the last `space()` have been filled. */
  onRead(length: number): void;
  /**
   * Bytes in memory of their own, which nobody writes to again: for transports that cannot read into `space()`. No bytes
   * where something has arrived that can be brought only when more has: a sign of life.
   */
  onData(bytes: Uint8Array): void;
  /** All that was held back has been handed to the network. Called only after `heldBack` was above 0. */
  onDrain(): void;
  /** The connection is over; `error` says why, unless the peer closed in order. Called exactly once. */
  onClose(error?: unknown): void;
}

/** Whether the network took bytes as they came, or had no room for them at first. */
export type Flushed = 'at-once' | 'later';

/** One Network Connection. */
export interface Transport {
  /** Begins reading. Called once, before anything is written. */
  open(receiver: TransportReceiver): void;
  /**
   * Sends `bytes`, which belong to the transport until it gives them back with `written(bytes)`: at once where the
   * network took them whole, later where it did not, and also when the connection broke. Never throws. `taken` is for
   * transports that are told late of what the network took at once: what is given back later counts as held back, and
   * what was held back and has left is a sign of life of the other side.
   */
  write(bytes: Uint8Array, written: (bytes: Uint8Array, taken?: Flushed) => void): void;
  /**
   * Reads nothing more until `resume()`. What was read already may still be brought; the client closes the connection of a
   * transport that goes on to bring more than 128 MiB.
   */
  pause(): void;
  /** Reads again. */
  resume(): void;
  /** How many bytes were written and not yet taken by the network. */
  readonly bytesPending: number;
  /** Sends what was written, then closes. `closed()` follows. */
  end(): void;
  /** Closes now; what is held back is lost. `closed()` follows. */
  destroy(): void;
}

/** The scheme of a URL: which transport. */
export type Protocol = 'mqtt' | 'mqtts' | 'ws' | 'wss' | 'mqtt+unix';

/** What to connect to. */
export interface DialTarget {
  readonly protocol: Protocol;
  /** A name or an address, an IPv6 address without brackets; empty for a Unix socket. */
  readonly host: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** `ws`, `wss`: path and query; `mqtt+unix`: the file of the socket. Absent otherwise. */
  readonly path?: string;
  /** The local address to connect from. */
  readonly localAddress?: string;
}

/**
 * Opens a Network Connection. Rejects with the error of the network, or with the reason of `signal`, after which
 * nothing of the attempt is left.
 */
export type Dial = (target: DialTarget, signal: AbortSignal) => Promise<Transport>;

/** A target, and how to get there. */
export interface DialOptions extends DialTarget, Omit<SocketOptions, 'localAddress'> {
  readonly tls?: TlsOptions;
  readonly ws?: WebSocketOptions;
  readonly proxy?: ProxyOptions | 'environment';
}

/** How far an attempt has come on its dialOptions: where it fails, that is its phase. */
export type DialPhase = 'dial' | 'tls' | 'websocket';

/** One attempt on its dialOptions. */
export interface DialContext extends AttemptContext {
  /** 3 = MQTT 3.1, 4 = MQTT 3.1.1, 5 = MQTT 5.0: WebSocket has a subprotocol of its own for 3.1. */
  readonly protocolVersion: number;
  /** The next leg begins. */
  onPhase(phase: DialPhase): void;
}

/** A `Dial` of our own. */
export type OpenTransport = (
  dialOptions: DialOptions,
  signal: AbortSignal,
  context: DialContext,
) => Promise<Transport>;
