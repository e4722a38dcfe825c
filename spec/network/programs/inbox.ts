/** inbox URL DIRECTORY: subscribes to `inbox` in a session that is kept in DIRECTORY, and prints `ready` and each message. */
import { Client } from '../../../lib/index.ts';
import { levelStore } from '../../../lib/store/store.ts';

const [url = '', directory = ''] = process.argv.slice(2);

const client = new Client(url, {
  protocolVersion: 5,
  clientId: 'inbox',
  cleanStart: false,
  sessionExpiryInterval: 600,
  // What the session has comes before subscribe() is called.
  unmatched: 'hold',
  store: levelStore(directory),
});
await client.connect();
const subscription = await client.subscribe('inbox', { qos: 2 });
console.log('ready');
for await (const message of subscription) console.log(message.text());
