import { afterEach, describe, expect, it } from '@jest/globals';
import { Client, type ClientOptions, ConnectError } from '../../lib/index.ts';
import { atEnd } from '../support/endings.ts';
import type { HttpProxy } from '../support/http-proxy.ts';
import { freePort } from '../support/ports.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import type { SocksProxy } from '../support/socks-proxy.ts';
import { errorOf, everythingOf, httpProxy, socksProxy } from '../support/tunnel-rig.ts';
import type { ProxyOptions } from '../support/tunnels.ts';
import { type Actor, actor, aedes, endActors, mosquitto } from './actors.ts';

endActors();

type Proxy = HttpProxy | SocksProxy;
const PROXIES: readonly (readonly [name: string, start: (options?: ProxyOptions) => Promise<Proxy>])[] = [
  ['HTTP', httpProxy],
  ['SOCKS5', socksProxy],
];

const CREDENTIALS = { username: 'me@home', password: 's3cr:t' };
/** Forms that reveal the password: plain, percent-encoded, and base64 with and without the user name. */
const SECRET = /s3cr(?:%3a|:)t|bWVAaG9tZTpzM2NyOnQ|czNjcjp0/i;

/** A client that is not connected, and its log. */
function stranger(url: string, options: ClientOptions): { client: Client; log: unknown[] } {
  const log: unknown[] = [];
  const line = (...words: unknown[]): void => void log.push(words);
  const logger = { debug: line, info: line, warn: line, error: line };
  const client = new Client(url, { reconnect: false, logger, ...options });
  client.closed.catch(() => {});
  atEnd(() => client.disconnect());
  return { client, log };
}

/** Publishes to itself with each QoS. Returns the received messages. */
async function roundTrip({ client }: Actor, text: string): Promise<string[]> {
  const subscription = await client.subscribe(`round/${text}`, { qos: 2 });
  for (const qos of [0, 1, 2] as const) await client.publish(`round/${text}`, `${text} ${qos}`, { qos });
  const received: string[] = [];
  for await (const message of subscription) if (received.push(message.text()) === 3) break;
  return received;
}

const EACH = (text: string): string[] => [0, 1, 2].map((qos) => `${text} ${qos}`);

/** What was received before and after the proxy cut the connection, and how long that took. */
async function across(url: string, proxy: Proxy, options: ClientOptions): Promise<unknown> {
  const one = await actor(url, options);
  const before = await roundTrip(one, 'before');
  const connected = one.next('connected');
  proxy.cut();
  await connected;
  const after = await roundTrip(one, 'after');
  return { before, after, asked: proxy.asked.length, losses: one.count('disconnected') };
}

const ALL_WELL = { before: EACH('before'), after: EACH('after'), asked: 2, losses: 1 };

describe.each(PROXIES)('peers P29: a client behind a proxy: %s', (name, start) => {
  it('publishes and receives, also after the proxy has cut the connection', async () => {
    const { url } = await aedes();
    const proxy = await start();
    expect(await across(url, proxy, { proxy: proxy.url })).toEqual(ALL_WELL);
  });

  it('sends user name and password, and lets the proxy look up the server', async () => {
    const { port } = await aedes();
    const proxy = await start({ credentials: CREDENTIALS, names: { 'broker.internal': '127.0.0.1' } });
    const { username, password } = CREDENTIALS;
    const options = { proxy: new URL(proxy.urlFor(username, password)) };
    expect(await across(`mqtt://broker.internal:${port}`, proxy, options)).toEqual(ALL_WELL);
  });

  it('finds the proxy in the environment', async () => {
    const { url } = await aedes();
    const proxy = await start();
    process.env['https_proxy'] = proxy.url;
    expect(await across(url, proxy, { proxy: 'environment' })).toEqual(ALL_WELL);
    process.env['no_proxy'] = '127.0.0.1';
    expect(await roundTrip(await actor(url, { proxy: 'environment' }), 'past it')).toEqual(EACH('past it'));
    expect(proxy.asked).toHaveLength(2);
  });

  it('leaves a silent proxy within connectTimeout', async () => {
    const proxy = await start();
    proxy.answer = 'silence';
    const { client } = stranger('mqtt://broker.example', { proxy: proxy.url, connectTimeout: 100 });
    const error = await errorOf(client.connect());
    expect(error).toBeInstanceOf(ConnectError);
    expect(error).toMatchObject({ phase: 'timeout', during: 'dial' });
    expect(proxy.asked).toHaveLength(1);
    while (proxy.tunnels.connections > 0) await new Promise(setImmediate);
  });

  it('leaves a silent proxy at once on disconnect()', async () => {
    const proxy = await start();
    proxy.answer = 'silence';
    const { client } = stranger('mqtt://broker.example', { proxy: proxy.url });
    const connecting = errorOf(client.connect());
    while (proxy.asked.length === 0) await new Promise(setImmediate);
    await client.disconnect();
    expect(await connecting).toMatchObject({ code: 'ERR_MQTT_CLOSED' });
    while (proxy.tunnels.connections > 0) await new Promise(setImmediate);
  });

  it('reports that the proxy could not be reached', async () => {
    const url = new URL((await start()).url);
    url.port = String(await freePort());
    const { client } = stranger('mqtt://broker.example', { proxy: url });
    const error = await errorOf(client.connect());
    expect(error).toMatchObject({ phase: 'dial' });
    expect(error.message).toBe(`no connection: proxy: connect ECONNREFUSED 127.0.0.1:${url.port}`);
  });

  it('retries, and reveals the password neither in errors nor in the log', async () => {
    const { url } = await aedes();
    const proxy = await start({ credentials: CREDENTIALS });
    const { username, password } = CREDENTIALS;
    const reconnect = { minDelay: 1, maxDelay: 1, retryInitial: true };
    const { client, log } = stranger(url, { proxy: proxy.urlFor(username, password), reconnect });
    const told: unknown[] = [];
    const reading = (async () => {
      for await (const event of client.status()) told.push(event);
    })();
    proxy.answer = { status: name === 'HTTP' ? 407 : 5 };
    const connecting = client.connect();
    while (proxy.asked.length < 3) await new Promise(setImmediate);
    proxy.answer = 'a tunnel';
    await connecting;
    await client.disconnect();
    await reading;
    expect(told.length).toBeGreaterThan(5);
    expect(everythingOf([told, log])).toMatch(/the proxy refused|rejected connection/);
    expect(everythingOf([told, log, client])).not.toMatch(SECRET);
  });
});

describe('a client behind an HTTP proxy', () => {
  it('reports the HTTP status of a refusal', async () => {
    const { port } = await aedes();
    const proxy = await httpProxy({ credentials: CREDENTIALS });
    const { client } = stranger(`mqtt://127.0.0.1:${port}`, { proxy: proxy.url });
    expect(await errorOf(client.connect())).toMatchObject({
      message: `the proxy refused a tunnel to 127.0.0.1:${port}: 407 Proxy Authentication Required`,
      phase: 'dial',
      status: 407,
    });
  });
});

describeWithMosquitto('a client of MQTT 5.0 behind a proxy', () => {
  it.each(PROXIES)('publishes and receives: %s', async (_, start) => {
    const { url } = await mosquitto();
    const proxy = await start();
    expect(await across(url, proxy, { proxy: { url: proxy.url }, protocolVersion: 5 })).toEqual(ALL_WELL);
  });
});

afterEach(() => {
  for (const name of ['https_proxy', 'no_proxy']) delete process.env[name];
});
