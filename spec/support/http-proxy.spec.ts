import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { endWithTest, held, listening } from './endings.ts';
import type { HttpProxy } from './http-proxy.ts';
import { httpProxy } from './tunnel-rig.ts';

endWithTest();

/** Sends text to a proxy. */
function say(proxy: HttpProxy, text: string): Socket {
  const socket = held(connect(proxy.port, '127.0.0.1'));
  socket.on('error', () => {});
  socket.write(text);
  return socket;
}

/** Reads until the proxy closes the connection. */
async function toTheEnd(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (bytes: Buffer) => void (text += bytes.toString()));
  await once(socket, 'close');
  return text;
}

const ask = (port: number, more = ''): string =>
  `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;

describe('the HTTP proxy', () => {
  it('makes a tunnel, and forwards bytes that arrive with the request', async () => {
    const { port } = await listening((socket) => void socket.on('data', (bytes) => socket.end(bytes)));
    const proxy = await httpProxy();
    proxy.head = 'first ';
    const answer = await toTheEnd(say(proxy, `${ask(port)}second`));
    expect(answer).toBe('HTTP/1.1 200 OK\r\n\r\nfirst second');
    expect(proxy.asked).toEqual([{ authority: `127.0.0.1:${port}`, headers: { host: 'x' } }]);
    while (proxy.tunnels.connections > 0) await new Promise(setImmediate);
    expect(proxy.tunnels.open).toBe(0);
  });

  it('requires the right user name and password', async () => {
    const { port } = await listening((socket) => void socket.end('in'));
    const proxy = await httpProxy({ credentials: { username: 'me', password: 'pw' } });
    const answers = [
      '',
      'Proxy-Authorization: Basic bWU6b3RoZXI=\r\n',
      'Proxy-Authorization: Basic bWU6cHc=\r\n',
    ].map((line) => toTheEnd(say(proxy, ask(port, line))));
    const refused = 'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n';
    expect(await Promise.all(answers)).toEqual([refused, refused, 'HTTP/1.1 200 OK\r\n\r\nin']);
  });

  it('reports an unreachable server, and refuses, stays silent or sends garbage on request', async () => {
    const proxy = await httpProxy();
    const { port, server } = await listening();
    await new Promise((resolve) => server.close(resolve));
    expect(await toTheEnd(say(proxy, ask(port)))).toBe('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    proxy.answer = { status: 403 };
    expect(await toTheEnd(say(proxy, ask(port)))).toBe('HTTP/1.1 403 Forbidden\r\n\r\n');
    proxy.answer = { bytes: 'la la la' };
    expect(await toTheEnd(say(proxy, ask(port)))).toBe('la la la');
    proxy.answer = 'silence';
    const silent = toTheEnd(say(proxy, ask(port)));
    while (proxy.asked.length < 4) await new Promise(setImmediate);
    proxy.cut();
    expect(await silent).toBe('');
  });
});
