/**
 * TLS material: certificates, keys and authorities. It is read again for every attempt. With it are kept the TLS sessions to
 * resume, which shortens the next handshake with the same server (RFC 8446, 2.2).
 */

import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as tls from 'node:tls';
import { codeOf, messageOf } from '../errors.ts';
import { unlessAborted } from './abortable.ts';
import type { AttemptContext, Pem, TlsOptions } from './options.ts';
import { tlsError } from './tls-errors.ts';

/** Number of servers whose sessions are kept. The session that was stored longest ago is dropped first. */
const MAX_SERVERS = 16;

/** The result of verifying a server. */
export interface Verified {
  readonly certificate: tls.PeerCertificate;
  /** When the first certificate of the chain expires, in ms since 1970. */
  readonly validUntil: number;
}

/** A session, with the certificate of its server: on resumption the server sends none. */
export interface Ticket extends Verified {
  readonly session: Buffer;
}

/** The latest session with each server. */
export class Sessions {
  readonly #tickets = new Map<string, Ticket>();

  /** Removes a session and returns it: if its resumption fails, the next attempt does a full handshake. */
  take(server: string): Ticket | undefined {
    const ticket = this.#tickets.get(server);
    this.#tickets.delete(server);
    return ticket === undefined || ticket.validUntil <= Date.now() ? undefined : ticket;
  }

  /** Stores a session with a verified server and replaces the previous one. */
  store(server: string, ticket: Ticket): void {
    this.#tickets.delete(server);
    this.#tickets.set(server, ticket);
    for (const oldest of this.#tickets.keys()) {
      if (this.#tickets.size <= MAX_SERVERS) break;
      this.#tickets.delete(oldest);
    }
  }
}

/** Shared by all attempts for as long as the options and files have the same contents. */
export interface Material {
  readonly context: tls.SecureContext;
  /** A session may only be resumed with the material that verified its server. */
  readonly sessions: Sessions;
  /** The only trusted authorities. Undefined if all authorities of `context` are trusted. */
  readonly anchors: readonly X509Certificate[] | undefined;
}

/** The value of an option, with the name of the option for error messages. */
interface OptionValue {
  readonly option: string;
  readonly bytes: Pem;
}

interface Values {
  /** Undefined: the default authorities of Node.js. */
  readonly ca: readonly OptionValue[] | undefined;
  readonly cert: OptionValue | undefined;
  readonly key: OptionValue | undefined;
  readonly pfx: OptionValue | undefined;
  readonly passphrase: string | undefined;
}

const SYSTEM = 'system';

/** The latest material for each options object, with a digest of its values rather than the values: they are secret. */
const latest = new WeakMap<TlsOptions, Material & { readonly digest: string }>();

/**
 * Reads the material. Returns the same object as last time if nothing has changed.
 * @throws ConnectError that names the option and contains nothing that was read
 */
export async function materialOf(options: TlsOptions, context: AttemptContext): Promise<Material> {
  const values = await unlessAborted(context.signal, () => readAll(options, context));
  const digest = digestOf(values);
  const previous = latest.get(options);
  if (previous?.digest === digest) return previous;
  const secureContext = options.secureContext ?? secureContextOf(values, options);
  // OpenSSL also trusts the authorities in a PKCS #12 file, so `ca` has to be enforced separately.
  const anchors = values.pfx === undefined ? undefined : values.ca?.flatMap(certificatesOf);
  const material = { digest, context: secureContext, sessions: new Sessions(), anchors };
  latest.set(options, material);
  return material;
}

async function readAll(options: TlsOptions, context: AttemptContext): Promise<Values> {
  const { signal } = context;
  const read = async (name: 'cert' | 'key' | 'pfx'): Promise<OptionValue | undefined> => {
    const file = options[`${name}File`];
    if (file !== undefined) return readOption(`tls.${name}File`, file, signal);
    const bytes = options[name];
    return bytes === undefined ? undefined : { option: `tls.${name}`, bytes };
  };
  const [ca, cert, key, pfx] = await Promise.all([
    readAuthorities(options, signal),
    read('cert'),
    read('key'),
    read('pfx'),
  ]);
  // After the files: if one is missing, the function must not be called.
  return { ca, cert, key, pfx, passphrase: await passphraseOf(options, context) };
}

async function readOption(option: string, file: string, signal: AbortSignal): Promise<OptionValue> {
  try {
    return { option, bytes: await readFile(file, { signal }) };
  } catch (error) {
    throw tlsError(`${option}: ${messageOf(error)}`, error);
  }
}

async function readAuthorities(
  options: TlsOptions,
  signal: AbortSignal,
): Promise<readonly OptionValue[] | undefined> {
  if (options.ca === undefined && options.caFile === undefined) {
    // If the operating system adds none, the defaults of Node.js need no parsing.
    const { all, added } = systemAuthorities();
    return added.length === 0 ? undefined : [{ option: SYSTEM, bytes: all.join('\n') }];
  }
  const values = [options.ca ?? []].flat();
  const files = [options.caFile ?? []].flat();
  return Promise.all([
    ...values.map((value) => (value === SYSTEM ? readSystem(signal) : { option: 'tls.ca', bytes: value })),
    ...files.map((file) => readOption('tls.caFile', file, signal)),
  ]);
}

/** Since Node.js 22.15. */
type GetCACertificates = (type: 'default' | 'system') => readonly string[];

/** `all`: the default authorities of Node.js and those that the operating system adds. `added`: the latter only. */
function systemAuthorities(): { readonly all: readonly string[]; readonly added: readonly string[] } {
  const { getCACertificates } = tls as { getCACertificates?: GetCACertificates };
  if (getCACertificates === undefined) return { all: tls.rootCertificates, added: [] };
  const byDefault = new Set(getCACertificates('default'));
  const added = getCACertificates('system').filter((each) => !byDefault.has(each));
  return { all: [...byDefault, ...added], added };
}

/** The authorities for an entry `"system"`. */
async function readSystem(signal: AbortSignal): Promise<OptionValue> {
  const { all } = systemAuthorities();
  const extra = process.env['NODE_EXTRA_CA_CERTS'] ?? '';
  // `getCACertificates()` includes the authorities of that file.
  if (extra === '' || 'getCACertificates' in tls) return { option: SYSTEM, bytes: all.join('\n') };
  // Node.js ignores a file that it cannot read, too.
  const more = await readOption('NODE_EXTRA_CA_CERTS', extra, signal).catch(() => undefined);
  return { option: SYSTEM, bytes: [...all, ...(more === undefined ? [] : [textOf(more)])].join('\n') };
}

async function passphraseOf(
  { passphrase }: TlsOptions,
  { attempt, reason, signal }: AttemptContext,
): Promise<string | undefined> {
  if (typeof passphrase !== 'function') return passphrase;
  let result: unknown;
  try {
    result = await passphrase({ attempt, reason, signal });
  } catch (error) {
    throw tlsError(`tls.passphrase: ${messageOf(error)}`, error);
  }
  if (typeof result === 'string') return result;
  throw tlsError(`tls.passphrase: expected the function to return a string, got ${typeof result}`);
}

function digestOf({ ca, ...others }: Values): string {
  const hash = createHash('sha256');
  for (const part of [ca?.length, ...(ca ?? []), ...Object.values(others)]) {
    const bytes = typeof part === 'object' ? part.bytes : String(part ?? '');
    // The length keeps bytes from moving from one part to the next without a change of the digest.
    hash.update(`${typeof part} ${bytes.length} `).update(bytes);
  }
  return hash.digest('base64');
}

/** The value in a type that Node.js accepts. */
const rawOf = ({ bytes }: OptionValue): string | Buffer =>
  typeof bytes === 'string' ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const textOf = (value: OptionValue): string => rawOf(value).toString();

const CERTIFICATE =
  /-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END (X509 |TRUSTED )?CERTIFICATE-----/g;

/** Parses the certificates of an option. OpenSSL would silently skip an invalid one and all that follow it. */
function certificatesOf(value: OptionValue): readonly X509Certificate[] {
  const { option } = value;
  const blocks = textOf(value).match(CERTIFICATE) ?? [];
  if (blocks.length === 0) {
    const hint = option === 'tls.ca' ? ' (use tls.caFile for the name of a file)' : '';
    throw tlsError(`${option}: expected a certificate in PEM, got none${hint}`);
  }
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      const which = blocks.length === 1 ? 'the certificate' : `certificate ${i + 1} of ${blocks.length}`;
      throw tlsError(`${option}: expected a certificate in PEM, but ${which} cannot be parsed`, error);
    }
  });
}

function secureContextOf(values: Values, { minVersion, maxVersion, ciphers }: TlsOptions): tls.SecureContext {
  const { ca, cert, key, pfx, passphrase } = values;
  for (const each of ca ?? []) if (each.option !== SYSTEM) certificatesOf(each);
  try {
    return tls.createSecureContext({
      ca: ca?.map(rawOf),
      cert: cert && rawOf(cert),
      key: key && rawOf(key),
      pfx: pfx && rawOf(pfx),
      passphrase,
      minVersion,
      maxVersion,
      ciphers,
    });
  } catch (error) {
    throw materialError(error, values);
  }
}

/** Finds the option that made OpenSSL fail. */
function materialError(error: unknown, { cert, key, pfx, passphrase }: Values): Error {
  if (codeOf(error) === 'ERR_SSL_NO_CIPHER_MATCH')
    return tlsError('tls.ciphers: expected ciphers that OpenSSL knows, got none', error);
  const undecryptable = `cannot be decrypted: ${
    passphrase === undefined ? 'set tls.passphrase' : 'tls.passphrase is wrong'
  }`;
  if (pfx !== undefined) {
    const why = /mac verify/i.test(messageOf(error))
      ? undecryptable
      : `expected PKCS #12 that OpenSSL can read: ${messageOf(error)}`;
    return tlsError(`${pfx.option}: ${why}`, error);
  }
  if (cert === undefined || key === undefined) return tlsError(`tls: ${messageOf(error)}`, error);
  try {
    certificatesOf(cert);
  } catch (certificateError) {
    return certificateError as Error;
  }
  if (codeOf(error) === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH')
    return tlsError(
      `${key.option}: expected the private key of the certificate (${cert.option}), got another one`,
      error,
    );
  const text = textOf(key);
  if (!/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text))
    return tlsError(`${key.option}: expected a private key in PEM, got none`, error);
  const why = /ENCRYPTED/.test(text) && !canDecrypt(text, passphrase) ? undecryptable : messageOf(error);
  return tlsError(`${key.option}: ${why}`, error);
}

function canDecrypt(key: string, passphrase: string | undefined): boolean {
  try {
    createPrivateKey({ key, ...(passphrase !== undefined && { passphrase }) });
    return true;
  } catch {
    return false;
  }
}
