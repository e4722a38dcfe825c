import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { WebSocketServer } from 'ws';
import { encode } from '../../lib/codec/codec.ts';
import type { ProtocolVersion } from '../../lib/codec/packets.ts';
import { Client, type ClientOptions, ConnectError, ProtocolError } from '../../lib/index.ts';
import { atEnd } from '../support/endings.ts';
import { memoryInUse } from '../support/garbage.ts';
import { freePort } from '../support/ports.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { actor, aedes, endActors, faultProxy, inTime, sharedMosquitto } from './actors.ts';

/*
 * The promises of TCP hold for WebSocket, too.
 */

const PATIENCE = 10_000;
const MIB = 1_048_576;

endActors();

/** A broker over WebSocket, and over TCP if there is a `tcp`. */
interface Broker {
  readonly url: string;
  readonly port: number;
  readonly tcp?: string;
}

let listener = 0;
const shared = sharedMosquitto(async () => {
  listener = await freePort();
  return [`listener ${listener} 127.0.0.1`, 'protocol websockets'];
});

const overMosquitto = async (): Promise<Required<Broker>> => ({
  url: `ws://127.0.0.1:${listener}`,
  port: listener,
  tcp: shared().url,
});

const overAedes = (): Promise<Broker> => aedes({ over: 'ws' });

/** Reads `count` messages of a subscription. */
async function take(
  messages: AsyncIterable<{ text(): string }>,
  count: number,
  into: string[] = [],
): Promise<string[]> {
  for await (const message of messages) {
    into.push(message.text());
    if (into.length === count) break;
  }
  return into;
}

function carries(start: () => Promise<Broker>, versions: readonly ProtocolVersion[]): void {
  it(`carries messages of QoS 0, 1 and 2 both ways (versions ${versions.join(', ')})`, async () => {
    const { url } = await start();
    const each = versions.map(async (protocolVersion) => {
      const { client } = await actor(url, { protocolVersion, clientId: `of ${protocolVersion}` });
      const subscription = await client.subscribe(`${protocolVersion}/+`, { qos: 2 });
      for (const qos of [0, 1, 2] as const)
        await client.publish(`${protocolVersion}/${qos}`, `of ${qos}`, { qos });
      return take(subscription, 3);
    });
    expect(await Promise.all(each)).toEqual(versions.map(() => ['of 0', 'of 1', 'of 2']));
  });

  it('carries 300 small messages in order', async () => {
    const { url } = await start();
    const { client } = await actor(url);
    const subscription = await client.subscribe('numbers', { qos: 1 });
    const numbers = Array.from({ length: 300 }, (_, i) => String(i));
    const [texts] = await Promise.all([
      take(subscription, numbers.length),
      ...numbers.map((number) => client.publish('numbers', number, { qos: 1 })),
    ]);
    expect(texts).toEqual(numbers);
  });
}

/** Publishes `size` bytes on `up`, and says whether they arrive unchanged on `down`. */
async function carried(up: string, down: string, size: number): Promise<string> {
  const [publisher, consumer] = [await actor(up), await actor(down)];
  const subscription = await consumer.client.subscribe('large', { qos: 1 });
  const payload = new Uint8Array(size);
  for (let i = 0; i < size; i++) payload[i] = (i * i) >> 5;
  const published = publisher.client.publish('large', payload, { qos: 1 });
  const { value } = await subscription[Symbol.asyncIterator]().next();
  await published;
  const bytes: Uint8Array = value?.payload ?? new Uint8Array(0);
  return `${bytes.length} ${Buffer.compare(bytes, payload) === 0 ? 'the same' : 'others'}`;
}

describeWithMosquitto('a WebSocket', () => {
  carries(overMosquitto, [3, 4, 5]);

  it('carries large messages unchanged: 1 MiB to the server, 10 kB to the client', async () => {
    const { url, tcp } = await overMosquitto();
    expect(await carried(url, tcp, MIB)).toBe(`${MIB} the same`);
    // An idle Mosquitto 2.0.11 sends 4 KiB per 0.1 s over a WebSocket.
    expect(await carried(tcp, url, 10_000)).toBe('10000 the same');
  });

  it('keeps no more of an unread QoS 0 flood than the buffer of the subscription holds', async () => {
    const { url, tcp } = await overMosquitto();
    const [consumer, publisher] = [await actor(url), await actor(tcp)];
    const subscription = await consumer.client.subscribe('flood', { buffer: { messages: 100 } });
    const ends = await consumer.client.subscribe('end', { qos: 1 });
    const payload = new Uint8Array(4_000);
    const flood = async (count: number): Promise<number> => {
      for (let i = 0; i < count; i++) await publisher.client.publish('flood', payload);
      await publisher.client.publish('end', '', { qos: 1 });
      await ends.receive();
      expect(subscription.depth).toBe(100);
      return memoryInUse();
    };
    // Then everything that is reused has been allocated.
    const before = await flood(300);
    // 8 MB come.
    expect((await flood(2_000)) - before).toBeLessThan(5 * MIB);
    await consumer.client.publish('still', 'here', { qos: 1 });
    expect(consumer.count('disconnected')).toBe(0);
  });

  it('ends in order, with everything sent and without Will', async () => {
    const { url, tcp, port } = await overMosquitto();
    const witness = await actor(tcp);
    const seen = await witness.client.subscribe('seen/#', { qos: 1 });
    const proxy = await faultProxy(port);
    const texts = take(seen, 8);
    const ways: Readonly<Record<string, (client: Client) => unknown>> = {
      disconnect: (client) => client.disconnect(),
      drain: (client) => client.drain(),
      nobody: () => proxy.cut(),
    };
    for (const [name, end] of Object.entries(ways)) {
      const will = { topic: 'seen/will', payload: `will of ${name}`, qos: 1 } as const;
      const at = name === 'nobody' ? `ws://127.0.0.1:${proxy.port}` : url;
      const { client } = await actor(at, { will, reconnect: false });
      await client.publish('seen/last', `last of ${name}`, { qos: 1 });
      if (name === 'drain') void client.publish('seen/last', `more of ${name}`, { qos: 2 });
      await end(client);
      await witness.client.publish('seen/next', `after ${name}`, { qos: 1 });
    }
    expect((await inTime(texts, PATIENCE, () => 'less')).toSorted()).toEqual([
      'after disconnect',
      'after drain',
      'after nobody',
      'last of disconnect',
      'last of drain',
      'last of nobody',
      'more of drain',
      'will of nobody',
    ]);
  });
});

describe('with Aedes: a WebSocket', () => {
  carries(overAedes, [3, 4]);

  it('carries 1 MiB both ways', async () => {
    const { url } = await overAedes();
    expect(await carried(url, url, MIB)).toBe(`${MIB} the same`);
  });

  it('asks for headers before each attempt, so that each has a new token', async () => {
    const broker = await aedes({ over: 'ws' });
    const tokens: unknown[] = [];
    broker.aedes.preConnect = (client, _, done) => {
      tokens.push(client.req?.headers.authorization);
      done(null, true);
    };
    const asked: unknown[] = [];
    const headers: NonNullable<ClientOptions['ws']>['headers'] = async (defaults, { reason }) => {
      asked.push([defaults, reason?.name]);
      await turn();
      return { ...defaults, Authorization: `Bearer ${asked.length}` };
    };
    const { next } = await actor(broker.url, { ws: { headers } });
    for (let i = 0; i < 2; i++) {
      const again = next('connected');
      broker.cut();
      await again;
    }
    expect(tokens).toEqual(['Bearer 1', 'Bearer 2', 'Bearer 3']);
    const Host = `127.0.0.1:${broker.port}`;
    expect(asked).toEqual([
      [{ Host }, undefined],
      [{ Host }, 'ConnectionLostError'],
      [{ Host }, 'ConnectionLostError'],
    ]);
  });
});

/** A server on a free port, and a client of it that does not reconnect. */
async function clientOf(server: Server, options: ClientOptions = {}): Promise<Client> {
  server.on('connection', (socket: Socket) => {
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {});
    atEnd(() => {
      socket.destroy();
      return closed;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => void server.close());
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/mqtt?token=hush`;
  const client = new Client(url, { reconnect: false, ...options });
  atEnd(() => client.disconnect());
  client.closed.catch(() => {});
  return client;
}

async function refusal(client: Client): Promise<ConnectError> {
  const error: unknown = await client.connect().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConnectError);
  return error as ConnectError;
}

describe('a server that rejects the WebSocket', () => {
  it.each([401, 404, 307])('is reported with its HTTP status: %d', async (status) => {
    const server = createHttpServer((_, response) => {
      response.writeHead(status, { location: 'ws://127.0.0.1:1/hush' }).end('hush');
    });
    const error = await refusal(await clientOf(server));
    expect(error).toMatchObject({ phase: 'websocket', status, code: 'ERR_MQTT_CONNECT' });
    expect(error.message).toContain(`HTTP ${status}`);
    expect(`${error.message} ${error.stack}`).not.toContain('hush');
  });

  it('is not asked if the headers function returns invalid headers', async () => {
    const headers = (): never => ({ Upgrade: 'h2c' }) as never;
    const error = await refusal(await clientOf(createServer(), { ws: { headers } }));
    expect(error).toMatchObject({
      phase: 'websocket',
      message: expect.stringContaining(
        'ws.headers.Upgrade: expected none, as it belongs to the WebSocket handshake',
      ),
      cause: expect.any(TypeError),
    });
  });

  it('is left within connectTimeout if it is silent', async () => {
    const closed: Promise<unknown>[] = [];
    const server = createServer((socket) => {
      closed.push(new Promise((resolve) => socket.resume().once('close', resolve)));
    });
    const begin = performance.now();
    const error = await refusal(await clientOf(server, { connectTimeout: 100 }));
    expect(performance.now() - begin).toBeLessThan(1_000);
    expect(error).toMatchObject({
      phase: 'timeout',
      during: 'websocket',
      message: 'no connection within 100 ms: waited for the WebSocket handshake (websocket)',
    });
    await Promise.all(closed);
    expect(closed).toHaveLength(1);
  });

  it('v5 MQTT-6.0.0-1, v4 MQTT-6.0.0-1 loses the connection if it sends text', async () => {
    const server = createHttpServer();
    new WebSocketServer({ server }).on('connection', (ws) => {
      ws.once('message', () => {
        ws.send(encode({ type: 'connack', sessionPresent: false, reasonCode: 0 }, 4));
        ws.send('hello');
      });
    });
    const client = await clientOf(server, { protocolVersion: 4 });
    await client.connect();
    const error: unknown = await client.closed.catch((reason: unknown) => reason);
    const cause = error instanceof ProtocolError ? error : (error as Error).cause;
    expect(cause).toBeInstanceOf(ProtocolError);
    expect(cause).toMatchObject({ statement: 'MQTT-6.0.0-1' });
  });
});
