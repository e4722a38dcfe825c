import { describe, expect, it } from '@jest/globals';
import { toWebSocket } from '../../../lib/client/config/websocket-options.ts';
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
