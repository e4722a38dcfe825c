import { describe, expect, it } from '@jest/globals';
import { parseUrl } from '../../lib/transport/url.ts';

/** The message with which a URL is refused. */
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
  ])('takes %s', (url, host, port) => {
    const expected = { target: { protocol: 'mqtt', host, port }, credentials: {} };
    expect(parseUrl(url)).toEqual(expected);
    expect(parseUrl(new URL(url))).toEqual(expected);
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
    ['tcp://me:secret@host', 'TypeError: url: expected mqtt://host[:port], got the scheme tcp:'],
    ['mqtts://me:secret@host', 'TypeError: url: expected mqtt://host[:port], got the scheme mqtts:'],
    ['ws://me:secret@host/mqtt', 'TypeError: url: expected mqtt://host[:port], got the scheme ws:'],
    ['constructor://host', 'TypeError: url: expected mqtt://host[:port], got the scheme constructor:'],
    ['localhost:1883', 'TypeError: url: expected mqtt://host[:port], got the scheme localhost:'],
    ['localhost', 'TypeError: url: expected mqtt://host[:port], got a string that is not a URL'],
    ['', 'TypeError: url: expected mqtt://host[:port], got a string that is not a URL'],
    [
      'mqtt://me:secret@host:65536',
      'TypeError: url: expected mqtt://host[:port], got a string that is not a URL',
    ],
    ['mqtt://me:secret@ho st', 'TypeError: url: expected mqtt://host[:port], got a string that is not a URL'],
    ['mqtt://', 'TypeError: url: expected mqtt://host[:port], got no host'],
    ['mqtt:///secret', 'TypeError: url: expected mqtt://host[:port], got no host'],
    ['mqtt:secret', 'TypeError: url: expected mqtt://host[:port], got no host'],
    ['mqtt://me:secret@host:0', 'RangeError: url: expected a port of 1 to 65535, got 0'],
    ['mqtt://me:secret@host/path', 'TypeError: url: expected mqtt://host[:port], got a path'],
    ['mqtt://host?secret', 'TypeError: url: expected mqtt://host[:port], got a query or a fragment'],
    ['mqtt://host#secret', 'TypeError: url: expected mqtt://host[:port], got a query or a fragment'],
    [
      'mqtt://me:secret%zz@host',
      'TypeError: url: expected the password in percent-encoding, got a % that stands for nothing',
    ],
    [undefined, 'TypeError: url: expected mqtt://host[:port], got undefined'],
    [null, 'TypeError: url: expected mqtt://host[:port], got null'],
    [1883, 'TypeError: url: expected mqtt://host[:port], got number'],
    [{}, 'TypeError: url: expected mqtt://host[:port], got object'],
  ])('refuses %s without repeating its secrets', (url, message) => {
    expect(refusal(url)).toBe(message);
    expect(message).not.toContain('secret');
  });

  it('leaves nothing of a URL in the error that refuses it', () => {
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
