/** mqtt-await, as published. */
import type * as Package from '../../lib/index.ts';
import type { Client, Message } from '../../lib/index.ts';
import { KEPT, storeOf } from './store.ts';
import { check, fail, inTurn, withPromises, type Peer, type PeerOptions } from './peer.ts';

// A variable, so that the compiler does not look for a built package.
const NAME: string = 'mqtt-await';

export const load = async (): Promise<typeof Package> => (await import(NAME)) as typeof Package;

async function consume(
  messages: AsyncIterable<Message>,
  length: number,
  count: (messages: number) => void,
): Promise<void> {
  for await (const message of messages) {
    check(message.payload, length);
    count(1);
  }
}

async function consumeBatches(
  batches: AsyncIterable<readonly Message[]>,
  length: number,
  count: (messages: number) => void,
): Promise<void> {
  for await (const batch of batches) {
    for (const message of batch) check(message.payload, length);
    count(batch.length);
  }
}

/** A call of `publish` as users write it, with an options object each, or with one for all calls. */
function publisher(client: Client, { contender, workload, topics }: PeerOptions): () => Promise<unknown> {
  const { qos } = workload;
  const payload = new Uint8Array(workload.payload).fill(0x61);
  const next = inTurn(topics);
  const options = { qos };
  return contender === 'lean'
    ? () => client.publish(next(), payload, options)
    : () => client.publish(next(), payload, { qos });
}

export async function ours(options: PeerOptions): Promise<Peer> {
  const { connect } = await load();
  const { url, ca, workload } = options;
  const { qos, window, version, intake } = workload;
  const store = await storeOf(workload);
  const client = await connect(url, {
    ...(store !== undefined && { ...KEPT, store }),
    maxInflight: Math.min(Math.max(window, 20), 65_535),
    protocolVersion: version,
    // The null server takes small packets only.
    maxFiltersPerPacket: 500,
    ...(ca !== undefined && { tls: { ca } }),
  });
  const publish = publisher(client, options);
  return {
    publish: (count) => withPromises(count, window, publish),
    async subscribe(filters, count) {
      const subscriptions = await Promise.all(filters.map((filter) => client.subscribe(filter, { qos })));
      for (const subscription of subscriptions) {
        const loop =
          intake === 'loop'
            ? consume(subscription, workload.payload, count)
            : consumeBatches(subscription.batches(), workload.payload, count);
        loop.catch(fail);
      }
    },
    tell: async (topic, text) => void (await client.publish(topic, text, { qos: 1 })),
    end: () => client.disconnect(),
  };
}
