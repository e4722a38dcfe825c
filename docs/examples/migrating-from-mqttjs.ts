/** docs/migrating-from-mqttjs.md: the common jobs, first with MQTT.js 5, then with mqtt-await. */
import { setTimeout as sleep } from 'node:timers/promises';
import mqtt, { type MqttClient } from 'mqtt';
import {
  Client,
  ConnectError,
  connect,
  PublishError,
  type Message,
  type ReconnectPolicy,
} from '../../lib/index.ts';
import { startBroker, startMosquitto } from './broker.ts';

await using broker = await startBroker();
const { url } = broker;
/** Resolves with the next `event` of an MQTT.js client. */
const next = (client: MqttClient, event: 'connect' | 'message' | 'error'): Promise<void> =>
  new Promise((resolve) => void client.once(event, () => resolve()));
const old = (...words: unknown[]): void => console.log('MQTT.js:   ', ...words);
const now = (...words: unknown[]): void => console.log('mqtt-await:', ...words);

// Connect and publish.
{
  const client = await mqtt.connectAsync(url, { clientId: 'lamp-7', keepalive: 60 });
  await client.publishAsync('lamps/7', 'on', { qos: 1, retain: true });
  await client.endAsync();
}
{
  await using client = await connect(url, { clientId: 'lamp-7', keepAlive: 60 });
  await client.publish('lamps/7', 'on', { qos: 1, retain: true });
}

// Subscribe and read.
{
  const client = await mqtt.connectAsync(url);
  client.on('message', (topic, payload, packet) => {
    old(topic, payload.toString(), `QoS ${packet.qos}`, packet.retain ? 'retained' : '');
  });
  const granted = await client.subscribeAsync('lamps/+', { qos: 1 });
  old(granted.map(({ qos }) => qos));
  await next(client, 'message');
  await client.endAsync();
}
{
  await using client = await connect(url);
  const lamps = await client.subscribe('lamps/+', { qos: 1 });
  now(lamps.granted);
  for await (const message of lamps) {
    now(message.topic, message.text(), `QoS ${message.qos}`, message.retain ? 'retained' : '');
    message.ack(); // the loop acknowledges a message when it asks for the next one; this is the last
    break;
  }
}

// A QoS for each filter.
{
  const client = await mqtt.connectAsync(url);
  await client.subscribeAsync({ 'sensors/#': { qos: 0 }, 'commands/#': { qos: 2 } });
  await client.unsubscribeAsync(['sensors/#', 'commands/#']);
  await client.endAsync();
}
{
  await using client = await connect(url);
  await client.subscribe([
    { topicFilter: 'sensors/#', qos: 0 },
    { topicFilter: 'commands/#', qos: 2 },
  ]);
  await client.unsubscribe(['sensors/#', 'commands/#']);
}

// A handler for each kind of message.
{
  const client = await mqtt.connectAsync(url);
  const seen: string[] = [];
  client.on('message', (topic, payload) => {
    if (topic.startsWith('commands/')) seen.push(`command ${payload.toString()}`);
    else if (/^sensors\/[^/]+\/temperature$/.test(topic)) seen.push(`temperature ${payload.toString()}`);
  });
  await client.subscribeAsync(['commands/#', 'sensors/+/temperature'], { qos: 1 });
  await client.publishAsync('commands/lamp', 'on', { qos: 1 });
  await client.publishAsync('sensors/7/temperature', '21.5', { qos: 1 });
  while (seen.length < 2) await sleep(5);
  old(seen.toSorted().join(', '));
  await client.endAsync();
}
{
  await using client = await connect(url);
  const seen: string[] = [];
  const onCommand = (message: Message): unknown => seen.push(`command ${message.text()}`);
  const onTemperature = (message: Message): unknown => seen.push(`temperature ${message.text()}`);

  const commands = await client.subscribe('commands/#', { qos: 1 });
  const temperatures = await client.subscribe('sensors/+/temperature', { qos: 1 });
  const running = [commands.forEach(onCommand), temperatures.forEach(onTemperature)];

  await client.publish('commands/lamp', 'on', { qos: 1 });
  await client.publish('sensors/7/temperature', 21.5, { qos: 1 });
  while (seen.length < 2) await sleep(5);
  now(seen.toSorted().join(', '));
  await client.drain(); // ends them
  await Promise.all(running);
}

// When a message is acknowledged, with work that takes 50 ms.
{
  const client = await mqtt.connectAsync(url);
  const order: string[] = [];
  client.on('packetsend', ({ cmd }) => void (cmd === 'puback' && order.push('PUBACK')));
  client.on('message', () => {
    setTimeout(() => order.push('work done'), 50); // MQTT.js does not wait for an async listener either
  });
  await client.subscribeAsync('work', { qos: 1 });
  await client.publishAsync('work', 'x', { qos: 1 });
  while (order.length < 2) await sleep(5);
  old(order.join(', then '));
  await client.endAsync();
}
{
  await using client = await connect(url);
  const work = await client.subscribe('work', { qos: 1 });
  await client.publish('work', 'x', { qos: 1 });
  for await (const message of work) {
    await sleep(50);
    now(`work done, unacknowledged so far: ${client.stats().unsettled.messages}`);
    message.ack();
    break;
  }
}

// With an overridden `handleMessage`, MQTT.js acknowledges after the work. It reads nothing else meanwhile.
{
  const client = await mqtt.connectAsync(url);
  client.handleMessage = (packet, done) => {
    sleep(5).then(
      () => (old(`handled ${packet.payload.toString()}`), done()),
      (error: unknown) => done(error as Error),
    );
  };
  await client.subscribeAsync('work', { qos: 1 });
  await client.publishAsync('work', 'y', { qos: 1 });
  await sleep(100);
  await client.endAsync();
}
// mqtt-await: several handlers at once. Each message is acknowledged when its handler has finished.
{
  await using client = await connect(url);
  const work = await client.subscribe('work', { qos: 1 });
  const handled: string[] = [];
  const handling = work.forEach(
    async (message) => {
      await sleep(5);
      handled.push(message.text());
    },
    { concurrency: 4 },
  );
  await client.publish('work', 'y', { qos: 1 });
  while (handled.length === 0) await sleep(5);
  await work.stop(); // forEach() ends when its handlers have finished
  await handling;
  now(`handled ${handled.join()}`);
}

// What happens to the connection.
{
  const client = mqtt.connect(url, { reconnectPeriod: 20 });
  client.on('connect', ({ sessionPresent }) => old('connect', sessionPresent));
  client.on('reconnect', () => old('reconnect'));
  client.on('close', () => old('close'));
  client.on('offline', () => old('offline'));
  client.on('error', (error) => old('error', error.message));
  client.on('end', () => old('end'));
  await next(client, 'connect');
  broker.cut();
  await next(client, 'connect');
  await client.endAsync();
}
{
  const client = new Client(url, { reconnect: { minDelay: 20 } });
  const watching = (async () => {
    for await (const event of client.status()) {
      if (event.type === 'connected') now(event.type, event.connack.sessionPresent);
      else if (event.type === 'disconnected') now(event.type, event.reason.message);
      else now(event.type);
    }
  })();
  await client.connect();
  broker.cut();
  await client.publish('lamps/7', 'on', { qos: 1 }); // waits for the next connection
  await client.disconnect();
  await watching;
}

// A server that is not there.
{
  const client = mqtt.connect('mqtt://127.0.0.1:9', { reconnectPeriod: 20 });
  client.on('error', (error) => old('error', error.message)); // optional: mqtt.connect() adds a listener itself
  await next(client, 'error');
  await client.endAsync(true);
}
{
  await connect('mqtt://127.0.0.1:9').catch((error: unknown) => {
    if (error instanceof ConnectError) now(`${error.code}, phase ${error.phase}`);
  });
}

// Published before there is a connection.
{
  const client = mqtt.connect(url, { manualConnect: true });
  const publishing = client.publishAsync('lamps/7', 'on', { qos: 1 });
  client.connect();
  await publishing;
  await client.endAsync();
}
{
  const client = new Client(url);
  const publishing = client.publish('lamps/7', 'on', { qos: 1, timeout: 5_000 });
  await client.connect();
  await publishing;
  await client.disconnect();
}

// Delays between attempts.
{
  const client = mqtt.connect(url, { reconnectPeriod: 1_000, manualConnect: true });
  old(client.connected);
}
{
  const growing = { minDelay: 1_000, maxDelay: 120_000, factor: 2, jitter: 0.2 }; // the default
  const constant = { minDelay: 1_000, maxDelay: 1_000, jitter: 0 }; // like MQTT.js
  const own: ReconnectPolicy = ({ attempt, reasonCode }) => (reasonCode === 0x8a ? false : 500 * attempt);
  const clients = [growing, constant, own].map((reconnect) => new Client(url, { reconnect }));
  now(clients.map(({ state }) => state).join());
}

// A session that outlives the connection, and a Will.
{
  const client = await mqtt.connectAsync(url, {
    clientId: 'order-service-old',
    clean: false,
    will: { topic: 'services/orders', payload: 'lost', qos: 1, retain: false },
  });
  await client.subscribeAsync('orders/#', { qos: 1 });
  await client.endAsync();
}
{
  const client = new Client(url, {
    clientId: 'order-service',
    cleanStart: false,
    will: { topic: 'services/orders', payload: 'lost', qos: 1 },
  });
  const subscribing = client.subscribe('orders/#', { qos: 1 }); // before connect(): kept messages follow CONNACK
  const { sessionPresent } = await client.connect();
  const orders = await subscribing;
  now(`Session Present: ${sessionPresent}, ${orders.topicFilters.join()}`);
  await client.drain();
}

// A new password for the next connection.
{
  const client = await mqtt.connectAsync(url, { username: 'lamp-7', password: token(), reconnectPeriod: 20 });
  client.on('close', () => {
    client.options.password = token(); // must be synchronous: MQTT.js does not wait for a promise
  });
  broker.cut();
  await next(client, 'connect');
  await client.endAsync();
}
{
  const client = new Client(url, {
    credentials: async ({ signal }) => ({ username: 'lamp-7', password: await freshToken(signal) }),
    reconnect: { minDelay: 20 },
  });
  await client.connect();
  broker.cut();
  await client.publish('lamps/7', 'on', { qos: 1 });
  await client.disconnect();
}

function token(): string {
  return `token of ${Date.now()}`;
}
function freshToken(signal: AbortSignal): Promise<string> {
  return sleep(1, token(), { signal });
}

// TLS with a client certificate. The clients do not connect, as this broker has no TLS.
const [ca, cert, key] = ['PEM of the authority', 'PEM of the certificate', 'PEM of the key'];
{
  const client = mqtt.connect('mqtts://broker.example.org', {
    ca,
    cert,
    key,
    ALPNProtocols: ['mqtt'],
    manualConnect: true,
  });
  old(client.connected);
}
{
  const client = new Client('mqtts://broker.example.org', { tls: { ca, cert, key, alpn: 'mqtt' } });
  const fromFiles = new Client('mqtts://broker.example.org', {
    tls: { caFile: 'ca.pem', certFile: 'lamp-7.pem', keyFile: 'lamp-7.key', alpn: 'mqtt' },
  });
  now(client.state, fromFiles.state);
}

// WebSocket with headers, and a proxy. These clients do not connect either.
{
  const client = mqtt.connect('wss://broker.example.org/mqtt', {
    wsOptions: { headers: { 'X-Tenant': 'north' } },
    manualConnect: true,
  });
  const behindProxy = mqtt.connect('mqtts://broker.example.org', {
    socksProxy: 'socks5h://10.0.0.1:1080',
    manualConnect: true,
  });
  old(client.connected, behindProxy.connected);
}
{
  const client = new Client('wss://broker.example.org/mqtt', { ws: { headers: { 'X-Tenant': 'north' } } });
  const behindProxy = new Client('mqtts://broker.example.org', { proxy: 'socks5h://10.0.0.1:1080' });
  now(client.state, behindProxy.state);
}

// MQTT 5.0 needs Mosquitto: the broker above supports 3.1.1 only.
const mosquitto = await startMosquitto();
if (mosquitto === undefined) console.log('MQTT 5.0 skipped: Mosquitto is not installed');
else {
  try {
    await propertiesOld(mosquitto.url);
    await propertiesNow(mosquitto.url);
  } finally {
    await mosquitto.stop();
  }
}

async function propertiesOld(server: string): Promise<void> {
  const client = await mqtt.connectAsync(server, {
    protocolVersion: 5,
    clientId: 'calculator-old',
    clean: false,
    properties: { sessionExpiryInterval: 3600, receiveMaximum: 100, userProperties: { site: 'north' } },
    customHandleAcks: (_topic, payload, _packet, done) => {
      done(Number.isNaN(Number(payload.toString())) ? 0x99 : 0); // Payload format invalid
    },
  });
  const handled: string[] = [];
  client.on('message', (_topic, payload, packet) => {
    handled.push(`${payload.toString()} ${packet.properties?.contentType}`);
  });
  await client.subscribeAsync('calc', { qos: 1, rh: 1, nl: false });
  await client.publishAsync('calc', 'twelve', { qos: 1 });
  await client.publishAsync('calc', '12', {
    qos: 1,
    properties: {
      contentType: 'text/plain',
      payloadFormatIndicator: true,
      userProperties: { unit: ['none', 'really none'] },
    },
  });
  while (handled.length === 0) await sleep(5);
  old(handled.join());
  await client.endAsync(false, { reasonCode: 0x04, properties: { sessionExpiryInterval: 0 } });
}

async function propertiesNow(server: string): Promise<void> {
  await using client = await connect(server, {
    protocolVersion: 5,
    clientId: 'calculator',
    cleanStart: false,
    sessionExpiryInterval: 3600,
    receiveMaximum: 100,
    properties: { userProperties: [['site', 'north']] },
  });
  const numbers = await client.subscribe('calc', { qos: 1, retainHandling: 1, noLocal: false });
  await client.publish('calc', 'twelve', { qos: 1 });
  await client.publish('calc', 12, {
    qos: 1,
    properties: {
      contentType: 'text/plain',
      payloadFormatIndicator: 1,
      userProperties: [
        ['unit', 'none'],
        ['unit', 'really none'],
      ],
    },
  });
  for await (const message of numbers) {
    if (Number.isNaN(Number(message.text()))) {
      message.reject(0x99); // Payload format invalid
      continue;
    }
    now(message.text(), message.properties.contentType);
    message.ack();
    break;
  }
  // A message for which the server would close the connection is refused before it is written.
  const { topicAliasMaximum } = client.negotiated!;
  await client
    .publish('calc', '1', { properties: { topicAlias: topicAliasMaximum + 1 } })
    .catch((error: unknown) => {
      if (error instanceof PublishError) now(`0x${error.reasonCode.toString(16)}, ${error.delivery}`);
    });
  await client.disconnect({ reasonCode: 0x04, properties: { sessionExpiryInterval: 0 } });
}
