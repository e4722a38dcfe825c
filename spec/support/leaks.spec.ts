import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { FakeClock } from './fake-clock.ts';
import { watchLeaks } from './leaks.ts';

describe('watchLeaks', () => {
  it('finds nothing if everything is closed, or is closing', async () => {
    const leaked = watchLeaks();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [accepted] = await once(server, 'connection');
    socket.destroy();
    accepted.destroy();
    server.close();
    clearTimeout(setTimeout(() => {}, 60_000));
    clearInterval(setInterval(() => {}, 60_000));
    await new Promise<void>((resolve) => setTimeout(resolve, 1));
    expect(await leaked()).toEqual([]);
  });

  it('finds sockets and servers', async () => {
    const leaked = watchLeaks();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [accepted] = await once(server, 'connection');
    expect(await leaked()).toEqual(['TCPServerWrap: 1', 'TCPSocketWrap: 2']);
    socket.destroy();
    accepted.destroy();
    server.close();
  });

  it('finds timers of both kinds', async () => {
    const leaked = watchLeaks();
    const timer = setTimeout(() => {}, 60_000);
    const interval = setInterval(() => {}, 60_000);
    expect(await leaked()).toEqual(['timer: 2']);
    clearTimeout(timer);
    clearInterval(interval);
  });

  it('finds children', async () => {
    const leaked = watchLeaks();
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 60_000)'], { stdio: 'ignore' });
    expect(await leaked()).toEqual([expect.stringMatching(/^Process(Wrap)?: 1$/)]);
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  it('finds pending wakes on fake clocks', async () => {
    const clocks = [new FakeClock(), new FakeClock()];
    const leaked = watchLeaks(() => clocks);
    clocks[1]?.wakeAt(20_000, () => {});
    expect(await leaked()).toEqual(['wake on a fake clock: 1']);
  });

  it('restores the timers of the platform', async () => {
    const before = [setTimeout, setInterval, clearTimeout, clearInterval];
    await watchLeaks()();
    expect([setTimeout, setInterval, clearTimeout, clearInterval]).toEqual(before);
  });
});
