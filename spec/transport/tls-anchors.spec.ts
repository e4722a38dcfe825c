import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { expect, it } from '@jest/globals';
import { verify } from '../../lib/transport/tls-certificate.ts';
import { certificates } from '../support/certificates.ts';
import { describeWithOpenSsl as describe } from '../support/programs.ts';

const made = certificates();

/** Whether a server with these certificates is believed by who believes in `anchor` alone, and the platform in more. */
async function isBelieved(names: readonly string[], anchor: string): Promise<boolean> {
  const files = await made();
  const read = async (name: string) => new X509Certificate(await files.read(`${name}.pem`));
  const [certificate, ...above] = await Promise.all(names.map(read));
  let last = certificate;
  for (const issuerCertificate of above) {
    Object.defineProperty(last, 'issuerCertificate', { value: issuerCertificate });
    last = issuerCertificate;
  }
  const socket: Partial<TLSSocket> = {
    authorized: true,
    isSessionReused: () => false,
    getPeerCertificate: () => certificate?.toLegacyObject() as never,
    getPeerX509Certificate: () => certificate,
  };
  const anchors = [await read(anchor)];
  try {
    verify(socket as TLSSocket, { name: 'localhost', options: {}, anchors });
    return true;
  } catch {
    return false;
  }
}

describe('beside the authorities of a PKCS #12 file, those that are given', () => {
  it('have signed the certificate, or an authority that has', async () => {
    expect(await isBelieved(['server'], 'ca')).toBe(true);
    expect(await isBelieved(['under-middle', 'middle'], 'ca')).toBe(true);
    expect(await isBelieved(['under-middle', 'middle'], 'client-ca')).toBe(false);
  });

  it('have not where somebody has signed who is no authority', async () => {
    expect(await isBelieved(['under-client', 'client'], 'client')).toBe(true);
    expect(await isBelieved(['under-client', 'client'], 'client-ca')).toBe(false);
  });
});
