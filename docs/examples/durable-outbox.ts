/** docs/durability.md: messages that are published without a server, and sent by the next run of the program. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, connect } from '../../lib/index.ts';
import { levelStore } from '../../lib/store/store.ts';
import { startBroker } from './broker.ts';

const directory = await mkdtemp(join(tmpdir(), 'outbox-'));
await using broker = await startBroker();

try {
  // The first run: there is no connection, and the program ends before there is one.
  {
    const client = new Client(broker.url, { clientId: 'meter-7', store: levelStore(directory) });
    for (const reading of [21.5, 21.7, 21.9])
      await client.publish('meters/7', reading, { qos: 1, until: 'stored' });
    console.log(`stored: ${client.stats().stored.messages} messages`);
    await client.disconnect();
  }

  await using listener = await connect(broker.url);
  const readings = await listener.subscribe('meters/+', { qos: 1 });

  // The next run sends what the first one has left, before anything new.
  const client = new Client(broker.url, {
    clientId: 'meter-7',
    cleanStart: false,
    store: levelStore(directory),
  });
  const events = client.status();
  await client.connect();
  for await (const event of events) {
    if (event.type === 'recovered') console.log(`recovered: ${event.messages} messages`);
    if (event.type === 'connected') break;
  }
  await client.publish('meters/7', 22.1, { qos: 1 });

  for (let n = 0; n < 4; n++) {
    const message = await readings.receive({ timeout: 5_000 });
    console.log(`${message.topic}: ${message.text()}`);
    message.ack();
  }
  await client.drain();
} finally {
  await rm(directory, { recursive: true, force: true });
}
