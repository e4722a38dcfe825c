import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { ConnectError } from '../../lib/errors.ts';
import { requestTunnel } from '../../lib/transport/http-proxy.ts';
import type { HttpHeaders } from '../../lib/transport/options.ts';
import { parseProxyUrl } from '../../lib/transport/proxy-url.ts';
import { endWithTest, listening } from '../support/endings.ts';
import { errorOf, everythingOf, httpProxy, read, socketTo } from '../support/tunnel-rig.ts';

endWithTest();

const DESTINATION = { host: 'broker.example', port: 1_883 };

/** Requests a tunnel from the proxy of a URL. */
async function ask(
  url: string,
  destination: { host: string; port: number } = DESTINATION,
  headers?: HttpHeaders,
): Promise<Socket> {
  const server = parseProxyUrl(url);
  const socket = await socketTo(server.port);
  await requestTunnel(socket, server, destination, headers);
  return socket;
}

/** The error of a request to a proxy that behaves like `serve`. */
async function askOf(serve: (socket: Socket) => void, userinfo = ''): Promise<Error> {
  const { port } = await listening(serve);
  return errorOf(ask(`http://${userinfo}127.0.0.1:${port}`));
}

/** A server that calls `end` when the request arrives. */
const answering =
  (end: (socket: Socket) => void) =>
  (socket: Socket): void =>
    void socket.once('data', () => end(socket));

describe('a tunnel through an HTTP proxy', () => {
  it('carries bytes both ways, and is paused at first', async () => {
    const { port } = await listening();
    const proxy = await httpProxy();
    const socket = await ask(proxy.url, { host: '127.0.0.1', port });
    expect(socket.isPaused()).toBe(true);
    socket.write('there and back');
    expect(await read(socket, 14)).toBe('there and back');
    expect(proxy.tunnels.open).toBe(1);
  });

  it('is requested by name or address and port, an IPv6 address in brackets', async () => {
    const proxy = await httpProxy();
    proxy.answer = { status: 503 };
    for (const host of ['broker.example', '192.0.2.1', '2001:db8::1'])
      await errorOf(ask(proxy.url, { host, port: 8_883 }));
    const authorities = ['broker.example:8883', '192.0.2.1:8883', '[2001:db8::1]:8883'];
    expect(proxy.asked.map(({ authority }) => authority)).toEqual(authorities);
    expect(proxy.asked.map(({ headers }) => headers.host)).toEqual(authorities);
    expect(proxy.asked[0]?.headers).not.toHaveProperty('proxy-authorization');
  });

  it.each([
    ['me', 's3cret'],
    ['me@home', 'ä:/ %'],
    ['', 'only a password'],
    ['only a name', ''],
  ])('sends a user name and password: "%s" and "%s"', async (username, password) => {
    const { port } = await listening();
    const proxy = await httpProxy({ credentials: { username, password } });
    await ask(proxy.urlFor(username, password), { host: '127.0.0.1', port });
    expect(proxy.tunnels.open).toBe(1);
  });

  it('sends the header fields of the application, which replace the usual ones', async () => {
    const proxy = await httpProxy();
    proxy.answer = { status: 503 };
    const headers = { 'X-Tenant': 'a', 'user-agent': 'b', 'proxy-authorization': 'Bearer token', host: 'c' };
    await errorOf(ask(proxy.urlFor('me', 's3cret'), DESTINATION, headers));
    expect(proxy.asked[0]?.headers).toMatchObject({
      'x-tenant': 'a',
      'user-agent': 'b',
      'proxy-authorization': 'Bearer token',
      host: 'c',
    });
  });

  it('keeps bytes that arrive with the response, and before the socket is read', async () => {
    const { port } = await listening((socket) => void socket.write('world'));
    const proxy = await httpProxy();
    proxy.head = 'hello ';
    const socket = await ask(proxy.url, { host: '127.0.0.1', port });
    expect(await read(socket, 11)).toBe('hello world');
  });

  it('leaves no listeners of HTTP on the socket', async () => {
    const { port } = await listening();
    const proxy = await httpProxy();
    const socket = await socketTo(proxy.port);
    const before = socket.eventNames().map((name) => [name, socket.listenerCount(name)]);
    await requestTunnel(socket, parseProxyUrl(proxy.url), { host: '127.0.0.1', port });
    await new Promise(setImmediate);
    expect(socket.eventNames().map((name) => [name, socket.listenerCount(name)])).toEqual(before);
  });
});

describe('an HTTP proxy that opens no tunnel', () => {
  it.each([
    [407, '407 Proxy Authentication Required'],
    [403, '403 Forbidden'],
    [502, '502 Bad Gateway'],
    [302, '302 Found'],
  ])('is reported with its status: %d', async (status, words) => {
    const proxy = await httpProxy();
    proxy.answer = { status };
    const error = await errorOf(ask(proxy.urlFor('me', 's3cret')));
    expect(error).toBeInstanceOf(ConnectError);
    expect(error).toMatchObject({
      message: `the proxy refused a tunnel to broker.example:1883: ${words}`,
      phase: 'dial',
      status,
    });
    expect(everythingOf(error)).not.toMatch(/s3cret|bWU6czNjcmV0/);
  });

  it('is reported with its status text, cut to a limit', async () => {
    const proxy = await httpProxy();
    proxy.answer = { bytes: `HTTP/1.1 403 not ${'on '.repeat(500)}Sundays\r\n\r\n` };
    const { message } = await errorOf(ask(proxy.url));
    expect(message).toMatch(/^the proxy refused a tunnel to broker\.example:1883: 403 not on on/);
    expect(message.length).toBeLessThan(320);
  });

  it.each([
    ['closes at once', (socket: Socket) => socket.end()],
    ['closes on the request', answering((socket) => socket.end())],
    ['closes in the middle of its answer', answering((socket) => socket.end('HTTP/1.1 200 OK\r\n'))],
  ])('is reported if it %s', async (_, serve) => {
    expect((await askOf(serve)).message).toBe('proxy: the connection was closed before the response');
  });

  it('is reported if it resets the connection', async () => {
    const { message } = await askOf(answering((socket) => socket.resetAndDestroy()));
    expect(message).toBe('proxy: read ECONNRESET');
  });

  it.each([
    ['speaks something else', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['speaks MQTT', '\x20\x02\0\0'],
    ['sends too many header bytes', `HTTP/1.1 200 OK\r\nA: ${'a'.repeat(20_000)}\r\n`],
  ])('is reported if it %s', async (_, answer) => {
    const { message } = await askOf(answering((socket) => socket.write(answer)));
    expect(message).toMatch(/^proxy: expected an HTTP response, got something else \(HPE_\w+\)$/);
  });

  it('cannot echo the request into the error', async () => {
    const echo = (socket: Socket): void => void socket.pipe(socket);
    const everything = everythingOf(await askOf(echo, 'me:s3cret@'));
    expect(everything).toContain('expected an HTTP response');
    expect(everything).not.toMatch(/s3cret|bWU6czNjcmV0/);
  });

  it('reports a socket that has closed already', async () => {
    const { port } = await listening();
    const socket = await socketTo(port);
    socket.destroy();
    await once(socket, 'close');
    const asking = requestTunnel(socket, parseProxyUrl('http://proxy'), DESTINATION);
    expect((await errorOf(asking)).message).toMatch(/^proxy: /);
  });
});

describe('the status text of an HTTP proxy', () => {
  const said = (words: string) => answering((socket) => socket.end(`HTTP/1.1 407 ${words}\r\n\r\n`));

  it.each([
    ['the password', 'no s3cret here'],
    ['the user name', 'nobody is called mallory'],
    ['the encoded credentials', `not ${Buffer.from('mallory:s3cret').toString('base64')}`],
  ])('is omitted if it contains %s', async (_, words) => {
    const error = await askOf(said(words), 'mallory:s3cret@');
    expect(error.message).toBe(
      'the proxy refused a tunnel to broker.example:1883: 407 Proxy Authentication Required',
    );
    expect(everythingOf(error)).not.toMatch(/s3cret|mallory|bWFsb/);
  });

  it('is omitted if it contains a header field', async () => {
    const { port } = await listening(said('token 41337 is over'));
    const asking = ask(`http://127.0.0.1:${port}`, DESTINATION, { 'X-Key': 'Bearer 41337' });
    expect(everythingOf(await errorOf(asking))).not.toContain('41337');
  });

  it('reaches no terminal as commands', async () => {
    const { message } = await askOf(said('not \x1b[2J now'));
    expect(message).toBe('the proxy refused a tunnel to broker.example:1883: 407 not ?[2J now');
  });
});
