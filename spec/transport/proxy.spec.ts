import { getEventListeners } from 'node:events';
import { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ConnectError } from '../../lib/errors.ts';
import { openTunnel } from '../../lib/transport/proxy.ts';
import type { DialOptions } from '../../lib/transport/transport.ts';
import { endWithTest, held, listening } from '../support/endings.ts';
import type { HttpProxy } from '../support/http-proxy.ts';
import { freePort } from '../support/ports.ts';
import { dialContext } from '../support/dial-contexts.ts';
import type { SocksProxy } from '../support/socks-proxy.ts';
import { errorOf, everythingOf, httpProxy, read, serverAt, socksProxy } from '../support/tunnel-rig.ts';
import type { ProxyOptions } from '../support/tunnels.ts';

endWithTest();

/** Opens a tunnel, which ends with the test. */
async function tunnel(dialOptions: DialOptions, signal?: AbortSignal): Promise<Socket | undefined> {
  const socket = await openTunnel(dialOptions, dialContext(signal));
  return socket && held(socket);
}

/** The options to connect to a port of this machine through the proxy of a URL. */
const through = (url: string, port: number, rest: Partial<DialOptions> = {}): DialOptions =>
  serverAt(port, { proxy: { url: new URL(url) }, ...rest });

type Start = (options?: ProxyOptions) => Promise<HttpProxy | SocksProxy>;
const PROXIES: readonly (readonly [name: string, start: Start])[] = [
  ['HTTP', httpProxy],
  ['SOCKS5', socksProxy],
];

describe.each(PROXIES)('peers P29: a tunnel through a proxy: %s', (_, start) => {
  it.each(['mqtt', 'mqtts', 'ws', 'wss'] as const)('leads to the server for %s', async (protocol) => {
    const { port } = await listening();
    const proxy = await start();
    const socket = await tunnel(through(proxy.url, port, { protocol, path: '/mqtt' }));
    socket?.write('there and back');
    expect(await read(socket as Socket, 14)).toBe('there and back');
    expect(proxy.asked).toHaveLength(1);
  });

  it('uses the user name and password of the URL', async () => {
    const { port } = await listening();
    const proxy = await start({ credentials: { username: 'me', password: 's3:cr@t' } });
    expect(await tunnel(through(proxy.urlFor('me', 's3:cr@t'), port))).toBeDefined();
  });

  it.each([
    ['broker.internal', 'broker.internal'],
    ['bücher.internal', 'xn--bcher-kva.internal'],
  ])('lets the proxy look up %s', async (host, asked) => {
    const { port } = await listening();
    const proxy = await start({ names: { [asked]: '127.0.0.1' } });
    expect(await tunnel(through(proxy.url, port, { host }))).toBeDefined();
    expect(JSON.stringify(proxy.asked)).toContain(asked);
  });

  it.each(['', 'a b', 'broker\r\nX-Evil: yes', 'broker/path', 'user@broker', 'broker:1883', 'a%41'])(
    'is not requested for an invalid host: %j',
    async (host) => {
      const proxy = await start();
      const { message } = await errorOf(tunnel(through(proxy.url, 1_883, { host })));
      expect(message).toBe('proxy: expected the host of the server to be a name or an IP address');
      expect(proxy.asked).toEqual([]);
    },
  );

  it('uses localAddress', async () => {
    const { port } = await listening();
    const proxy = await start();
    const socket = await tunnel(through(proxy.url, port, { localAddress: '127.0.0.2' }));
    expect(socket?.localAddress).toBe('127.0.0.2');
  });

  it('uses noDelay and tcpKeepAlive', async () => {
    const spies = [jest.spyOn(Socket.prototype, 'setNoDelay'), jest.spyOn(Socket.prototype, 'setKeepAlive')];
    const { port } = await listening();
    const proxy = await start();
    for (const spy of spies) spy.mockClear();
    await tunnel(through(proxy.url, port, { noDelay: false, tcpKeepAlive: 5_000 }));
    expect(spies[0]?.mock.calls).toContainEqual([false]);
    expect(spies[1]?.mock.calls).toContainEqual([true, 5_000]);
    for (const spy of spies) spy.mockRestore();
  });

  it('does not throw on an error without a listener', async () => {
    const { port } = await listening();
    const proxy = await start();
    const socket = (await tunnel(through(proxy.url, port))) as Socket;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.destroy(new Error('all of a sudden'));
    expect(await closed).toBe(true);
  });

  it('reports a proxy that refuses the connection, without its password', async () => {
    const proxy = await start();
    const url = new URL(proxy.urlFor('me', 's3cret'));
    url.port = String(await freePort());
    const error = await errorOf(tunnel(through(url.href, 1_883)));
    expect(error).toMatchObject({
      message: `proxy: connect ECONNREFUSED 127.0.0.1:${url.port}`,
      cause: { code: 'ECONNREFUSED' },
    });
    expect(everythingOf(error)).not.toContain('s3cret');
  });

  it('reports a proxy whose name does not exist', async () => {
    const { protocol } = new URL((await start()).url);
    const { message } = await errorOf(tunnel(through(`${protocol}//no-such-proxy.invalid`, 1_883)));
    expect(message).toMatch(/^proxy: getaddrinfo E\w+ no-such-proxy\.invalid$/);
  });

  it('reports a server that the proxy cannot connect to', async () => {
    const proxy = await start();
    const error = await errorOf(tunnel(through(proxy.url, await freePort())));
    expect(error.message).toMatch(
      /^(?:the proxy refused a tunnel to 127\.0\.0\.1:\d+: 502 Bad Gateway|proxy: Socks5 proxy rejected connection - ConnectionRefused)$/,
    );
    await gone(proxy);
  });

  it('is not started if the signal is aborted already', async () => {
    const proxy = await start();
    const reason = new Error('not today');
    expect(await errorOf(tunnel(through(proxy.url, 1_883), AbortSignal.abort(reason)))).toBe(reason);
    expect(proxy.tunnels.connections).toBe(0);
  });

  it.each([
    ['at once', () => Promise.resolve()],
    ['while it connects to the proxy', () => new Promise(setImmediate)],
    ['while the proxy is silent', (proxy: HttpProxy | SocksProxy) => until(() => proxy.asked.length > 0)],
  ])('leaves nothing if the attempt is aborted %s', async (__, moment) => {
    const proxy = await start();
    proxy.answer = 'silence';
    const aborting = new AbortController();
    const asking = errorOf(tunnel(through(proxy.url, 1_883), aborting.signal));
    await moment(proxy);
    const reason = new Error('changed my mind');
    aborting.abort(reason);
    expect(await asking).toBe(reason);
    expect(getEventListeners(aborting.signal, 'abort')).toHaveLength(0);
    await gone(proxy);
  });

  it('is not affected by the signal once it is open', async () => {
    const { port } = await listening();
    const proxy = await start();
    const aborting = new AbortController();
    const socket = (await tunnel(through(proxy.url, port), aborting.signal)) as Socket;
    expect(getEventListeners(aborting.signal, 'abort')).toHaveLength(0);
    aborting.abort();
    socket.write('still there');
    expect(await read(socket, 11)).toBe('still there');
  });
});

describe('no tunnel', () => {
  it('is opened without a proxy', async () => {
    expect(await tunnel(serverAt(1_883))).toBeUndefined();
  });

  it('is opened for a Unix socket, whatever the proxy', async () => {
    const dialOptions = through('http://127.0.0.1:1', 0, {
      protocol: 'mqtt+unix',
      host: '',
      path: '/a.sock',
    });
    expect(await tunnel(dialOptions)).toBeUndefined();
    expect(await tunnel({ ...dialOptions, proxy: 'environment' })).toBeUndefined();
  });
});

describe('an HTTP proxy', () => {
  it('gets the header fields of the options, and its refusal is reported', async () => {
    const proxy = await httpProxy({ credentials: { username: 'me', password: 's3cret' } });
    const headers = { 'X-Tenant': 'a' };
    const dialOptions = serverAt(1_883, { proxy: { url: new URL(proxy.urlFor('me', 'wr0ng')), headers } });
    const error = await errorOf(tunnel(dialOptions));
    expect(error).toBeInstanceOf(ConnectError);
    expect(error).toMatchObject({ status: 407, phase: 'dial' });
    expect(everythingOf(error)).not.toMatch(/wr0ng|bWU6d3Iwbmc/);
    expect(proxy.asked[0]?.headers).toMatchObject({ 'x-tenant': 'a' });
  });
});

const VARIABLES = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'].flatMap((name) => [
  name,
  name.toUpperCase(),
]);

describe('the proxy of the environment', () => {
  const before = new Map(VARIABLES.map((name) => [name, process.env[name]]));

  const forget = (): void => {
    for (const name of VARIABLES) delete process.env[name];
  };

  beforeEach(forget);
  afterEach(() => {
    forget();
    for (const [name, value] of before) if (value !== undefined) process.env[name] = value;
  });

  /** Opens a tunnel to a server with these variables. */
  async function asked(
    variables: Readonly<Record<string, string>>,
    rest: Partial<DialOptions> = {},
  ): Promise<Socket | undefined> {
    forget();
    Object.assign(process.env, variables);
    const { port } = await listening();
    return tunnel(serverAt(port, { proxy: 'environment', ...rest }));
  }

  it.each(['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'])('is taken from %s', async (variable) => {
    const proxies = [await httpProxy(), await socksProxy()];
    for (const { url } of proxies) {
      for (const protocol of ['mqtt', 'mqtts', 'ws', 'wss'] as const)
        expect(await asked({ [variable]: url }, { protocol })).toBeDefined();
    }
    expect(proxies.map((proxy) => proxy.asked.length)).toEqual([4, 4]);
  });

  it('does not exist without a variable, or with http_proxy alone', async () => {
    expect(await asked({})).toBeUndefined();
    expect(await asked({ https_proxy: '', http_proxy: 'http://127.0.0.1:1' })).toBeUndefined();
  });

  it.each([
    ['*', '127.0.0.1', true],
    ['127.0.0.1', '127.0.0.1', true],
    ['other, 127.0.0.1', '127.0.0.1', true],
    ['127.0.0.1:1', '127.0.0.1', false],
    ['.internal', 'broker.internal', true],
    ['.internal', 'broker.example', false],
    ['[::1]', '::1', true],
  ])('is not used for a server that no_proxy excludes: %s, %s', async (excepted, host, isExcepted) => {
    const names = { 'broker.example': '127.0.0.1' };
    const { url } = await httpProxy({ names });
    for (const variable of ['no_proxy', 'NO_PROXY']) {
      const socket = await asked({ https_proxy: url, [variable]: excepted }, { host });
      expect(socket === undefined).toBe(isExcepted);
    }
  });

  it('is an HTTP proxy without TLS if the variable has no scheme', async () => {
    const proxy = await httpProxy({ credentials: { username: 'me', password: 's3cret' } });
    const bare = proxy.urlFor('me', 's3cret').slice('http://'.length);
    expect(await asked({ all_proxy: bare })).toBeDefined();
  });

  it('is looked up for every attempt', async () => {
    const [one, other] = [await httpProxy(), await httpProxy()];
    for (const { url } of [one, other]) await asked({ https_proxy: url });
    expect([one.asked.length, other.asked.length]).toEqual([1, 1]);
  });

  it.each([
    ['ftp://me:s3cret@proxy', 'got the scheme ftp:'],
    ['http://me:s3cret@', 'got a string that is not a URL'],
    ['http://me:s3cret@proxy/path', 'got a path'],
  ])('is reported if its URL is invalid: %s', async (url, message) => {
    const error = await errorOf(asked({ https_proxy: url }));
    expect(error.message).toContain('proxy of the environment: expected http, https, socks5');
    expect(error.message).toContain(message);
    expect(everythingOf(error)).not.toContain('s3cret');
  });

  it('requires a package, and the error says how to install it', async () => {
    jest.resetModules();
    jest.unstable_mockModule('proxy-from-env', () => {
      throw Object.assign(new Error('no such package'), { code: 'ERR_MODULE_NOT_FOUND' });
    });
    try {
      const fresh = await import('../../lib/transport/proxy.ts');
      const opening = fresh.openTunnel(serverAt(1_883, { proxy: 'environment' }), dialContext());
      expect((await errorOf(opening)).message).toBe(
        'proxy: "environment" needs the package proxy-from-env, which is not installed: npm install proxy-from-env',
      );
    } finally {
      jest.unstable_unmockModule('proxy-from-env');
      jest.resetModules();
    }
  });
});

/** Waits until `isTrue()`. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise(setImmediate);
}

/** Waits until a proxy has no connections left. */
const gone = (proxy: HttpProxy | SocksProxy): Promise<void> => until(() => proxy.tunnels.connections === 0);
