/** The iterators of lists, maps and sets: what scans everything goes through one of them, or through such a method. */
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
 * Counts the elements that are visited in `body`: by iterators, and by the methods of arrays. It slows the whole process
 * down for good: a spec has it done in another one.
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
