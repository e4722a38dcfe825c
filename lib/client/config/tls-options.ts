/** The options of TLS: checked and copied. */

import { copyOf, isBytes } from '../../bytes.ts';
import type { Pem, TlsOptions } from '../../transport/options.ts';
import { boolean, oneOf, checkKeys, string, wrongSecret, wrongType } from './validate.ts';

/** What a secure context has in it already. */
const IN_CONTEXT: readonly (keyof TlsOptions)[] = [
  'ca',
  'caFile',
  'cert',
  'certFile',
  'key',
  'keyFile',
  'pfx',
  'pfxFile',
  'passphrase',
  'minVersion',
  'maxVersion',
  'ciphers',
];
const TLS_KEYS: readonly (keyof TlsOptions)[] = [
  ...IN_CONTEXT,
  'rejectUnauthorized',
  'verifyHostname',
  'alpn',
  'servername',
  'secureContext',
  'pskCallback',
];
const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

/** Checks the options of TLS that are called `name`, and copies them. */
export function toTls(name: string, given: TlsOptions): TlsOptions {
  const tls = checkKeys(name, given, TLS_KEYS) as TlsOptions;
  checkClientSide(name, tls);
  checkServerSide(name, tls);
  const { minVersion, maxVersion, ciphers, secureContext } = tls;
  if (ciphers !== undefined) string(`${name}.ciphers`, ciphers);
  for (const key of ['minVersion', 'maxVersion'] as const)
    if (tls[key] !== undefined) oneOf(`${name}.${key}`, tls[key], VERSIONS);
  if (minVersion !== undefined && maxVersion !== undefined && minVersion > maxVersion)
    throw new RangeError(
      `${name}.minVersion: expected ${maxVersion}, which is maxVersion, or less, got ${minVersion}`,
    );
  for (const entry of listOf(tls.alpn)) {
    const length = Buffer.byteLength(string(`${name}.alpn`, entry));
    if (length === 0 || length > 255)
      throw new RangeError(`${name}.alpn: expected names of 1 to 255 bytes, got one of ${length}`);
  }
  if (secureContext !== undefined) {
    if (typeof secureContext !== 'object' || (secureContext as unknown) === null)
      throw wrongType(`${name}.secureContext`, 'a secure context', secureContext);
    const twice = IN_CONTEXT.find((key) => tls[key] !== undefined);
    if (twice !== undefined)
      throw new TypeError(`${name}.${twice}: expected none beside secureContext, which has one of its own`);
  }
  return {
    ...tls,
    ...(tls.ca !== undefined && { ca: listOf(tls.ca).map(own) }),
    ...(tls.cert !== undefined && { cert: own(tls.cert) }),
    ...(tls.key !== undefined && { key: own(tls.key) }),
    ...(tls.pfx !== undefined && { pfx: copyOf(tls.pfx) }),
    ...(tls.caFile !== undefined && { caFile: listOf(tls.caFile) }),
    ...(tls.alpn !== undefined && { alpn: listOf(tls.alpn) }),
  };
}

/** By what a client shows who it is. */
function checkClientSide(name: string, tls: TlsOptions): void {
  const { pfx, passphrase, pskCallback } = tls;
  for (const key of ['cert', 'key'] as const) if (tls[key] !== undefined) pem(`${name}.${key}`, tls[key]);
  for (const key of ['certFile', 'keyFile', 'pfxFile'] as const)
    if (tls[key] !== undefined) string(`${name}.${key}`, tls[key]);
  for (const key of ['cert', 'key', 'pfx'] as const)
    if (tls[key] !== undefined && tls[`${key}File`] !== undefined)
      throw new TypeError(`${name}: expected ${key} or ${key}File, got both`);
  if (pfx !== undefined && !isBytes(pfx)) throw wrongType(`${name}.pfx`, 'bytes', pfx);
  const hasCert = tls.cert !== undefined || tls.certFile !== undefined;
  const hasKey = tls.key !== undefined || tls.keyFile !== undefined;
  const hasPfx = pfx !== undefined || tls.pfxFile !== undefined;
  if (hasCert && !hasKey)
    throw new TypeError(`${name}: expected the key of the certificate as well (key or keyFile), got none`);
  if (hasKey && !hasCert)
    throw new TypeError(`${name}: expected the certificate of the key as well (cert or certFile), got none`);
  if (hasPfx && hasCert) throw new TypeError(`${name}: expected a certificate and key, or a pfx, got both`);
  if (passphrase !== undefined) {
    if (typeof passphrase !== 'function' && typeof passphrase !== 'string')
      throw wrongSecret(`${name}.passphrase`, 'a string or a function', passphrase);
    // Whoever adds a `secureContext` is told about that first.
    if (!hasKey && !hasPfx && tls.secureContext === undefined)
      throw new TypeError(`${name}.passphrase: expected a key or pfx that it opens as well, got none`);
  }
  if (pskCallback !== undefined && typeof pskCallback !== 'function')
    throw wrongType(`${name}.pskCallback`, 'a function', pskCallback);
}

/** By what a server is verified. */
function checkServerSide(name: string, tls: TlsOptions): void {
  const { rejectUnauthorized, verifyHostname, servername } = tls;
  for (const key of ['ca', 'caFile'] as const)
    // Nobody at all could be verified: a variable that is empty is the likely reason.
    if (tls[key] !== undefined && listOf<Pem>(tls[key]).length === 0)
      throw new TypeError(`${name}.${key}: expected one authority or more, got an empty array`);
  for (const entry of listOf(tls.ca)) pem(`${name}.ca`, entry);
  for (const entry of listOf(tls.caFile)) string(`${name}.caFile`, entry);
  if (servername !== undefined && string(`${name}.servername`, servername) === '')
    throw new TypeError(`${name}.servername: expected a name, got an empty string`);
  if (rejectUnauthorized !== undefined) boolean(`${name}.rejectUnauthorized`, rejectUnauthorized);
  if (verifyHostname === undefined) return;
  if (typeof verifyHostname !== 'function') boolean(`${name}.verifyHostname`, verifyHostname);
  else if (rejectUnauthorized === false)
    throw new TypeError(
      `${name}.verifyHostname: expected no function beside rejectUnauthorized: false, which asks nobody`,
    );
}

function pem(name: string, value: unknown): void {
  if (typeof value !== 'string' && !isBytes(value)) throw wrongType(name, 'PEM as text or bytes', value);
}

/** The same for ever, whatever the caller does to the bytes. */
function own(value: Pem): Pem {
  return isBytes(value) ? copyOf(value) : value;
}

function listOf<T extends string | Pem>(given: T | readonly T[] | undefined): readonly T[] {
  if (given === undefined) return [];
  return Array.isArray(given) ? [...(given as readonly T[])] : [given as T];
}
