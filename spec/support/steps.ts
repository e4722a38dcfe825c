/** The iterators of arrays, maps and sets. Every full scan uses one of them, or one of the methods below. */
const ITERATORS = [[].values(), new Map().values(), new Set().values()].map(
  (iterator) => Object.getPrototypeOf(iterator) as { next(): unknown },
);
const SCANS = [
  'filter',
  'find',
  'findIndex',
  'some',
  'every',
  'map',
  'includes',
  'indexOf',
  'forEach',
] as const;

/**
 * Counts the elements that `body` visits with iterators and array methods. It slows the process down permanently, so
 * specs call it in a separate process.
 */
export async function stepsOf(body: () => Promise<unknown>): Promise<number> {
  let steps = 0;
  const restore: (() => void)[] = [];
  const wrap = (target: object, name: string, count: (self: unknown) => number): void => {
    const original = Reflect.get(target, name) as (...args: unknown[]) => unknown;
    const counting = function (this: unknown, ...args: unknown[]): unknown {
      steps += count(this);
      return Reflect.apply(original, this, args);
    };
    Object.defineProperty(target, name, { value: counting, configurable: true, writable: true });
    restore.push(() =>
      Object.defineProperty(target, name, { value: original, configurable: true, writable: true }),
    );
  };
  for (const prototype of ITERATORS) wrap(prototype, 'next', () => 1);
  for (const name of SCANS) wrap(Array.prototype, name, (self) => (self as unknown[]).length);
  try {
    await body();
  } finally {
    for (const back of restore.toReversed()) back();
  }
  return steps;
}
