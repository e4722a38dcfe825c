import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from '@jest/globals';
import { Client, type ClientOptions, type ConnectError } from '../../lib/index.ts';
import { atEnd } from '../support/endings.ts';
import { scriptedServer } from '../support/scripted-network.ts';
import { endActors } from './actors.ts';

/*
 * Servers that listen and send nothing. Silent TLS, WebSocket and proxy servers are in the specs of these transports.
 */

endActors();

/** Listens and never accepts: the backlog of the operating system is full. */
const DEAF = `
  const { createServer } = require('node:net');
  const { parentPort } = require('node:worker_threads');
  const server = createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
  });
`;

async function deafPort(): Promise<number> {
  const worker = new Worker(DEAF, { eval: true });
  atEnd(() => worker.terminate());
  const [port] = (await once(worker, 'message')) as [number];
  for (let i = 0; i < 2; i++) {
    const filler = connectSocket(port, '127.0.0.1');
    atEnd(() => filler.destroy());
    await once(filler, 'connect');
  }
  return port;
}

/** The error of an attempt and its duration in ms. */
async function leaves(url: string, options: ClientOptions = {}): Promise<[error: ConnectError, ms: number]> {
  const client = new Client(url, { connectTimeout: 100, ...options });
  atEnd(() => client.disconnect());
  const begin = performance.now();
  const error = await client.connect().then(
    () => expect('connected').toBe('refused'),
    (reason: unknown) => reason,
  );
  return [error as ConnectError, performance.now() - begin];
}

describe('peers P20 a silent server is left within connectTimeout', () => {
  it('if it does not accept the connection', async () => {
    const [error, ms] = await leaves(`mqtt://127.0.0.1:${await deafPort()}`);
    expect(error).toMatchObject({ name: 'ConnectError', phase: 'timeout', during: 'dial' });
    expect(error.message).toBe('no connection within 100 ms: waited for the network to connect (dial)');
    expect(ms).toBeGreaterThanOrEqual(99);
  });

  it('if CONNACK does not come', async () => {
    const server = await scriptedServer();
    atEnd(() => server.close());
    const [error] = await leaves(server.url);
    expect(error).toMatchObject({ name: 'ConnectError', phase: 'timeout', during: 'connack' });
    expect(error.message).toBe('no connection within 100 ms: waited for CONNACK (connack)');
    const broker = await server.next();
    await broker.expect('connect');
    await broker.expectClose();
  });

  it('so that the next server is tried', async () => {
    const server = await scriptedServer();
    atEnd(() => server.close());
    const client = new Client(`mqtt://127.0.0.1:${await deafPort()}`, {
      servers: [server.url],
      connectTimeout: 400,
    });
    atEnd(() => client.disconnect());
    const connecting = client.connect();
    const broker = await server.next();
    await broker.accept();
    broker.answerAll();
    await connecting;
    expect(client.state).toBe('connected');
  });
});
