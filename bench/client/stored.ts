/** Clients with a store: the store itself, and a backlog that one process writes and the next one sends. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type * as Store from '../../lib/store/store.ts';
import type { SessionStore } from '../../lib/store/session-store.ts';
import { measure } from './measure.ts';
import { load } from './ours.ts';
import { withPromises } from './peer.ts';
import { topicOf, type Figures, type Task, type Workload } from './task.ts';

// A variable, so that the compiler does not look for a built package.
const NAME: string = 'mqtt-await/store';

/** A directory beside the programs of the bench, which is removed at the end of the process. */
function scratch(): string {
  const directory = mkdtempSync(join(dirname(process.argv[1] as string), 'store-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** The store of a workload, in a directory of its own unless one is given. */
export async function storeOf({ store }: Workload, directory?: string): Promise<SessionStore | undefined> {
  if (store === 'none') return undefined;
  const { levelStore } = (await import(NAME)) as typeof Store;
  return levelStore(directory ?? scratch(), { sync: store === 'synced' });
}

/** What a client with a store needs. */
export const KEPT = { clientId: 'bench', cleanStart: false } as const;

/** Stores messages without a connection, in the directory of the task. */
export async function backlogWritten({ url, workload, count, directory }: Task): Promise<Figures> {
  const { Client } = await load();
  const { qos, window, version } = workload;
  const client = new Client(url, {
    ...KEPT,
    protocolVersion: version,
    store: await storeOf(workload, directory ?? scratch()),
  });
  const payload = new Uint8Array(workload.payload).fill(0x61);
  const topic = topicOf(0);
  const figures = await measure(count, () =>
    withPromises(count, window, () => client.publish(topic, payload, { qos, until: 'stored' })),
  );
  await client.disconnect();
  return figures;
}

/** Sends what another process has stored. `ms`: until all of it is acknowledged. `p50`: until the store is read and the client is connected, in µs. */
export async function backlogSent(task: Task): Promise<Figures> {
  const { url, workload, count } = task;
  const directory = task.directory ?? scratch();
  const writing = { ...task, job: 'backlog-written', directory };
  const writer = fork(process.argv[1] as string, [JSON.stringify(writing)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
  });
  const [code] = (await once(writer, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`the process that stores messages ended with ${code}`);
  const { Client } = await load();
  const { version } = workload;
  const client = new Client(url, {
    ...KEPT,
    protocolVersion: version,
    maxInflight: 1_000,
    store: await storeOf(workload, directory),
  });
  let connected = 0;
  const figures = await measure(count, async () => {
    const began = performance.now();
    await client.connect();
    connected = performance.now() - began;
    const { messages } = client.stats().stored;
    if (messages < count / 2) throw new Error(`expected ${count} messages in the store, got ${messages}`);
    while (client.stats().stored.messages > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  });
  await client.disconnect();
  return { ...figures, p50: connected * 1_000 };
}
