/** Messages that wait for a connection, or for their acknowledgement. */
import { setTimeout as pause } from 'node:timers/promises';
import { heldBytes, measure } from './measure.ts';
import { load } from './ours.ts';
import { fail } from './peer.ts';
import { isOurs } from './throughput.ts';
import { topicOf, type Figures, type Task } from './task.ts';

/** ms until a client has written its messages. */
const SETTLE = 500;

/** A client without a connection. */
interface Offline {
  publish(): Promise<unknown>;
  connect(): Promise<unknown>;
  mute(): Promise<unknown>;
}

async function offline({ url, contender, workload, count }: Task): Promise<Offline> {
  const { qos, version } = workload;
  const topic = topicOf(0);
  if (isOurs({ contender })) {
    const { Client } = await load();
    const payload = new Uint8Array(workload.payload).fill(0x61);
    const maxInflight = Math.min(65_535, Math.max(count + 1, 1_000));
    const client = new Client(url, { protocolVersion: version, maxInflight });
    return {
      publish: () => client.publish(topic, payload, { qos }),
      connect: () => client.connect(),
      mute: () => client.publish('mute', '', { qos: 1 }),
    };
  }
  const { default: mqtt } = await import('mqtt');
  const payload = Buffer.alloc(workload.payload, 0x61);
  const client = mqtt.connect(url, { protocolVersion: version, manualConnect: true, reconnectPeriod: 0 });
  return {
    publish: () => client.publishAsync(topic, payload, { qos }),
    connect: () =>
      new Promise((resolve) => {
        client.once('connect', resolve);
        client.connect();
      }),
    mute: () => client.publishAsync('mute', '', { qos: 1 }),
  };
}

/** Messages of the client that loads and compiles the code. */
const WARM_UP = 20_000;

async function warmUp(task: Task): Promise<void> {
  const client = await offline(task);
  const done = Array.from({ length: WARM_UP }, () => client.publish());
  await client.connect();
  await Promise.all(done);
}

/** Queues messages without a connection, then connects and waits until all are acknowledged. */
export async function queued(task: Task): Promise<Figures> {
  const { count } = task;
  await warmUp(task);
  const client = await offline(task);
  const done: Promise<unknown>[] = [];
  const held = await heldBytes(count, () => {
    for (let i = 0; i < count; i++) done.push(client.publish());
    return Promise.resolve();
  });
  const sent = await measure(count, async () => {
    await client.connect();
    await Promise.all(done);
  });
  const [queueing = NaN, sending = NaN] = [held.cpu, sent.cpu];
  return { ...held, ...sent, cpu: queueing + sending };
}

/** Publishes messages that the server does not acknowledge. */
export async function inFlight(task: Task): Promise<Figures> {
  const client = await offline(task);
  await client.connect();
  await client.mute();
  const publish = (): Promise<void> => {
    for (let i = 0; i < task.count; i++) client.publish().catch(fail);
    return Promise.resolve();
  };
  return heldBytes(task.count, publish, () => pause(SETTLE));
}
