import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FaultProxy } from './fault-proxy.ts';
import { leakGuard } from './leaks.ts';

let server: Server;
let proxy: FaultProxy;
let sockets: Socket[];

beforeEach(async () => {
  sockets = [];
  server = createServer().listen(0, '127.0.0.1');
  server.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
  });
  await once(server, 'listening');
  proxy = await FaultProxy.to((server.address() as AddressInfo).port);
});
afterEach(async () => {
  await proxy.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});
leakGuard();

/** Both ends of a connection through the proxy, and the events of each. */
async function connected(): Promise<{ client: Socket; peer: Socket; log: string[] }> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const client = connect(proxy.port, '127.0.0.1');
  sockets.push(client);
  const [peer] = await accepted;
  const log: string[] = [];
  for (const [name, socket] of [
    ['client', client],
    ['peer', peer],
  ] as const) {
    socket.on('error', (error: NodeJS.ErrnoException) => log.push(`${name}: ${error.code}`));
    socket.on('close', () => log.push(`${name} closed`));
  }
  return { client, peer, log };
}

/** Waits for a number of bytes. Returns how many arrived. */
async function received(socket: Socket, length: number): Promise<number> {
  let count = 0;
  while (count < length) {
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    count += bytes.length;
  }
  socket.pause();
  return count;
}

describe('FaultProxy', () => {
  it('forwards everything, in both directions', async () => {
    const { client, peer } = await connected();
    expect(proxy.connections).toBe(1);
    expect(proxy.url).toBe(`mqtt://127.0.0.1:${proxy.port}`);
    client.write(Buffer.alloc(1_000_000));
    expect(await received(peer, 1_000_000)).toBe(1_000_000);
    peer.write('answer');
    expect(await received(client, 6)).toBe(6);
  });

  it.each(['client', 'peer'] as const)('closes one side when the %s closes the other', async (name) => {
    const ends = await connected();
    ends.client.resume();
    ends.peer.resume();
    ends[name].end('bye');
    await Promise.all([once(ends.client, 'close'), once(ends.peer, 'close')]);
    expect(ends.log.toSorted()).toEqual(['client closed', 'peer closed']);
    while (proxy.connections > 0) await turn();
  });

  it('limits the bytes per second', async () => {
    const { client, peer } = await connected();
    proxy.slow(1_000_000);
    const begin = performance.now();
    client.write(Buffer.alloc(200_000));
    await received(peer, 200_000);
    // Less than 200 ms, as the delay of up to 50 ms after the last piece does not count.
    expect(performance.now() - begin).toBeGreaterThan(140);
    proxy.slow(Infinity);
  });

  it('forwards nothing while frozen, and everything afterwards', async () => {
    const { client, peer, log } = await connected();
    proxy.freeze();
    const thawed: number[] = [];
    const early = new Promise<void>((resolve) => {
      peer.on('data', (bytes) => {
        thawed.push(bytes.length);
        resolve();
      });
    });
    client.write(Buffer.alloc(10));
    for (let i = 0; i < 100; i++) await turn();
    expect(thawed).toEqual([]);
    const late = await connected();
    late.client.write('late');
    for (let i = 0; i < 100; i++) await turn();
    expect(late.peer.readableLength).toBe(0);
    expect(log).toEqual([]);
    proxy.thaw();
    expect(await received(late.peer, 4)).toBe(4);
    await early;
    expect(thawed).toEqual([10]);
  });

  it('closes connections in order', async () => {
    const { client, peer, log } = await connected();
    client.resume();
    peer.resume();
    proxy.cut();
    await Promise.all([once(client, 'close'), once(peer, 'close')]);
    expect(log.toSorted()).toEqual(['client closed', 'peer closed']);
    expect(proxy.connections).toBe(0);
  });

  it('resets with an error on both sides', async () => {
    const { client, peer, log } = await connected();
    client.resume();
    peer.resume();
    proxy.reset();
    await Promise.all([once(client, 'close').catch(() => {}), once(peer, 'close').catch(() => {})]);
    while (log.length < 4) await turn();
    expect(log.toSorted()).toEqual([
      'client closed',
      'client: ECONNRESET',
      'peer closed',
      'peer: ECONNRESET',
    ]);
  });

  it('leaves the client with a half-open connection, and accepts new ones', async () => {
    const { client, peer, log } = await connected();
    peer.resume();
    proxy.halfOpen();
    await once(peer, 'close');
    await new Promise((resolve) => client.write(Buffer.alloc(10_000_000), resolve));
    for (let i = 0; i < 100; i++) await turn();
    expect(log).toEqual(['peer closed']);
    const next = await connected();
    next.client.write('hello');
    expect(await received(next.peer, 5)).toBe(5);
  });
});
