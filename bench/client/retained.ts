/** Received messages that stay in memory. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from '../../lib/index.ts';
import { heldBytes, measure } from './measure.ts';
import { load } from './ours.ts';
import { fail } from './peer.ts';
import { isOurs, Tally } from './throughput.ts';
import { type Demand, type Figures, type Task, type Workload } from './task.ts';

const FILTER = 'site/#';

/** One in so many messages is kept. */
const KEPT = 1_000;

const demandOf = ({ payload, qos, topics, order }: Workload, messages: number): string =>
  JSON.stringify({ messages, payload, qos, topics, order } satisfies Demand);

async function received(client: Client, packets: number): Promise<void> {
  while (client.stats().packets.received < packets) await pause(2);
}

/** As many messages wait as there are topics. Each further message replaces one of them. */
export async function latestPerTopic({ url, workload, count }: Task): Promise<Figures> {
  const { connect } = await load();
  const client = await connect(url, { protocolVersion: workload.version });
  const buffer = { messages: 2 * workload.topics, bytes: 2 ** 30 };
  await client.subscribe(FILTER, { overflow: 'latest-per-topic', buffer });
  const fill = async (messages: number): Promise<void> => {
    const packets = client.stats().packets.received + messages + 1;
    await client.publish('go', demandOf(workload, messages), { qos: 1 });
    await received(client, packets);
  };
  await fill(8 * workload.topics);
  const figures = await measure(count, () => fill(count));
  await client.disconnect();
  return figures;
}

/** Keeps one payload in a thousand. The bytes are per payload that is kept. */
async function keep(task: Task, keepOurs: 'view' | 'copy'): Promise<Figures> {
  const { url, contender, workload, count } = task;
  const payloads: Uint8Array[] = [];
  const tally = new Tally();
  const publish = isOurs({ contender })
    ? await subscribeOurs(task, keepOurs, payloads, tally)
    : await subscribeMqttjs(url, payloads, tally);
  const messages = count * KEPT;
  const figures = await heldBytes(count, async () => {
    const all = tally.next(messages);
    await publish('go', demandOf(workload, messages));
    await all;
  });
  if (payloads.length !== count) throw new Error(`expected ${count} payloads, got ${payloads.length}`);
  return figures;
}

type Publish = (topic: string, payload: string) => Promise<unknown>;

async function subscribeOurs(
  { url, workload }: Task,
  keepAs: 'view' | 'copy',
  payloads: Uint8Array[],
  tally: Tally,
): Promise<Publish> {
  const { connect } = await load();
  const client = await connect(url, { protocolVersion: workload.version });
  const subscription = await client.subscribe(FILTER, { overflow: 'pause' });
  let number = 0;
  const consume = async (): Promise<void> => {
    for await (const message of subscription) {
      if (number++ % KEPT === 0) payloads.push(keepAs === 'copy' ? message.copy() : message.payload);
      tally.add(1);
    }
  };
  consume().catch(fail);
  return (topic, payload) => client.publish(topic, payload, { qos: 1 });
}

async function subscribeMqttjs(url: string, payloads: Uint8Array[], tally: Tally): Promise<Publish> {
  const { default: mqtt } = await import('mqtt');
  const client = await mqtt.connectAsync(url, { reconnectPeriod: 0 });
  await client.subscribeAsync(FILTER);
  let number = 0;
  client.on('message', (_topic, payload) => {
    if (number++ % KEPT === 0) payloads.push(payload);
    tally.add(1);
  });
  return (topic, payload) => client.publishAsync(topic, payload, { qos: 1 });
}

export const kept = (task: Task): Promise<Figures> => keep(task, 'view');
export const keptCopies = (task: Task): Promise<Figures> => keep(task, 'copy');
