import { describe, expect, it } from '@jest/globals';
import { toNetworkSettings } from '../../../lib/client/config/network-options.ts';
import type { HttpHeaders, WebSocketOptions } from '../../../lib/transport/options.ts';
import { firstAttempt } from '../../support/dial-contexts.ts';

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

describe('options of the WebSocket', () => {
  it('are copied', () => {
    const headers: Record<string, string> = { Authorization: 'Bearer me', Host: 'other.example' };
    const ws = { path: '/here?a=b', headers, maxPayload: 2_147_483_647, perMessageDeflate: true };
    const copy = toNetworkSettings({ ws }).ws;
    expect(copy).toEqual(ws);
    headers['Authorization'] = 'nobody';
    expect(copy?.headers).toMatchObject({ Authorization: 'Bearer me' });
    expect(toNetworkSettings({ ws: {} }).ws).toEqual({});
  });

  it.each<[unknown, string]>([
    [{ path: 'here' }, 'ws.path: expected a path that begins with /, got one that does not'],
    [{ path: '/here#there' }, 'ws.path: expected a path, got one with a fragment'],
    [{ maxPayload: 0 }, 'ws.maxPayload: expected an integer from 1 to 2147483647, got 0'],
    [{ maxPayload: 2 ** 31 }, 'ws.maxPayload: expected an integer from 1 to 2147483647, got 2147483648'],
    [{ perMessageDeflate: {} }, 'ws.perMessageDeflate: expected true or false, got an object'],
    [{ headers: 'a: b' }, 'ws.headers: expected an object, got a string of 4 characters'],
    [{ headers: new Map([['a', 'b']]) }, 'ws.headers: expected an object, got an object ([Map])'],
    [{ headers: { a: 1 } }, 'ws.headers.a: expected a string, got a number'],
    [{ headers: { 'a b': 'c' } }, 'ws.headers: expected names of header fields, got one that is none'],
    [{ headers: { a: 'b\r\nc: d' } }, 'ws.headers.a: expected the value of a header field'],
    [{ origin: 'me' }, 'ws: expected one of path, headers, maxPayload, perMessageDeflate, got origin'],
  ])('say what is wrong with them (%#)', (ws, message) => {
    expect(() => toNetworkSettings({ ws: ws as WebSocketOptions })).toThrow(message);
  });

  it.each(OURS)('leave the header %s to the WebSocket', (field) => {
    expect(() => toNetworkSettings({ ws: { headers: { [field]: 'x' } } })).toThrow(
      `ws.headers.${field}: expected none, as it is the WebSocket's own`,
    );
  });

  it('are held to the same where a function says what to send', async () => {
    const { signal } = new AbortController();
    const asked = (headers: WebSocketOptions['headers']): Promise<HttpHeaders> => {
      const wrapped = toNetworkSettings({ ws: { headers } }).ws?.headers;
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
