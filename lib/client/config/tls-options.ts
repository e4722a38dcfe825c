/** The options of TLS: checked and copied. */

import { copyOf, isBytes } from '../../bytes.ts';
import type { Pem, TlsOptions } from '../../transport/options.ts';
import {
  boolean,
  callable,
  checkObject,
  choice,
  string,
  wrongSecret,
  wrongType,
  type Check,
  type Checks,
} from './validate.ts';

/** A certificate or key. Bytes are copied, as the caller may wipe them. */
function pem(name: string, value: unknown): Pem {
  if (typeof value === 'string') return value;
  if (!isBytes(value)) throw wrongType(name, 'PEM as text or bytes', value);
  return copyOf(value);
}

/** One value or several; always a list afterwards. */
const list =
  <T>(check: Check<T>): Check<T[]> =>
  (name, value) =>
    (Array.isArray(value) ? (value as unknown[]) : [value]).map((one) => check(name, one));

/** An empty list would trust nobody: its likely cause is an empty variable. */
const notEmpty =
  <T>(check: Check<T[]>): Check<T[]> =>
  (name, value) => {
    const authorities = check(name, value);
    if (authorities.length > 0) return authorities;
    throw new TypeError(`${name}: expected one authority or more, got an empty array`);
  };

function protocolName(name: string, value: unknown): string {
  const protocol = string(name, value);
  const length = Buffer.byteLength(protocol);
  if (length > 0 && length <= 255) return protocol;
  throw new RangeError(`${name}: expected names of 1 to 255 bytes, got one of ${length}`);
}

const version = choice('TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3');

/** The options that a secure context already contains. */
const CONTEXT_CHECKS = {
  ca: notEmpty(list(pem)),
  caFile: notEmpty(list(string)),
  cert: pem,
  certFile: string,
  key: pem,
  keyFile: string,
  pfx(name, value) {
    if (!isBytes(value)) throw wrongType(name, 'bytes', value);
    return copyOf(value);
  },
  pfxFile: string,
  passphrase(name, value) {
    if (typeof value !== 'function' && typeof value !== 'string')
      throw wrongSecret(name, 'a string or a function', value);
    return value as TlsOptions['passphrase'];
  },
  minVersion: version,
  maxVersion: version,
  ciphers: string,
} satisfies Partial<Checks<TlsOptions>>;

const CHECKS: Checks<TlsOptions> = {
  ...CONTEXT_CHECKS,
  rejectUnauthorized: boolean,
  verifyHostname: (name, value) =>
    typeof value === 'function' ? (value as TlsOptions['verifyHostname']) : boolean(name, value),
  alpn: list(protocolName),
  servername(name, value) {
    if (value === '') throw new TypeError(`${name}: expected a name, got an empty string`);
    return string(name, value);
  },
  secureContext(name, value) {
    if (typeof value !== 'object' || value === null) throw wrongType(name, 'a secure context', value);
    return value as NonNullable<TlsOptions['secureContext']>;
  },
  pskCallback: callable,
};

export function toTls(name: string, value: unknown): TlsOptions {
  const tls: TlsOptions = checkObject<TlsOptions>(name, value, CHECKS);
  checkClientCertificate(name, tls);
  const { minVersion, maxVersion, secureContext, verifyHostname, rejectUnauthorized } = tls;
  if (minVersion !== undefined && maxVersion !== undefined && minVersion > maxVersion)
    throw new RangeError(
      `${name}.minVersion: expected ${maxVersion}, the maxVersion, or less, got ${minVersion}`,
    );
  if (typeof verifyHostname === 'function' && rejectUnauthorized === false)
    throw new TypeError(
      `${name}.verifyHostname: expected no function with rejectUnauthorized: false, which never calls it`,
    );
  const replaced = Object.keys(CONTEXT_CHECKS).find((key) => key in tls);
  if (secureContext !== undefined && replaced !== undefined)
    throw new TypeError(`${name}.${replaced}: expected none with secureContext, which replaces it`);
  return tls;
}

/** Checks the options with which a client authenticates itself. */
function checkClientCertificate(name: string, tls: TlsOptions): void {
  for (const key of ['cert', 'key', 'pfx'] as const)
    if (key in tls && `${key}File` in tls)
      throw new TypeError(`${name}: expected ${key} or ${key}File, got both`);
  const hasCert = 'cert' in tls || 'certFile' in tls;
  const hasKey = 'key' in tls || 'keyFile' in tls;
  const hasPfx = 'pfx' in tls || 'pfxFile' in tls;
  if (hasCert && !hasKey)
    throw new TypeError(`${name}: expected the key of the certificate as well (key or keyFile), got none`);
  if (hasKey && !hasCert)
    throw new TypeError(`${name}: expected the certificate of the key as well (cert or certFile), got none`);
  if (hasPfx && hasCert) throw new TypeError(`${name}: expected a certificate and key, or a pfx, got both`);
  // With a `secureContext`, the error about that comes first.
  if ('passphrase' in tls && !hasKey && !hasPfx && !('secureContext' in tls))
    throw new TypeError(`${name}.passphrase: expected a key or pfx to decrypt as well, got none`);
}
