import { describe, expect, it } from '@jest/globals';
import { parseUrl } from '../../lib/transport/url.ts';

const EXPECTED = 'url: expected mqtt://, mqtts://, ws://, wss://host[:port], or mqtt+unix:///path';

/** The error of an invalid URL. */
function refusal(url: unknown): string {
  try {
    parseUrl(url as string);
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) return `${error.name}: ${error.message}`;
    throw error;
  }
  throw new Error('expected a refusal');
}

describe('parseUrl', () => {
  it.each([
    ['mqtt://localhost', 'localhost', 1883],
    ['mqtt://localhost/', 'localhost', 1883],
    ['mqtt://localhost:1884', 'localhost', 1884],
    ['mqtt://broker.example.com:65535', 'broker.example.com', 65_535],
    ['MQTT://127.0.0.1', '127.0.0.1', 1883],
    ['mqtt://[::1]', '::1', 1883],
    ['mqtt://[2001:db8::1]:1', '2001:db8::1', 1],
    ['mqtt://under_score', 'under_score', 1883],
  ])('parses %s', (url, host, port) => {
    const expected = { target: { protocol: 'mqtt', host, port }, credentials: {} };
    expect(parseUrl(url)).toEqual(expected);
    expect(parseUrl(new URL(url))).toEqual(expected);
  });

  it.each([
    ['mqtts://localhost', 'mqtts', 8883, undefined],
    ['ws://localhost', 'ws', 80, '/mqtt'],
    ['ws://localhost/', 'ws', 80, '/mqtt'],
    ['ws://localhost:80/other', 'ws', 80, '/other'],
    ['wss://localhost', 'wss', 443, '/mqtt'],
    ['wss://localhost:9001/a%20b?token=c%2Fd', 'wss', 9001, '/a%20b?token=c%2Fd'],
    ['wss://localhost?token', 'wss', 443, '/mqtt?token'],
  ])('finds the port and the path of %s', (url, protocol, port, path) => {
    const target = { protocol, host: 'localhost', port, ...(path !== undefined && { path }) };
    expect(parseUrl(url)).toEqual({ target, credentials: {} });
  });

  it('uses the default path for WebSocket URLs without one', () => {
    expect(parseUrl('ws://host', '/ws').target.path).toBe('/ws');
    expect(parseUrl('ws://host/mine', '/ws').target.path).toBe('/mine');
    expect(parseUrl('mqtt://host', '/ws').target.path).toBeUndefined();
  });

  it('parses the file of a Unix socket', () => {
    const target = { protocol: 'mqtt+unix', host: '', port: 0, path: '/run/a b/mosquitto.sock' };
    expect(parseUrl('mqtt+unix:///run/a%20b/mosquitto.sock')).toEqual({ target, credentials: {} });
  });

  it.each([
    ['mqtt://me:secret@host', { username: 'me', password: 'secret' }],
    ['mqtt://me@host', { username: 'me' }],
    ['mqtt://:secret@host', { password: 'secret' }],
    ['mqtt://u%40localhost:p%3A%2F%25@host', { username: 'u@localhost', password: 'p:/%' }],
    ['mqtt://@host', {}],
  ])('decodes the user name and password of %s', (url, credentials) => {
    expect(parseUrl(url).credentials).toEqual(credentials);
    expect(parseUrl(url).target.host).toBe('host');
  });

  it.each([
    ['tcp://me:secret@host', `TypeError: ${EXPECTED}, got the scheme tcp:`],
    ['https://me:secret@host', `TypeError: ${EXPECTED}, got the scheme https:`],
    ['constructor://host', `TypeError: ${EXPECTED}, got the scheme constructor:`],
    ['localhost:1883', `TypeError: ${EXPECTED}, got the scheme localhost:`],
    ['localhost', `TypeError: ${EXPECTED}, got a string that is not a URL`],
    ['', `TypeError: ${EXPECTED}, got a string that is not a URL`],
    ['mqtt://me:secret@host:65536', `TypeError: ${EXPECTED}, got a string that is not a URL`],
    ['mqtt://me:secret@ho st', `TypeError: ${EXPECTED}, got a string that is not a URL`],
    ['mqtt://', `TypeError: ${EXPECTED}, got no host`],
    ['mqtt:///secret', `TypeError: ${EXPECTED}, got no host`],
    ['mqtt:secret', `TypeError: ${EXPECTED}, got no host`],
    ['mqtt://me:secret@host:0', 'RangeError: url: expected a port of 1 to 65535, got 0'],
    ['mqtts://me:secret@host/path', `TypeError: ${EXPECTED}, got a path`],
    ['ws://me:secret@host#secret', `TypeError: ${EXPECTED}, got a fragment`],
    ['wss:///', `TypeError: ${EXPECTED}, got a string that is not a URL`],
    ['mqtt+unix://host/path', `TypeError: ${EXPECTED}, got a host: a Unix socket takes three slashes`],
    ['mqtt+unix:///path?secret', `TypeError: ${EXPECTED}, got a query`],
    ['mqtt+unix:///', `TypeError: ${EXPECTED}, got no path`],
    ['mqtt+unix:', `TypeError: ${EXPECTED}, got no path`],
    ['mqtt+unix:///run/a%00b', `TypeError: ${EXPECTED}, got a path with a zero byte`],
    ['mqtt://me:secret@host/path', `TypeError: ${EXPECTED}, got a path`],
    ['mqtt://host?secret', `TypeError: ${EXPECTED}, got a query`],
    ['mqtt://host#secret', `TypeError: ${EXPECTED}, got a fragment`],
    [
      'mqtt://me:secret%zz@host',
      'TypeError: url: expected the password in percent-encoding, got an invalid % sequence',
    ],
    [undefined, `TypeError: ${EXPECTED}, got undefined`],
    [null, `TypeError: ${EXPECTED}, got null`],
    [1883, `TypeError: ${EXPECTED}, got number`],
    [{}, `TypeError: ${EXPECTED}, got object`],
  ])('rejects %s without repeating its secrets', (url, message) => {
    expect(refusal(url)).toBe(message);
    expect(message).not.toContain('secret');
  });

  it('leaves nothing of an invalid URL in the error', () => {
    let caught: unknown;
    try {
      parseUrl('mqtt://me:secret@host:65536');
    } catch (error) {
      caught = error;
    }
    expect(Object.getOwnPropertyNames(caught).toSorted()).toEqual(['message', 'stack']);
    expect((caught as Error).stack).not.toContain('secret');
  });
});
