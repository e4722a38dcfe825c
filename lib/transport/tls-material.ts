/** What a TLS handshake takes: certificates, keys and authorities, read again for every attempt. */

import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as tls from 'node:tls';
import type { AttemptContext, Pem, TlsOptions } from './options.ts';
import { codeOf, messageOf } from '../errors.ts';
import { tlsError } from './tls-errors.ts';
import { Sessions } from './tls-sessions.ts';

/** What attempts have in common for as long as the material is the same. */
export interface Material {
  readonly context: tls.SecureContext;
  /** Die with the material: what is resumed was verified by it. */
  readonly sessions: Sessions;
  /** The only authorities that count, where the context has others as well. */
  readonly anchors: readonly X509Certificate[] | undefined;
}

/** Something with the name of the option that it comes from. */
interface Named {
  readonly option: string;
  readonly bytes: Pem;
}

/** All that was given, read. */
interface Given {
  /** Undefined: nothing but what the system knows. */
  readonly ca: readonly Named[] | undefined;
  readonly cert: Named | undefined;
  readonly key: Named | undefined;
  readonly pfx: Named | undefined;
  readonly passphrase: string | undefined;
}

const SYSTEM = 'system';

/** The material that each client has used last, by its options: a digest of it, as it may hold a key. */
const known = new WeakMap<TlsOptions, Material & { readonly digest: string }>();

/**
 * Reads the material. Where it is the same as the last time, so is what is returned.
 * @throws ConnectError that names the option, and never shows what was read
 */
export async function materialOf(options: TlsOptions, asking: AttemptContext): Promise<Material> {
  const given = await unlessAborted(asking.signal, readAll(options, asking));
  const digest = digestOf(given);
  const before = known.get(options);
  if (before?.digest === digest) return before;
  const context = options.secureContext ?? contextOf(given, options);
  // The platform trusts the authorities in a PKCS #12 file, too.
  const anchors = given.pfx === undefined ? undefined : given.ca?.flatMap(certificatesOf);
  const material = { digest, context, sessions: new Sessions(), anchors };
  known.set(options, material);
  return material;
}

/** `work`, or the reason of `signal` as soon as it aborts: what comes of `work` after that is nobody's business. */
function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

async function readAll(options: TlsOptions, asking: AttemptContext): Promise<Given> {
  const { signal } = asking;
  const one = async (name: 'cert' | 'key' | 'pfx'): Promise<Named | undefined> => {
    const file = options[`${name}File`];
    if (file !== undefined) return readOne(`tls.${name}File`, file, signal);
    const bytes = options[name];
    return bytes === undefined ? undefined : { option: `tls.${name}`, bytes };
  };
  const [ca, cert, key, pfx] = await Promise.all([
    authorities(options, signal),
    one('cert'),
    one('key'),
    one('pfx'),
  ]);
  // Where a file is missing, nobody is asked for a passphrase.
  return { ca, cert, key, pfx, passphrase: await passphraseOf(options, asking) };
}

async function readOne(option: string, file: string, signal: AbortSignal): Promise<Named> {
  try {
    return { option, bytes: await readFile(file, { signal }) };
  } catch (error) {
    throw tlsError(`${option}: ${messageOf(error)}`, error);
  }
}

async function authorities(options: TlsOptions, signal: AbortSignal): Promise<Named[] | undefined> {
  const values = [options.ca ?? []].flat();
  const files = [options.caFile ?? []].flat();
  if (options.ca === undefined && options.caFile === undefined) {
    // Where the operating system knows no others, the platform has them ready.
    const { all, others } = systemAuthorities();
    return others.length === 0 ? undefined : [{ option: SYSTEM, bytes: all.join('\n') }];
  }
  const read = await Promise.all([
    ...values.map((value) => (value === SYSTEM ? readSystem(signal) : { option: 'tls.ca', bytes: value })),
    ...files.map((file) => readOne('tls.caFile', file, signal)),
  ]);
  return read;
}

/** Since Node.js 22.15. */
type GetCACertificates = (type: 'default' | 'system') => readonly string[];

/** What the platform trusts by itself, and what the operating system adds to that. */
function systemAuthorities(): { readonly all: readonly string[]; readonly others: readonly string[] } {
  const { getCACertificates } = tls as { getCACertificates?: GetCACertificates };
  if (getCACertificates === undefined) return { all: tls.rootCertificates, others: [] };
  const byDefault = new Set(getCACertificates('default'));
  const others = getCACertificates('system').filter((each) => !byDefault.has(each));
  return { all: [...byDefault, ...others], others };
}

/** All that the system knows, for where others are added to it. */
async function readSystem(signal: AbortSignal): Promise<Named> {
  const { all } = systemAuthorities();
  const extra = process.env['NODE_EXTRA_CA_CERTS'] ?? '';
  // What is in that file is among the others where these can be asked for.
  if (extra === '' || 'getCACertificates' in tls) return { option: SYSTEM, bytes: all.join('\n') };
  const more = await readOne('NODE_EXTRA_CA_CERTS', extra, signal).catch(() => undefined);
  return { option: SYSTEM, bytes: [...all, ...(more === undefined ? [] : [textOf(more)])].join('\n') };
}

async function passphraseOf({ passphrase }: TlsOptions, asking: AttemptContext): Promise<string | undefined> {
  if (typeof passphrase !== 'function') return passphrase;
  const { attempt, reason, signal } = asking;
  let answer: unknown;
  try {
    answer = await passphrase({ attempt, reason, signal });
  } catch (error) {
    throw tlsError(`tls.passphrase: ${messageOf(error)}`, error);
  }
  if (typeof answer === 'string') return answer;
  throw tlsError(`tls.passphrase: expected the function to return a string, got ${typeof answer}`);
}

function digestOf({ ca, ...others }: Given): string {
  const hash = createHash('sha256');
  for (const part of [ca?.length, ...(ca ?? []), ...Object.values(others)]) {
    const bytes = typeof part === 'object' ? part.bytes : String(part ?? '');
    // With its length, so that nothing can move from one part to the next unseen.
    hash.update(`${typeof part} ${bytes.length} `).update(bytes);
  }
  return hash.digest('base64');
}

/** As the platform takes it. */
const rawOf = ({ bytes }: Named): string | Buffer =>
  typeof bytes === 'string' ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const textOf = (named: Named): string => rawOf(named).toString();

const CERTIFICATE =
  /-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END (X509 |TRUSTED )?CERTIFICATE-----/g;

/** The certificates of an option. The platform would leave out what it cannot read, and all that follows it. */
function certificatesOf(named: Named): readonly X509Certificate[] {
  const blocks = textOf(named).match(CERTIFICATE) ?? [];
  if (blocks.length === 0) {
    const hint = named.option === 'tls.ca' ? ' (a file goes into tls.caFile)' : '';
    throw tlsError(`${named.option}: expected a certificate in PEM, got none${hint}`);
  }
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      const which = blocks.length === 1 ? 'the certificate' : `certificate ${i + 1} of ${blocks.length}`;
      throw tlsError(`${named.option}: expected a certificate in PEM, but ${which} cannot be read`, error);
    }
  });
}

function contextOf(given: Given, { minVersion, maxVersion, ciphers }: TlsOptions): tls.SecureContext {
  const { ca, cert, key, pfx, passphrase } = given;
  for (const each of ca ?? []) if (each.option !== SYSTEM) certificatesOf(each);
  try {
    return tls.createSecureContext({
      ...(ca !== undefined && { ca: ca.map(rawOf) }),
      ...(cert !== undefined && { cert: rawOf(cert) }),
      ...(key !== undefined && { key: rawOf(key) }),
      ...(pfx !== undefined && { pfx: rawOf(pfx) }),
      ...(passphrase !== undefined && { passphrase }),
      ...(minVersion !== undefined && { minVersion }),
      ...(maxVersion !== undefined && { maxVersion }),
      ...(ciphers !== undefined && { ciphers }),
    });
  } catch (error) {
    throw blamed(error, given);
  }
}

/** Which option has made OpenSSL fail. */
function blamed(error: unknown, { cert, key, pfx, passphrase }: Given): Error {
  if (codeOf(error) === 'ERR_SSL_NO_CIPHER_MATCH')
    return tlsError('tls.ciphers: expected ciphers that OpenSSL knows, got none', error);
  const secret = passphrase === undefined ? 'it takes a passphrase' : 'tls.passphrase is not the right one';
  if (pfx !== undefined) {
    const why = /mac verify/i.test(messageOf(error))
      ? `cannot be opened: ${secret}`
      : `expected PKCS #12 that OpenSSL can read: ${messageOf(error)}`;
    return tlsError(`${pfx.option}: ${why}`, error);
  }
  if (cert === undefined || key === undefined) return tlsError(`tls: ${messageOf(error)}`, error);
  try {
    certificatesOf(cert);
  } catch (wrong) {
    return wrong as Error;
  }
  if (codeOf(error) === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH')
    return tlsError(
      `${key.option}: expected the key of the certificate (${cert.option}), got another one`,
      error,
    );
  const text = textOf(key);
  if (!/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text))
    return tlsError(`${key.option}: expected a private key in PEM, got none`, error);
  if (!opens(text, passphrase) && /ENCRYPTED/.test(text))
    return tlsError(`${key.option}: cannot be opened: ${secret}`, error);
  return tlsError(`${key.option}: ${messageOf(error)}`, error);
}

function opens(key: string, passphrase: string | undefined): boolean {
  try {
    createPrivateKey({ key, ...(passphrase !== undefined && { passphrase }) });
    return true;
  } catch {
    return false;
  }
}
