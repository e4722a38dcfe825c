/** docs/reconnecting.md: the connection is cut twice, then replaced by reconnect(). status() reports
 * what happens, and a custom policy chooses the delays. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, ConnectError, connect, type ReconnectPolicy } from '../../lib/index.ts';
import { startBroker } from './broker.ts';

await using broker = await startBroker();

const policy: ReconnectPolicy = ({ attempt, reasonCode }) => {
  if (reasonCode === 0x8a) return false; // banned: no further attempt
  return attempt === 0 ? 20 : 2_000; // the first attempt almost at once, then every 2 s
};

const client = new Client(broker.url, {
  clientId: 'meter-7',
  cleanStart: false,
  reconnect: { policy },
  // Called before each CONNECT, for tokens that expire.
  credentials: async ({ signal }) => ({ username: 'meter-7', password: await freshToken(signal) }),
});

function freshToken(signal: AbortSignal): Promise<string> {
  return sleep(1, `token of ${Date.now()}`, { signal }); // in production, ask a token service
}

async function watch(): Promise<void> {
  for await (const event of client.status()) {
    switch (event.type) {
      case 'connecting':
        console.log(`connecting, attempt ${event.attempt}`);
        break;
      case 'connected':
        console.log(`connected, Session Present ${event.connack.sessionPresent ? 1 : 0}`);
        break;
      case 'disconnected':
        console.log(`disconnected: ${event.reason.message}${event.flapping ? ' (flapping)' : ''}`);
        break;
      default:
        console.log(event.type);
    }
  }
}
const watching = watch();

await client.connect();
const commands = await client.subscribe('meters/7/commands', { qos: 1 });

for (const word of ['first', 'second']) {
  broker.cut();
  // No error handling needed: the promise stays pending while the client reconnects, and resolves with PUBACK.
  await client.publish('meters/7/commands', word, { qos: 1 });
  const message = await commands.receive({ timeout: 5_000 });
  console.log(`received ${message.text()}`);
  await sleep(50); // let PUBACK leave before the next cut, or the server sends the message again
}
// Close in order and connect again at once, for example with a new token.
const { sessionPresent } = await client.reconnect({ timeout: 5_000 });
console.log(`reconnected as planned, Session Present ${sessionPresent ? 1 : 0}`);
await client.disconnect();
await watching;

// The first connect() is retried only on request.
try {
  await connect('mqtt://127.0.0.1:9');
} catch (error) {
  if (!(error instanceof ConnectError)) throw error;
  console.log(`${error.code}, phase ${error.phase}`);
}
