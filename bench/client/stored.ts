/** A backlog that one process stores and the next one sends. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { measure } from './measure.ts';
import { load } from './ours.ts';
import { withPromises } from './peer.ts';
import { KEPT, scratch, storeOf } from './store.ts';
import { topicOf, type Figures, type Task } from './task.ts';

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
