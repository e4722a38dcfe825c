/** Converts errors of TLS into messages that say what to check. */

import type { PeerCertificate } from 'node:tls';
import { codeOf, ConnectError, messageOf, shown } from '../errors.ts';
import type { TlsOptions } from './options.ts';

/** An error of the phase `tls`. */
export function tlsError(message: string, cause?: unknown): ConnectError {
  return new ConnectError('tls', message, cause === undefined ? {} : { cause });
}

/** A subject or issuer as text: `O=Example, CN=localhost`. */
export function distinguishedName(name: PeerCertificate['subject'] | undefined): string {
  const parts = Object.entries(name ?? {}).flatMap(([key, value]) =>
    [value ?? []].flat().map((each) => `${key}=${each}`),
  );
  return parts.length === 0 ? 'no subject' : shown(parts.join(', '));
}

/** Alerts about the client certificate, by name (RFC 8446, 6.2). */
const CERTIFICATE_ALERTS: Readonly<Record<string, string>> = {
  CERTIFICATE_REQUIRED: 'requires a client certificate',
  NO_CERTIFICATE: 'requires a client certificate',
  UNKNOWN_CA: 'does not know the authority of the client certificate',
  BAD_CERTIFICATE: 'rejected the client certificate',
  UNSUPPORTED_CERTIFICATE: 'does not support this type of client certificate',
  CERTIFICATE_REVOKED: 'reports that the client certificate is revoked',
  CERTIFICATE_EXPIRED: 'reports that the client certificate has expired',
  CERTIFICATE_UNKNOWN: 'rejected the client certificate',
  ACCESS_DENIED: 'denied access to the owner of the client certificate',
};

/** Other alerts, and errors of OpenSSL about what the server sent. */
const OTHER_ALERTS: Readonly<Record<string, string>> = {
  DECRYPT_ERROR:
    "could not verify the client's key: it does not match the certificate, or the pre-shared key is wrong",
  BAD_RECORD_MAC: 'could not decrypt the data it received: the pre-shared key may be wrong',
  UNKNOWN_PSK_IDENTITY: 'does not know the identity of the pre-shared key',
  UNRECOGNIZED_NAME: 'does not know the requested name (tls.servername)',
  INTERNAL_ERROR: 'reported an internal error (internal_error)',
  USER_CANCELLED: 'cancelled the handshake (user_canceled)',
};

/** Client and server have no version in common, or the client allows none. */
const VERSION =
  /^(?:PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|WRONG_SSL_VERSION|VERSION_TOO_LOW|INAPPROPRIATE_FALLBACK|NO_PROTOCOLS_AVAILABLE)$/;
const CIPHER = /^(?:INSUFFICIENT_SECURITY|NO_SHARED_CIPHER|NO_CIPHERS_AVAILABLE|WRONG_CIPHER_RETURNED)$/;
/** The input is not TLS. Which of these errors that causes depends on the input and the version of OpenSSL. */
const NO_TLS =
  /^(?:WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL|HTTP_REQUEST|HTTPS_PROXY_REQUEST|PACKET_LENGTH_TOO_LONG|RECORD_LAYER_FAILURE|RECORD_TOO_SMALL|BAD_RECORD_TYPE|UNEXPECTED_MESSAGE)$/;

/** `HANDSHAKE_FAILURE` for `ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE`. The prefix depends on the version of OpenSSL. */
function alertOf(error: unknown): string | undefined {
  return /^ERR_SSL_(?:(?:SSLV3|TLSV1|TLSV13|SSL\/TLS)_)?(?:ALERT_)?(.+)$/.exec(codeOf(error))?.[1];
}

/**
 * Converts an error of a TLS connection; returns other errors unchanged. In TLS 1.3 the server checks the client
 * certificate after the handshake is complete for the client, so its alert arrives on the open connection.
 * `certificate` describes the client certificate.
 */
export function explain(
  error: unknown,
  certificate = 'none was sent: set tls.certFile and tls.keyFile',
): unknown {
  const alert = alertOf(error);
  if (alert === undefined) return error;
  const aboutCertificate = CERTIFICATE_ALERTS[alert];
  if (aboutCertificate !== undefined)
    return tlsError(`TLS: the server ${aboutCertificate} (${certificate})`, error);
  const other = OTHER_ALERTS[alert];
  if (other !== undefined) return tlsError(`TLS: the server ${other}`, error);
  // Not `message`: it contains file names and line numbers of OpenSSL.
  const reason = typeof error === 'object' && error !== null && 'reason' in error ? error.reason : undefined;
  return tlsError(`TLS: ${typeof reason === 'string' ? reason : messageOf(error)}`, error);
}

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
    return tlsError(`TLS: the server supports no version that this client allows (${range})`, error);
  }
  if (NO_TLS.test(alert)) return tlsError('TLS: the server does not speak TLS on this port', error);
  const offered = ciphers === undefined ? 'the defaults of Node.js' : `ciphers: ${ciphers}`;
  if (CIPHER.test(alert))
    return tlsError(`TLS: the server has no cipher in common with this client (${offered})`, error);
  if (alert === 'NO_APPLICATION_PROTOCOL') {
    const protocols = [alpn ?? []].flat().join(', ');
    return tlsError(`TLS: the server supports none of the offered protocols (alpn: ${protocols})`, error);
  }
  // A TLS 1.2 server sends only this alert if it requires a client certificate.
  if (alert === 'HANDSHAKE_FAILURE') {
    const missing =
      certificate === undefined ? ', or it requires a client certificate and none was sent' : '';
    return tlsError(`TLS: the server has no cipher in common with this client (${offered})${missing}`, error);
  }
  return explain(error, certificate) as ConnectError;
}
