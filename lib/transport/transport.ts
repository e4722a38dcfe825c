/** A Network Connection as the client sees it: bytes in, bytes out, and an end. Transports know no Control Packets. */

import type { AttemptContext, ProxyOptions, SocketOptions, TlsOptions, WebSocketOptions } from './options.ts';

/** Receives the events of a transport. No method is called before `open()` or after `onClose()`. */
export interface TransportReceiver {
  /** Returns memory for the next read, at least one byte. Called before each read. */
  allocate(): Uint8Array;
  /** `length` bytes were read into the start of the memory that `allocate()` returned last. */
  onRead(length: number): void;
  /**
   * Bytes arrived in memory that nobody writes to again. For transports that cannot read into the memory of
   * `allocate()`. An empty array reports input that cannot be delivered before more of it has arrived; it counts as a
   * sign of life.
   */
  onData(bytes: Uint8Array): void;
  /** `bytesPending` is 0 again. Called only after it was above 0. */
  onDrain(): void;
  /** The connection has ended. `error` is the cause; undefined if the peer closed normally. Called exactly once. */
  onClose(error?: unknown): void;
}

/** Whether the network accepted written bytes at once or had no room for them at first. */
export type Flushed = 'at-once' | 'later';

/** One Network Connection. */
export interface Transport {
  /** Starts reading. Called once, before the first `write()`. */
  open(receiver: TransportReceiver): void;
  /**
   * Sends `bytes`. The transport owns them until it calls `written(bytes)`, exactly once for each write, also if the
   * connection breaks: before `write()` returns if the network accepted all of them, otherwise later. Must not throw.
   *
   * Pass `flushed` if the transport learns late that the network accepted the bytes at once. Without it, a later call
   * means that the bytes had to wait; their departure then counts as a sign of life of the peer.
   */
  write(bytes: Uint8Array, written: (bytes: Uint8Array, flushed?: Flushed) => void): void;
  /**
   * Stops reading until `resume()`. Bytes that were read before may still be delivered; the client closes the connection
   * if that exceeds 128 MiB.
   */
  pause(): void;
  /** Starts reading again. */
  resume(): void;
  /** Written bytes that the network has not accepted yet. */
  readonly bytesPending: number;
  /**
   * Bytes that one write may have while the network is quick. Leave it out if the transport copies, encrypts or frames each
   * write as a whole.
   * @default 262144
   */
  readonly largestWrite?: number | undefined;
  /** Sends all pending bytes, then closes. `onClose()` follows. */
  end(): void;
  /** Closes immediately and drops all pending bytes. `onClose()` follows. */
  destroy(): void;
}

/** The scheme of a server URL. It selects the transport. */
export type Protocol = 'mqtt' | 'mqtts' | 'ws' | 'wss' | 'mqtt+unix';

/** The server to connect to. */
export interface DialTarget {
  readonly protocol: Protocol;
  /** A host name or an IP address, IPv6 without brackets; empty for a Unix socket. */
  readonly host: string;
  /** The TCP port; 0 for a Unix socket. */
  readonly port: number;
  /** `ws` and `wss`: path and query of the URL. `mqtt+unix`: the file of the socket. Otherwise absent. */
  readonly path?: string;
  /** The local IP address to connect from. @default chosen by the system */
  readonly localAddress?: string;
}

/**
 * Opens a Network Connection. If `signal` aborts, it must reject with `signal.reason` and release everything it has
 * opened. Otherwise it rejects with the error of the network.
 */
export type Dial = (target: DialTarget, signal: AbortSignal) => Promise<Transport>;

/** The server to connect to, with the network options. */
export interface DialOptions extends DialTarget, Omit<SocketOptions, 'localAddress'> {
  readonly tls?: TlsOptions;
  readonly ws?: WebSocketOptions;
  readonly proxy?: ProxyOptions | 'environment';
}

/** The phase of opening a Network Connection: the `phase` of the error if it fails there. */
export type DialPhase = 'dial' | 'tls' | 'websocket';

/** The context of one attempt. */
export interface DialContext extends AttemptContext {
  /** 3 = MQTT 3.1, 4 = MQTT 3.1.1, 5 = MQTT 5.0. Selects the WebSocket subprotocol. */
  readonly protocolVersion: number;
  /** Called when a phase begins. */
  onPhase(phase: DialPhase): void;
}

/** Opens a Network Connection over the built-in transports. On abort of `context.signal` it behaves like a {@link Dial}. */
export type OpenTransport = (dialOptions: DialOptions, context: DialContext) => Promise<Transport>;
