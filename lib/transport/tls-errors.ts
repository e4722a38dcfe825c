/** What went wrong with TLS, in words. */

import type { PeerCertificate } from 'node:tls';
import { codeOf, ConnectError, messageOf, shown } from '../errors.ts';
import type { TlsOptions } from './options.ts';

/** An error of this phase. */
export function tlsError(message: string, cause?: unknown): ConnectError {
  return new ConnectError('tls', message, cause === undefined ? {} : { cause });
}

/** A subject or issuer: `O=Example, CN=localhost`. */
export function nameIn(name: PeerCertificate['subject'] | undefined): string {
  const parts = Object.entries(name ?? {}).flatMap(([key, value]) =>
    [value ?? []].flat().map((each) => `${key}=${each}`),
  );
  return parts.length === 0 ? 'no subject' : shown(parts.join(', '));
}

/** What servers say about the certificate of a client, by the name of the alert (RFC 8446, 6.2). */
const ABOUT_CLIENT: Readonly<Record<string, string>> = {
  CERTIFICATE_REQUIRED: 'requires a client certificate',
  NO_CERTIFICATE: 'requires a client certificate',
  UNKNOWN_CA: 'does not know the authority of the client certificate',
  BAD_CERTIFICATE: 'does not accept the client certificate',
  UNSUPPORTED_CERTIFICATE: 'does not accept this kind of client certificate',
  CERTIFICATE_REVOKED: 'says that the client certificate is revoked',
  CERTIFICATE_EXPIRED: 'says that the client certificate has expired',
  CERTIFICATE_UNKNOWN: 'does not accept the client certificate',
  ACCESS_DENIED: 'does not let in the owner of the client certificate',
};

/** What else they say, or what OpenSSL says of them. */
const ABOUT_ELSE: Readonly<Record<string, string>> = {
  DECRYPT_ERROR:
    'could not verify the key of this client: it does not belong to the certificate, or the pre-shared key is wrong',
  BAD_RECORD_MAC: 'could not decrypt what it got: the pre-shared key may be wrong',
  UNKNOWN_PSK_IDENTITY: 'does not know the identity of the pre-shared key',
  UNRECOGNIZED_NAME: 'does not know the name it was asked for (tls.servername)',
  INTERNAL_ERROR: 'has failed (internal_error)',
  USER_CANCELLED: 'called the handshake off (user_canceled)',
};

/** The server speaks other versions than this client, or this client may speak none. */
const VERSION =
  /^(?:PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|WRONG_SSL_VERSION|VERSION_TOO_LOW|INAPPROPRIATE_FALLBACK|NO_PROTOCOLS_AVAILABLE)$/;
const CIPHER = /^(?:INSUFFICIENT_SECURITY|NO_SHARED_CIPHER|NO_CIPHERS_AVAILABLE|WRONG_CIPHER_RETURNED)$/;
/** What comes of reading something as TLS that is none; which of them depends on its bytes, and on OpenSSL. */
const NO_TLS =
  /^(?:WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL|HTTP_REQUEST|HTTPS_PROXY_REQUEST|PACKET_LENGTH_TOO_LONG|RECORD_LAYER_FAILURE|RECORD_TOO_SMALL|BAD_RECORD_TYPE|UNEXPECTED_MESSAGE)$/;

/** `HANDSHAKE_FAILURE` of `ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE`, which is spelt differently in OpenSSL 3.2 and later. */
function alertOf(error: unknown): string | undefined {
  return /^ERR_SSL_(?:(?:SSLV3|TLSV1|TLSV13|SSL\/TLS)_)?(?:ALERT_)?(.+)$/.exec(codeOf(error))?.[1];
}

/**
 * What an error of a TLS connection is for the client. In TLS 1.3 a server looks at the client's certificate after the
 * handshake is over for the client, so that its refusal comes on the open connection. `certificate`: that of the client.
 */
export function explain(error: unknown, certificate = 'it has none'): unknown {
  const alert = alertOf(error);
  if (alert === undefined) return error;
  const about = ABOUT_CLIENT[alert];
  if (about !== undefined) return tlsError(`TLS: the server ${about} (${certificate})`, error);
  const other = ABOUT_ELSE[alert];
  if (other !== undefined) return tlsError(`TLS: the server ${other}`, error);
  // OpenSSL names files and lines of its own in its messages.
  const reason = typeof error === 'object' && error !== null && 'reason' in error ? error.reason : undefined;
  return tlsError(`TLS: ${typeof reason === 'string' ? reason : messageOf(error)}`, error);
}

/** What an error of the handshake is for the client. */
export function handshakeError(error: unknown, options: TlsOptions, certificate?: string): ConnectError {
  const alert = alertOf(error);
  if (alert === undefined) {
    return tlsError(
      `TLS: the server closed the connection during the handshake, and may not speak TLS on this port: ${messageOf(error)}`,
      error,
    );
  }
  const { minVersion = 'any', maxVersion = 'any', ciphers, alpn } = options;
  if (VERSION.test(alert)) {
    const range = `minVersion: ${minVersion}, maxVersion: ${maxVersion}`;
    return tlsError(
      `TLS: the server speaks no version of the protocol that this client may (${range})`,
      error,
    );
  }
  if (NO_TLS.test(alert)) return tlsError('TLS: the server does not speak TLS on this port', error);
  const has = ciphers === undefined ? 'the default ones' : `ciphers: ${ciphers}`;
  if (CIPHER.test(alert))
    return tlsError(`TLS: the server has no cipher in common with this client (${has})`, error);
  if (alert === 'NO_APPLICATION_PROTOCOL') {
    const offered = [alpn ?? []].flat().join(', ');
    return tlsError(
      `TLS: the server speaks none of the protocols that were offered (alpn: ${offered})`,
      error,
    );
  }
  // Servers of TLS 1.2 say no more than this where they miss a certificate.
  if (alert === 'HANDSHAKE_FAILURE') {
    const missing =
      certificate === undefined ? ', or it requires a client certificate and there is none' : '';
    return tlsError(`TLS: the server has no cipher in common with this client (${has})${missing}`, error);
  }
  return explain(error, certificate) as ConnectError;
}
