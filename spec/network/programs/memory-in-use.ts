import { setImmediate as turn } from 'node:timers/promises';

/** Bytes of heap and external memory in use, after garbage collections. Needs --expose-gc. */
export async function memoryInUse(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await turn();
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
