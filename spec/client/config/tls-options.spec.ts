import { createSecureContext } from 'node:tls';
import { describe, expect, it } from '@jest/globals';
import { warnings } from '../../../lib/client/config/network-options.ts';
import { toTls } from '../../../lib/client/config/tls-options.ts';
import type { TlsOptions } from '../../../lib/index.ts';

const tlsOf = (tls: unknown): TlsOptions => toTls('tls', tls);

describe('tls', () => {
  it('is copied, with lists for one or more values', () => {
    const given = {
      ca: 'PEM',
      caFile: ['a', 'b'],
      alpn: 'mqtt',
      servername: 'server',
      minVersion: 'TLSv1.2',
    };
    const tls = tlsOf(given);
    expect(tls).toEqual({ ...given, ca: ['PEM'], alpn: ['mqtt'] });
    given.caFile.push('c');
    expect(tls.caFile).toEqual(['a', 'b']);
  });

  it('copies bytes: the caller may wipe a key at once', () => {
    const [key, cert, ca, pfx] = ['key', 'cert', 'ca', 'pfx'].map((text) => Buffer.from(text));
    const tls = [tlsOf({ key, cert, ca: [ca, 'PEM'] }), tlsOf({ pfx })];
    for (const bytes of [key, cert, ca, pfx]) bytes!.fill(0);
    const as = (text: string) => new TextEncoder().encode(text);
    expect(tls).toEqual([{ key: as('key'), cert: as('cert'), ca: [as('ca'), 'PEM'] }, { pfx: as('pfx') }]);
  });

  it('accepts options that belong together', () => {
    const key = { cert: Buffer.from('PEM'), keyFile: 'key', passphrase: () => 'secret' };
    for (const each of [
      {},
      key,
      { pfx: new Uint8Array(1), passphrase: 'secret' },
      { ca: 'system', ciphers: 'ALL', minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' },
      {
        secureContext: createSecureContext(),
        servername: 'server',
        alpn: ['a'],
        verifyHostname: () => undefined,
      },
      { rejectUnauthorized: false, verifyHostname: false },
      { pskCallback: () => null },
    ])
      expect(tlsOf(each)).toMatchObject({});
  });

  it.each([
    ['nothing', null, 'tls: expected an object, got null'],
    ['a misspelt name', { cafile: 'a' }, /^tls: expected one of ca, caFile, .*, got cafile$/],
    ['no authority', { ca: [] }, 'tls.ca: expected one authority or more, got an empty array'],
    [
      'no file of authorities',
      { caFile: [] },
      'tls.caFile: expected one authority or more, got an empty array',
    ],
    ['an authority that is no PEM', { ca: ['PEM', 1] }, 'tls.ca: expected PEM as text or bytes, got 1'],
    ['a file that is no name', { caFile: 1 }, 'tls.caFile: expected a string, got 1'],
    ['a certificate alone', { cert: 'PEM' }, /^tls: expected the key of the certificate as well/],
    ['a key alone', { keyFile: 'key' }, /^tls: expected the certificate of the key as well/],
    ['a key and its file', { key: 'PEM', keyFile: 'key' }, 'tls: expected key or keyFile, got both'],
    [
      'a pfx and a key',
      { pfxFile: 'a', certFile: 'b', keyFile: 'c' },
      /^tls: expected a certificate and key, or a pfx/,
    ],
    ['a pfx as text', { pfx: 'text' }, 'tls.pfx: expected bytes, got a string of 4 characters'],
    [
      'a passphrase for nothing',
      { passphrase: 'secret' },
      /^tls\.passphrase: expected a key or pfx to decrypt/,
    ],
    [
      'a passphrase that is none',
      { pfxFile: 'a', passphrase: 1 },
      /^tls\.passphrase: expected a string or a function/,
    ],
    [
      'a minVersion above maxVersion',
      { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2' },
      /^tls\.minVersion: expected TLSv1\.2, the maxVersion, or less/,
    ],
    ['an unknown version', { minVersion: '1.2' }, /^tls\.minVersion: expected "TLSv1" or /],
    ['ciphers in a list', { ciphers: ['ALL'] }, 'tls.ciphers: expected a string, got an array of 1'],
    [
      'a protocol without a name',
      { alpn: ['mqtt', ''] },
      /^tls\.alpn: expected names of 1 to 255 bytes, got one of 0/,
    ],
    ['no name at all', { servername: '' }, 'tls.servername: expected a name, got an empty string'],
    ['no flag', { rejectUnauthorized: 'no' }, /^tls\.rejectUnauthorized: expected true or false/],
    ['no function', { verifyHostname: 'no' }, /^tls\.verifyHostname: expected true or false/],
    [
      'a function that would not be asked',
      { rejectUnauthorized: false, verifyHostname: () => undefined },
      /^tls\.verifyHostname: expected no function with rejectUnauthorized: false/,
    ],
    [
      'a context that is none',
      { secureContext: null },
      'tls.secureContext: expected a secure context, got null',
    ],
    [
      'an option that secureContext replaces',
      { secureContext: {}, caFile: 'a' },
      /^tls\.caFile: expected none with secureContext, which replaces it/,
    ],
    ['no function for keys', { pskCallback: {} }, /^tls\.pskCallback: expected a function/],
  ])('cannot be %s', (_, tls, message) => {
    expect(() => tlsOf(tls)).toThrow(message);
  });

  it('never shows a secret in an error', () => {
    const wrong = { cert: 'secret', key: 'secret', pfx: 'secret', passphrase: 'secret' };
    for (const key of Object.keys(wrong) as (keyof typeof wrong)[])
      expect(() => tlsOf({ [key]: wrong[key] })).toThrow(/^(?!.*secret)/);
  });

  it('causes a warning if the server is not fully verified', () => {
    expect(warnings({ tls: {} })).toEqual([]);
    expect(warnings({ tls: { verifyHostname: () => undefined } })).toEqual([]);
    expect(warnings({ tls: { rejectUnauthorized: false } })).toEqual([
      expect.stringContaining('anyone can pretend'),
    ]);
    expect(warnings({ tls: { verifyHostname: false } })).toEqual([
      expect.stringContaining('anyone with a certificate'),
    ]);
  });
});
