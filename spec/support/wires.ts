import type { Socket } from 'node:net';
import type { FakeClock } from './fake-clock.ts';
import type { MemoryEnd } from './memory-transport.ts';

/** The receiver at the end of a wire. */
export interface WireEnd {
  /** Called with received bytes, which the receiver owns. */
  receive(bytes: Uint8Array): void;
  /** Called when the connection is closed. */
  lost(): void;
}

/** The connection of a scripted broker. */
export interface Wire {
  write(bytes: Uint8Array): void;
  /** Closes the connection after all output. */
  end(): void;
  /** Resets the connection, with an error at the other end. */
  reset(): void;
  /** Waits until a condition is true that depends on the connection. */
  until(isTrue: () => boolean): Promise<void>;
}

/** A wire in memory. Waiting advances `clock`. */
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

/** A wire over a real connection. */
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
