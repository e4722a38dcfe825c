/** docs/backpressure.md: awaiting publish(), queue limits, slow readers, buffer limits of a subscription. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, connect, QueueFullError } from '../../lib/index.ts';
import { startBroker } from './broker.ts';

await using broker = await startBroker();

// 1. QoS 0 in a loop: `await` applies the backpressure.
await using client = await connect(broker.url);
for (let i = 0; i < 10_000; i++) await client.publish('load/qos0', i);
console.log('10000 messages with QoS 0');

// 2. QoS 1: up to `maxInflight` messages are in flight; the rest wait in the queue.
const results = await Promise.all(
  Array.from({ length: 100 }, (_, i) => client.publish('load/qos1', i, { qos: 1 })),
);
console.log(`${results.length} messages with QoS 1`);

// 3. A limited queue, before the first connection.
const small = new Client(broker.url, { maxQueued: 2 });
const calls = ['a', 'b', 'c'].map((text) => small.publish('load/queue', text, { qos: 1 }));
const refused = await calls[2]?.catch((error: unknown) => error);
if (refused instanceof QueueFullError) console.log(`c: ${refused.code}, ${refused.delivery}`);
await small.connect();
await Promise.all(calls.slice(0, 2));
await small.drain();

// 4. A source of messages, published as fast as the network allows. Results come in the order of the source.
function* readings() {
  for (let sensor = 0; sensor < 1_000; sensor++) yield { topic: `load/${sensor}`, payload: 21.5, sensor };
}
let published = 0;
for await (const { publication, status, error } of client.publishMany(readings(), { qos: 1 }))
  if (status === 'published') published++;
  else console.warn(`sensor ${publication.sensor}:`, error);
console.log(`${published} messages of a source`);

// 5. A slow loop that publishes in each turn: at most ten messages are unacknowledged, and none is lost.
await using slow = await connect(broker.url, { receiveMaximum: 10 });
const orders = await slow.subscribe('orders/new', { qos: 1 });
const placing = Promise.all(
  Array.from({ length: 100 }, (_, i) => client.publish('orders/new', i, { qos: 1 })),
);
let billed = 0;
for await (const order of orders) {
  await sleep(1); // a database
  await slow.publish('billing/new', order.payload, { qos: 1 });
  if (++billed < 100) continue;
  order.ack();
  break;
}
await placing;
console.log(`${billed} orders billed, ${slow.stats().overflowed} lost`);

// 6. A buffer for QoS 0 that keeps the newest three messages. `status()` reports the drops.
const status = client.status()[Symbol.asyncIterator]();
const news = await client.subscribe('load/news', { buffer: { messages: 3 }, overflow: 'drop-oldest' });
for (let i = 0; i < 10; i++) await client.publish('load/news', i);
while (news.depth + news.dropped < 10) await sleep(5);
console.log(`waiting: ${news.depth}, dropped: ${news.dropped}`);
const kept = [];
while (news.depth > 0) kept.push((await news.receive()).text());
console.log(`kept: ${kept.join(' ')}`);
const { value: event } = await status.next();
if (event?.type === 'overflow') console.log(`told of ${event.subscription.topicFilters.join(' ')}`);

// 7. A buffer that drops nothing: while it is full the client stops reading, and the server waits.
const all = await client.subscribe('load/all', { buffer: { messages: 3 }, overflow: 'pause' });
for (let i = 0; i < 10; i++) await client.publish('load/all', i);
while (client.stats().reading !== 'stopped') await sleep(5);
console.log(`reading: ${client.stats().reading}, waiting: ${all.depth}`);
const every = [];
while (every.length < 10) every.push((await all.receive()).text());
console.log(`got: ${every.join(' ')}, dropped: ${all.dropped}`);
