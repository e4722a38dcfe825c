/** Measures what a process uses while a job runs. */
import { existsSync, readFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { GCProfiler } from 'node:v8';
import type { Figures } from './task.ts';

const IO = '/proc/self/io';
const COUNTS_CALLS = existsSync(IO);

/** System calls so far that read and write. */
function calls(): { reads: number; writes: number } {
  const text = readFileSync(IO, 'latin1');
  const count = (name: string): number => Number(new RegExp(`${name}: (\\d+)`).exec(text)?.[1]);
  return { reads: count('syscr'), writes: count('syscw') };
}

/** Runs a job of `count` items. */
export async function measure(count: number, job: () => Promise<void>): Promise<Figures> {
  const before = COUNTS_CALLS ? calls() : undefined;
  const cpu = process.cpuUsage();
  const began = performance.now();
  await job();
  const ms = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  const after = COUNTS_CALLS ? calls() : undefined;
  return {
    cpu: (user + system) / count,
    rate: (count / ms) * 1_000,
    ms,
    ...(before !== undefined &&
      after !== undefined && {
        writes: ((after.writes - before.writes) / count) * 1_000,
        reads: ((after.reads - before.reads) / count) * 1_000,
      }),
    peak: process.resourceUsage().maxRSS / 1_024,
  };
}

/**
 * Measures what a job allocates per item. Growth of the heap between two collections is what was allocated between
 * them. Buffers count only until they are collected: run with a large young generation.
 */
export async function allocations(count: number, job: () => Promise<void>): Promise<Figures> {
  collect();
  const profiler = new GCProfiler();
  const before = process.memoryUsage();
  profiler.start();
  await job();
  const after = process.memoryUsage();
  const { statistics } = profiler.stop();
  let allocated = 0;
  let used = before.heapUsed;
  let pause = 0;
  for (const { beforeGC, afterGC, cost } of statistics) {
    allocated += beforeGC.heapStatistics.usedHeapSize - used;
    used = afterGC.heapStatistics.usedHeapSize;
    pause += cost;
  }
  allocated += after.heapUsed - used;
  return {
    allocated: Math.max(0, allocated / count),
    buffers: Math.max(0, (after.arrayBuffers - before.arrayBuffers) / count),
    collecting: pause / 1_000,
  };
}

/** Measures the pauses of the garbage collector. */
export async function pauses(count: number, job: () => Promise<void>): Promise<Figures> {
  let longestPause = 0;
  let collecting = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      longestPause = Math.max(longestPause, duration);
      collecting += duration;
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  const figures = await measure(count, job);
  // Entries arrive in a later turn.
  await turn();
  await turn();
  observer.disconnect();
  return { ...figures, longestPause, collecting };
}

/** Measures a job, and the bytes that it has left behind when `settle` has resolved, per item. */
export async function heldBytes(
  count: number,
  job: () => Promise<void>,
  settle: () => Promise<void> = () => turn(),
): Promise<Figures> {
  collect();
  const before = process.memoryUsage();
  const figures = await measure(count, job);
  await settle();
  collect();
  const after = process.memoryUsage();
  return {
    ...figures,
    rss: (after.rss - before.rss) / count,
    heap: (after.heapUsed - before.heapUsed) / count,
    external: (after.external - before.external) / count,
  };
}

export function collect(): void {
  if (globalThis.gc === undefined) throw new Error('expected --expose-gc');
  globalThis.gc();
  globalThis.gc();
}
