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

/** What a client that trusts our authority says of a server with this certificate. */
async function saidOf(name: string, tls: TlsOptions = {}, host = 'localhost'): Promise<string> {
  const files = await made();
  const server = await listen(await files.server(name));
  const error = await failure(serverAt(server.port, { caFile: files.file('ca.pem'), ...tls }, host));
  expect(error).toMatchObject({ name: 'ConnectError', phase: 'tls', cause: expect.anything() });
  return error.message;
}

describe('a server that is not believed', () => {
  it('peers P28: is told by its certificate and what is wrong with it', async () => {
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

  it('is told by a code as well, for programs', async () => {
    const files = await made();
    const server = await listen(await files.server('expired'));
    const error = await failure(serverAt(server.port, { caFile: files.file('ca.pem') }));
    expect(error.cause).toMatchObject({ code: 'CERT_HAS_EXPIRED' });
  });

  it('is one whose authority only has the name of ours', async () => {
    expect(await saidOf('fake')).toMatch(/authority|did not sign/);
  });

  it('is one that the system does not know, where no authority is given', async () => {
    const server = await listen(await (await made()).server('server'));
    expect((await failure(serverAt(server.port))).message).toContain('not trusted');
  });

  it('is one that is known by an authority in the PKCS #12 file of the client alone', async () => {
    const files = await made();
    const pfx = { pfxFile: files.file('client.pfx'), passphrase: PASSPHRASE };
    const server = await listen(await files.server('other-server'));
    const refused = await failure(serverAt(server.port, { ...pfx, caFile: files.file('ca.pem') }));
    expect(refused.message).toContain('not trusted');
    // Where no other is given, the platform takes that for one of the system's.
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

  it('is left to a function: asked with name and certificate, it returns or throws what is wrong', async () => {
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
    // Nobody would wait for a promise: it must not pass for a yes.
    const late = (() => Promise.resolve()) as unknown as () => undefined;
    expect(await message(late)).toContain('expected an Error or undefined');
  });

  it('is not even asked for where the authority is not known', async () => {
    const server = await listen(await (await made()).server('fake'));
    const asked: string[] = [];
    const verifyHostname = (host: string): undefined => void asked.push(host);
    await failure(serverAt(server.port, { caFile: (await made()).file('ca.pem'), verifyHostname }));
    expect(asked).toEqual([]);
  });
});

describe('rejectUnauthorized: false', () => {
  it('believes every server', async () => {
    for (const name of ['expired', 'wrong-host', 'lone'])
      await expect(
        connected(await listen(await (await made()).server(name)), { rejectUnauthorized: false }),
      ).resolves.toBeDefined();
  });
});

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

describe('a server of TLS 1.2 that shakes hands again', () => {
  it('is heard as before', async () => {
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
