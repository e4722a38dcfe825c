import dns from 'node:dns';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { dialTcp, openSocket } from '../../lib/transport/tcp.ts';
import type { TransportReceiver, DialOptions, Transport } from '../../lib/transport/transport.ts';
import { endWithTest, held, listening } from '../support/endings.ts';
import { freePort } from '../support/ports.ts';
import { errorOf, serverAt } from '../support/tunnel-rig.ts';

/*
 * The options of a connection beside host and port.
 */

const directories: string[] = [];
const transports: Transport[] = [];

afterEach(() => {
  jest.restoreAllMocks();
  for (const transport of transports.splice(0)) transport.destroy();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

endWithTest();

const never = new AbortController().signal;

async function opened(dialOptions: DialOptions): Promise<Socket> {
  return held(await openSocket(dialOptions, never));
}

/** A path for a new socket, short enough for every system. */
function unixPath(name = 's'): string {
  const directory = mkdtempSync(join(tmpdir(), 'mqtt-'));
  directories.push(directory);
  return join(directory, name);
}

const unixServer = (path: string): DialOptions => ({ protocol: 'mqtt+unix', host: '', port: 0, path });

/** Replaces the look-up. Returns the families that it was called with. */
function lookupOf(addresses: readonly { readonly address: string; readonly family: 4 | 6 }[]): unknown[] {
  const families: unknown[] = [];
  type Answer = (error: null, addresses: unknown, family?: number) => void;
  const lookup = (_: string, options: dns.LookupOptions, answer: Answer): void => {
    families.push(options.family);
    const [first] = addresses;
    if (options.all === true) process.nextTick(answer, null, addresses);
    else process.nextTick(answer, null, first?.address, first?.family);
  };
  jest.spyOn(dns, 'lookup').mockImplementation(lookup as never);
  return families;
}

/** Reads a transport to its end. Returns the number of bytes. */
function received(transport: Transport): Promise<number> {
  transports.push(transport);
  return new Promise((resolve) => {
    let length = 0;
    const receiver: TransportReceiver = {
      allocate: () => new Uint8Array(10_000),
      onRead: (count) => void (length += count),
      onData: (bytes) => void (length += bytes.length),
      onDrain: () => {},
      onClose: () => resolve(length),
    };
    transport.open(receiver);
  });
}

describe('a Unix socket', () => {
  it('carries bytes both ways', async () => {
    const path = unixPath();
    let sent = 0;
    const server = createServer((socket) => {
      socket.on('data', (bytes) => {
        sent += bytes.length;
        if (sent === 1_000_000) socket.end(Buffer.alloc(2_000_000, 'x'));
      });
    }).listen(path);
    await once(server, 'listening');
    const transport = await dialTcp(unixServer(path), never);
    const receiving = received(transport);
    transport.write(new Uint8Array(1_000_000), () => {});
    expect(await receiving).toBe(2_000_000);
    await new Promise((resolve) => server.close(resolve));
  });

  it('that does not exist is reported with its path', async () => {
    const path = unixPath();
    expect(await errorOf(dialTcp(unixServer(path), never))).toMatchObject({
      code: 'ENOENT',
      message: `connect ENOENT ${path}`,
    });
  });

  it('that nobody listens on is reported with its path', async () => {
    const error = await errorOf(dialTcp(unixServer(process.execPath), never));
    expect(error.message).toBe(`connect ECONNREFUSED ${process.execPath}`);
  });

  it('with too long a path is rejected, not cut', async () => {
    const path = unixPath();
    const long = path.padEnd(130, 'x');
    const server = createServer().listen(long.slice(0, 107));
    await once(server, 'listening');
    expect((await errorOf(dialTcp(unixServer(long), never))).message).toMatch(
      /^expected the path of a Unix socket of at most 10[37] bytes, got 130: /,
    );
    await new Promise((resolve) => server.close(resolve));
  });

  it('ignores the TCP options', async () => {
    const path = unixPath();
    const server = createServer((socket) => socket.end('x')).listen(path);
    await once(server, 'listening');
    const options = { localAddress: '127.0.0.2', localPort: 1, family: 6, tcpKeepAlive: 1 } as const;
    expect(await received(await dialTcp({ ...unixServer(path), ...options }, never))).toBe(1);
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('the local end of a connection', () => {
  it('peers P28: has the address of localAddress', async () => {
    const { port } = await listening();
    expect((await opened(serverAt(port, { localAddress: '127.0.0.2' }))).localAddress).toBe('127.0.0.2');
  });

  it('limits the look-up to the family of localAddress', async () => {
    const { port } = await listening();
    const families = lookupOf([{ address: '127.0.0.1', family: 4 }]);
    const socket = await opened(serverAt(port, { host: 'broker.example', localAddress: '127.0.0.2' }));
    expect([socket.localAddress, ...families]).toEqual(['127.0.0.2', 4]);
    await errorOf(openSocket(serverAt(port, { host: 'broker.example', localAddress: '::1' }), never));
    expect(families).toEqual([4, 6]);
  });

  it('has the port of localPort', async () => {
    const { port } = await listening();
    const localPort = await freePort();
    expect((await opened(serverAt(port, { localPort }))).localPort).toBe(localPort);
  });

  it('is reported if its port is in use', async () => {
    const { port } = await listening();
    const { port: localPort } = await listening();
    const error = await errorOf(openSocket(serverAt(port, { localPort, localAddress: '127.0.0.1' }), never));
    expect(error).toMatchObject({ code: 'EADDRINUSE', message: `bind EADDRINUSE 127.0.0.1:${localPort}` });
  });

  it('is reported if this machine does not have its address', async () => {
    const { port } = await listening();
    const error = await errorOf(openSocket(serverAt(port, { localAddress: '192.0.2.77' }), never));
    expect(error).toMatchObject({ code: 'EADDRNOTAVAIL', message: 'bind EADDRNOTAVAIL 192.0.2.77' });
  });
});

describe('a name with several addresses', () => {
  it('connects to the first that accepts', async () => {
    const { port } = await listening(undefined, '127.0.0.3');
    const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3'].map((address) => ({
      address,
      family: 4 as const,
    }));
    lookupOf([{ address: '::1', family: 6 }, ...addresses]);
    expect((await opened(serverAt(port, { host: 'broker.example' }))).remoteAddress).toBe('127.0.0.3');
  });

  it('is reported with the error of each of them', async () => {
    const port = await freePort();
    lookupOf([
      { address: '127.0.0.1', family: 4 },
      { address: '127.0.0.2', family: 4 },
    ]);
    const error = await errorOf(openSocket(serverAt(port, { host: 'broker.example' }), never));
    expect(error.message).toBe(
      `connect ECONNREFUSED 127.0.0.1:${port}; connect ECONNREFUSED 127.0.0.2:${port}`,
    );
  });

  it.each([4, 6] as const)('is looked up for IPv%d only with family', async (family) => {
    const { port } = await listening();
    const families = lookupOf([{ address: '127.0.0.1', family: 4 }]);
    await opened(serverAt(port, { host: 'broker.example', family }));
    expect(families).toEqual([family]);
  });

  it('is rejected if it is an address of another family', async () => {
    const opening = openSocket(serverAt(1_883, { family: 6 }), never);
    expect((await errorOf(opening)).message).toBe('expected an IPv6 address, got 127.0.0.1');
  });
});

describe('a socket', () => {
  it.each([
    [{}, true],
    [{ noDelay: true }, true],
    [{ noDelay: false }, false],
  ])('disables the algorithm of Nagle unless noDelay is false: %j', async (options, noDelay) => {
    const { port } = await listening();
    const spy = jest.spyOn(Socket.prototype, 'setNoDelay');
    await opened(serverAt(port, options));
    expect(spy.mock.calls).toEqual([[noDelay]]);
  });

  it.each([
    [{}, [[true, 60_000]]],
    [{ tcpKeepAlive: 5_000 }, [[true, 5_000]]],
    [{ tcpKeepAlive: 1 }, [[true, 1_000]]],
    [{ tcpKeepAlive: 1_500 }, [[true, 2_000]]],
    [{ tcpKeepAlive: 0 }, []],
  ])('enables TCP keep-alive in whole seconds unless it is 0: %j', async (options, calls) => {
    const { port } = await listening();
    const spy = jest.spyOn(Socket.prototype, 'setKeepAlive');
    await opened(serverAt(port, options));
    expect(spy.mock.calls).toEqual(calls);
  });

  it('does not throw on an error without a listener', async () => {
    const { port } = await listening();
    const socket = await opened(serverAt(port));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.destroy(new Error('all of a sudden'));
    expect(await closed).toBe(true);
  });
});
