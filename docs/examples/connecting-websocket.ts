/** docs/connecting.md: WebSocket, with a new token in a header for each attempt. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, ConnectError, connect } from '../../lib/index.ts';
import { startBroker } from './broker.ts';

const seen: string[] = [];
await using broker = await startBroker({
  protocol: 'ws',
  admits: ({ headers }) => {
    seen.push(headers.authorization ?? 'no token');
    return headers.authorization?.startsWith('Bearer ') ?? false;
  },
});

let issued = 0;
const freshToken = (signal: AbortSignal): Promise<string> => sleep(1, `token-${++issued}`, { signal });

await using client = new Client(broker.url, {
  ws: {
    headers: async (defaults, { signal }) => ({
      ...defaults,
      Authorization: `Bearer ${await freshToken(signal)}`,
    }),
  },
});
await client.connect();
await client.publish('hello', 'over WebSocket', { qos: 1 });
await client.reconnect();
console.log(seen);

// A server refuses with an HTTP status.
try {
  await connect(broker.url);
} catch (error) {
  if (!(error instanceof ConnectError)) throw error;
  console.log(`${error.phase}, HTTP ${error.status}: ${error.message}`);
}
