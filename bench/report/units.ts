/** How metrics are shown. */
import type { Metric } from '../client/task.ts';
import type { Spread } from '../run/runner.ts';

interface Unit {
  readonly unit: string;
  readonly per: number;
}

const UNITS: Readonly<Record<Metric, Unit>> = {
  cpu: { unit: 'CPU µs', per: 1 },
  rate: { unit: 'per s', per: 1 },
  perGigabyte: { unit: 'CPU s/GB', per: 1 },
  writes: { unit: 'writes per 1000', per: 1 },
  reads: { unit: 'reads per 1000', per: 1 },
  peak: { unit: 'MiB peak', per: 1 },
  p50: { unit: 'µs p50', per: 1 },
  ms: { unit: 'ms', per: 1 },
  rss: { unit: 'KiB RSS', per: 1_024 },
  heap: { unit: 'KiB heap', per: 1_024 },
  external: { unit: 'KiB external', per: 1_024 },
  allocated: { unit: 'B allocated', per: 1 },
  buffers: { unit: 'B of buffers', per: 1 },
  longestPause: { unit: 'ms longest GC pause', per: 1 },
  collecting: { unit: 'ms GC', per: 1 },
  modules: { unit: 'modules', per: 1 },
  server: { unit: 'CPU µs of the server', per: 1 },
};

export const unitOf = (metric: Metric): string => UNITS[metric].unit;

/** A figure with three digits. */
export function digits(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '-';
  const size = Math.abs(value);
  if (size >= 1_000) return Math.round(value).toLocaleString('en');
  return size >= 100
    ? value.toFixed(0)
    : size >= 10
      ? value.toFixed(1)
      : size >= 1
        ? value.toFixed(2)
        : value.toFixed(3);
}

export const inUnit = (metric: Metric, value: number | undefined): string =>
  digits(value === undefined ? undefined : value / UNITS[metric].per);

/** A median with the smallest and the largest figure. */
export function spread(metric: Metric, figures: Spread | undefined): string {
  if (figures === undefined) return '-';
  const { median, min, max } = figures;
  const middle = inUnit(metric, median);
  return min === max ? middle : `${middle} (${inUnit(metric, min)}–${inUnit(metric, max)})`;
}
