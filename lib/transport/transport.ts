/**
 * The network as the client sees it: bytes in, bytes out, and an end. A transport knows no Control Packet.
 */

/** Where a transport brings what happens to it. Nothing is called before `open()` and nothing after `closed()`. */
export interface Receiver {
  /** Memory for the next read, at least one byte of it. Asked for before each read. */
  space(): Uint8Array;
  /** The first `length` bytes of the last `space()` have been filled. */
  filled(length: number): void;
  /** Bytes in memory of their own, which nobody writes to again: for transports that cannot read into `space()`. */
  chunk(bytes: Uint8Array): void;
  /** All that was held back has been handed to the network. Called only after `heldBack` was above 0. */
  drained(): void;
  /** The connection is over; `error` says why, unless the peer closed in order. Called exactly once. */
  closed(error?: unknown): void;
}

/** One Network Connection. */
export interface Transport {
  /** Begins reading. Called once, before anything is written. */
  open(receiver: Receiver): void;
  /**
   * Sends `bytes`, which belong to the transport until it gives them back with `written(bytes)`: at once where the
   * network took them whole, later where it did not, and also when the connection broke. Never throws.
   */
  write(bytes: Uint8Array, written: (bytes: Uint8Array) => void): void;
  /** Reads nothing more until `resume()`. What was read already may still be brought. */
  pause(): void;
  /** Reads again. */
  resume(): void;
  /** How many bytes were written and not yet taken by the network. */
  readonly heldBack: number;
  /** Sends what was written, then closes. `closed()` follows. */
  end(): void;
  /** Closes now; what is held back is lost. `closed()` follows. */
  destroy(): void;
}

/** What to connect to. */
export interface Target {
  /** The scheme: decides which transport. */
  readonly protocol: 'mqtt';
  readonly host: string;
  readonly port: number;
  /** The local address to connect from. */
  readonly localAddress?: string;
}

/**
 * Opens a Network Connection. Rejects with the error of the network, or with the reason of `signal`, after which
 * nothing of the attempt is left.
 */
export type Dial = (target: Target, signal: AbortSignal) => Promise<Transport>;
