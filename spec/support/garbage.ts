import { setImmediate as turn } from 'node:timers/promises';

/** Collects garbage now. Recent objects may be kept for some turns of the event loop. */
export function collectGarbage(): void {
  if (globalThis.gc === undefined) throw new Error('expected node --expose-gc');
  globalThis.gc();
}

/** Collects garbage until nothing recent is kept. */
export async function collectAllGarbage(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await turn();
    collectGarbage();
  }
}

/** Bytes of heap and external memory in use, garbage aside. */
export async function memoryInUse(): Promise<number> {
  await collectAllGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** How many of these objects are still in memory, garbage aside. */
export async function countInMemory(objects: readonly WeakRef<object>[]): Promise<number> {
  let count = objects.length;
  for (let i = 0; i < 10 && count > 0; i++) {
    // Until the end of the turn, a WeakRef keeps a target that was asked for.
    await turn();
    collectGarbage();
    count = objects.filter((object) => object.deref() !== undefined).length;
  }
  return count;
}
