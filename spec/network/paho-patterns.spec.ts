import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { WebSocketServer } from 'ws';
import type { ClientOptions, TlsOptions } from '../../lib/index.ts';
import { certificates, PASSPHRASE } from '../support/certificates.ts';
import { atEnd } from '../support/endings.ts';
import { freePort } from '../support/ports.ts';
import { describeWithSecureMosquitto } from '../support/programs.ts';
import { actor, aedes, endActors, mosquitto } from './actors.ts';
import { serversOfEachTransport, optionsOf, SCHEMES } from './transport-table.ts';

/*
 * The rows of the table of paho's Client that concern the transport. The other rows are in
 * spec/scenarios/paho-names.spec.ts.
 */

endActors();

const made = certificates();

/** A Mosquitto with a TLS listener. */
async function secure(server = 'server', ...more: readonly string[]): Promise<string> {
  const certificate = await made();
  const port = await freePort();
  const files = [
    `certfile ${certificate.file(`${server}.pem`)}`,
    `keyfile ${certificate.file(`${server}.key`)}`,
  ];
  await mosquitto({ config: [`listener ${port} 127.0.0.1`, ...files, ...more] });
  return `mqtts://localhost:${port}`;
}

/** Expects that a published message comes back. Returns the warnings. */
async function expectWay(url: string, options: ClientOptions = {}): Promise<readonly string[]> {
  const { client, log } = await actor(url, options);
  const subscription = await client.subscribe('way', { qos: 1 });
  await client.publish('way', 'there and back', { qos: 1 });
  expect((await subscription.receive()).text()).toBe('there and back');
  return log.filter((line) => line.startsWith('warn'));
}

/** The error of a connection attempt. */
async function fails(url: string, tls: TlsOptions): Promise<unknown> {
  return actor(url, { tls, reconnect: false }).then(
    () => 'connected',
    (error: unknown) => error,
  );
}

describeWithSecureMosquitto('paho: Client(transport)', () => {
  let path = '';
  beforeAll(() => {
    path = join(mkdtempSync(join(tmpdir(), 'mqtt-')), 's');
  });
  afterAll(() => rmSync(dirname(path), { recursive: true }));
  const crossroads = serversOfEachTransport(made, () => [`listener 0 ${path}`]);

  it('is the scheme of the URL: mqtt, mqtts, ws, wss and mqtt+unix', async () => {
    expect.assertions(5);
    const servers = crossroads();
    for (const scheme of SCHEMES)
      await expectWay(`${scheme}://localhost:${servers.ports[scheme]}`, optionsOf(servers, scheme));
    await expectWay(`mqtt+unix://${path}`);
  });
});

describeWithSecureMosquitto('paho: ws_set_options(path="/mqtt", headers)', () => {
  it('is a path with default /mqtt, and header fields as a record or from a function per attempt', async () => {
    const seen: [path: string | undefined, headers: IncomingHttpHeaders][] = [];
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    atEnd(() => new Promise((resolve) => server.close(resolve)));
    server.on('headers', (_, { url, headers }) => seen.push([url, headers]));
    server.on('connection', (socket) => socket.terminate());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const url = `ws://127.0.0.1:${port}`;
    const token = { headers: { 'X-Token': 'a' } };
    for (const ws of [{}, token, { path: '/other', headers: async () => ({ 'X-Token': 'b' }) }])
      await actor(url, { ws, reconnect: false }).catch(() => {});
    expect(seen.map(([path, headers]) => [path, headers['x-token']])).toEqual([
      ['/mqtt', undefined],
      ['/mqtt', 'a'],
      ['/other', 'b'],
    ]);
    await expectWay((await aedes({ over: 'ws' })).url, { ws: token });
  });
});

describeWithSecureMosquitto(
  'paho: tls_set(ca_certs, certfile, keyfile, cert_reqs, tls_version, ciphers)',
  () => {
    it('verifies the server by the given authority, or by those of the system', async () => {
      const certificate = await made();
      const url = await secure();
      await expectWay(url, { tls: { caFile: certificate.file('ca.pem') } });
      await expectWay(url, { tls: { ca: await certificate.read('ca.pem'), minVersion: 'TLSv1.3' } });
      await expectWay(url, { tls: { rejectUnauthorized: false } });
      expect(await fails(url, {})).toMatchObject({
        phase: 'tls',
        message: expect.stringContaining('not trusted'),
      });
    });

    it('sends a certificate with its key, which may be encrypted', async () => {
      expect.assertions(3);
      const certificate = await made();
      const url = await secure(
        'server',
        `cafile ${certificate.file('client-ca.pem')}`,
        'require_certificate true',
      );
      const tls = {
        caFile: certificate.file('ca.pem'),
        certFile: certificate.file('client.pem'),
        ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384',
        maxVersion: 'TLSv1.2',
      } as const;
      await expectWay(url, { tls: { ...tls, keyFile: certificate.file('client.key') } });
      const keyFile = certificate.file('client-encrypted.key');
      await expectWay(url, { tls: { ...tls, keyFile, passphrase: PASSPHRASE } });
      await expectWay(url, { tls: { ...tls, keyFile, passphrase: async () => PASSPHRASE } });
    });
  },
);

describeWithSecureMosquitto('paho: tls_set_context(context)', () => {
  it('is tls.secureContext', async () => {
    expect.assertions(1);
    const certificate = await made();
    const secureContext = createSecureContext({ ca: await readFile(certificate.file('ca.pem')) });
    await expectWay(await secure(), { tls: { secureContext } });
  });
});

describeWithSecureMosquitto('paho: tls_insecure_set(True)', () => {
  it('is tls.verifyHostname: false, which accepts any host name but not any authority, and warns', async () => {
    const certificate = await made();
    const caFile = certificate.file('ca.pem');
    const url = await secure('wrong-host');
    expect(await expectWay(url, { tls: { caFile, verifyHostname: false } })).toEqual([
      expect.stringContaining('tls.verifyHostname is off'),
    ]);
    expect(await fails(url, { caFile })).toMatchObject({
      phase: 'tls',
      message: expect.stringContaining('is not for localhost'),
    });
    expect(await fails(url, { verifyHostname: false })).toMatchObject({
      phase: 'tls',
      message: expect.stringContaining('not trusted'),
    });
  });
});
