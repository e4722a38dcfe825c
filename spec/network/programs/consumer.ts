/**
 * consumer COUNT (URL VERSION)…: for each server reads COUNT messages from `spec/<qos>` per QoS. Prints `ready` when it has
 * subscribed everywhere, and summaries.
 */
import {
  connect,
  type Client,
  type ProtocolVersion,
  type QoS,
  type Subscription,
} from '../../../lib/index.ts';
import { Sequence, serversOf, type Summary } from './numbered.ts';

const [count = '', ...servers] = process.argv.slice(2);

interface Taken extends Summary {
  readonly dropped: number;
}

async function take(subscription: Subscription, qos: QoS): Promise<Taken> {
  const sequence = new Sequence();
  for await (const message of subscription) {
    sequence.add(message.text());
    if (message.qos !== qos) sequence.wrong ??= `expected QoS ${qos}, got ${message.qos}`;
    if (sequence.count < Number(count)) continue;
    message.ack();
    break;
  }
  return { ...sequence.summary(), dropped: subscription.dropped };
}

/** Subscribes at one server. The returned function resolves when all messages have come. */
async function consume(
  url: string,
  protocolVersion: ProtocolVersion,
): Promise<() => Promise<readonly Taken[]>> {
  const client: Client = await connect(url, {
    protocolVersion,
    // Mosquitto 2.0.11 exceeds the Receive Maximum of a busy client of 5.0, unless it is this high.
    ...(protocolVersion === 5 && { receiveMaximum: 65_535 }),
  });
  const taking = await Promise.all(
    ([0, 1, 2] as const).map(async (qos) => {
      const subscription = await client.subscribe(`spec/${qos}`, { qos });
      return () => take(subscription, qos);
    }),
  );
  return async () => {
    const taken = await Promise.all(taking.map((begin) => begin()));
    await client.disconnect();
    return taken;
  };
}

const consumers = await Promise.all(serversOf(servers).map(({ url, version }) => consume(url, version)));
console.log('ready');
console.log(JSON.stringify(await Promise.all(consumers.map((begin) => begin()))));
