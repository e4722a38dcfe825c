import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll } from '@jest/globals';

const run = promisify(execFile);

/** Decrypts `client-encrypted.key` and `client.pfx`. */
export const PASSPHRASE = 'the horse staples correctly';

/** Where certificates are kept for all spec files. */
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/mqtt-await-specs/', import.meta.url));
const DAY = 86_400_000;

const AUTHORITY = '/O=mqtt-await/CN=Spec Authority';
const LOCAL = 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1';

/** Configuration of `openssl ca`, the only command that sets the validity period in all versions. */
const CONFIG = `
[req]
distinguished_name = nothing
[nothing]
[v3]
basicConstraints = critical, CA:TRUE
subjectKeyIdentifier = hash
[ca]
default_ca = authority
[authority]
database = index
new_certs_dir = .
default_md = sha256
policy = any
rand_serial = yes
copy_extensions = copy
[any]
commonName = supplied
`;

/** Certificates and keys in a directory, readable by name. */
export class Certificates {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  file(name: string): string {
    return join(this.directory, name);
  }

  read(name: string): Promise<string> {
    return readFile(this.file(name), 'utf8');
  }

  /** Key and certificate of a server. */
  async server(name: string): Promise<{ key: string; cert: string }> {
    return { key: await this.read(`${name}.key`), cert: await this.read(`${name}.pem`) };
  }

  /** Creates all certificates. */
  async make(): Promise<void> {
    await writeFile(this.file('config'), CONFIG);
    await Promise.all([
      this.#authority('ca', AUTHORITY),
      this.#authority('fake-ca', AUTHORITY),
      this.#authority('client-ca', '/CN=Client Authority'),
      this.#signed('lone', '/CN=localhost', LOCAL),
    ]);
    await Promise.all([
      this.#signed('server', '/O=mqtt-await/CN=localhost', LOCAL, 'ca'),
      this.#signed('wrong-host', '/CN=elsewhere', 'subjectAltName=DNS:elsewhere.example', 'ca'),
      this.#signed('fake', '/O=mqtt-await/CN=localhost', LOCAL, 'fake-ca'),
      this.#signed('client', '/CN=client 1', 'extendedKeyUsage=clientAuth', 'client-ca').then(() =>
        Promise.all([
          this.#encrypted(),
          this.#pfx(),
          this.#signed('under-client', '/CN=localhost', LOCAL, 'client'),
        ]),
      ),
      this.#signed('middle', '/CN=Middle', 'basicConstraints=critical,CA:TRUE', 'ca').then(() =>
        this.#signed('under-middle', '/CN=localhost', LOCAL, 'middle'),
      ),
      this.#signed('other-server', '/CN=localhost', LOCAL, 'client-ca'),
      this.#signed('stranger', '/CN=stranger', 'extendedKeyUsage=clientAuth', 'fake-ca'),
      this.#dated('expired', '20200101000000Z', '20200102000000Z'),
      this.#dated('early', '20980101000000Z', '20990101000000Z'),
    ]);
  }

  async #authority(name: string, subject: string): Promise<void> {
    await this.#openssl('req', '-x509', '-extensions', 'v3', '-days', '30', ...this.#keyed(name, subject));
  }

  async #signed(name: string, subject: string, extension: string, authority?: string): Promise<void> {
    const by = authority === undefined ? [] : ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`];
    await this.#openssl(
      'req',
      '-x509',
      ...by,
      '-days',
      '30',
      '-addext',
      extension,
      ...this.#keyed(name, subject),
    );
  }

  /** A certificate for this machine, but for another time. */
  async #dated(name: string, from: string, until: string): Promise<void> {
    // Each has its own database, as they are created concurrently.
    const database = `${name}.d`;
    await mkdir(this.file(database));
    await writeFile(this.file(join(database, 'index')), '');
    await writeFile(this.file(`${name}.config`), CONFIG.replace('= index', `= ${database}/index`));
    await this.#openssl('req', '-new', '-addext', LOCAL, ...this.#keyed(name, '/CN=localhost', 'csr'));
    const times = ['-startdate', from, '-enddate', until];
    const by = ['-cert', 'ca.pem', '-keyfile', 'ca.key'];
    const files = ['-in', `${name}.csr`, '-out', `${name}.pem`];
    await this.#openssl('ca', '-config', `${name}.config`, '-batch', '-notext', ...by, ...times, ...files);
  }

  async #encrypted(): Promise<void> {
    const files = ['-in', 'client.key', '-out', 'client-encrypted.key'];
    await this.#openssl('pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-passout', `pass:${PASSPHRASE}`, ...files);
  }

  /** A PFX that includes the authority, as is common. */
  async #pfx(): Promise<void> {
    const parts = ['-in', 'client.pem', '-inkey', 'client.key', '-certfile', 'client-ca.pem'];
    await this.#openssl(
      'pkcs12',
      '-export',
      ...parts,
      '-passout',
      `pass:${PASSPHRASE}`,
      '-out',
      'client.pfx',
    );
  }

  #keyed(name: string, subject: string, ending = 'pem'): string[] {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
    return ['-config', 'config', '-subj', subject, ...key, '-out', `${name}.${ending}`];
  }

  async #openssl(...args: string[]): Promise<void> {
    await run('openssl', args, { cwd: this.directory });
  }
}

/** Certificates in a directory of this spec file, created on first use and removed after its last spec. */
export function certificates(): () => Promise<Certificates> {
  let copying: Promise<Certificates> | undefined;
  afterAll(async () => {
    const copy = await copying?.catch(() => undefined);
    if (copy !== undefined) await rm(copy.directory, { recursive: true });
  });
  return () => (copying ??= copyCertificates());
}

async function copyCertificates(): Promise<Certificates> {
  const cached = await cachedDirectory();
  const directory = await mkdtemp(join(tmpdir(), `mqtt-await-certificates-${process.pid}-`));
  await cp(cached, directory, { recursive: true });
  return new Certificates(directory);
}

/** The directory of certificates that spec files copy. It is replaced every day and when this file changes. */
async function cachedDirectory(): Promise<string> {
  const source = await readFile(fileURLToPath(import.meta.url));
  const key = createHash('sha256').update(source).digest('hex').slice(0, 16);
  const today = Math.floor(Date.now() / DAY);
  const directory = join(CACHE, `certificates-${today}-${key}`);
  if (existsSync(directory)) return directory;
  await mkdir(CACHE, { recursive: true });
  await removeOld(today);
  const made = new Certificates(await mkdtemp(join(CACHE, 'new-certificates-')));
  try {
    await made.make();
    await rename(made.directory, directory);
  } catch (error) {
    await rm(made.directory, { recursive: true });
    // Another worker may have been faster.
    if (!existsSync(directory)) throw error;
  }
  return directory;
}

/** Removes certificates that no running spec file can be copying. */
async function removeOld(today: number): Promise<void> {
  for (const name of await readdir(CACHE)) {
    const [, day] = /^certificates-(\d+)-/.exec(name) ?? [];
    if (day !== undefined && Number(day) < today - 1)
      await rm(join(CACHE, name), { recursive: true, force: true });
  }
}
