import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { afterAll, expect, it } from '@jest/globals';
import { certificates, PASSPHRASE } from './certificates.ts';
import { describeWithOpenSsl as describe } from './programs.ts';

let directory = '';
// Hooks of one kind run in order of registration: the one that checks must come last.
const made = certificates();
afterAll(() => expect(existsSync(directory)).toBe(false));

const read = async (name: string): Promise<X509Certificate> =>
  new X509Certificate(await (await made()).read(`${name}.pem`));

describe('certificates', () => {
  it('are signed by the authority that they name, or only name it', async () => {
    ({ directory } = await made());
    const ca = await read('ca');
    const fake = await read('fake-ca');
    expect(fake.subject).toBe(ca.subject);
    for (const name of ['server', 'wrong-host', 'expired', 'early']) {
      const { issuer } = await read(name);
      expect(issuer).toBe(ca.subject);
      expect((await read(name)).verify(ca.publicKey)).toBe(true);
    }
    expect((await read('fake')).issuer).toBe(ca.subject);
    expect((await read('fake')).verify(ca.publicKey)).toBe(false);
    expect((await read('client')).verify((await read('client-ca')).publicKey)).toBe(true);
  });

  it('are for this machine, for another one, or for another time', async () => {
    for (const name of ['server', 'lone', 'fake', 'expired', 'early']) {
      const certificate = await read(name);
      expect(certificate.checkHost('localhost')).toBe('localhost');
      expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    }
    expect((await read('wrong-host')).checkHost('localhost')).toBeUndefined();
    expect(Date.parse((await read('expired')).validTo)).toBeLessThan(Date.now());
    expect(Date.parse((await read('early')).validFrom)).toBeGreaterThan(Date.now());
  });

  it('have a key that a passphrase decrypts', async () => {
    const key = await (await made()).read('client-encrypted.key');
    expect((await read('client')).checkPrivateKey(createPrivateKey({ key, passphrase: PASSPHRASE }))).toBe(
      true,
    );
    expect(() => createPrivateKey({ key, passphrase: 'another' })).toThrow(/decrypt|asn1|unsupported/i);
  });
});
