import type { Dial } from '../../lib/transport/transport.ts';
import type { FakeClock } from './fake-clock.ts';
import { type Link, type MemoryEnd, memoryPair } from './memory-transport.ts';

/** A network in memory: connecting takes `latency`, and `accept` gets the server's end. */
export function memoryDial(
  clock: FakeClock,
  accept: (server: MemoryEnd, link: Link) => void,
  options: Partial<Link> = {},
): Dial {
  return async (_target, signal) => {
    signal.throwIfAborted();
    const { client, server, link } = memoryPair(clock, options);
    await new Promise<void>((resolve, reject) => {
      const wake = clock.wakeAt(clock.now() + link.latency, () => {
        signal.removeEventListener('abort', abort);
        resolve();
      });
      const abort = (): void => {
        wake.cancel();
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', abort, { once: true });
    });
    accept(server, link);
    return client;
  };
}
