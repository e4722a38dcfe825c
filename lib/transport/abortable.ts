/** Waiting that ends when the signal of an attempt aborts. No listener is left at the signal afterwards. */

import type { Socket } from 'node:net';

/** Resolves when `socket` emits `event`. If it closes first or `signal` aborts, destroys the socket and rejects. */
export function socketEvent(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => void socket.destroy();
    const stopListening = (): void => {
      signal.removeEventListener('abort', onAbort);
      socket.off(event, onEvent);
      socket.off('close', onClose);
    };
    const onEvent = (): void => {
      stopListening();
      resolve();
    };
    const onClose = (): void => {
      stopListening();
      const cause = socket.errored ?? new Error('the connection was closed');
      reject((signal.aborted ? signal.reason : cause) as Error);
    };
    signal.addEventListener('abort', onAbort);
    socket.on(event, onEvent);
    socket.on('close', onClose);
    if (signal.aborted) onAbort();
    // A socket that has closed already emits no event.
    if (socket.closed) onClose();
  });
}

/**
 * Calls `start` and settles as its promise does, unless `signal` aborts first: then it rejects at once with the reason
 * and ignores the promise. Does not call `start` if the signal is aborted already.
 */
export async function unlessAborted<T>(signal: AbortSignal, start: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    start()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}
