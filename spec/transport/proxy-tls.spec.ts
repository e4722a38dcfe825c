import { getEventListeners } from 'node:events';
import type { Socket } from 'node:net';
import { expect, it } from '@jest/globals';
import type { TlsOptions } from '../../lib/transport/options.ts';
import { openTunnel } from '../../lib/transport/proxy.ts';
import type { DialOptions } from '../../lib/transport/transport.ts';
import { certificates } from '../support/certificates.ts';
import { endWithTest, held, listening } from '../support/endings.ts';
import type { HttpProxyOptions } from '../support/http-proxy.ts';
import { dialContext } from '../support/dial-contexts.ts';
import { errorOf, httpProxy, read, serverAt } from '../support/tunnel-rig.ts';
import { describeWithOpenSsl as describe } from '../support/programs.ts';

/*
 * TLS to the proxy. It is independent of TLS to the server.
 */

const made = certificates();

endWithTest();

const proxy = async (name = 'server', options: HttpProxyOptions = {}) =>
  httpProxy({ tls: await (await made()).server(name), ...options });

const through = (url: string, port: number, tls?: TlsOptions, rest: Partial<DialOptions> = {}): DialOptions =>
  serverAt(port, { proxy: { url: new URL(url), ...(tls !== undefined && { tls }) }, ...rest });

const authority = async (): Promise<TlsOptions> => ({ caFile: (await made()).file('ca.pem') });

describe('peers P29: a tunnel through an HTTP proxy over TLS', () => {
  it('carries bytes both ways, is paused at first, and reports no phase', async () => {
    const { port } = await listening();
    const one = await proxy('server', {
      credentials: { username: 'me', password: 's3cret' },
    });
    const context = dialContext();
    const url = one.urlFor('me', 's3cret');
    const socket = held((await openTunnel(through(url, port, await authority()), context)) as Socket);
    expect([socket.isPaused(), context.phases]).toEqual([true, []]);
    socket.write('there and back');
    expect(await read(socket, 14)).toBe('there and back');
    expect(one.asked).toHaveLength(1);
  });

  it('keeps bytes that arrive with the response, and before the socket is read', async () => {
    const { port } = await listening((socket) => void socket.write('world'));
    const one = await proxy();
    one.head = 'hello ';
    const socket = held(
      (await openTunnel(through(one.url, port, await authority()), dialContext())) as Socket,
    );
    expect(await read(socket, 11)).toBe('hello world');
  });

  it.each([
    ['from an authority that is not trusted', 'server', {}],
    ['for another name', 'wrong-host', undefined],
  ])(
    'is not requested if the proxy has a certificate %s, whatever the options for the server',
    async (_, name, tls) => {
      const one = await proxy(name);
      const dialOptions = through(one.url, 1_883, tls ?? (await authority()), {
        tls: { rejectUnauthorized: false },
      });
      const error = await errorOf(openTunnel(dialOptions, dialContext()));
      expect(error.message).toMatch(/^proxy: /);
      expect(one.asked).toEqual([]);
    },
  );

  it('fails if the proxy does not speak TLS', async () => {
    const one = await httpProxy();
    const dialOptions = through(one.url.replace('http:', 'https:'), 1_883, await authority());
    expect((await errorOf(openTunnel(dialOptions, dialContext()))).message).toMatch(/^proxy: /);
  });

  it.each([
    ['the handshake', () => listening(() => {})],
    ['the answer', async () => Object.assign(await proxy(), { answer: 'silence' as const })],
  ])('leaves nothing if the attempt is aborted during %s', async (_, start) => {
    const { port } = await start();
    const aborting = new AbortController();
    const { signal } = aborting;
    const asking = errorOf(
      openTunnel(through(`https://127.0.0.1:${port}`, 1, await authority()), dialContext(signal)),
    );
    for (let turns = 0; turns < 100; turns++) await new Promise(setImmediate);
    const reason = new Error('changed my mind');
    aborting.abort(reason);
    expect(await asking).toBe(reason);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});
