import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { expect, it } from '@jest/globals';
import type { ClientOptions, ConnectError, TlsOptions } from '../../lib/index.ts';
import { type Certificates, certificates, PASSPHRASE } from '../support/certificates.ts';
import { atEnd } from '../support/endings.ts';
import { freePort } from '../support/ports.ts';
import { describeWithSecureMosquitto } from '../support/programs.ts';
import { actor, type Actor, endActors, faultProxy, mosquitto, sharedMosquitto } from './actors.ts';
import { startProgramIn } from './children.ts';

/*
 * Mosquitto over TLS, as applications use it.
 */

const PASSWORD = 'open, please';

const made = certificates();

endActors();

/** Lines for a listener that requires certificates. */
const MUTUAL = ['cafile $/client-ca.pem', 'require_certificate true'];

/** Listeners of one Mosquitto: a certificate, and further lines. */
const LISTENERS = {
  plain: ['server'],
  mutual: ['server', ...MUTUAL],
  expired: ['expired'],
  fake: ['fake'],
  elsewhere: ['wrong-host'],
  latest: ['server', 'tls_version tlsv1.3'],
  psk: ['psk', 'psk_hint spec', 'psk_file $/psk'],
} as const;
type Listener = keyof typeof LISTENERS;

/** A Mosquitto that listens with TLS. */
interface Secured {
  readonly port: number;
  readonly url: string;
  readonly files: Certificates;
}

/** The lines of a listener. */
function listener(port: number, files: Certificates, [certificate, ...lines]: readonly string[]): string[] {
  const keys = certificate === 'psk' ? [] : ['certfile', 'keyfile'];
  return [
    `listener ${port} 127.0.0.1`,
    ...keys.map((key) => `${key} ${files.file(`${certificate}.${key === 'certfile' ? 'pem' : 'key'}`)}`),
    ...lines.map((line) => line.replace('$', files.directory)),
  ];
}

const ports = new Map<Listener, number>();

/** The lines of all listeners. */
async function listeners(): Promise<readonly string[]> {
  const files = await made();
  await writeFile(files.file('psk'), 'me:00112233445566778899aabbccddeeff\n');
  const config: string[] = [];
  for (const [name, lines] of Object.entries(LISTENERS) as [Listener, readonly string[]][]) {
    const port = await freePort();
    ports.set(name, port);
    config.push(...listener(port, files, lines));
  }
  return config;
}

async function secured(name: Listener = 'plain'): Promise<Secured> {
  const port = ports.get(name) as number;
  return { port, url: `mqtts://localhost:${port}`, files: await made() };
}

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const only = (version: (typeof VERSIONS)[number]): TlsOptions => ({
  minVersion: version,
  maxVersion: version,
});

async function trusting(tls: TlsOptions = {}): Promise<ClientOptions> {
  return { username: 'me', password: PASSWORD, tls: { caFile: (await made()).file('ca.pem'), ...tls } };
}

async function pair(name = 'client'): Promise<TlsOptions> {
  return { certFile: (await made()).file(`${name}.pem`), keyFile: (await made()).file(`${name}.key`) };
}

/** Whether a message comes back unchanged. */
async function carries({ client }: Actor, payload = Buffer.from('hello')): Promise<boolean> {
  const subscription = await client.subscribe('spec/tls', { qos: 1 });
  const received = subscription.receive();
  await client.publish('spec/tls', payload, { qos: 1 });
  const isWhole = Buffer.from((await received).payload).equals(payload);
  await subscription.unsubscribe();
  return isWhole;
}

/** The error of an attempt. Checks that it contains no secret. */
async function refusal(url: string, options: ClientOptions): Promise<ConnectError> {
  const log: string[] = [];
  const line = (message: string): void => void log.push(message);
  const logger = { debug: line, info: line, warn: line, error: line };
  const error = (await actor(url, { ...options, logger }).then(
    () => undefined,
    (reason: unknown) => reason,
  )) as ConnectError;
  expect(error).toMatchObject({ name: 'ConnectError', phase: 'tls' });
  const told = `${inspect(error, { depth: 10 })} ${log.join(' ')}`;
  const key = (await (await made()).read('client.key')).split('\n')[1] as string;
  for (const secret of [PASSPHRASE, PASSWORD, key, 'not the one']) expect(told).not.toContain(secret);
  return error;
}

describeWithSecureMosquitto('TLS', () => {
  const shared = sharedMosquitto(listeners);

  it('carries small and large messages to a server that is verified by an authority in a file', async () => {
    const { url } = await secured();
    const one = await actor(url, await trusting());
    expect(await carries(one)).toBe(true);
    expect(await carries(one, Buffer.alloc(3_000_000, 'large'))).toBe(true);
  });

  it.each(VERSIONS)('identifies the client by its certificate, with %s', async (version) => {
    const { url, files } = await secured('mutual');
    const encrypted = { ...(await pair()), keyFile: files.file('client-encrypted.key') };
    for (const tls of [
      await pair(),
      { ...encrypted, passphrase: PASSPHRASE },
      { ...encrypted, passphrase: async () => PASSPHRASE },
      { pfxFile: files.file('client.pfx'), passphrase: PASSPHRASE },
    ])
      expect(await carries(await actor(url, await trusting({ ...tls, ...only(version) })))).toBe(true);
  });

  it.each(VERSIONS)('peers P28: reports why the server rejected the client, with %s', async (version) => {
    const { url, files } = await secured('mutual');
    const none = await refusal(url, await trusting(only(version)));
    expect(none.message).toContain('requires a client certificate');
    const stranger = await refusal(url, await trusting({ ...(await pair('stranger')), ...only(version) }));
    expect(stranger.message).toMatch(/client certificate \(CN=stranger, issued by .*CN=Spec Authority/);
    const encrypted = { ...(await pair()), keyFile: files.file('client-encrypted.key') };
    const wrong = await refusal(url, await trusting({ ...encrypted, passphrase: 'not the one' }));
    expect(wrong.message).toContain('tls.keyFile');
  });

  it('peers P28: reports what is wrong with the server', async () => {
    const { url, files } = await secured();
    const caFile = files.file('client-ca.pem');
    expect((await refusal(url, await trusting({ caFile }))).message).toMatch(
      /the server's certificate \(O=mqtt-await, CN=localhost\) is from an authority that is not trusted/,
    );
    expect((await refusal(url, {})).message).toContain('not trusted');
    const expired = await secured('expired');
    expect((await refusal(expired.url, await trusting())).message).toContain(
      'has expired: it was valid until Jan',
    );
    const fake = await secured('fake');
    expect((await refusal(fake.url, await trusting())).message).toMatch(/authority|did not sign/);
  });

  it('verifies the host name unless it is turned off, and the authority in any case', async () => {
    const { url, files } = await secured('elsewhere');
    expect((await refusal(url, await trusting())).message).toContain(
      'is not for localhost: it is for DNS:elsewhere',
    );
    expect(await carries(await actor(url, await trusting({ verifyHostname: false })))).toBe(true);
    const caFile = files.file('fake-ca.pem');
    await refusal(url, await trusting({ verifyHostname: false, caFile }));
  });

  it('uses only the allowed versions', async () => {
    const { url } = await secured('latest');
    expect(await carries(await actor(url, await trusting({ minVersion: 'TLSv1.3' })))).toBe(true);
    const refused = await refusal(url, await trusting({ maxVersion: 'TLSv1.2' }));
    expect(refused.message).toContain('no version that this client allows (minVersion: any, maxVersion');
  });

  it('supports a pre-shared key', async () => {
    const { url } = await secured('psk');
    const psk = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
    const tls: TlsOptions = {
      ciphers: 'PSK-AES256-GCM-SHA384:PSK-AES128-CBC-SHA256:TLS_AES_128_GCM_SHA256',
      pskCallback: () => ({ psk, identity: 'me' }),
    };
    expect(await carries(await actor(url, { tls }))).toBe(true);
    const stranger = { ...tls, pskCallback: () => ({ psk, identity: 'not me' }) };
    expect((await refusal(url, { tls: stranger })).message).toContain('TLS: the server');
  });

  it('peers P28: fails on a port without TLS', async () => {
    const refused = await refusal(`mqtts://localhost:${shared().port}`, await trusting());
    expect(refused.message).toContain('may not speak TLS on this port');
  });

  it('uses renewed files from the next connection on', async () => {
    const files = await made();
    for (const name of ['ca', 'server', 'client'])
      for (const ending of ['pem', 'key'])
        await writeFile(files.file(`used-${name}.${ending}`), await files.read(`${name}.${ending}`));
    const port = await freePort();
    const broker = await mosquitto({ config: listener(port, files, ['used-server', ...MUTUAL]) });
    const url = `mqtts://localhost:${port}`;
    const caFile = files.file('used-ca.pem');
    const one = await actor(url, await trusting({ caFile, ...(await pair('used-client')) }));
    expect(await carries(one)).toBe(true);
    await broker.kill('SIGTERM');
    for (const [name, now] of [
      ['ca.pem', 'client-ca.pem'],
      ['server.pem', 'other-server.pem'],
      ['server.key', 'other-server.key'],
    ] as const)
      await writeFile(files.file(`used-${name}`), await files.read(now));
    const connected = one.next('connected');
    await broker.start();
    await connected;
    expect(await carries(one)).toBe(true);
    // A client that does not know the new authority cannot connect.
    expect((await refusal(url, await trusting(await pair()))).message).toContain('not trusted');
  });

  it('reconnects after each cut, with one attempt', async () => {
    const { port } = await secured('mutual');
    const proxy = await faultProxy(port);
    const one = await actor(`mqtts://localhost:${proxy.port}`, await trusting(await pair()));
    for (const how of ['cut', 'reset', 'cut', 'reset'] as const) {
      const connected = one.next('connected');
      proxy[how]();
      await connected;
      expect(await carries(one)).toBe(true);
    }
    expect(one.count('disconnected')).toBe(4);
  });

  it('leaves a server that is silent in the handshake within connectTimeout', async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket.on('error', () => {}).resume())).listen(
      0,
      '127.0.0.1',
    );
    await once(server, 'listening');
    atEnd(() => new Promise((resolve) => server.close(resolve)));
    const { port } = server.address() as AddressInfo;
    const options = { ...(await trusting()), connectTimeout: 400, reconnect: false } as const;
    await expect(actor(`mqtts://127.0.0.1:${port}`, options)).rejects.toMatchObject({
      phase: 'timeout',
      during: 'tls',
    });
    for (const socket of sockets) if (!socket.closed) await once(socket, 'close');
  });

  it('peers P28: trusts the authorities of the system, alone or besides others, but not if only others are given', async () => {
    const { url, files } = await secured();
    const { lines, complaint } = await startProgramIn(
      { NODE_EXTRA_CA_CERTS: files.file('ca.pem') },
      'system-authorities',
      url,
      files.file('client-ca.pem'),
    ).ended;
    expect(complaint).toBe('');
    expect(lines).toEqual(['believed', expect.stringContaining('not trusted'), 'believed']);
  });
});
