/**
 * Owns the store in the directory of its first argument. `hold`: commits a record, and keeps it open. `fill`: writes until
 * a file would be larger than a limit, which this process sets for itself, and prints what happens.
 */
import { execFileSync } from 'node:child_process';
import { codeOf, messageOf } from '../../../lib/errors.ts';
import { levelStore } from '../../../lib/store/store.ts';

const LIMIT = 1_000_000;
const [, , path = '', mode] = process.argv;

const store = levelStore(path);
await store.open('owner');
if (mode === 'hold') {
  await store.commit([{ type: 'put', key: 'a', value: new Uint8Array(1) }], { sync: true });
  console.log('open');
  // Until it is killed.
  process.stdin.resume();
} else {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${LIMIT}`]);
  const write = (i: number): Promise<void> => {
    const key = `k${String(i).padStart(3, '0')}`;
    return store.commit([{ type: 'put', key, value: new Uint8Array(65_536).fill(i) }], { sync: true });
  };
  const errorOf = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => undefined,
      (error: unknown) => error,
    );
  let stored = 0;
  let error: unknown;
  while ((error = await errorOf(write(stored))) === undefined) stored++;
  console.log(`stored ${stored}`);
  console.log(`${codeOf(error)} ${messageOf(error)}`);
  const range = { after: '', before: '~', limit: 1 };
  const later = [write(0), store.commit([], { sync: false }), store.read(range), store.clear()];
  console.log((await Promise.all(later.map(errorOf))).map((one) => one === error).join(' '));
  await store.close();
  console.log('closed');
}
