import { X509Certificate } from 'node:crypto';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { expect, it } from '@jest/globals';
import type { TlsOptions } from '../../lib/transport/options.ts';
import { verify } from '../../lib/transport/tls-certificate.ts';
import { certificates, PASSPHRASE } from '../support/certificates.ts';
import { endWithTest } from '../support/endings.ts';
import { connected, dial, failure, inOrder, listen, serverAt } from './tls-rig.ts';
import { describeWithOpenSsl as describe } from '../support/programs.ts';

const made = certificates();

endWithTest();

/** The error of a client that trusts the authority `ca`, for a server with this certificate. */
async function saidOf(name: string, tls: TlsOptions = {}, host = 'localhost'): Promise<string> {
  const files = await made();
  const server = await listen(await files.server(name));
  const error = await failure(serverAt(server.port, { caFile: files.file('ca.pem'), ...tls }, host));
  expect(error).toMatchObject({ name: 'ConnectError', phase: 'tls', cause: expect.anything() });
  return error.message;
}

describe('a server that is not trusted', () => {
  it('peers P28: is reported with its certificate and the problem', async () => {
    const files = await made();
    expect(await saidOf('server', { caFile: files.file('client-ca.pem') })).toBe(
      "TLS: the server's certificate (O=mqtt-await, CN=localhost) is from an authority that is not trusted (O=mqtt-await, CN=Spec Authority): add it with tls.caFile",
    );
    expect(await saidOf('lone')).toBe(
      "TLS: the server's certificate (CN=localhost) is self-signed and not trusted: add it with tls.caFile",
    );
    expect(await saidOf('expired')).toBe(
      "TLS: the server's certificate (CN=localhost) has expired: it was valid until Jan  2 00:00:00 2020 GMT",
    );
    expect(await saidOf('early')).toBe(
      "TLS: the server's certificate (CN=localhost) is not valid yet: it is valid from Jan  1 00:00:00 2098 GMT",
    );
    expect(await saidOf('wrong-host')).toBe(
      "TLS: the server's certificate (CN=elsewhere) is not for localhost: it is for DNS:elsewhere.example",
    );
    expect(await saidOf('wrong-host', {}, '127.0.0.1')).toContain('is not for 127.0.0.1');
  });

  it('is reported with a code, for programs', async () => {
    const files = await made();
    const server = await listen(await files.server('expired'));
    const error = await failure(serverAt(server.port, { caFile: files.file('ca.pem') }));
    expect(error.cause).toMatchObject({ code: 'CERT_HAS_EXPIRED' });
  });

  it('includes one whose authority has the same name as a trusted one', async () => {
    expect(await saidOf('fake')).toMatch(/authority|did not sign/);
  });

  it('includes one that the system does not know, if no authority is given', async () => {
    const server = await listen(await (await made()).server('server'));
    expect((await failure(serverAt(server.port))).message).toContain('not trusted');
  });

  it('includes one from an authority in the PKCS #12 file, if another authority is given', async () => {
    const files = await made();
    const pfx = { pfxFile: files.file('client.pfx'), passphrase: PASSPHRASE };
    const server = await listen(await files.server('other-server'));
    const refused = await failure(serverAt(server.port, { ...pfx, caFile: files.file('ca.pem') }));
    expect(refused.message).toContain('not trusted');
    // If no other is given, Node.js trusts that authority too.
    await dial(serverAt(server.port, pfx));
    const right = await listen(await files.server('server'));
    await dial(serverAt(right.port, { ...pfx, caFile: files.file('ca.pem') }));
  });
});

describe('the host name', () => {
  it('is not verified with verifyHostname: false, but the authority is', async () => {
    const files = await made();
    const server = await listen(await files.server('wrong-host'));
    await dial(serverAt(server.port, { caFile: files.file('ca.pem'), verifyHostname: false }));
    const wrong = { caFile: files.file('client-ca.pem'), verifyHostname: false };
    expect((await failure(serverAt(server.port, wrong))).message).toContain('not trusted');
  });

  it('is verified by a function, which returns or throws an error to reject it', async () => {
    const files = await made();
    const server = await listen(await files.server('wrong-host'));
    const asked: unknown[] = [];
    const tls = (verifyHostname: TlsOptions['verifyHostname']): TlsOptions => ({
      caFile: files.file('ca.pem'),
      ...(verifyHostname !== undefined && { verifyHostname }),
    });
    const trusting = (host: string, { subject }: PeerCertificate): undefined => {
      asked.push([host, subject.CN]);
    };
    await dial(serverAt(server.port, tls(trusting)));
    expect(asked).toEqual([['localhost', 'elsewhere']]);
    const message = async (how: TlsOptions['verifyHostname']): Promise<string> =>
      (await failure(serverAt(server.port, tls(how)))).message;
    expect(await message(() => new Error('not pinned'))).toBe('tls.verifyHostname: not pinned');
    const throws = (): undefined => {
      throw new Error('no list at hand');
    };
    expect(await message(throws)).toBe('tls.verifyHostname: no list at hand');
    // Nobody would wait for a promise: it must not count as success.
    const late = (() => Promise.resolve()) as unknown as () => undefined;
    expect(await message(late)).toContain('expected an Error or undefined');
  });

  it('is not verified if the authority is not trusted', async () => {
    const server = await listen(await (await made()).server('fake'));
    const asked: string[] = [];
    const verifyHostname = (host: string): undefined => void asked.push(host);
    await failure(serverAt(server.port, { caFile: (await made()).file('ca.pem'), verifyHostname }));
    expect(asked).toEqual([]);
  });
});

describe('rejectUnauthorized: false', () => {
  it('accepts every server', async () => {
    for (const name of ['expired', 'wrong-host', 'lone'])
      await expect(
        connected(await listen(await (await made()).server(name)), { rejectUnauthorized: false }),
      ).resolves.toBeDefined();
  });
});

/** Whether a server with these certificates is trusted if `anchor` is the only trusted authority, but OpenSSL trusts others. */
async function isTrusted(names: readonly string[], anchor: string): Promise<boolean> {
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

describe('the given authorities, beside those of a PKCS #12 file', () => {
  it('must have signed the certificate, or an authority that has', async () => {
    expect(await isTrusted(['server'], 'ca')).toBe(true);
    expect(await isTrusted(['under-middle', 'middle'], 'ca')).toBe(true);
    expect(await isTrusted(['under-middle', 'middle'], 'client-ca')).toBe(false);
  });

  it('do not vouch for a certificate that was not signed by an authority', async () => {
    expect(await isTrusted(['under-client', 'client'], 'client')).toBe(true);
    expect(await isTrusted(['under-client', 'client'], 'client-ca')).toBe(false);
  });
});

describe('a server of TLS 1.2 that renegotiates', () => {
  it('is read as before', async () => {
    const { server, tls } = await inOrder(await made(), { maxVersion: 'TLSv1.2' });
    const { transport, peer, recorder } = await connected(server, tls);
    transport.open(recorder);
    await new Promise((resolve) => peer.renegotiate({}, resolve));
    peer.write('still here');
    await recorder.until(10);
    expect(recorder.text).toBe('still here');
    expect(recorder.log).toEqual([]);
  });

  it('is verified again', async () => {
    const { server, tls } = await inOrder(await made(), { maxVersion: 'TLSv1.2' });
    let answer: Error | undefined;
    const { transport, peer, recorder } = await connected(server, { ...tls, verifyHostname: () => answer });
    transport.open(recorder);
    answer = new Error('somebody else');
    peer.renegotiate({}, () => {});
    expect(await recorder.gone).toMatchObject({
      phase: 'tls',
      message: 'tls.verifyHostname: somebody else',
    });
  });
});
