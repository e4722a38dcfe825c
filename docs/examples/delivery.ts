/** docs/delivery.md: when publish() resolves, and what a rejection says about the message. */
import { Client, ClosedError, connect, TimeoutError } from '../../lib/index.ts';
import { startBroker } from './broker.ts';

await using broker = await startBroker();

{
  await using client = await connect(broker.url);
  // Resolves when copied into the output (QoS 0), with PUBACK (QoS 1), with PUBCOMP (QoS 2).
  for (const qos of [0, 1, 2] as const) {
    const result = await client.publish('jobs/done', `with QoS ${qos}`, { qos });
    console.log(`QoS ${qos}: reason code ${result.reasonCode}`);
  }
}

// Without a connection the message waits in the queue. The time-out removes it from there.
const client = new Client(broker.url, { clientId: 'delivery-example', cleanStart: false });
try {
  await client.publish('jobs/new', 'A', { qos: 1, timeout: 50 });
} catch (error) {
  if (!(error instanceof TimeoutError)) throw error;
  console.log(`A: ${error.delivery}, kept: ${error.kept}`);
}

// disconnect() rejects the promise of a QoS 1 message, and keeps the message for the next connect().
const publishing = client.publish('jobs/new', 'B', { qos: 1 }).catch((error: unknown) => error);
await client.disconnect();
const outcome = await publishing;
if (!(outcome instanceof ClosedError)) throw new Error('expected a ClosedError');
console.log(`B: ${outcome.delivery}, kept: ${outcome.kept}`);

await using watcher = await connect(broker.url);
const jobs = await watcher.subscribe('jobs/new', { qos: 1 });
await client.connect();
const message = await jobs.receive({ timeout: 2_000 });
console.log(`arrived after the next connect(): ${message.text()}`);
await client.disconnect();
