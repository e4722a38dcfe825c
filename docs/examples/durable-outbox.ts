/** docs/durability.md: messages that are stored on disk before they are sent, and survive the process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, StoreError } from '../../lib/index.ts';
import { levelStore } from '../../lib/store/store.ts';
import { startBroker } from './broker.ts';

await using broker = await startBroker();
const directory = mkdtempSync(join(tmpdir(), 'durable-outbox-'));
const outbox = join(directory, 'outbox');

/** The client of one run of the program. */
function meter(): Client {
  return new Client(broker.url, { clientId: 'meter-7', cleanStart: false, store: levelStore(outbox) });
}

// 1. The first run stores three readings. It has no connection, and ends.
{
  const client = meter();
  for (const reading of [21.5, 21.7, 22])
    await client.publish('meter/7', reading, { qos: 1, until: 'stored' });
  console.log(`stored: ${client.stats().stored.messages}`);
  await client.disconnect();
}

// 2. The next run finds them. They are sent before anything new.
await using dashboard = new Client(broker.url);
const readings = dashboard.subscribe('meter/+', { qos: 1 });
await dashboard.connect();
await readings;

const client = meter();
const watching = (async () => {
  for await (const event of client.status())
    if (event.type === 'recovered') console.log(`recovered: ${event.messages}`);
    else if (event.type === 'publish-failed') console.warn(`${event.topic}: ${event.error.message}`);
})();
await client.connect();
await client.publish('meter/7', 22.1, { qos: 1 }); // acknowledged
for (let i = 0; i < 4; i++) console.log(`  ${(await (await readings).receive({ timeout: 2_000 })).text()}`);

// 3. A directory belongs to one client at a time.
const second = meter();
const refused: unknown = await second.connect().catch((error: unknown) => error);
if (refused instanceof StoreError) console.log(`second client: ${refused.code}`);
await second.disconnect();

// 4. drain() waits for acknowledgements, and closes the store.
await client.drain();
await watching;
await dashboard.disconnect();
rmSync(directory, { recursive: true });
