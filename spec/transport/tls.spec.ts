import dns from 'node:dns';
import { getEventListeners, once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it, jest } from '@jest/globals';
import type { TlsOptions } from '../../lib/transport/options.ts';
import { dialTls, explainerOf, openTls } from '../../lib/transport/tls.ts';
import { certificates } from '../support/certificates.ts';
import { atEnd, endWithTest, type Listening, listening } from '../support/endings.ts';
import { dialContext } from '../support/dial-contexts.ts';
import { hashOf, pattern, Recorder } from '../support/receivers.ts';
import { connected, dial, failure, inOrder, listen, serverAt, type TlsServer, written } from './tls-rig.ts';
import { describeWithOpenSsl as describe } from '../support/programs.ts';

const made = certificates();

endWithTest();

/** A server that accepts connections and sends nothing. */
const silent = (): Promise<Listening> => listening(() => {});

async function tunnelTo(port: number): Promise<Socket> {
  const tunnel = connect(port, '127.0.0.1');
  await once(tunnel, 'connect');
  return tunnel;
}

describe('a connection over TLS', () => {
  it('has the phases material, TCP and handshake', async () => {
    const { server, tls } = await inOrder(await made());
    const steps = dialContext();
    const transport = await dialTls(serverAt(server.port, tls), steps);
    transport.destroy();
    expect(steps.phases).toEqual(['tls', 'dial', 'tls']);
    expect(getEventListeners(steps.signal, 'abort')).toHaveLength(0);
  });

  it('fails in the phase dial if nobody listens', async () => {
    const { server, tls } = await inOrder(await made());
    await server.close();
    const steps = dialContext();
    const dialing = dialTls(serverAt(server.port, tls, '127.0.0.1'), steps);
    await expect(dialing).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(steps.phases.at(-1)).toBe('dial');
  });

  it('fails in the phase tls if a file is missing, before it connects', async () => {
    const { server } = await inOrder(await made());
    const steps = dialContext();
    const dialOptions = serverAt(server.port, { caFile: '/nowhere/ca.pem' });
    await expect(dialTls(dialOptions, steps)).rejects.toMatchObject({
      phase: 'tls',
    });
    expect(steps.phases.at(-1)).toBe('tls');
    expect(server.sockets).toEqual([]);
  });

  it('peers P28: requests the host by its name (SNI), or servername', async () => {
    const { server, tls } = await inOrder(await made());
    const asked = async (options: TlsOptions, host: string): Promise<unknown> => {
      const accepted = server.accepted();
      await dial(serverAt(server.port, options, host));
      return (await accepted).servername;
    };
    expect(await asked(tls, 'localhost')).toBe('localhost');
    expect(await asked({ ...tls, servername: 'localhost.' }, '127.0.0.1')).toBe('localhost');
    // An address is not sent, but verified.
    expect(await asked(tls, '127.0.0.1')).toBe(false);
    const other = await failure(serverAt(server.port, { ...tls, servername: 'bücher.example' }));
    expect(other.message).toContain('not for xn--bcher-kva.example');
  });

  it('peers P28: comes from localAddress', async () => {
    const { server, tls } = await inOrder(await made());
    const accepted = server.accepted();
    await dial({ ...serverAt(server.port, tls), localAddress: '127.0.0.2' });
    expect((await accepted).remoteAddress).toBe('127.0.0.2');
    const none = { ...serverAt(server.port, tls), localAddress: 'here' };
    await expect(dial(none)).rejects.toMatchObject({ code: 'ERR_INVALID_IP_ADDRESS' });
  });

  it('is opened if only a later address of the host answers', async () => {
    const { server, tls } = await inOrder(await made(), { ALPNProtocols: ['mqtt'] });
    const addresses = [
      { address: '127.0.0.3', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ];
    const lookup = jest
      .spyOn(dns, 'lookup')
      .mockImplementation(((
        _host: string,
        _options: object,
        found: (error: null, addresses: readonly object[]) => void,
      ) => setImmediate(() => found(null, addresses))) as unknown as typeof dns.lookup);
    atEnd(() => lookup.mockRestore());
    const { transport, peer, recorder } = await connected(server, { ...tls, alpn: 'mqtt' });
    // Each write is encrypted as a whole.
    expect(transport.largestWrite).toBeUndefined();
    expect(lookup).toHaveBeenCalledTimes(1);
    expect([peer.servername, peer.alpnProtocol]).toEqual(['localhost', 'mqtt']);
    transport.open(recorder);
    const sent = pattern(100_000);
    peer.write(sent);
    await recorder.until(sent.length);
    expect(recorder.hash).toBe(hashOf([sent]));
  });

  it.each(['the start', 'TCP', 'the handshake'])('ends when its signal aborts at %s', async (when) => {
    const { server, port, sockets } = await silent();
    const aborting = new AbortController();
    const reason = new Error('changed my mind');
    if (when === 'the start') aborting.abort(reason);
    const steps = dialContext(aborting.signal);
    const dialing = dialTls(serverAt(port, {}), {
      ...steps,
      onPhase: (phase) => {
        steps.onPhase(phase);
        if (when === 'TCP' && phase === 'dial') aborting.abort(reason);
      },
    });
    if (when === 'the handshake') {
      await Promise.race([once(server, 'connection'), dialing]);
      while (steps.phases.length < 3) await turn();
      aborting.abort(reason);
    }
    await expect(dialing).rejects.toBe(reason);
    expect(getEventListeners(aborting.signal, 'abort')).toHaveLength(0);
    for (const socket of sockets) await once(socket.resume(), 'close');
  });

  it('ends when its signal aborts during the passphrase function', async () => {
    const files = await made();
    const aborting = new AbortController();
    const reason = new Error('changed my mind');
    const asked: unknown[] = [];
    const tls: TlsOptions = {
      certFile: files.file('client.pem'),
      keyFile: files.file('client-encrypted.key'),
      passphrase: (context) => {
        asked.push(Object.keys(context));
        aborting.abort(reason);
        return new Promise(() => {});
      },
    };
    const dialing = dialTls(serverAt(1, tls), dialContext(aborting.signal));
    await expect(dialing).rejects.toBe(reason);
    expect(asked).toEqual([['attempt', 'reason', 'signal']]);
    expect(getEventListeners(aborting.signal, 'abort')).toHaveLength(0);
  });

  it('is not affected by the signal once it is open', async () => {
    const { server, tls } = await inOrder(await made());
    const aborting = new AbortController();
    const accepted = server.accepted();
    const transport = await dialTls(serverAt(server.port, tls), dialContext(aborting.signal));
    atEnd(() => transport.destroy());
    aborting.abort();
    const recorder = new Recorder();
    transport.open(recorder);
    (await accepted).write('still here');
    await recorder.until(10);
    expect(recorder.log).not.toContain('closed');
  });
});

describe('TLS through a tunnel', () => {
  it('carries everything, and has the phase tls only', async () => {
    const { server, tls } = await inOrder(await made());
    const accepted = server.accepted();
    const steps = dialContext();
    const tunnel = await tunnelTo(server.port);
    const transport = await dialTls(serverAt(server.port, tls), steps, tunnel);
    atEnd(() => transport.destroy());
    expect(steps.phases).toEqual(['tls']);
    const recorder = new Recorder();
    transport.open(recorder);
    const peer = await accepted;
    const sent = pattern(1_000_000);
    peer.write(sent);
    await recorder.until(sent.length);
    expect(recorder.hash).toBe(hashOf([sent]));
    peer.resume();
    expect(await written(transport, pattern(100))).toBe('at-once');
    peer.end();
    expect(await recorder.gone).toBeUndefined();
    expect(tunnel.destroyed).toBe(true);
  });

  it('works inside TLS, as with an https: proxy', async () => {
    const outer = await inOrder(await made());
    const inner = await inOrder(await made());
    outer.server.server.on('secureConnection', (front) => {
      const back = connect(inner.server.port, '127.0.0.1');
      back.on('error', () => {});
      front.pipe(back).pipe(front);
      front.on('close', () => back.destroy());
    });
    const steps = dialContext();
    const tunnel = await openTls(serverAt(outer.server.port, outer.tls), steps);
    const { transport, peer, recorder } = await connected(inner.server, inner.tls, tunnel);
    transport.open(recorder);
    peer.on('data', (bytes) => peer.write(bytes));
    const sent = pattern(100_000);
    transport.write(sent, () => {});
    await recorder.until(sent.length);
    expect(recorder.hash).toBe(hashOf([sent]));
  });

  it('destroys the tunnel on every failure: a file, the server, the signal, a closed tunnel', async () => {
    const { server, tls } = await inOrder(await made());
    const { port } = await silent();
    const attempt = async (to: number, options: TlsOptions, during?: (tunnel: Socket) => void) => {
      const tunnel = await tunnelTo(to);
      const aborting = new AbortController();
      const steps = dialContext(aborting.signal);
      const dialing = dialTls(serverAt(to, options), steps, tunnel);
      during?.(tunnel);
      if (during === undefined && to === port) setImmediate(() => aborting.abort(new Error('enough')));
      const error = await dialing.catch((reason: unknown) => reason);
      expect(tunnel.destroyed).toBe(true);
      expect(getEventListeners(aborting.signal, 'abort')).toHaveLength(0);
      return error;
    };
    expect(await attempt(server.port, { caFile: '/nowhere' })).toMatchObject({ phase: 'tls' });
    expect(await attempt(server.port, {})).toMatchObject({ phase: 'tls' });
    expect(await attempt(port, tls)).toMatchObject({ message: 'enough' });
    const gone = await attempt(server.port, tls, (tunnel) => tunnel.destroy(new Error('rain')));
    expect(gone).toMatchObject({ phase: 'tls', message: expect.stringContaining('proxy') });
  });
});

describe('negotiation', () => {
  it('selects one of the offered protocols (ALPN)', async () => {
    const { server, tls } = await inOrder(await made(), { ALPNProtocols: ['mqtt'] });
    const { peer } = await connected(server, { ...tls, alpn: ['x-amzn-mqtt-ca', 'mqtt'] });
    expect(peer.alpnProtocol).toBe('mqtt');
    const refused = await failure(serverAt(server.port, { ...tls, alpn: 'x-amzn-mqtt-ca' }));
    expect(refused.message).toContain('none of the offered protocols (alpn: x-amzn-mqtt-ca)');
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('selects %s if client and server allow it', async (version) => {
    const { server, tls } = await inOrder(await made(), { minVersion: version, maxVersion: version });
    const { peer } = await connected(server, tls);
    expect(peer.getProtocol()).toBe(version);
    const other = version === 'TLSv1.2' ? 'TLSv1.3' : 'TLSv1.2';
    const refused = await failure(serverAt(server.port, { ...tls, minVersion: other, maxVersion: other }));
    expect(refused).toMatchObject({
      phase: 'tls',
      message: `TLS: the server supports no version that this client allows (minVersion: ${other}, maxVersion: ${other})`,
    });
  });

  it('selects one of the given ciphers', async () => {
    const cipher = 'ECDHE-ECDSA-AES256-GCM-SHA384';
    const { server, tls } = await inOrder(await made(), { maxVersion: 'TLSv1.2', ciphers: cipher });
    const { peer } = await connected(server, { ...tls, ciphers: cipher });
    expect(peer.getCipher().name).toBe(cipher);
    const refused = await failure(
      serverAt(server.port, { ...tls, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }),
    );
    expect(refused.message).toContain('no cipher in common');
  });
});

describe('pre-shared keys', () => {
  const key = Buffer.from('0123456789abcdef0123456789abcdef', 'hex');
  const ciphers = 'PSK-AES256-GCM-SHA384:TLS_AES_128_GCM_SHA256';

  async function psk(version: 'TLSv1.2' | 'TLSv1.3'): Promise<TlsServer> {
    return listen({
      minVersion: version,
      maxVersion: version,
      ciphers,
      pskIdentityHint: 'who are you?',
      pskCallback: (_, identity) => (identity === 'me' ? key : null),
    });
  }

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('replace certificates, with %s', async (version) => {
    const server = await psk(version);
    const hints: (string | null)[] = [];
    const { peer, transport, recorder } = await connected(server, {
      ciphers,
      pskCallback: (hint) => {
        hints.push(hint);
        return { psk: key, identity: 'me' };
      },
    });
    transport.open(recorder);
    peer.write('hello');
    await recorder.until(5);
    expect(hints.at(-1)).toBe(version === 'TLSv1.2' ? 'who are you?' : null);
  });

  it('are refused if they are wrong', async () => {
    const server = await psk('TLSv1.2');
    const wrongKey = { ciphers, pskCallback: () => ({ psk: Buffer.alloc(16), identity: 'me' }) };
    expect((await failure(serverAt(server.port, wrongKey))).message).toContain('pre-shared key');
    const wrongName = { ciphers, pskCallback: () => ({ psk: key, identity: 'you' }) };
    expect((await failure(serverAt(server.port, wrongName))).message).toContain('pre-shared key');
  });

  it('do not excuse an invalid certificate', async () => {
    const files = await made();
    const server = await listen(await files.server('wrong-host'));
    const pskCallback = () => ({ psk: key, identity: 'me' });
    const tls = { caFile: files.file('ca.pem'), pskCallback };
    expect((await failure(serverAt(server.port, tls))).message).toContain('not for localhost');
  });

  it.each([
    ['throws', 'no key at hand'],
    ['returns no bytes', 'expected { psk, identity }'],
    ['returns too many', 'expected { psk, identity }'],
  ])('fail the attempt if the function %s', async (what, message) => {
    const server = await psk('TLSv1.2');
    const tls: TlsOptions = {
      ciphers,
      pskCallback: () => {
        if (what === 'throws') throw new Error('no key at hand');
        return { psk: what === 'returns too many' ? Buffer.alloc(1000) : Buffer.alloc(0), identity: 'me' };
      },
    };
    expect(await failure(serverAt(server.port, tls))).toMatchObject({
      phase: 'tls',
      message: expect.stringContaining(`tls.pskCallback: ${message}`),
    });
  });
});

describe('a session', () => {
  /** Connects until the end of the test, and reads the first bytes: in TLS 1.3, sessions arrive with them. */
  async function isResumed(server: TlsServer, tls: TlsOptions, host = 'localhost'): Promise<boolean> {
    const accepted = server.accepted();
    const transport = await dial(serverAt(server.port, tls, host));
    const peer = await accepted;
    const recorder = new Recorder();
    transport.open(recorder);
    peer.write('hello');
    await recorder.until(5);
    // Node.js emits the session after the bytes that came with it.
    await turn();
    await turn();
    return peer.isSessionReused();
  }

  describe.each(['TLSv1.2', 'TLSv1.3'] as const)('of %s', (version) => {
    it('is resumed by each further connection to the same server', async () => {
      const { server, tls } = await inOrder(await made(), { minVersion: version, maxVersion: version });
      const resumed: boolean[] = [];
      for (let i = 0; i < 4; i++) resumed.push(await isResumed(server, tls));
      expect(resumed).toEqual([false, true, true, true]);
    });

    it('is not resumed by other clients, or under another name', async () => {
      const { server, tls } = await inOrder(await made(), { minVersion: version, maxVersion: version });
      await isResumed(server, tls);
      expect(await isResumed(server, { ...tls })).toBe(false);
      expect(await isResumed(server, tls, '127.0.0.1')).toBe(false);
      expect(await isResumed(server, tls)).toBe(true);
    });

    it.each(['caFile', 'certFile'] as const)(
      'is not resumed if the file of %s has changed',
      async (which) => {
        const files = await made();
        const { server } = await inOrder(await made(), { minVersion: version, maxVersion: version });
        const changing = files.file(`changing-${version}-${which}.pem`);
        const tls: TlsOptions = {
          caFile: files.file('ca.pem'),
          certFile: files.file('client.pem'),
          keyFile: files.file('client.key'),
          [which]: changing,
        };
        const before = await files.read(which === 'caFile' ? 'ca.pem' : 'client.pem');
        await writeFile(changing, before);
        await isResumed(server, tls);
        expect(await isResumed(server, tls)).toBe(true);
        await writeFile(changing, `${before}\n${await files.read('client-ca.pem')}`);
        expect(await isResumed(server, tls)).toBe(false);
        expect(await isResumed(server, tls)).toBe(true);
        if (which === 'certFile') return;
        await writeFile(changing, await files.read('fake-ca.pem'));
        expect((await failure(serverAt(server.port, tls))).message).toContain('not trusted');
      },
    );

    it('is not stored if the server was not verified', async () => {
      const { server } = await inOrder(await made(), { minVersion: version, maxVersion: version });
      const tls: TlsOptions = { rejectUnauthorized: false };
      await isResumed(server, tls);
      expect(await isResumed(server, tls)).toBe(false);
    });

    it('does not bypass the function for the host name', async () => {
      const { server, tls } = await inOrder(await made(), { minVersion: version, maxVersion: version });
      let answer: Error | undefined;
      const asking: TlsOptions = { ...tls, verifyHostname: () => answer };
      await isResumed(server, asking);
      expect(await isResumed(server, asking)).toBe(true);
      answer = new Error('not any more');
      const refused = await failure(serverAt(server.port, asking));
      expect(refused.message).toBe('tls.verifyHostname: not any more');
    });
  });

  it('that the server has forgotten is replaced by a full handshake', async () => {
    const { server, tls } = await inOrder(await made());
    await isResumed(server, tls);
    server.server.setTicketKeys(Buffer.alloc(48, 7));
    expect(await isResumed(server, tls)).toBe(false);
    expect(await isResumed(server, tls)).toBe(true);
  });
});

describe('explainerOf()', () => {
  it('names the certificate that the server refused, and returns other errors unchanged', async () => {
    const files = await made();
    const { server, tls } = await inOrder(await made());
    const steps = dialContext();
    const socket = await openTls(
      serverAt(server.port, {
        ...tls,
        certFile: files.file('client.pem'),
        keyFile: files.file('client.key'),
      }),
      steps,
    );
    atEnd(() => socket.destroy());
    const alert = Object.assign(new Error('alert'), { code: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA' });
    expect(explainerOf(socket)(alert)).toMatchObject({
      phase: 'tls',
      message: expect.stringMatching(/authority .*\(CN=client 1, issued by CN=Client Authority, valid until/),
      cause: alert,
    });
    const other = new Error('rain');
    expect(explainerOf(socket)(other)).toBe(other);
    const plain = await tunnelTo(server.port);
    atEnd(() => plain.destroy());
    expect(explainerOf(plain)(other)).toBe(other);
  });
});
