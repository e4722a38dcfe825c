import type { PeerCertificate } from 'node:tls';
import { expect, it } from '@jest/globals';
import type { TlsOptions } from '../../lib/transport/options.ts';
import { certificates, PASSPHRASE } from '../support/certificates.ts';
import { endWithTest } from '../support/endings.ts';
import { connected, dial, failure, listen, roadTo } from './tls-rig.ts';
import { describeWithOpenSsl as describe } from '../support/programs.ts';

const made = certificates();

endWithTest();

/** What a client that trusts our authority says of a server with this certificate. */
async function saidOf(name: string, tls: TlsOptions = {}, host = 'localhost'): Promise<string> {
  const files = await made();
  const server = await listen(await files.server(name));
  const error = await failure(roadTo(server.port, { caFile: files.file('ca.pem'), ...tls }, host));
  expect(error).toMatchObject({ name: 'ConnectError', phase: 'tls', cause: expect.anything() });
  return error.message;
}

describe('a server that is not believed', () => {
  it('peers P28: is told by its certificate and what is wrong with it', async () => {
    const files = await made();
    expect(await saidOf('server', { caFile: files.file('client-ca.pem') })).toBe(
      'TLS: the certificate of the server (O=mqtt-await, CN=localhost) is of an authority that is not known here (O=mqtt-await, CN=Spec Authority)',
    );
    expect(await saidOf('lone')).toBe(
      'TLS: the certificate of the server (CN=localhost) is self-signed, and not one of those trusted here',
    );
    expect(await saidOf('expired')).toBe(
      'TLS: the certificate of the server (CN=localhost) has expired: it was valid until Jan  2 00:00:00 2020 GMT',
    );
    expect(await saidOf('early')).toBe(
      'TLS: the certificate of the server (CN=localhost) is not valid yet: it is from Jan  1 00:00:00 2098 GMT on',
    );
    expect(await saidOf('wrong-host')).toBe(
      'TLS: the certificate of the server (CN=elsewhere) is not for localhost: it is for DNS:elsewhere.example',
    );
    expect(await saidOf('wrong-host', {}, '127.0.0.1')).toContain('is not for 127.0.0.1');
  });

  it('is told by a code as well, for programs', async () => {
    const files = await made();
    const server = await listen(await files.server('expired'));
    const error = await failure(roadTo(server.port, { caFile: files.file('ca.pem') }));
    expect(error.cause).toMatchObject({ code: 'CERT_HAS_EXPIRED' });
  });

  it('is one whose authority only has the name of ours', async () => {
    expect(await saidOf('fake')).toMatch(/authority|did not sign/);
  });

  it('is one that the system does not know, where no authority is given', async () => {
    const server = await listen(await (await made()).server('server'));
    expect((await failure(roadTo(server.port))).message).toContain('not known here');
  });

  it('is one that is known by an authority in the PKCS #12 file of the client alone', async () => {
    const files = await made();
    const pfx = { pfxFile: files.file('client.pfx'), passphrase: PASSPHRASE };
    const server = await listen(await files.server('other-server'));
    const refused = await failure(roadTo(server.port, { ...pfx, caFile: files.file('ca.pem') }));
    expect(refused.message).toContain('not known here');
    // Where no other is given, the platform takes that for one of the system's.
    await dial(roadTo(server.port, pfx));
    const right = await listen(await files.server('server'));
    await dial(roadTo(right.port, { ...pfx, caFile: files.file('ca.pem') }));
  });
});

describe('the host name', () => {
  it('is not verified with verifyHostname: false, but the authority is', async () => {
    const files = await made();
    const server = await listen(await files.server('wrong-host'));
    await dial(roadTo(server.port, { caFile: files.file('ca.pem'), verifyHostname: false }));
    const wrong = { caFile: files.file('client-ca.pem'), verifyHostname: false };
    expect((await failure(roadTo(server.port, wrong))).message).toContain('not known here');
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
    await dial(roadTo(server.port, tls(trusting)));
    expect(asked).toEqual([['localhost', 'elsewhere']]);
    const message = async (how: TlsOptions['verifyHostname']): Promise<string> =>
      (await failure(roadTo(server.port, tls(how)))).message;
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
    await failure(roadTo(server.port, { caFile: (await made()).file('ca.pem'), verifyHostname }));
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
