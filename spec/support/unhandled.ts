import { setImmediate as turn } from 'node:timers/promises';

/** Runs `body`, and throws if there was an unhandled rejection meanwhile. */
export async function withoutUnhandled(body: () => Promise<void>): Promise<void> {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  try {
    await body();
    await turn();
    await turn();
  } finally {
    process.off('unhandledRejection', note);
  }
  if (unhandled.length > 0) throw unhandled[0];
}
