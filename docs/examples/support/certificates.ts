/** Certificates for the examples, created with openssl: an authority, a server, and a client with an encrypted key. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Decrypts `client.key`. */
export const PASSPHRASE = 'only an example';

export interface Certificates extends AsyncDisposable {
  /** The path of `ca.pem`, `server.pem`, `server.key`, `client.pem` or `client.key`. */
  file(name: string): string;
  /** TLS options for a server. */
  server(): Promise<{ cert: Buffer; key: Buffer; ca: Buffer }>;
}

export async function makeCertificates(): Promise<Certificates> {
  const directory = await mkdtemp(join(tmpdir(), 'mqtt-await-example-'));
  const openssl = async (...args: readonly string[]): Promise<void> => {
    await promisify(execFile)('openssl', [...args], { cwd: directory });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key'];
  const local = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  await openssl(
    'req',
    '-x509',
    ...key,
    '-subj',
    '/CN=Example Authority',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
  );
  const server = ['-subj', '/CN=localhost', '-keyout', 'server.key', '-out', 'server.pem'];
  await openssl('req', '-x509', ...key, ...signed, ...local, ...server);
  const client = ['-subj', '/CN=meter-7', '-keyout', 'plain.key', '-out', 'client.pem'];
  await openssl('req', '-x509', ...key, ...signed, ...client);
  const encrypted = ['-in', 'plain.key', '-out', 'client.key', '-passout', `pass:${PASSPHRASE}`];
  await openssl('pkcs8', '-topk8', '-v2', 'aes-256-cbc', ...encrypted);
  const read = (name: string): Promise<Buffer> => readFile(join(directory, name));
  return {
    file: (name) => join(directory, name),
    server: async () => ({
      cert: await read('server.pem'),
      key: await read('server.key'),
      ca: await read('ca.pem'),
    }),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}
