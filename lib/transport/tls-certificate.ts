/** Verifies the certificate of a server. */

import type { X509Certificate } from 'node:crypto';
import {
  checkServerIdentity,
  type DetailedPeerCertificate,
  type PeerCertificate,
  type TLSSocket,
} from 'node:tls';
import { messageOf, shown } from '../errors.ts';
import type { TlsOptions } from './options.ts';
import { distinguishedName, tlsError } from './tls-errors.ts';
import type { Verified } from './tls-material.ts';

/** Maximum number of certificates of a chain that are examined. */
const MAX_CHAIN = 20;

/** What the server is verified against. */
interface Expectation {
  /** A host name or an IP address. */
  readonly name: string;
  readonly options: TlsOptions;
  /** See `Material.anchors`. */
  readonly anchors: readonly X509Certificate[] | undefined;
}

/**
 * Verifies the server of a connection. Returns undefined if it was not verified by a certificate. `previous` is the result
 * for the session that is resumed.
 * @throws ConnectError if the server is not the expected one
 */
export function verify(
  socket: TLSSocket,
  { name, options, anchors }: Expectation,
  previous?: Verified,
): Verified | undefined {
  if (options.rejectUnauthorized === false) return undefined;
  const isResumed = socket.isSessionReused() && previous !== undefined;
  const verified = isResumed ? previous : verifyChain(socket, anchors);
  if (verified !== undefined) {
    verifyName(name, verified.certificate, options.verifyHostname ?? true);
    return verified;
  }
  // A server with a pre-shared key proves its identity by the key and has no name to verify.
  if (options.pskCallback !== undefined && socket.authorized) return undefined;
  throw tlsError('TLS: the server sent no certificate');
}

/** Returns undefined if the server sent no certificate. */
function verifyChain(
  socket: TLSSocket,
  anchors: readonly X509Certificate[] | undefined,
): Verified | undefined {
  const chain = chainOf(socket);
  const [certificate] = chain;
  if (certificate === undefined) return undefined;
  // Declared as an Error, `authorizationError` is the code as text.
  if (!socket.authorized) throw untrusted(messageOf(socket.authorizationError), chain);
  if (anchors !== undefined && !leadsTo(socket, anchors))
    throw untrusted('UNABLE_TO_GET_ISSUER_CERT_LOCALLY', chain);
  return { certificate, validUntil: Math.min(...chain.map((each) => Date.parse(each.valid_to))) };
}

/** The certificate of the server, followed by those of its issuers as far as they are known. */
function chainOf(socket: TLSSocket): readonly PeerCertificate[] {
  const chain: PeerCertificate[] = [];
  let next: Partial<DetailedPeerCertificate> | null | undefined = socket.getPeerCertificate(true);
  // A root certificate is its own issuer. If there is no certificate, Node.js returns an empty object.
  while (next?.raw !== undefined && !chain.includes(next as PeerCertificate) && chain.length < MAX_CHAIN) {
    chain.push(next as PeerCertificate);
    next = next.issuerCertificate;
  }
  return chain;
}

function untrusted(code: string, chain: readonly PeerCertificate[]): Error {
  const leaf = chain[0] as PeerCertificate;
  const cause = Object.assign(new Error(code), { code });
  const named = (certificate: PeerCertificate): string =>
    `${certificate === leaf ? "the server's certificate" : "an issuer's certificate"} (${distinguishedName(certificate.subject)})`;
  const issuer = distinguishedName(leaf.issuer);
  const now = Date.now();
  switch (code) {
    case 'CERT_HAS_EXPIRED': {
      const expired = chain.find((each) => Date.parse(each.valid_to) < now) ?? leaf;
      return tlsError(`TLS: ${named(expired)} has expired: it was valid until ${expired.valid_to}`, cause);
    }
    case 'CERT_NOT_YET_VALID': {
      const early = chain.find((each) => Date.parse(each.valid_from) > now) ?? leaf;
      return tlsError(`TLS: ${named(early)} is not valid yet: it is valid from ${early.valid_from}`, cause);
    }
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return tlsError(`TLS: ${named(leaf)} is self-signed and not trusted: add it with tls.caFile`, cause);
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE': {
      const authority = distinguishedName((chain.at(-1) as PeerCertificate).issuer);
      return tlsError(
        `TLS: ${named(leaf)} is from an authority that is not trusted (${authority}): add it with tls.caFile`,
        cause,
      );
    }
    case 'CERT_SIGNATURE_FAILURE':
      return tlsError(`TLS: ${named(leaf)} names ${issuer} as its issuer, which did not sign it`, cause);
    default:
      return tlsError(`TLS: ${named(leaf)}, issued by ${issuer}, was rejected: ${code}`, cause);
  }
}

/** Whether one of `anchors` has signed a certificate of the chain that the server has sent. */
function leadsTo(socket: TLSSocket, anchors: readonly X509Certificate[]): boolean {
  let certificate = socket.getPeerX509Certificate();
  for (let depth = 0; certificate !== undefined && depth < MAX_CHAIN; depth++) {
    const { fingerprint256 } = certificate;
    const below = certificate;
    const isSigned = (by: X509Certificate): boolean => below.checkIssued(by) && below.verify(by.publicKey);
    if (anchors.some((anchor) => anchor.fingerprint256 === fingerprint256 || isSigned(anchor))) return true;
    const { issuerCertificate } = certificate;
    // OpenSSL may have verified another chain, so this one must be checked too: only authorities may sign.
    if (issuerCertificate?.ca !== true || !isSigned(issuerCertificate)) return false;
    certificate = issuerCertificate;
  }
  return false;
}

function verifyName(
  name: string,
  certificate: PeerCertificate,
  how: NonNullable<TlsOptions['verifyHostname']>,
): void {
  if (how === false) return;
  if (how === true) {
    const error = checkServerIdentity(name, certificate);
    if (error === undefined) return;
    const subject = distinguishedName(certificate.subject);
    const names = certificate.subjectaltname ?? `only ${subject}`;
    throw tlsError(
      `TLS: the server's certificate (${subject}) is not for ${name}: it is for ${shown(names)}`,
      error,
    );
  }
  const error = hostnameError(how, name, certificate);
  if (error !== undefined) throw tlsError(`tls.verifyHostname: ${messageOf(error)}`, error);
}

/** Calls a `verifyHostname` function. Returns the error that it returns or throws. */
function hostnameError(
  verifyHostname: (host: string, certificate: PeerCertificate) => Error | undefined,
  name: string,
  certificate: PeerCertificate,
): unknown {
  let result: unknown;
  try {
    result = verifyHostname(name, certificate);
  } catch (error) {
    return error ?? new Error('the function threw null or undefined');
  }
  if (result === undefined || result === null) return undefined;
  if (typeof result === 'object' && 'message' in result) return result;
  // Most likely a promise. Nobody would wait for it, so it must not count as success.
  return new TypeError('expected an Error or undefined from the function, which cannot be async');
}
