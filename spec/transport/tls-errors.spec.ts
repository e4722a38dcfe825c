import { expect, it } from '@jest/globals';
import { explain, handshakeError, distinguishedName } from '../../lib/transport/tls-errors.ts';
import { certificates } from '../support/certificates.ts';
import { endWithTest, listening } from '../support/endings.ts';
import { failure, listen, serverAt } from './tls-rig.ts';
import { describeWithOpenSsl as describe } from '../support/programs.ts';

const made = certificates();

endWithTest();

const coded = (code: string, reason = 'in short'): Error =>
  Object.assign(new Error('0A000412:SSL routines:at length'), { code, reason });

describe.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'peers P28: a server of %s that requires a certificate',
  (version) => {
    it('is reported if none was sent', async () => {
      const files = await made();
      const server = await listen({
        ...(await files.server('server')),
        ca: await files.read('client-ca.pem'),
        requestCert: true,
        minVersion: version,
        maxVersion: version,
      });
      const caFile = files.file('ca.pem');
      expect(await failure(serverAt(server.port, { caFile }))).toMatchObject({
        phase: 'tls',
        message: expect.stringContaining(
          version === 'TLSv1.3'
            ? 'requires a client certificate (none was sent: set tls.certFile and tls.keyFile)'
            : 'or it requires a client certificate and none was sent',
        ),
      });
      const right = { caFile, certFile: files.file('client.pem'), keyFile: files.file('client.key') };
      const accepted = server.accepted();
      const gone = failure(serverAt(server.port, right));
      (await accepted).end();
      expect(await gone).toBeUndefined();
    });
  },
);

describe('a server that does not speak TLS', () => {
  it('is distinguished from one that closes the connection', async () => {
    const speaks = await listening((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect(await failure(serverAt(speaks.port, {}))).toMatchObject({
      phase: 'tls',
      message: 'TLS: the server does not speak TLS on this port',
    });
    const closes = await listening((socket) => socket.end());
    expect(await failure(serverAt(closes.port, {}))).toMatchObject({
      phase: 'tls',
      message: expect.stringContaining('closed the connection during the handshake'),
    });
    const resets = await listening((socket) => socket.once('data', () => socket.resetAndDestroy()));
    expect(await failure(serverAt(resets.port, {}))).toMatchObject({
      phase: 'tls',
      message: expect.stringContaining('closed the connection during the handshake'),
      cause: { code: 'ECONNRESET' },
    });
  });
});

describe('explain()', () => {
  it('returns other errors unchanged', () => {
    const error = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    expect(explain(error)).toBe(error);
    expect(explain(undefined)).toBeUndefined();
  });

  it.each([
    ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', 'the client certificate has expired (CN=me)'],
    ['ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED', 'the client certificate has expired (CN=me)'],
    ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED', 'revoked (CN=me)'],
    ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', 'rejected the client certificate (CN=me)'],
    ['ERR_SSL_TLSV1_ALERT_ACCESS_DENIED', 'denied access to the owner of the client certificate (CN=me)'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'requires a client certificate (CN=me)'],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY', 'does not know the identity of the pre-shared key'],
    ['ERR_SSL_TLSV1_UNRECOGNIZED_NAME', 'does not know the requested name (tls.servername)'],
    ['ERR_SSL_BAD_EXTENSION', 'in short'],
  ])('converts %s', (code, message) => {
    const error = coded(code);
    expect(explain(error, 'CN=me')).toMatchObject({
      name: 'ConnectError',
      phase: 'tls',
      message: expect.stringContaining(message),
      cause: error,
    });
  });
});

describe('handshakeError()', () => {
  it.each([
    ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'no version that this client allows (minVersion: TLSv1.3'],
    ['ERR_SSL_NO_PROTOCOLS_AVAILABLE', 'no version that this client allows'],
    ['ERR_SSL_PACKET_LENGTH_TOO_LONG', 'does not speak TLS on this port'],
    ['ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY', 'no cipher in common with this client (ciphers: A:B)'],
    ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 'no cipher in common with this client (ciphers: A:B), or'],
    ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN', 'rejected the client certificate (none was sent'],
  ])('converts %s', (code, message) => {
    const error = handshakeError(coded(code), { minVersion: 'TLSv1.3', ciphers: 'A:B' });
    expect(error).toMatchObject({ phase: 'tls', message: expect.stringContaining(message) });
  });

  it('does not mention a client certificate that was sent', () => {
    const error = handshakeError(coded('ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE'), {}, 'CN=me');
    expect(error.message).toBe(
      'TLS: the server has no cipher in common with this client (the defaults of Node.js)',
    );
  });
});

describe('names in certificates', () => {
  it('are shown with all their parts', () => {
    expect(distinguishedName({ O: 'Example', OU: ['a', 'b'], CN: 'me' })).toBe(
      'O=Example, OU=a, OU=b, CN=me',
    );
    expect(distinguishedName(undefined)).toBe('no subject');
  });

  it('cannot break lines, and are cut to a limit', () => {
    const subject = distinguishedName({ CN: `a\nb${'x'.repeat(10_000)}` });
    expect([subject.slice(0, 8), subject.length]).toEqual(['CN=a?bxx', 257]);
  });
});
