/** docs/delivery.md: a persistent session that continues after a restart of the process; held messages. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, connect } from '../../lib/index.ts';
import { startBroker } from './broker.ts';

await using broker = await startBroker();

/** One run of a service that must not miss an order. */
async function run(orders: number): Promise<void> {
  const client = new Client(broker.url, { clientId: 'order-service', cleanStart: false });
  // Subscribe before connect(): messages that the server has kept follow CONNACK immediately.
  const subscribing = client.subscribe('orders/#', { qos: 1 });
  const { sessionPresent } = await client.connect();
  console.log(`Session Present: ${sessionPresent ? 1 : 0}`);
  const subscription = await subscribing;
  let done = 0;
  while (done < orders) {
    const message = await subscription.receive({ timeout: 2_000 });
    console.log(`  ${message.topic}: ${message.text()}`);
    done++;
  }
  await client.drain();
}

await run(0);
{
  await using shop = await connect(broker.url);
  await shop.publish('orders/1', 'two apples', { qos: 1 });
  await shop.publish('orders/2', 'one pear', { qos: 1 });
}
await run(2);

// Subscribing after connect(): messages that arrive before the subscription exists are held, unacknowledged.
{
  await using shop = await connect(broker.url);
  await shop.publish('orders/3', 'three plums', { qos: 1 });
}
await using late = await connect(broker.url, { clientId: 'order-service', cleanStart: false });
await sleep(100); // orders/3 has arrived by now, without a subscription in this process
const orders = await late.subscribe('orders/#', { qos: 1 });
const held = await orders.receive({ timeout: 2_000 });
console.log(`held: ${held.topic}: ${held.text()}`);
