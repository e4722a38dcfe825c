import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import type { ClientOptions } from '../../../lib/client/config/client-options.ts';
import { toTransport, warnings } from '../../../lib/client/config/network-options.ts';
import { checkOptions, networkSection } from '../../../lib/client/config/schema.ts';
import { toSettings } from '../../../lib/client/config/settings.ts';
import { toHeaders, toWebSocket } from '../../../lib/client/config/websocket-options.ts';
import type { HttpHeaders, WebSocketOptions } from '../../../lib/transport/options.ts';
import { transportOver } from '../../../lib/transport/stream.ts';
import type { DialTarget } from '../../../lib/transport/transport.ts';
import { Stage } from '../../scenarios/stage.ts';
import { firstAttempt } from '../../support/dial-contexts.ts';

const dialOptions = (options: object) => networkSection(checkOptions(options));

/** The name and message of the error of `check`. */
function refusal(check: () => unknown): string {
  try {
    check();
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) return `${error.name}: ${error.message}`;
    throw error;
  }
  throw new Error('expected a refusal');
}

const refused = (options: object): string => refusal(() => dialOptions(options));

describe('network options that are not given', () => {
  it('are absent', () => {
    expect(dialOptions({})).toEqual({});
    const settings = toSettings('mqtt://server', {}, () => 0);
    expect([settings.network, settings.transport]).toEqual([{}, undefined]);
  });
});

describe('the options of sockets', () => {
  it.each([
    ['localAddress', '192.0.2.1'],
    ['localAddress', '::1'],
    ['localPort', 1],
    ['localPort', 65_535],
    ['family', 4],
    ['family', 6],
    ['noDelay', true],
    ['noDelay', false],
    ['tcpKeepAlive', 0],
    ['tcpKeepAlive', 32_767_000],
  ])('are accepted: %s %s', (name, value) => {
    expect(dialOptions({ [name]: value })).toEqual({ [name]: value });
  });

  it.each([
    ['localAddress', 7, 'TypeError: localAddress: expected a string, got 7'],
    [
      'localAddress',
      'eth0',
      'TypeError: localAddress: expected an IPv4 or IPv6 address, got a string of 4 characters',
    ],
    ['localPort', 0, 'RangeError: localPort: expected an integer from 1 to 65535, got 0'],
    ['localPort', 65_536, 'RangeError: localPort: expected an integer from 1 to 65535, got 65536'],
    [
      'localPort',
      '1883',
      'TypeError: localPort: expected an integer from 1 to 65535, got a string of 4 characters',
    ],
    ['family', 5, 'TypeError: family: expected 4 or 6, got 5'],
    ['family', 'IPv4', 'TypeError: family: expected 4 or 6, got a string of 4 characters'],
    ['noDelay', 1, 'TypeError: noDelay: expected true or false, got 1'],
    ['tcpKeepAlive', -1, 'RangeError: tcpKeepAlive: expected an integer from 0 to 32767000, got -1'],
    ['tcpKeepAlive', 1.5, 'RangeError: tcpKeepAlive: expected an integer from 0 to 32767000, got 1.5'],
    [
      'tcpKeepAlive',
      32_767_001,
      'RangeError: tcpKeepAlive: expected an integer from 0 to 32767000, got 32767001',
    ],
    ['tcpKeepAlive', true, 'TypeError: tcpKeepAlive: expected an integer from 0 to 32767000, got true'],
  ])('are refused: %s %s', (name, value, message) => {
    expect(refused({ [name]: value })).toBe(message);
  });

  it('must fit together: localAddress and family', () => {
    expect(dialOptions({ localAddress: '::1', family: 6 })).toEqual({ localAddress: '::1', family: 6 });
    const options = { localAddress: '127.0.0.1', family: 6 } as const;
    expect(refusal(() => toSettings('mqtt://a', options, () => 0))).toBe(
      'TypeError: family: expected 4, the family of localAddress, got 6',
    );
  });
});

describe('a transport of the application', () => {
  it('is a function', async () => {
    const target: DialTarget = { protocol: 'mqtt', host: 'broker', port: 1 };
    const asked: unknown[] = [];
    const { signal } = new AbortController();
    const dial = toTransport('transport', (...all: unknown[]) => {
      asked.push(...all);
      throw new Error('not today');
    });
    await expect(dial(target, signal)).rejects.toThrow('not today');
    expect(asked).toEqual([target, signal]);
    expect(refusal(() => toTransport('transport', {}))).toMatch(
      /^TypeError: transport: expected a function, got an object/,
    );
  });

  it('that returns something else is an error, and a stream is destroyed', async () => {
    const { signal } = new AbortController();
    const target: DialTarget = { protocol: 'mqtt', host: 'broker', port: 1 };
    const stream = new PassThrough();
    for (const wrong of [undefined, null, {}, 'broker', stream])
      await expect(toTransport('transport', async () => wrong)(target, signal)).rejects.toThrow(
        'transport: expected a Transport, such as transportOver(stream) returns, got',
      );
    expect(stream.destroyed).toBe(true);
    const right = transportOver(new PassThrough());
    expect(await toTransport('transport', async () => right)(target, signal)).toBe(right);
    right.destroy();
  });
});

describe('a network option that has no effect with any of the URLs', () => {
  const of = (url: string, options: object): string =>
    refusal(() => toSettings(url, options as ClientOptions, () => 0));
  const transport = () => Promise.reject(new Error('not today'));

  it.each([
    ['mqtt://a', { ws: {} }, 'ws: expected a URL that begins with ws: or wss:, got mqtt:'],
    ['ws://a', { tls: {} }, 'tls: expected a URL that begins with mqtts: or wss:, got ws:'],
    [
      'mqtt+unix:///a',
      { proxy: 'http://p' },
      'proxy: expected none with mqtt+unix:, as it has no effect on Unix sockets',
    ],
    [
      'mqtt+unix:///a',
      { noDelay: true },
      'noDelay: expected none with mqtt+unix:, as it has no effect on Unix sockets',
    ],
    ['mqtts://a', { transport, tls: {} }, 'tls: expected none with transport, which replaces it'],
    ['mqtt://a', { transport, family: 4 }, 'family: expected none with transport, which replaces it'],
    [
      'ws://a',
      { transport, ws: { headers: {} } },
      'ws.headers: expected none with transport, which replaces it',
    ],
  ])('is refused: %s %j', (url, options, message) => {
    expect(of(url, options)).toBe(`TypeError: ${message}`);
  });

  it.each([
    ['mqtt+unix:///a', { proxy: 'environment' }],
    ['mqtt+unix:///a', { proxy: 'http://p', servers: ['mqtt://b'] }],
    ['mqtt://a', { ws: {}, servers: [() => 'ws://b'] }],
    ['ws://a', { transport, ws: { path: '/x' }, localAddress: '127.0.0.1' }],
  ])('is accepted if one of the URLs may use it: %s %j', (url, options) => {
    expect(() => toSettings(url, options as ClientOptions, () => 0)).not.toThrow();
  });
});

describe('header fields', () => {
  it.each([
    ['Authorization', 'Basic bWU6c2VjcmV0'],
    ['x-amz-security_token', 'a b\tc "d" \u00e4'],
    ["!#$%&'*+.^_`|~09", ''],
  ])('are accepted: %s', (name, value) => {
    const headers = { [name]: value };
    const taken = toHeaders('headers', headers);
    expect(taken).toEqual(headers);
    expect(taken).not.toBe(headers);
  });

  it.each([
    ['null', null, /expected an object, got null$/],
    ['a list', [['a', 'b']], /expected an object, got an array of 1$/],
    ['a Map', new Map([['a', 'b']]), /expected an object, got an object/],
    ['Headers', new Headers({ a: 'b' }), /expected an object, got an object/],
    ['a name that is empty', { '': 'a' }, /expected names of header fields, got an invalid name$/],
    ['a name with a space', { 'a b': 'c' }, /expected names of header fields/],
    ['a name with a line break', { 'a\r\nb': 'c' }, /expected names of header fields/],
    ['a name with a colon', { 'a:': 'c' }, /expected names of header fields/],
    ['a name that is not ASCII', { ä: 'c' }, /expected names of header fields/],
    ['a value with a line break', { a: 'b\r\nc: d' }, /headers\.a: .*got invalid characters$/],
    ['a value with U+0000', { a: 'b\0' }, /headers\.a: .*got invalid characters$/],
    ['a value beyond Latin-1', { a: '\u20ac' }, /headers\.a: expected a header field value/],
    ['a number', { a: 7 }, /headers\.a: expected a string, got a number$/],
    ['a list of values', { a: ['b', 'c'] }, /headers\.a: expected a string, got an array of 2$/],
    ['undefined', { a: undefined }, /headers\.a: expected a string, got undefined$/],
  ])('are refused: %s', (_, headers, message) => {
    expect(refusal(() => toHeaders('headers', headers as never))).toMatch(message);
  });
});

describe('the proxy', () => {
  const EXPECTED = 'TypeError: proxy: expected http, https, socks5 or socks5h://[user:password@]host[:port]';

  it.each(['http://proxy:3128', 'https://me:secret@proxy', 'socks5://proxy', 'socks5h://[::1]:9050'])(
    'is a URL, or an object with a URL: %s',
    (url) => {
      const expected = { proxy: { url: new URL(url) } };
      for (const proxy of [url, new URL(url), { url }, { url: new URL(url) }])
        expect(dialOptions({ proxy })).toEqual(expected);
    },
  );

  it('may be the one of the environment', () => {
    expect(dialOptions({ proxy: 'environment' })).toEqual({ proxy: 'environment' });
  });

  it('is copied, with headers and tls', () => {
    const url = new URL('https://proxy');
    const headers = { 'X-Tenant': 'a' };
    const { proxy } = dialOptions({ proxy: { url, headers, tls: { servername: 'b' } } });
    url.host = 'other';
    headers['X-Tenant'] = 'other';
    expect(proxy).toMatchObject({ headers: { 'X-Tenant': 'a' }, tls: { servername: 'b' } });
    expect(String((proxy as { url: URL }).url)).toBe('https://proxy/');
  });

  it.each([
    [7, 'TypeError: proxy: expected a URL, "environment" or an object, got 7'],
    [[], 'TypeError: proxy: expected an object, got an array of 0'],
    [{}, 'TypeError: proxy.url: expected a URL, got undefined'],
    [{ url: 7 }, 'TypeError: proxy.url: expected a URL, got 7'],
    [{ host: 'proxy' }, 'TypeError: proxy: expected one of url, headers, tls, got host'],
    ['proxy', `${EXPECTED}, got a string that is not a URL`],
    ['proxy:3128', `${EXPECTED}, got the scheme proxy:`],
    ['socks4://proxy', `${EXPECTED}, got the scheme socks4:`],
    ['http://proxy/path', `${EXPECTED}, got a path`],
    [
      { url: 'http://proxy', headers: { a: 'b\n' } },
      'TypeError: proxy.headers.a: expected a header field value, got invalid characters',
    ],
    [
      { url: 'socks5://proxy', headers: {} },
      'TypeError: proxy.headers: expected none with SOCKS, which has no header fields',
    ],
    [
      { url: 'http://proxy', tls: {} },
      'TypeError: proxy.tls: expected none, as the URL of the proxy does not begin with https:',
    ],
  ])('is refused: %j', (proxy, message) => {
    expect(refused({ proxy })).toBe(message);
  });

  it('is not shown in messages, as its URL may have a password', () => {
    for (const url of ['ftp://me:s3cret@proxy', 'http://me:s3cret@proxy/path', 's3cret', 'http://s3cret@:80'])
      expect(refused({ proxy: url })).not.toContain('s3cret');
  });
});

describe('a secret of the wrong type', () => {
  it('is not shown', () => {
    for (const options of [
      { tls: { pfxFile: 'a', passphrase: 41_337 } },
      { ws: { headers: { Authorization: 41_337 } } },
      { proxy: { url: 'http://proxy', headers: { 'X-Key': 41_337 } } },
    ])
      expect(refused(options)).toMatch(/: expected a string.*, got a number$/);
    expect(
      refusal(() => toSettings('mqtt://server', { username: 'a', password: 41_337 as never }, Math.random)),
    ).toBe('TypeError: password: expected a string or bytes, got a number');
  });
});

describe('an insecure option', () => {
  const insecure = { tls: { verifyHostname: false } } as const;

  it('causes a warning, also for a proxy', () => {
    const proxy = { url: 'https://proxy', tls: { rejectUnauthorized: false } };
    expect(warnings(dialOptions({ ...insecure, proxy }))).toEqual([
      'tls.verifyHostname is off: anyone with a certificate of a trusted authority can pretend to be the server',
      'proxy.tls.rejectUnauthorized is off: anyone can pretend to be the proxy',
    ]);
    expect(warnings(dialOptions({ tls: {}, proxy: 'environment' }))).toEqual([]);
  });

  it('causes a warning in the constructor and in configure()', () => {
    const stage = new Stage();
    const client = stage.client(insecure, 'mqtts://server');
    client.configure({ keepAlive: 5 });
    client.configure({ tls: { rejectUnauthorized: false } });
    expect(stage.log).toEqual([
      expect.stringContaining('warn: tls.verifyHostname is off'),
      expect.stringContaining('warn: tls.rejectUnauthorized is off'),
    ]);
  });
});

describe('options of the WebSocket', () => {
  const OURS = [
    'Connection',
    'upgrade',
    'Content-Length',
    'Transfer-Encoding',
    'Expect',
    'Sec-WebSocket-Key',
    'sec-websocket-version',
    'Sec-WebSocket-Protocol',
    'Sec-WebSocket-Extensions',
  ];

  it('are copied', () => {
    const headers: Record<string, string> = { Authorization: 'Bearer me', Host: 'other.example' };
    const ws = { path: '/here?a=b', headers, maxPayload: 2_147_483_647, perMessageDeflate: true };
    const copy = toWebSocket('ws', ws);
    expect(copy).toEqual(ws);
    headers['Authorization'] = 'nobody';
    expect(copy.headers).toMatchObject({ Authorization: 'Bearer me' });
    expect(toWebSocket('ws', {})).toEqual({});
  });

  it.each<[unknown, string]>([
    [7, 'ws: expected an object, got 7'],
    [{ path: 7 }, 'ws.path: expected a string, got 7'],
    [{ path: 'here' }, 'ws.path: expected a path that begins with /, got one that does not'],
    [{ path: '/here#there' }, 'ws.path: expected a path, got one with a fragment'],
    [{ maxPayload: 0 }, 'ws.maxPayload: expected an integer from 1 to 2147483647, got 0'],
    [{ maxPayload: 2 ** 31 }, 'ws.maxPayload: expected an integer from 1 to 2147483647, got 2147483648'],
    [{ perMessageDeflate: {} }, 'ws.perMessageDeflate: expected true or false, got an object'],
    [{ headers: 'a: b' }, 'ws.headers: expected an object, got a string of 4 characters'],
    [{ headers: new Map([['a', 'b']]) }, 'ws.headers: expected an object, got an object ([Map])'],
    [{ headers: { a: 1 } }, 'ws.headers.a: expected a string, got a number'],
    [{ headers: { 'a b': 'c' } }, 'ws.headers: expected names of header fields, got an invalid name'],
    [{ headers: { a: 'b\r\nc: d' } }, 'ws.headers.a: expected a header field value, got invalid characters'],
    [{ origin: 'me' }, 'ws: expected one of path, headers, maxPayload, perMessageDeflate, got origin'],
  ])('are refused (%#)', (ws, message) => {
    expect(() => toWebSocket('ws', ws)).toThrow(message);
  });

  it.each(OURS)('refuse the header %s, which belongs to the WebSocket handshake', (field) => {
    expect(() => toWebSocket('ws', { headers: { [field]: 'x' } })).toThrow(
      `ws.headers.${field}: expected none, as it belongs to the WebSocket handshake`,
    );
  });

  it('have the headers that a function returns checked in the same way', async () => {
    const { signal } = new AbortController();
    const asked = (headers: WebSocketOptions['headers']): Promise<HttpHeaders> => {
      const wrapped = toWebSocket('ws', { headers }).headers;
      if (typeof wrapped !== 'function') throw new Error('expected a function');
      return Promise.resolve(wrapped({ Host: 'here' }, firstAttempt(signal)));
    };
    await expect(
      asked((defaults, context) => ({ ...defaults, a: String(context.attempt) })),
    ).resolves.toEqual({
      Host: 'here',
      a: '0',
    });
    await expect(asked(async () => ({ Upgrade: 'h2c' }))).rejects.toThrow(
      'ws.headers.Upgrade: expected none',
    );
    await expect(asked(() => undefined as never)).rejects.toThrow(
      'ws.headers: expected an object, got undefined',
    );
    await expect(
      asked(() => {
        throw new Error('no token');
      }),
    ).rejects.toThrow('no token');
  });
});
