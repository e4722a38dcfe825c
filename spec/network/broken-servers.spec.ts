import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { encode } from '../../lib/codec/codec.ts';
import {
  Client,
  type ClientOptions,
  ConnectError,
  ConnectionLostError,
  type MqttError,
  ProtocolError,
} from '../../lib/index.ts';
import { leakGuard } from '../support/leaks.ts';
import { freePort } from '../support/ports.ts';
import { endPrograms, startProgram } from './children.ts';

/*
 * Broken servers. Each causes one clear error, and nothing is left behind. An uncaught exception fails its test.
 */

const servers: Server[] = [];
const sockets = new Set<Socket>();
const clients: Client[] = [];

afterEach(async () => {
  await endPrograms();
  await Promise.all(clients.splice(0).map((client) => client.disconnect()));
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

leakGuard();

/** A server that calls `treat` after CONNECT, and a client of it that does not reconnect. */
async function clientOf(treat: (socket: Socket) => void, options: ClientOptions = {}): Promise<Client> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.once('data', () => treat(socket));
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new Client(`mqtt://127.0.0.1:${port}`, { reconnect: false, ...options });
  clients.push(client);
  return client;
}

/** The error of `connect()`. */
async function refusal(client: Client): Promise<ConnectError> {
  const error: unknown = await client.connect().then(
    () => 'connected',
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConnectError);
  return error as ConnectError;
}

/** The error that closes a connected client. */
async function ending(client: Client): Promise<MqttError> {
  await client.connect();
  return (await client.closed.then(
    () => 'closed in order',
    (reason: unknown) => reason,
  )) as MqttError;
}

const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);
const CONNACK = bytes(0x20, 2, 0, 0);
/** The beginning of a packet of 256 MiB. */
const HUGE = bytes(...CONNACK, 0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 0x61);

describe('connect()', () => {
  it('rejects after connectTimeout if the server sends nothing', async () => {
    const client = await clientOf(() => {}, { connectTimeout: 100 });
    expect(await refusal(client)).toMatchObject({ phase: 'timeout', code: 'ERR_MQTT_CONNECT' });
    expect(client.state).toBe('offline');
  });

  it('rejects after connectTimeout if the server sends half a CONNACK', async () => {
    const client = await clientOf((socket) => socket.write(CONNACK.subarray(0, 3)), { connectTimeout: 100 });
    expect((await refusal(client)).phase).toBe('timeout');
  });

  it.each([
    ['closes', (socket: Socket) => socket.end()],
    ['resets the connection', (socket: Socket) => socket.resetAndDestroy()],
    ['closes in the middle of CONNACK', (socket: Socket) => socket.end(CONNACK.subarray(0, 3))],
  ])('rejects if the server %s instead of sending CONNACK', async (_, treat) => {
    const client = await clientOf(treat);
    expect((await refusal(client)).phase).toBe('connack');
    expect(client.state).toBe('offline');
  });

  it.each([
    ['garbage', new Uint8Array(64).fill(0xff)],
    ['a PUBLISH', bytes(0x30, 3, 0, 1, 0x61)],
    ['a CONNECT', encode({ type: 'connect', clientId: 'a', cleanStart: true, keepAlive: 0 }, 4)],
    ['a CONNACK that is too long', bytes(0x20, 3, 0, 0, 0)],
    ['a CONNACK with reserved bits', bytes(0x20, 2, 2, 0)],
    ['a CONNACK with a reserved return code', bytes(0x20, 2, 0, 6)],
  ])('rejects with the protocol error if the server sends %s', async (_, answer) => {
    const client = await clientOf((socket) => socket.write(answer));
    const error = await refusal(client);
    expect(error.phase).toBe('connack');
    expect(error.cause).toBeInstanceOf(ProtocolError);
    expect((error.cause as ProtocolError).statement).not.toBe('');
  });

  it.each([1, 2, 3, 4, 5])('rejects with return code %d of a server that refuses', async (reasonCode) => {
    const client = await clientOf((socket) => socket.end(bytes(0x20, 2, 0, reasonCode)));
    expect(await refusal(client)).toMatchObject({ phase: 'connack', reasonCode });
  });

  it.each([
    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a,
    0x9b, 0x9c, 0x9d, 0x9f,
  ])('rejects with Reason Code %d of a server of 5.0 that refuses', async (reasonCode) => {
    const treat = (socket: Socket): void => void socket.end(bytes(0x20, 3, 0, reasonCode, 0));
    const client = await clientOf(treat, { protocolVersion: 5 });
    expect(await refusal(client)).toMatchObject({ phase: 'connack', reasonCode });
  });

  it('rejects with the error of the network if there is no server', async () => {
    const client = new Client(`mqtt://127.0.0.1:${await freePort()}`);
    const error = await refusal(client);
    expect(error).toMatchObject({ phase: 'dial', cause: { code: 'ECONNREFUSED' } });
    expect(client.state).toBe('offline');
  });

  it('rejects with the error of the look-up if the name has no address', async () => {
    // A label of this length is invalid, so no name server is asked.
    const error = await refusal(new Client(`mqtt://${'x'.repeat(64)}.invalid`));
    expect(error).toMatchObject({ phase: 'dial', cause: { syscall: 'getaddrinfo' } });
  });
});

describe('an accepted connection', () => {
  it.each([
    ['garbage', new Uint8Array(64).fill(0xff), 0x81],
    ['a packet that only clients send', bytes(0xc0, 0), 0x82],
    ['a second CONNACK', CONNACK, 0x82],
    ['a Remaining Length of five bytes', bytes(0x30, 0xff, 0xff, 0xff, 0xff, 1), 0x81],
    ['a PUBLISH of QoS 3', bytes(0x36, 5, 0, 1, 0x61, 0, 1), 0x81],
    ['an unexpected PUBACK with reserved bits', bytes(0x41, 2, 0, 1), 0x81],
  ])('ends with a ProtocolError on %s', async (_, answer, reasonCode) => {
    const client = await clientOf((socket) => socket.write(bytes(...CONNACK, ...answer)));
    const error = await ending(client);
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error).toMatchObject({ code: 'ERR_MQTT_PROTOCOL', reasonCode });
    expect(client.state).toBe('closed');
  });

  it.each([
    ['in order', (socket: Socket) => socket.end(CONNACK)],
    ['in the middle of a packet', (socket: Socket) => socket.end(bytes(...CONNACK, 0x30, 100, 0, 1))],
    ['with an error', (socket: Socket) => socket.write(CONNACK, () => socket.resetAndDestroy())],
  ])('ends with a ConnectionLostError when it is closed %s', async (_, treat) => {
    const error = await ending(await clientOf(treat));
    expect(error).toBeInstanceOf(ConnectionLostError);
    expect(error.code).toBe('ERR_MQTT_CONNECTION_LOST');
  });

  it('ends at once if a packet exceeds the maximum packet size', async () => {
    const client = await clientOf((socket) => socket.write(HUGE), { maximumPacketSize: 1_000 });
    const error = await ending(client);
    expect(error).toMatchObject({ code: 'ERR_MQTT_PROTOCOL', reasonCode: 0x95 });
  });

  it('ends if the server stops in the middle of a packet, and takes no memory for bytes that have not come', async () => {
    const before = process.memoryUsage().arrayBuffers;
    const error = await ending(
      await clientOf((socket) => socket.write(HUGE), { keepAlive: 1, pingTimeout: 100 }),
    );
    expect(error).toBeInstanceOf(ConnectionLostError);
    expect(error.message).toContain('PINGREQ');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1_048_576);
  });
});

describe('300 streams of broken packets and random bytes', () => {
  const EACH = 100;
  const VERSIONS = [3, 4, 5];

  it('end their connections with an error, and nothing crashes, hangs or grows (protocol versions 3, 4 and 5)', async () => {
    const seed = 4711;
    const child = startProgram('mutants', ...[EACH, seed, ...VERSIONS].map(String));
    const { code, lines, complaint } = await child.ended;
    expect({ code, complaint }).toEqual({ code: 0, complaint: '' });
    const outcomes = lines.map(
      (line) => JSON.parse(line) as { version: number; endings: Record<string, number>; growth: number },
    );
    expect(outcomes.map(({ version }) => version)).toEqual(VERSIONS);
    for (const { endings, growth } of outcomes) {
      const lost = endings['ConnectionLostError ERR_MQTT_CONNECTION_LOST'] ?? 0;
      const broken = endings['ProtocolError ERR_MQTT_PROTOCOL'] ?? 0;
      expect(lost + broken).toBe(EACH);
      expect(broken).toBeGreaterThan(EACH / 2);
      expect(growth).toBeLessThan(8 * 1_048_576);
    }
  }, 60_000);
});
