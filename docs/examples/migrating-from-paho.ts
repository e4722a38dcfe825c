/** docs/migrating-from-paho.md: the common jobs of a paho-mqtt program, with mqtt-await. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import {
  Client,
  ConnectError,
  connect,
  QueueFullError,
  TimeoutError,
  type Message,
} from '../../lib/index.ts';
import { startBroker, startMosquitto } from './broker.ts';

await using broker = await startBroker();
const { url } = broker;

// Connect, and run until the client is disconnected.
{
  const client = new Client(url, { clientId: 'lamp-7', keepAlive: 60 });
  const { sessionPresent } = await client.connect();
  console.log(`connected, Session Present: ${sessionPresent}`);
  setTimeout(() => void client.disconnect(), 50); // elsewhere in the program
  await client.closed; // resolves after disconnect(), rejects with the error that ended the client
}

// Publish, and wait for the acknowledgement.
{
  await using client = await connect(url);
  try {
    const { reasonCode } = await client.publish('sensors/7/temperature', 21.5, { qos: 1, timeout: 5_000 });
    console.log(`acknowledged, Reason Code ${reasonCode}`);
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    console.log(`no acknowledgement yet; it still goes out: ${error.kept}`);
  }
}

// Subscribe, and read: `on_message`.
{
  await using client = await connect(url);
  const readings = await client.subscribe('sensors/+/temperature', { qos: 1 });
  console.log('granted:', readings.granted);

  await client.publish('sensors/7/temperature', 21.5, { qos: 1 });
  for await (const message of readings) {
    console.log(message.topic, message.text());
    message.ack(); // the loop acknowledges a message when it asks for the next one; this is the last
    break;
  }
}

// Several filters, each with its QoS, in one SUBSCRIBE.
{
  await using client = await connect(url);
  const mixed = await client.subscribe([
    { topicFilter: 'sensors/#', qos: 0 },
    { topicFilter: 'commands/#', qos: 2 },
  ]);
  console.log('granted:', mixed.granted);
  const { reasonCodes } = await client.unsubscribe(['sensors/#', 'commands/#']);
  console.log(`unsubscribed: ${reasonCodes.length}`);
}

// A function per filter: `message_callback_add`.
{
  await using client = await connect(url);
  const seen: string[] = [];
  const onTemperature = (message: Message): unknown => seen.push(`temperature ${message.text()}`);
  const onCommand = (message: Message): unknown => seen.push(`command ${message.text()}`);

  const temperatures = await client.subscribe('sensors/+/temperature', { qos: 1 });
  const commands = await client.subscribe('commands/#', { qos: 1 });
  const running = [temperatures.forEach(onTemperature), commands.forEach(onCommand)];

  await client.publish('sensors/7/temperature', 21.5, { qos: 1 });
  await client.publish('commands/lamp', 'on', { qos: 1 });
  while (seen.length < 2) await sleep(5);
  await commands.unsubscribe(); // `message_callback_remove`; also unsubscribes at the server
  await client.drain(); // ends the other subscription
  await Promise.all(running);
  console.log(seen.toSorted().join(', '));
}

// `on_connect`, `on_disconnect`, `on_connect_fail`: one loop.
{
  const client = new Client(url, { reconnect: { minDelay: 20 } });
  const watching = (async () => {
    for await (const event of client.status()) {
      if (event.type === 'connected') console.log('up, Session Present:', event.connack.sessionPresent);
      if (event.type === 'disconnected')
        console.log(`down: ${event.reason.message}; again in ${Math.round(event.willRetryIn)} ms`);
      if (event.type === 'closed') console.log('over', event.error ?? '');
    }
  })();
  await client.connect();
  broker.cut();
  await client.publish('lamps/7', 'on', { qos: 1 }); // waits for the next connection
  await client.disconnect();
  await watching;
}

// A first connection that is retried: `loop_forever(retry_first_connection=True)`, `connect_async`.
{
  const client = new Client(url);
  const connecting = client.connect({ retry: true, timeout: 10_000 }); // continues in the background
  const publishing = client.publish('lamps/7', 'on', { qos: 1 }); // waits for the connection
  await Promise.all([connecting, publishing]);
  await client.drain();
}

// A Will.
{
  const will = { topic: 'lamps/7/state', payload: 'lost', qos: 1, retain: true } as const;
  await using watcher = await connect(url);
  const states = await watcher.subscribe('lamps/7/state', { qos: 1 });
  const lamp = await connect(url, { clientId: 'lamp-7', will, reconnect: false });
  lamp.closed.catch((error: unknown) => console.log(`ended: ${String(error)}`));
  broker.cut();
  console.log('will:', (await states.receive({ timeout: 5_000 })).text());
}

// User name and password, fixed and fetched for each attempt.
{
  const fixed = new Client(url, { username: 'lamp-7', password: 'secret' });
  await fixed.connect();
  fixed.configure({ username: 'lamp-8', password: 'other' });
  await fixed.reconnect(); // with the new credentials
  await fixed.disconnect();

  const fresh = new Client(url, {
    credentials: async ({ signal }) => ({ username: 'lamp-7', password: await freshToken(signal) }),
  });
  await fresh.connect();
  await fresh.disconnect();
}

function freshToken(signal: AbortSignal): Promise<string> {
  return sleep(1, `token of ${Date.now()}`, { signal });
}

// A session that outlives the connection: `clean_session=False`.
{
  const options = { clientId: 'order-service', cleanStart: false };
  const before = await connect(url, options);
  await before.subscribe('orders/#', { qos: 1 });
  await before.disconnect(); // the subscription stays at the server

  await using shop = await connect(url);
  await shop.publish('orders/1', 'two apples', { qos: 1 }); // the server keeps the message

  const client = new Client(url, options); // a new process, perhaps
  const subscribing = client.subscribe('orders/#', { qos: 1 }); // before connect(): kept messages follow CONNACK
  const { sessionPresent } = await client.connect();
  const orders = await subscribing;
  console.log(`Session Present: ${sessionPresent}, ${(await orders.receive({ timeout: 5_000 })).text()}`);
  await client.drain();
}

// Acknowledging by hand: `manual_ack`.
{
  await using client = await connect(url);
  const jobs = await client.subscribe('jobs', { qos: 1, ack: 'manual' });
  await client.publish('jobs', 'one', { qos: 1 });
  for await (const message of jobs) {
    await save(message.payload);
    message.ack();
    break;
  }
}

function save(payload: Uint8Array): Promise<void> {
  console.log(`saved ${payload.length} bytes`);
  return Promise.resolve();
}

// Delays between attempts, windows, limits, logging.
{
  const client = new Client(url, {
    reconnect: { minDelay: 1_000, maxDelay: 120_000, jitter: 0 }, // reconnect_delay_set(1, 120)
    maxInflight: 20, // max_inflight_messages_set(20)
    maxQueued: 1, // max_queued_messages_set(1)
    logger: { debug() {}, info() {}, warn: console.warn, error: console.error }, // enable_logger()
  });
  const first = client.publish('lamps/7', 'on', { qos: 1 });
  await client.publish('lamps/7', 'off', { qos: 1 }).catch((error: unknown) => {
    if (error instanceof QueueFullError) console.log(`${error.code}: MQTT_ERR_QUEUE_SIZE of paho`);
  });
  client.configure({ maxQueued: 0, logger: null }); // takes effect at once; null: disable_logger()
  await client.connect();
  await first;
  await client.drain();
}

// User data.
{
  const client = new Client(url, { userData: { room: 'hall' } });
  console.log(client.userData.room);
  client.configure({ userData: { room: 'cellar' } });
  console.log(client.userData.room);
}

// TLS with a client certificate. The clients do not connect, as this broker has no TLS.
{
  const mutual = new Client('mqtts://broker.example.org', {
    tls: {
      caFile: '/etc/mqtt/ca.pem',
      certFile: '/etc/mqtt/lamp-7.pem',
      keyFile: '/etc/mqtt/lamp-7.key',
      passphrase: 'secret',
      minVersion: 'TLSv1.2',
      alpn: 'mqtt',
    },
  });
  const context = new Client('mqtts://broker.example.org', {
    tls: { secureContext: createSecureContext({ minVersion: 'TLSv1.3' }) },
  });
  const insecure = new Client('mqtts://broker.example.org', { tls: { verifyHostname: false } });
  console.log(mutual.state, context.state, insecure.state);
}

// WebSocket with headers, a proxy, a Unix socket. These clients do not connect either.
{
  const webSocket = new Client('wss://broker.example.org', {
    ws: { path: '/mqtt', headers: { 'X-Tenant': 'north' } },
  });
  const signed = new Client('wss://broker.example.org/mqtt', {
    ws: {
      headers: async (defaults, { signal }) => ({
        ...defaults,
        Authorization: `Bearer ${await freshToken(signal)}`,
      }),
    },
  });
  const behindProxy = new Client('mqtts://broker.example.org', { proxy: 'http://user:secret@10.0.0.1:3128' });
  const unix = new Client('mqtt+unix:///run/mosquitto/mosquitto.sock');
  console.log(webSocket.state, signed.state, behindProxy.state, unix.state);
}

// `paho.mqtt.publish.single` and `multiple`, `paho.mqtt.subscribe.simple`.
{
  {
    await using client = await connect(url);
    await client.publish('lamps/7', 'on', { qos: 1, retain: true });
    const messages = [
      { topic: 'lamps/8', payload: 'on', qos: 1 },
      { topic: 'lamps/9', payload: 'off' },
    ] as const;
    for await (const { publication, status, error } of client.publishMany(messages))
      if (status === 'failed') console.warn(publication.topic, error);
  }
  {
    await using client = await connect(url);
    const lamps = await client.subscribe('lamps/+', { qos: 1 });
    console.log('one message:', (await lamps.receive({ timeout: 5_000 })).text());
  }
}

// Errors are rejections. There are no return codes.
{
  const nobody = new Client('mqtt://127.0.0.1:9', { reconnect: { minDelay: 10 } });
  await nobody.connect().catch((error: unknown) => {
    if (error instanceof ConnectError) console.log(`${error.code}, phase ${error.phase}`);
  });
  await nobody.publish('a/+', 'x').catch((error: unknown) => console.log(String(error)));
  await nobody.publish('a/b', 'x', { timeout: 20 }).catch((error: unknown) => {
    if (error instanceof TimeoutError) console.log(`${error.delivery}, kept: ${error.kept}`);
  });
}

// MQTT 5.0 properties need Mosquitto: the broker above supports 3.1.1 only.
const mosquitto = await startMosquitto();
if (mosquitto === undefined) console.log('MQTT 5.0 skipped: Mosquitto is not installed');
else {
  try {
    await withProperties(mosquitto.url);
  } finally {
    await mosquitto.stop();
  }
}

async function withProperties(server: string): Promise<void> {
  await using client = new Client(server, {
    protocolVersion: 5,
    clientId: 'calculator',
    cleanStart: 'first', // MQTT_CLEAN_START_FIRST_ONLY
    sessionExpiryInterval: 3600,
    receiveMaximum: 100,
    properties: { requestProblemInformation: true, userProperties: [['site', 'north']] },
  });
  const connack = await client.connect();
  console.log(`Receive Maximum of the server: ${connack.properties.receiveMaximum ?? 65_535}`);

  const answers = await client.subscribe('calc/answers', { qos: 1, noLocal: false, retainHandling: 1 });
  const { reasonCode } = await client.publish('calc/answers', '144', {
    qos: 1,
    properties: {
      contentType: 'text/plain',
      messageExpiryInterval: 30,
      correlationData: new TextEncoder().encode('7'),
      userProperties: [['unit', 'none']],
    },
  });
  const answer = await answers.receive({ timeout: 5_000 });
  console.log(`PUBACK 0x${reasonCode.toString(16)}, ${answer.properties.contentType}: ${answer.text()}`);
  await client.disconnect({ reasonCode: 0x04, properties: { sessionExpiryInterval: 0 } });
}
