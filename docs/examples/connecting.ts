/** docs/connecting.md: Unix sockets, several servers, options as functions, a custom transport. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, connect, transportOver, type Dial } from '../../lib/index.ts';
import { startBroker } from './broker.ts';

await using broker = await startBroker();

// A Unix socket.
const directory = await mkdtemp(join(tmpdir(), 'mqtt-'));
{
  const path = join(directory, 'broker.sock');
  await using local = await startBroker({ protocol: 'mqtt+unix', path });
  await using client = await connect(local.url);
  await client.publish('hello', 'over a file', { qos: 1 });
  console.log('a Unix socket');
}
await rm(directory, { recursive: true });

// A local address, and TCP options.
{
  await using client = await connect(broker.url, {
    localAddress: '127.0.0.1',
    family: 4,
    noDelay: true,
    tcpKeepAlive: 30_000,
  });
  await client.publish('hello', 'from here', { qos: 1 });
  console.log('from an address of our own');
}

// Several servers: the first one is down.
{
  await using client = new Client('mqtt://127.0.0.1:9', {
    servers: [broker.url],
    serverOrder: 'listed',
    logger: { debug() {}, info() {}, warn: (line) => console.log(line), error() {} },
  });
  await client.connect();
  console.log('the second server');
}

// Functions that are called before each CONNECT.
{
  let asked = 0;
  await using client = new Client(async () => broker.url, {
    clientId: async () => 'meter-7',
    credentials: async ({ attempt, reason, signal }) => {
      signal.throwIfAborted();
      console.log(`a token for attempt ${attempt}${reason === undefined ? '' : `: ${reason.message}`}`);
      return { username: 'meter-7', password: `token ${++asked}` };
    },
    will: async () => ({ topic: 'meters/7/gone', payload: new Date().toISOString() }),
    reconnect: { minDelay: 10 },
  });
  await client.connect();
  const again = reconnected(client);
  broker.cut();
  await again;
}

async function reconnected(client: Client): Promise<void> {
  for await (const { type } of client.status()) if (type === 'connected') return;
}

// A custom transport: any Duplex that is connected to a server.
{
  const dial: Dial = async ({ host, port }, signal) => {
    const stream = connectSocket(port, host); // or a tunnel, a serial line, an SSH channel …
    await once(stream, 'connect', { signal });
    return transportOver(stream);
  };
  await using client = await connect(broker.url, { transport: dial });
  await client.publish('hello', 'over a stream', { qos: 1 });
  console.log('a transport of our own');
}
