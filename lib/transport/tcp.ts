import { connect, type Socket } from 'node:net';
import type { Dial, Receiver, Transport } from './transport.ts';

/** Room for what arrives before the first `space()` was asked for: a CONNACK fits. */
const FIRST_READ = 4_096;

/**
 * TCP. Bytes are read by the kernel straight into the memory of the receiver. TCP_NODELAY is set: output leaves in whole
 * batches, so there is nothing to gain by waiting for more.
 */
export const dialTcp: Dial = (target, signal) => {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const transport = new TcpTransport(target);
    const { socket } = transport;
    const onConnect = (): void => {
      settle();
      resolve(transport);
    };
    const onError = (error: unknown): void => {
      settle();
      reject(error as Error);
    };
    const onAbort = (): void => {
      settle();
      // Nobody listens any more, and what the dying socket has to say is of no interest.
      socket.on('error', () => {});
      socket.destroy();
      reject(signal.reason as Error);
    };
    const settle = (): void => {
      socket.off('connect', onConnect);
      socket.off('error', onError);
      signal.removeEventListener('abort', onAbort);
    };
    socket.once('connect', onConnect);
    socket.once('error', onError);
    signal.addEventListener('abort', onAbort, { once: true });
  });
};

class TcpTransport implements Transport {
  readonly socket: Socket;
  #receiver: Receiver | undefined = undefined;
  #error: unknown = undefined;

  constructor(target: { readonly host: string; readonly port: number; readonly localAddress?: string }) {
    // The platform asks for memory when it makes the handle, before anybody can receive: that read has its own.
    const first = new Uint8Array(FIRST_READ);
    this.socket = connect({
      host: target.host,
      port: target.port,
      ...(target.localAddress !== undefined && { localAddress: target.localAddress }),
      noDelay: true,
      onread: {
        buffer: () => this.#receiver?.space() ?? first,
        callback: (length, bytes) => {
          if (bytes === first) this.#receiver?.chunk(first.slice(0, length));
          else this.#receiver?.filled(length);
          return true;
        },
      },
    });
    // Nothing is read before `open()`.
    this.socket.pause();
  }

  open(receiver: Receiver): void {
    this.#receiver = receiver;
    const { socket } = this;
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.once('close', () => {
      this.#receiver = undefined;
      receiver.closed(this.#error);
    });
    socket.resume();
  }

  write(bytes: Uint8Array, written: (bytes: Uint8Array) => void): void {
    const { socket } = this;
    if (socket.destroyed || socket.writableEnded) {
      written(bytes);
      return;
    }
    let given: 'no' | 'back' = 'no';
    socket.write(bytes, () => {
      if (given === 'back') return;
      written(bytes);
      if (socket.writableLength === 0 && !socket.destroyed) this.#receiver?.drained();
    });
    // The kernel has taken it all: only then is the memory free before the callback comes.
    if (socket.writableLength === 0 && !socket.destroyed) {
      given = 'back';
      written(bytes);
    }
  }

  get heldBack(): number {
    return this.socket.writableLength;
  }

  end(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }
}
