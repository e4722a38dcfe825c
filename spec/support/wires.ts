import type { Socket } from 'node:net';
import type { FakeClock } from './fake-clock.ts';
import type { MemoryEnd } from './memory-transport.ts';

/** Who is at the end of a wire. */
export interface WireEnd {
  /** Bytes came; they are the receiver's to keep. */
  receive(bytes: Uint8Array): void;
  /** The connection is over. */
  lost(): void;
}

/** What a scripted broker needs of a connection. */
export interface Wire {
  write(bytes: Uint8Array): void;
  /** Closes it after what was written. */
  end(): void;
  /** Breaks it, with an error at the other end. */
  reset(): void;
  /** Waits until something is true that only what happens on the connection can make true. */
  until(isTrue: () => boolean): Promise<void>;
}

/** A wire in memory. To wait is to let the time of `clock` pass. */
export function memoryWire(end: MemoryEnd, clock: FakeClock, at: WireEnd): Wire {
  const memory = new Uint8Array(65_536);
  end.open({
    allocate: () => memory,
    onRead: (length) => at.receive(memory.slice(0, length)),
    onData: (bytes) => at.receive(bytes),
    onDrain: () => {},
    onClose: () => at.lost(),
  });
  return {
    write: (bytes) => end.write(bytes.slice(), () => {}),
    end: () => end.end(),
    reset: () => end.drop(new Error('read ECONNRESET')),
    until: (isTrue) => clock.run(isTrue),
  };
}

/** A real one. */
export function socketWire(socket: Socket, at: WireEnd): Wire {
  const waiting = new Set<() => void>();
  const happened = (): void => {
    for (const look of waiting) look();
  };
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    at.receive(new Uint8Array(chunk));
    happened();
  });
  socket.on('close', () => {
    at.lost();
    happened();
  });
  const until = (isTrue: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!isTrue()) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  return {
    write: (bytes) => void socket.write(bytes),
    end: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
    until,
  };
}
