import { getEventListeners } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { inspect } from 'node:util';
import { afterEach, expect, it } from '@jest/globals';
import type { ConnectError } from '../../lib/errors.ts';
import type { AttemptContext, TlsOptions } from '../../lib/transport/options.ts';
import { materialOf } from '../../lib/transport/tls-material.ts';
import { certificates, PASSPHRASE } from '../support/certificates.ts';
import { endWithTest } from '../support/endings.ts';
import { firstAttempt } from '../support/dial-contexts.ts';
import { connected, dial, failure, listen, serverAt } from './tls-rig.ts';
import { describeWithOpenSsl as describe } from '../support/programs.ts';

const made = certificates();
const EXTRA = process.env['NODE_EXTRA_CA_CERTS'];

afterEach(() => {
  if (EXTRA === undefined) delete process.env['NODE_EXTRA_CA_CERTS'];
  else process.env['NODE_EXTRA_CA_CERTS'] = EXTRA;
});

endWithTest();

/** The error of invalid material. Checks that it contains no secret. */
async function wrongWith(tls: TlsOptions): Promise<string> {
  const error = (await materialOf(tls, firstAttempt()).catch((reason: unknown) => reason)) as ConnectError;
  expect(error).toMatchObject({ name: 'ConnectError', phase: 'tls' });
  const files = await made();
  const all = inspect(error, { depth: 10 }) + String((error.cause as Error | undefined)?.stack);
  for (const name of ['client.key', 'client-encrypted.key'])
    for (const line of (await files.read(name)).split('\n').slice(1, -2)) expect(all).not.toContain(line);
  expect(all).not.toContain(PASSPHRASE);
  expect(all).not.toContain('not the one');
  return error.message;
}

/** The options of a client with a certificate, and others. */
async function pair(otherwise: TlsOptions = {}): Promise<TlsOptions> {
  const files = await made();
  return { certFile: files.file('client.pem'), keyFile: files.file('client.key'), ...otherwise };
}

describe('material', () => {
  it('is reused until a file has changed', async () => {
    const files = await made();
    const file = files.file('changing.pem');
    await writeFile(file, await files.read('ca.pem'));
    const tls = { caFile: [file] };
    const first = await materialOf(tls, firstAttempt());
    expect(await materialOf(tls, firstAttempt())).toBe(first);
    await writeFile(file, await files.read('fake-ca.pem'));
    const second = await materialOf(tls, firstAttempt());
    expect(second.context).not.toBe(first.context);
    expect(second.sessions).not.toBe(first.sessions);
    // Another client has its own.
    expect(await materialOf({ ...tls }, firstAttempt())).not.toBe(second);
  });

  it('is read again if the passphrase has changed', async () => {
    const files = await made();
    let passphrase = PASSPHRASE;
    const tls = await pair({ keyFile: files.file('client-encrypted.key'), passphrase: () => passphrase });
    const first = await materialOf(tls, firstAttempt());
    expect(await materialOf(tls, firstAttempt())).toBe(first);
    passphrase = 'not the one';
    await expect(materialOf(tls, firstAttempt())).rejects.toMatchObject({ phase: 'tls' });
  });

  it('can be a secure context of the application', async () => {
    const secureContext = createSecureContext({ ca: await (await made()).read('ca.pem') });
    const server = await listen(await (await made()).server('server'));
    await dial(serverAt(server.port, { secureContext }));
    expect((await materialOf({ secureContext }, firstAttempt())).context).toBe(secureContext);
  });

  it.each([
    'values',
    'files',
    'an encrypted key',
    'a passphrase function',
    'PKCS #12',
    'PKCS #12 as a value',
  ])('identifies the client: %s', async (how) => {
    const files = await made();
    const asked: AttemptContext[] = [];
    const passphrase = async (context: AttemptContext): Promise<string> => {
      asked.push(context);
      return PASSPHRASE;
    };
    const encrypted = files.file('client-encrypted.key');
    const options: Record<string, TlsOptions> = {
      values: { cert: Buffer.from(await files.read('client.pem')), key: await files.read('client.key') },
      files: await pair(),
      'an encrypted key': await pair({ keyFile: encrypted, passphrase: PASSPHRASE }),
      'a passphrase function': await pair({ keyFile: encrypted, passphrase }),
      'PKCS #12': { pfxFile: files.file('client.pfx'), passphrase },
      'PKCS #12 as a value': { pfx: await readFile(files.file('client.pfx')), passphrase: PASSPHRASE },
    };
    const server = await listen({
      ...(await files.server('server')),
      ca: await files.read('client-ca.pem'),
      requestCert: true,
    });
    const tls = { caFile: files.file('ca.pem'), ...options[how] };
    for (let i = 0; i < 2; i++) {
      const { peer } = await connected(server, tls);
      expect(peer.getPeerCertificate().subject.CN).toBe('client 1');
    }
    // Once for each attempt.
    expect(asked).toHaveLength(tls.passphrase === passphrase ? 2 : 0);
  });
});

describe('peers P28: authorities', () => {
  it('are the given values and files, and no others', async () => {
    const files = await made();
    const server = await listen(await files.server('server'));
    const ours = files.file('ca.pem');
    const others = await files.read('client-ca.pem');
    await dial(serverAt(server.port, { ca: await files.read('ca.pem') }));
    await dial(serverAt(server.port, { ca: [others], caFile: [ours] }));
    await dial(serverAt(server.port, { ca: `${others}\n# and\n${await files.read('ca.pem')}` }));
    expect((await failure(serverAt(server.port, { ca: others }))).message).toContain('not trusted');
  });

  it('of the system are added by an entry "system"', async () => {
    const files = await made();
    const server = await listen(await files.server('server'));
    await dial(serverAt(server.port, { ca: ['system', await files.read('ca.pem')] }));
    await dial(serverAt(server.port, { ca: 'system', caFile: files.file('ca.pem') }));
    const others = await files.read('client-ca.pem');
    const unknown = await failure(serverAt(server.port, { ca: ['system', others] }));
    expect(unknown.message).toContain('not trusted');
  });

  it('of the system do not require the file of NODE_EXTRA_CA_CERTS, as in Node.js', async () => {
    process.env['NODE_EXTRA_CA_CERTS'] = '/nowhere/extra.pem';
    await expect(materialOf({ ca: 'system' }, firstAttempt())).resolves.toBeDefined();
  });
});

describe('invalid material', () => {
  it('is reported with its option', async () => {
    const files = await made();
    const lines = files.file('lines.pem');
    await writeFile(lines, 'these are not the bytes\nyou are looking for\n');
    const broken = files.file('broken.pem');
    const ca = await files.read('ca.pem');
    await writeFile(broken, `${ca}\n${ca.replace('MII', 'XYZ').replace('MIIB', 'XYZZ')}`);
    expect(await wrongWith({ caFile: '/nowhere/ca.pem' })).toMatch(
      /^tls\.caFile: ENOENT.*'\/nowhere\/ca\.pem'/,
    );
    expect(await wrongWith({ caFile: files.directory })).toMatch(/^tls\.caFile: EISDIR/);
    expect(await wrongWith({ caFile: lines })).toBe('tls.caFile: expected a certificate in PEM, got none');
    expect(await wrongWith({ ca: files.file('ca.pem') })).toMatch(
      /^tls\.ca: .* \(use tls\.caFile for the name of a file\)/,
    );
    expect(await wrongWith({ caFile: broken })).toMatch(
      /^tls\.caFile: .* certificate 2 of 2 cannot be parsed/,
    );
    expect(await wrongWith(await pair({ certFile: '/nowhere' }))).toMatch(/^tls\.certFile: ENOENT/);
    expect(await wrongWith(await pair({ keyFile: '/nowhere' }))).toMatch(/^tls\.keyFile: ENOENT/);
    expect(await wrongWith(await pair({ certFile: lines }))).toMatch(
      /^tls\.certFile: expected a certificate/,
    );
    expect(await wrongWith(await pair({ certFile: broken }))).toMatch(/^tls\.certFile|^tls\.keyFile/);
    expect(await wrongWith(await pair({ keyFile: lines }))).toMatch(/^tls\.keyFile: expected a private key/);
    const other = await pair({ keyFile: files.file('server.key') });
    expect(await wrongWith(other)).toBe(
      'tls.keyFile: expected the private key of the certificate (tls.certFile), got another one',
    );
    expect(await wrongWith({ pfxFile: '/nowhere', passphrase: PASSPHRASE })).toMatch(/^tls\.pfxFile: ENOENT/);
    expect(await wrongWith({ pfxFile: lines })).toMatch(/^tls\.pfxFile: expected PKCS #12/);
    expect(await wrongWith({ ciphers: 'ROT13' })).toMatch(/^tls\.ciphers: expected ciphers/);
  });

  it('is reported if the passphrase is wrong, without showing it', async () => {
    const files = await made();
    const encrypted = await pair({ keyFile: files.file('client-encrypted.key') });
    expect(await wrongWith(encrypted)).toBe('tls.keyFile: cannot be decrypted: set tls.passphrase');
    const wrong = 'tls.keyFile: cannot be decrypted: tls.passphrase is wrong';
    expect(await wrongWith({ ...encrypted, passphrase: 'not the one' })).toBe(wrong);
    expect(await wrongWith({ ...encrypted, passphrase: async () => 'not the one' })).toBe(wrong);
    const pfx = { pfxFile: files.file('client.pfx') };
    expect(await wrongWith(pfx)).toBe('tls.pfxFile: cannot be decrypted: set tls.passphrase');
    expect(await wrongWith({ ...pfx, passphrase: 'not the one' })).toMatch(
      /^tls\.pfxFile: cannot be decrypted/,
    );
  });

  it('is reported if the passphrase function fails', async () => {
    const files = await made();
    const encrypted = await pair({ keyFile: files.file('client-encrypted.key') });
    const throws = () => Promise.reject(new Error('the vault is sealed'));
    expect(await wrongWith({ ...encrypted, passphrase: throws })).toBe('tls.passphrase: the vault is sealed');
    const returns = (() => 1234) as unknown as () => string;
    expect(await wrongWith({ ...encrypted, passphrase: returns })).toBe(
      'tls.passphrase: expected the function to return a string, got number',
    );
    const asked: unknown[] = [];
    const passphrase = (context: AttemptContext): string => {
      asked.push(context);
      return PASSPHRASE;
    };
    // If a file is missing, the function is not called.
    await wrongWith({ ...encrypted, certFile: '/nowhere', passphrase });
    expect(asked).toEqual([]);
  });
});

describe('reading material', () => {
  it('ends when its signal aborts, whatever it waits for', async () => {
    const files = await made();
    const reason = new Error('enough');
    for (const [when, passphrase] of [
      ['before', PASSPHRASE],
      ['meanwhile', () => new Promise<string>(() => {})],
    ] as const) {
      const aborting = new AbortController();
      if (when === 'before') aborting.abort(reason);
      const tls = await pair({ keyFile: files.file('client-encrypted.key'), passphrase });
      const reading = materialOf(tls, firstAttempt(aborting.signal));
      setImmediate(() => aborting.abort(reason));
      await expect(reading).rejects.toBe(reason);
      expect(getEventListeners(aborting.signal, 'abort')).toHaveLength(0);
    }
  });
});
