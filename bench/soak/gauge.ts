/** Measures memory and handles of this process. */
const MIB = 1_048_576;

const HANDLES = /^(?:TCPSocketWrap|TCPServerWrap|PipeWrap|ProcessWrap|Timeout)$/;

/** Heap and external memory in use, in MiB, after a garbage collection. */
export function memory(): number {
  if (globalThis.gc === undefined) throw new Error('the soak needs gc(): run node with --expose-gc');
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / MIB;
}

/** The number of active handles, per kind. */
export function handles(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo())
    if (HANDLES.test(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** The growth from the first to the last sample of a series, by linear regression. */
export function growth(series: readonly { readonly at: number; readonly value: number }[]): number {
  const first = series[0];
  const last = series.at(-1);
  if (first === undefined || last === undefined) return 0;
  const mean = (of: (one: (typeof series)[number]) => number): number =>
    series.reduce((sum, one) => sum + of(one), 0) / series.length;
  const [at, value] = [mean((one) => one.at), mean((one) => one.value)];
  const spread = mean((one) => (one.at - at) ** 2);
  return spread === 0
    ? 0
    : (mean((one) => (one.at - at) * (one.value - value)) / spread) * (last.at - first.at);
}
