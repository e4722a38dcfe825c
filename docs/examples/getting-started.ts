/** docs/getting-started.md: connect, subscribe, publish, read. */
import { connect } from '../../lib/index.ts';
import { startBroker } from './broker.ts';

await using broker = await startBroker();
const { url } = broker;

// The end of the scope drains the client: messages in progress are finished, then it disconnects.
await using client = await connect(url, { keepAlive: 30 });

// Later subscribers receive a retained message first.
await client.publish('garden/config', JSON.stringify({ interval: 5 }), { qos: 1, retain: true });

const config = await client.subscribe('garden/config', { qos: 1 });
const first = await config.receive({ timeout: 2_000 });
console.log(first.topic, first.json<{ interval: number }>().interval, first.retain ? '(retained)' : '');
await config.unsubscribe();

const readings = await client.subscribe(['garden/+/temperature', 'garden/+/humidity'], { qos: 1 });
console.log('granted QoS:', readings.granted);

await client.publish('garden/bed-1/temperature', 21.5, { qos: 1 });
await client.publish('garden/bed-1/humidity', new Uint8Array([48, 46, 54]), { qos: 1 });
await client.publish('garden/bed-2/temperature', '19', { qos: 1 });

let seen = 0;
for await (const message of readings) {
  console.log(`${message.topic}: ${message.text()} (QoS ${message.qos})`);
  if (++seen === 3) {
    message.ack(); // break does not acknowledge the last message
    break;
  }
}
