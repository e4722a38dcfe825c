import { getEventListeners } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { ConnectError } from '../../lib/errors.ts';
import { dialWebSocket } from '../../lib/transport/websocket.ts';
import { closing, endWithTest } from '../support/endings.ts';
import { dialContext } from '../support/dial-contexts.ts';
import { ChunkRecorder } from '../support/receivers.ts';
import { connected, dialled, rawServer, switching, webSocketServer } from './websocket-rig.ts';

endWithTest();

/** The error of a failed attempt. */
async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  const error: unknown = await promise.then(
    () => 'a connection',
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConnectError)) throw new Error(`expected a ConnectError, got ${inspect(error)}`);
  return error;
}

describe('v5 R8, v4 R8 the handshake', () => {
  it.each([4, 5])(
    'v5 MQTT-6.0.0-3, v4 MQTT-6.0.0-3 requests the subprotocol mqtt and the path (version %d)',
    async (protocolVersion) => {
      const { port, accepted } = await webSocketServer();
      const { phases } = await dialled(port, { protocolVersion, path: '/a%20b?c=d' });
      const { request, ws } = await accepted();
      expect(ws.protocol).toBe('mqtt');
      expect(request.url).toBe('/a%20b?c=d');
      expect(request.headers).toEqual({
        host: `127.0.0.1:${port}`,
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-key': expect.any(String),
        'sec-websocket-protocol': 'mqtt',
        'sec-websocket-version': '13',
      });
      expect(phases).toEqual(['websocket']);
    },
  );

  it('v3 V31-15 requests the subprotocol mqttv3.1', async () => {
    const { port, accepted } = await webSocketServer();
    await dialled(port, { protocolVersion: 3 });
    expect((await accepted()).ws.protocol).toBe('mqttv3.1');
  });

  it.each([
    ['none', ''],
    ['another', 'mqttv3.1'],
    ['more than that', 'mqtt, mqttv3.1'],
  ])(
    'v5 MQTT-6.0.0-4, v4 MQTT-6.0.0-4 closes before CONNECT if the server selects %s',
    async (_, selected) => {
      const said: string[] = [];
      let closed: Promise<unknown> | undefined;
      const port = await rawServer((socket, head) => {
        socket.on('data', (bytes) => said.push(bytes.toString('hex')));
        closed = closing(socket);
        socket.write(switching(head, { 'Sec-WebSocket-Protocol': selected }));
      });
      const error = await failure(dialled(port));
      expect(error).toMatchObject({
        phase: 'websocket',
        message: 'WebSocket handshake failed: the server did not select the subprotocol mqtt [MQTT-6.0.0-4]',
      });
      await closed;
      expect(said).toEqual([]);
    },
  );

  it.each([
    ['::1', '[::1]'],
    ['fe80::1%eth0', '[fe80::1]'],
    ['broker.example', 'broker.example'],
  ])('sends the host %s as %s', async (host, sent) => {
    const { port, accepted } = await webSocketServer();
    await dialled(port, { host });
    expect((await accepted()).request.headers.host).toBe(`${sent}:${port}`);
  });

  it('rejects a host that cannot be part of a URL', async () => {
    const { port } = await webSocketServer();
    const error = await failure(dialled(port, { host: 'a b' }));
    expect(error).toMatchObject({
      phase: 'websocket',
      message: expect.stringContaining('the host cannot be part of a URL'),
    });
  });

  it('is not encrypted itself for wss: the stream is', async () => {
    const { port, accepted } = await webSocketServer();
    await dialled(port, { protocol: 'wss' });
    expect((await accepted()).request.headers.host).toBe(`127.0.0.1:${port}`);
  });

  it.each([false, true])('offers compression only with perMessageDeflate: %s', async (perMessageDeflate) => {
    const { port, accepted } = await webSocketServer();
    await dialled(port, { ws: { perMessageDeflate } });
    const offered = (await accepted()).request.headers['sec-websocket-extensions'];
    expect(offered ?? '').toMatch(perMessageDeflate ? /^permessage-deflate/ : /^$/);
  });
});

describe('the headers', () => {
  it('are those of the options', async () => {
    const { port, accepted } = await webSocketServer();
    await dialled(port, { ws: { headers: { Authorization: 'Bearer me', host: 'other.example' } } });
    const { headers } = (await accepted()).request;
    expect(headers).toMatchObject({ authorization: 'Bearer me', host: 'other.example' });
  });

  it('are the result of a function, which gets the host and the attempt', async () => {
    const { port, accepted } = await webSocketServer();
    const asked: unknown[] = [];
    const { signal } = new AbortController();
    const context = { attempt: 3, reason: new ConnectError('dial', 'no') };
    await dialled(port, {
      signal,
      context,
      ws: {
        headers: async (...args) => {
          asked.push(args);
          await turn();
          return { ...args[0], 'X-Attempt': String(args[1].attempt) };
        },
      },
    });
    expect(asked).toEqual([[{ Host: `127.0.0.1:${port}` }, { ...context, signal }]]);
    expect((await accepted()).request.headers).toMatchObject({ 'x-attempt': '3' });
  });

  it.each(['throws', 'rejects'])('end the attempt if the function %s', async (way) => {
    const { port } = await webSocketServer();
    const cause = new Error('no token today');
    const headers = (): Promise<never> => {
      if (way === 'throws') throw cause;
      return Promise.reject(cause);
    };
    const error = await failure(dialled(port, { ws: { headers } }));
    expect(error).toMatchObject({
      phase: 'websocket',
      message: 'ws.headers: no token today',
      cause,
    });
  });

  it('are not waited for after the signal has aborted', async () => {
    const { port } = await webSocketServer();
    const aborting = new AbortController();
    const { signal } = aborting;
    const reason = new Error('too late');
    const headers = (): Promise<never> => {
      setImmediate(() => aborting.abort(reason));
      return new Promise(() => {});
    };
    await expect(dialled(port, { signal, ws: { headers } })).rejects.toBe(reason);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});

describe('a server that refuses', () => {
  it.each([
    [101, 'HTTP 101 Switching Protocols'],
    [200, 'HTTP 200 OK'],
    [301, 'HTTP 301 Moved Permanently (redirects are not followed)'],
    [401, 'HTTP 401 Unauthorized'],
    [404, 'HTTP 404 Not Found'],
    [503, 'HTTP 503 Service Unavailable'],
    [599, 'HTTP 599'],
  ])('is reported with its status: %d', async (status, text) => {
    let closed: Promise<unknown> | undefined;
    const port = await rawServer((socket) => {
      closed = closing(socket);
      socket.write(
        `HTTP/1.1 ${status} secret\r\nLocation: ws://secret.example\r\nContent-Length: 6\r\n\r\nsecret`,
      );
    });
    const error = await failure(dialled(port));
    expect(error).toMatchObject({
      phase: 'websocket',
      status,
      message: `WebSocket handshake failed: the server answered with ${text}`,
    });
    expect(inspect(error, { depth: 9 })).not.toContain('secret');
    await closed;
  });

  it.each<[string, (socket: Socket, head: string) => void, RegExp]>([
    ['does not speak HTTP', (socket) => socket.write('SSH-2.0-OpenSSH_9.6\r\n'), /Parse Error|HTTP/],
    ['closes', (socket) => socket.end(), /: the server closed the connection$/],
    ['resets the connection', (socket) => socket.resetAndDestroy(), /ECONNRESET/],
    [
      'closes within its response',
      (socket, head) => socket.end(switching(head).slice(0, 50)),
      /closed the connection|Parse Error/,
    ],
    [
      'sends a wrong accept key',
      (socket, head) => socket.write(switching(head, { 'Sec-WebSocket-Accept': 'x' })),
      /Sec-WebSocket-Accept/,
    ],
    [
      'upgrades to something else',
      (socket, head) => socket.write(switching(head, { Upgrade: 'h2c' })),
      /Upgrade/,
    ],
    [
      'selects compression that was not offered',
      (socket, head) => socket.write(switching(head, { 'Sec-WebSocket-Extensions': 'permessage-deflate' })),
      /Sec-WebSocket-Extensions/,
    ],
  ])('is reported if it %s', async (_, answer, message) => {
    const port = await rawServer(answer);
    const error = await failure(dialled(port));
    expect(error).toMatchObject({
      phase: 'websocket',
      status: undefined,
      message: expect.stringMatching(message),
    });
  });

  it('is reported if it closes during the headers function', async () => {
    const { port } = await webSocketServer();
    const stream: { socket?: Socket } = {};
    const { signal } = new AbortController();
    const made = (async () => {
      const { openSocket } = await import('../../lib/transport/tcp.ts');
      const socket = await openSocket({ protocol: 'ws', host: '127.0.0.1', port }, signal);
      stream.socket = socket;
      const headers = (): Record<string, string> => {
        socket.destroy();
        return {};
      };
      return dialWebSocket(
        { protocol: 'ws', host: '127.0.0.1', port, ws: { headers } },
        dialContext(),
        socket,
      );
    })();
    expect(await failure(made)).toMatchObject({
      phase: 'websocket',
      message: 'WebSocket handshake failed: the connection was closed',
    });
  });

  it('cannot echo the request into the error', async () => {
    const answers: ((socket: Socket, head: string) => void)[] = [
      (socket, head) => socket.end(head),
      (socket, head) => socket.end(`HTTP/1.1 400 ${head.slice(0, 60)}\r\n\r\n${head}`),
      (socket, head) => socket.end(`HTTP/1.1 101 Yes\r\n${head.slice(head.indexOf('\r\n') + 2)}`),
    ];
    for (const answer of answers) {
      const port = await rawServer(answer);
      const error = await failure(
        dialled(port, { path: '/mqtt?sig=hushhush', ws: { headers: { Authorization: 'hushhush' } } }),
      );
      const all = inspect(error, { depth: 9, showHidden: true, maxArrayLength: null, maxStringLength: null });
      expect(all).not.toContain('hushhush');
      expect(all).not.toContain(
        Buffer.from('hushhush')
          .toString('hex')
          .replaceAll(/(..)(?!$)/g, '$1 '),
      );
    }
  });

  it.each(['before', 'while'])('is disconnected when the signal aborts %s it is silent', async (when) => {
    let closed: Promise<unknown> | undefined;
    const aborting = new AbortController();
    const { signal } = aborting;
    const reason = new Error('too late');
    const port = await rawServer((socket) => {
      closed = closing(socket);
      aborting.abort(reason);
    });
    const headers = (): Record<string, string> => {
      if (when === 'before') aborting.abort(reason);
      return {};
    };
    await expect(dialled(port, { signal, ws: { headers } })).rejects.toBe(reason);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    await closed;
  });

  it('stays connected if the signal aborts after the handshake', async () => {
    const aborting = new AbortController();
    const { transport, ws } = await connected({}, { signal: aborting.signal });
    expect(getEventListeners(aborting.signal, 'abort')).toHaveLength(0);
    aborting.abort();
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    ws.send(Buffer.from('here'));
    await recorder.until(4);
    expect(recorder.log).toEqual([]);
  });

  it('is reported with the converted error of the stream', async () => {
    const port = await rawServer((socket) => socket.resetAndDestroy());
    const { openSocket } = await import('../../lib/transport/tcp.ts');
    const { signal } = new AbortController();
    const socket = await openSocket({ protocol: 'ws', host: '127.0.0.1', port }, signal);
    const better = new ConnectError('tls', 'the server wants a certificate');
    const dialling = dialWebSocket(
      { protocol: 'ws', host: '127.0.0.1', port },
      dialContext(),
      socket,
      () => better,
    );
    await expect(dialling).rejects.toBe(better);
  });
});
