/**
 * outbox URL DIRECTORY VERSION: publishes numbers to `numbers`, QoS 1 and 2 in turn, over a store in DIRECTORY. Prints
 * `ready`, waits for a line with the first number, and prints each number that is stored. Told `stop`, it waits until all
 * is acknowledged, and prints `done`. If the client fails, it prints the code of the error and ends.
 */
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { type ProtocolVersion, Client } from '../../../lib/index.ts';
import { codeOf } from '../../../lib/errors.ts';
import { levelStore } from '../../../lib/store/store.ts';

/** Calls that wait for the store at a time. */
const AT_ONCE = 20;

const [url = '', directory = '', version = ''] = process.argv.slice(2);

const client = new Client(url, {
  protocolVersion: Number(version) as ProtocolVersion,
  clientId: 'outbox',
  cleanStart: false,
  ...(version === '5' && { sessionExpiryInterval: 600 }),
  reconnect: { minDelay: 5, maxDelay: 40, retryInitial: true },
  connectTimeout: 2_000,
  store: levelStore(directory),
});
// Without its parent it ends, too.
process.stdin.once('end', () => process.exit(1));
const lines = createInterface(process.stdin)[Symbol.asyncIterator]();
const nextLine = async (): Promise<string> => String((await lines.next()).value);
const stopping = new AbortController();

async function publish(number: number): Promise<void> {
  await client.publish('numbers', number, { qos: number % 2 === 0 ? 2 : 1, until: 'stored' });
  console.log(number);
}

async function publishFrom(first: number): Promise<void> {
  for (let number = first; !stopping.signal.aborted; number += AT_ONCE)
    await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => publish(number + i)));
}

async function stop(): Promise<void> {
  await nextLine();
  stopping.abort();
}

try {
  console.log('ready');
  const first = Number(await nextLine());
  await Promise.all([client.connect(), publishFrom(first), stop()]);
  while (client.stats().stored.messages > 0) await pause(5);
  console.log('done');
} catch (error) {
  // That of the store, if a call tells that it has failed.
  const { cause } = error as Error;
  console.log(codeOf(cause ?? error));
}
await client.disconnect();
process.stdin.destroy();
