import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it, jest } from '@jest/globals';
import { SocksClient } from 'socks';
import { parseProxyUrl } from '../../lib/transport/proxy-url.ts';
import { negotiateTunnel } from '../../lib/transport/socks-proxy.ts';
import { endWithTest, listening } from '../support/endings.ts';
import { errorOf, everythingOf, read, socketTo, socksProxy } from '../support/tunnel-rig.ts';

endWithTest();

const DESTINATION = { host: 'broker.example', port: 1_883 };

/** Requests a tunnel from the proxy of a URL. */
async function ask(url: string, destination: { host: string; port: number } = DESTINATION): Promise<Socket> {
  const server = parseProxyUrl(url);
  const socket = await socketTo(server.port);
  await negotiateTunnel(socket, server, destination);
  return socket;
}

/** The error of a request to a proxy that behaves like `serve`. */
async function askOf(serve: (socket: Socket) => void, userinfo = ''): Promise<Error> {
  const { port } = await listening(serve);
  return errorOf(ask(`socks5://${userinfo}127.0.0.1:${port}`));
}

/** A server that answers each piece of input with the next of these, then ends. */
const answering =
  (...answers: readonly (readonly number[])[]) =>
  (socket: Socket): void => {
    const left = [...answers];
    socket.on('data', () => {
      socket.write(Uint8Array.from(left.shift() ?? []));
      if (left.length === 0) socket.end();
    });
  };

describe('a tunnel through a SOCKS5 proxy', () => {
  it('carries bytes both ways, and is paused at first', async () => {
    const { port } = await listening();
    const proxy = await socksProxy();
    const socket = await ask(proxy.url, { host: '127.0.0.1', port });
    expect(socket.isPaused()).toBe(true);
    socket.write('there and back');
    expect(await read(socket, 14)).toBe('there and back');
    expect(proxy.tunnels.open).toBe(1);
  });

  it.each([
    ['ipv4', '192.0.2.1'],
    ['ipv6', '2001:db8::1'],
    ['ipv6', '::1'],
    ['name', 'broker.example'],
  ])('is requested by %s: %s', async (form, host) => {
    const proxy = await socksProxy();
    proxy.answer = { status: 3 };
    await errorOf(ask(proxy.url, { host, port: 40_000 }));
    expect(proxy.asked).toEqual([{ form, host, port: 40_000 }]);
  });

  it.each([
    ['in ASCII', 'me', 's3cret'],
    ['with special characters', 'me@home', 'ä:/ %'],
    ['of maximum length', 'n'.repeat(255), 'p'.repeat(255)],
  ])('sends a user name and password, %s', async (_, username, password) => {
    const { port } = await listening();
    const proxy = await socksProxy({ credentials: { username, password } });
    await ask(proxy.urlFor(username, password), { host: '127.0.0.1', port });
    expect(proxy.tunnels.open).toBe(1);
    expect(proxy.shown).toEqual([`${username}:${password}`]);
  });

  it('sends no password to a proxy that does not ask for one', async () => {
    const { port } = await listening();
    const proxy = await socksProxy();
    await ask(proxy.urlFor('me', 's3cret'), { host: '127.0.0.1', port });
    expect(proxy.shown).toEqual([]);
  });

  it('keeps bytes that arrive with the response, and before the socket is read', async () => {
    const { port } = await listening((socket) => void socket.write('world'));
    const proxy = await socksProxy();
    proxy.head = 'hello ';
    const socket = await ask(proxy.url, { host: '127.0.0.1', port });
    expect(await read(socket, 11)).toBe('hello world');
  });

  it('is opened if the response arrives byte by byte', async () => {
    const { port } = await listening((socket) => {
      socket.once('data', () => {
        for (const byte of [5, 0]) socket.write(Uint8Array.of(byte));
        socket.once('data', () => {
          for (const byte of [5, 0, 0, 3, 2, 97, 98, 1, 2]) socket.write(Uint8Array.of(byte));
          socket.write('x');
        });
      });
    });
    const socket = await ask(`socks5://127.0.0.1:${port}`);
    expect(await read(socket, 1)).toBe('x');
  });

  it('leaves no listeners of SOCKS on the socket, and no timer', async () => {
    const { port } = await listening();
    const proxy = await socksProxy();
    const socket = await socketTo(proxy.port);
    const before = socket.eventNames().map((name) => [name, socket.listenerCount(name)]);
    const timers = jest.spyOn(globalThis, 'setTimeout');
    try {
      await negotiateTunnel(socket, parseProxyUrl(proxy.url), { host: '127.0.0.1', port });
      expect(timers.mock.calls.map(([, delay]) => delay)).toEqual([1]);
    } finally {
      timers.mockRestore();
    }
    expect(socket.eventNames().map((name) => [name, socket.listenerCount(name)])).toEqual(before);
  });

  it('is not timed out by the package, whatever the name of its callback', async () => {
    const { port } = await listening();
    const proxy = await socksProxy();
    const prototype = SocksClient.prototype as unknown as Record<string, unknown>;
    const { onEstablishedTimeout } = prototype;
    delete prototype['onEstablishedTimeout'];
    const delays: unknown[] = [];
    const timers = jest.spyOn(globalThis, 'setTimeout').mockImplementation(((_: unknown, delay: number) => {
      delays.push(delay);
      return {};
    }) as unknown as typeof setTimeout);
    try {
      await ask(proxy.url, { host: '127.0.0.1', port });
      expect(delays).toEqual([0x7fff_ffff]);
    } finally {
      timers.mockRestore();
      prototype['onEstablishedTimeout'] = onEstablishedTimeout;
    }
  });
});

describe('a SOCKS5 proxy that opens no tunnel', () => {
  it.each([
    [2, 'NotAllowed'],
    [4, 'HostUnreachable'],
    [5, 'ConnectionRefused'],
  ])('is reported with its reply: %d', async (status, words) => {
    const proxy = await socksProxy();
    proxy.answer = { status };
    const { message } = await errorOf(ask(proxy.url));
    expect(message).toBe(`proxy: Socks5 proxy rejected connection - ${words}`);
  });

  it('is reported if it requires a password and there is none', async () => {
    const proxy = await socksProxy({ credentials: { username: 'me', password: 's3cret' } });
    const { message } = await errorOf(ask(proxy.url));
    expect(message).toMatch(/^proxy: .*no accepted authentication type/);
  });

  it('is reported if the password is wrong, without the password', async () => {
    const proxy = await socksProxy({ credentials: { username: 'me', password: 'other' } });
    const error = await errorOf(ask(proxy.urlFor('me', 's3cret')));
    expect(proxy.shown).toEqual(['me:s3cret']);
    expect(error.message).toBe('proxy: Socks5 Authentication failed');
    expect(everythingOf(error)).not.toContain('s3cret');
  });

  it('cannot echo the request into the error', async () => {
    const answers = [
      [[4, 0]],
      [[5, 7]],
      [
        [5, 2],
        [1, 9],
      ],
      [
        [5, 2],
        [1, 0, 9, 9],
      ],
      [
        [5, 0],
        [5, 1, 0, 1, 0],
      ],
    ];
    for (const answer of answers) {
      const error = await askOf(answering(...answer), 'me:s3cret@');
      expect(error.message).toMatch(/^proxy: /);
      expect(everythingOf(error)).not.toContain('s3cret');
    }
  });

  it.each([
    ['closes at once', (socket: Socket) => void socket.end()],
    ['closes on the request', answering([])],
    ['closes in the middle of its answer', answering([5, 0], [5, 0, 0])],
    ['breaks the connection', (socket: Socket) => void socket.once('data', () => socket.resetAndDestroy())],
    ['speaks HTTP', (socket: Socket) => void socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('is reported if it %s', async (_, serve) => {
    expect((await askOf(serve)).message).toMatch(
      /^proxy: (?:Socket closed|read ECONNRESET|Received invalid Socks5 initial handshake)/,
    );
  });

  it('is reported if the name of the server is too long, without the password', async () => {
    const proxy = await socksProxy();
    const asking = ask(proxy.urlFor('me', 's3cret'), { host: 'a'.repeat(256), port: 1 });
    const error = await errorOf(asking);
    expect(error.message).toBe('proxy: An invalid destination host was provided.');
    expect(everythingOf(error)).not.toContain('s3cret');
  });

  it('reports a socket that has closed already', async () => {
    const { port } = await listening();
    const socket = await socketTo(port);
    socket.destroy();
    await once(socket, 'close');
    const asking = negotiateTunnel(socket, parseProxyUrl('socks5://proxy'), DESTINATION);
    expect((await errorOf(asking)).message).toBe('proxy: the connection was closed');
  });
});

describe('the package socks', () => {
  it('is reported if it is missing, with how to install it', async () => {
    jest.resetModules();
    jest.unstable_mockModule('socks', () => {
      throw Object.assign(new Error('no such package'), { code: 'ERR_MODULE_NOT_FOUND' });
    });
    try {
      const fresh = await import('../../lib/transport/socks-proxy.ts');
      const { port } = await listening();
      const socket = await socketTo(port);
      const asking = fresh.negotiateTunnel(socket, parseProxyUrl('socks5://proxy'), DESTINATION);
      expect((await errorOf(asking)).message).toBe(
        'proxy: SOCKS needs the package socks, which is not installed: npm install socks',
      );
    } finally {
      jest.unstable_unmockModule('socks');
      jest.resetModules();
    }
  });
});
