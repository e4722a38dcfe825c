/** consumer URL VERSION COUNT: prints `ready`, reads COUNT messages from `spec/<qos>` per QoS, and prints summaries. */
import { connect, type Client } from '../../../lib/index.ts';
import type { ProtocolVersion, QoS } from '../../../lib/codec/packets.ts';
import { Sequence, type Summary } from './numbered.ts';

const [url = '', version = '', count = ''] = process.argv.slice(2);

interface Taken extends Summary {
  readonly dropped: number;
}

async function take(client: Client, qos: QoS, subscribed: () => void): Promise<Taken> {
  const sequence = new Sequence();
  const subscription = await client.subscribe(`spec/${qos}`, { qos });
  subscribed();
  for await (const message of subscription) {
    sequence.add(message.text());
    if (message.qos !== qos) sequence.wrong ??= `expected QoS ${qos}, got ${message.qos}`;
    if (sequence.count < Number(count)) continue;
    message.ack();
    break;
  }
  return { ...sequence.summary(), dropped: subscription.dropped };
}

const client = await connect(url, {
  protocolVersion: Number(version) as ProtocolVersion,
  // Mosquitto 2.0.11 exceeds the Receive Maximum of a busy client of 5.0, unless it is this high.
  ...(version === '5' && { receiveMaximum: 65_535 }),
});
let subscribed = 0;
const ready = (): void => {
  if (++subscribed === 3) console.log('ready');
};
const taken = await Promise.all(([0, 1, 2] as const).map((qos) => take(client, qos, ready)));
await client.disconnect();
console.log(JSON.stringify(taken));
