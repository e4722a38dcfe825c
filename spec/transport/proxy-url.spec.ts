import { describe, expect, it } from '@jest/globals';
import { parseProxyUrl } from '../../lib/transport/proxy-url.ts';

const EXPECTED = 'proxy: expected http, https, socks5 or socks5h://[user:password@]host[:port]';

/** The error of an invalid URL. */
function refusal(url: string, name?: string): string {
  try {
    parseProxyUrl(url, name);
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) return `${error.name}: ${error.message}`;
    throw error;
  }
  throw new Error('expected a refusal');
}

describe('parseProxyUrl', () => {
  it.each([
    ['http://proxy', 'http', 'proxy', 80],
    ['http://proxy:3128/', 'http', 'proxy', 3_128],
    ['https://proxy', 'https', 'proxy', 443],
    ['https://proxy:8443', 'https', 'proxy', 8_443],
    ['socks://proxy', 'socks5', 'proxy', 1_080],
    ['socks5://proxy:9050', 'socks5', 'proxy', 9_050],
    ['socks5h://proxy', 'socks5', 'proxy', 1_080],
    ['SOCKS5://under_score', 'socks5', 'under_score', 1_080],
    ['http://[2001:db8::1]', 'http', '2001:db8::1', 80],
    ['socks5://[::1]:1', 'socks5', '::1', 1],
  ])('parses %s', (url, kind, host, port) => {
    const expected = { kind, host, port, username: '', password: '' };
    expect(parseProxyUrl(url)).toEqual(expected);
    expect(parseProxyUrl(new URL(url))).toEqual(expected);
  });

  it.each(['http', 'https', 'socks5'])('decodes the user name and password of %s', (scheme) => {
    expect(parseProxyUrl(`${scheme}://me%40home:p%3A%2f%C3%A4%25@proxy`)).toMatchObject({
      username: 'me@home',
      password: 'p:/ä%',
    });
    expect(parseProxyUrl(`${scheme}://me@proxy`)).toMatchObject({ username: 'me', password: '' });
  });

  it.each([
    ['', `TypeError: ${EXPECTED}, got a string that is not a URL`],
    ['proxy', `TypeError: ${EXPECTED}, got a string that is not a URL`],
    ['http://', `TypeError: ${EXPECTED}, got a string that is not a URL`],
    ['proxy:3128', `TypeError: ${EXPECTED}, got the scheme proxy:`],
    ['socks4://proxy', `TypeError: ${EXPECTED}, got the scheme socks4:`],
    ['mqtt://proxy', `TypeError: ${EXPECTED}, got the scheme mqtt:`],
    ['constructor://proxy', `TypeError: ${EXPECTED}, got the scheme constructor:`],
    ['socks5:///', `TypeError: ${EXPECTED}, got no host`],
    ['http://proxy/path', `TypeError: ${EXPECTED}, got a path`],
    ['socks5://proxy/path', `TypeError: ${EXPECTED}, got a path`],
    ['http://proxy?query', `TypeError: ${EXPECTED}, got a query or fragment`],
    ['http://proxy#fragment', `TypeError: ${EXPECTED}, got a query or fragment`],
    ['http://proxy:0', 'RangeError: proxy: expected a port of 1 to 65535, got 0'],
    [
      'http://me:%@proxy',
      'TypeError: proxy: expected the password in percent-encoding, got an invalid % sequence',
    ],
    [
      'socks5://%ff@proxy',
      'TypeError: proxy: expected the user name in percent-encoding, got an invalid % sequence',
    ],
    ['http://a%3Ab:c@proxy', 'TypeError: proxy: expected a user name without a colon, got one with a colon'],
  ])('rejects %s', (url, message) => {
    expect(refusal(url)).toBe(message);
  });

  it('accepts 255 bytes for SOCKS, more for HTTP, and a colon for SOCKS', () => {
    const long = 'u'.repeat(255);
    expect(parseProxyUrl(`socks5://${long}:${long}@proxy`).username).toBe(long);
    expect(parseProxyUrl(`http://${long}u@proxy`).username).toBe(`${long}u`);
    expect(parseProxyUrl('socks5://a%3Ab@proxy').username).toBe('a:b');
    expect(refusal(`socks5://${long}u@proxy`)).toBe(
      'TypeError: proxy: expected a user name of at most 255 bytes, got 256',
    );
    expect(refusal(`socks5://u:${'%C3%A4'.repeat(128)}@proxy`)).toBe(
      'TypeError: proxy: expected a password of at most 255 bytes, got 256',
    );
  });

  it('begins the message with the given name, and repeats nothing of the URL', () => {
    for (const url of [
      'http://me:secret@proxy/path',
      'me:secret@proxy',
      'socks4://me:secret@proxy',
      'secret',
    ])
      expect(refusal(url, 'that one')).toMatch(/^TypeError: that one: (?!.*secret)/);
  });
});
