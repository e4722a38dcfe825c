/** Whether a server is who it should be, by its certificate. */

import type { X509Certificate } from 'node:crypto';
import {
  checkServerIdentity,
  type DetailedPeerCertificate,
  type PeerCertificate,
  type TLSSocket,
} from 'node:tls';
import type { TlsOptions } from './options.ts';
import { messageOf, shown } from '../errors.ts';
import { nameIn, tlsError } from './tls-errors.ts';
import type { Verified } from './tls-sessions.ts';

/** Certificates in a chain that are looked at. */
const LONGEST_CHAIN = 20;

/** What a server has to be to be believed. */
export interface Expectation {
  /** A host name or an address. */
  readonly name: string;
  readonly options: TlsOptions;
  /** The only authorities that count, where the platform trusts others as well. */
  readonly anchors: readonly X509Certificate[] | undefined;
}

/**
 * Throws a `ConnectError` unless the server is who it should be. Returns how that was found out; `undefined` where it
 * was not by a certificate. `before`: how it was, where a session is resumed.
 */
export function verify(
  socket: TLSSocket,
  { name, options, anchors }: Expectation,
  before?: Verified,
): Verified | undefined {
  if (options.rejectUnauthorized === false) return undefined;
  const verified = socket.isSessionReused() && before !== undefined ? before : chainVerified(socket, anchors);
  if (verified !== undefined) {
    verifyName(name, verified.certificate, options.verifyHostname ?? true);
    return verified;
  }
  // Whoever has the pre-shared key is the server: it has no name that could be verified.
  if (options.pskCallback !== undefined && socket.authorized) return undefined;
  throw tlsError('TLS: the server has no certificate');
}

/** By whom the certificate was signed, and when; nothing where there is none. */
function chainVerified(
  socket: TLSSocket,
  anchors: readonly X509Certificate[] | undefined,
): Verified | undefined {
  const chain = chainOf(socket);
  const [certificate] = chain;
  if (certificate === undefined) return undefined;
  if (!socket.authorized) throw untrusted(codeOf(socket.authorizationError), chain);
  if (anchors !== undefined && !leadsTo(socket, anchors))
    throw untrusted('UNABLE_TO_GET_ISSUER_CERT_LOCALLY', chain);
  return { certificate, validUntil: Math.min(...chain.map((each) => Date.parse(each.valid_to))) };
}

/** The certificate of the server, and those above it as far as they are known. */
function chainOf(socket: TLSSocket): readonly PeerCertificate[] {
  const chain: PeerCertificate[] = [];
  let next: Partial<DetailedPeerCertificate> | null | undefined = socket.getPeerCertificate(true);
  // The one at the top is its own issuer. Where there is no certificate, there is an object with nothing in it.
  while (
    next?.raw !== undefined &&
    !chain.includes(next as PeerCertificate) &&
    chain.length < LONGEST_CHAIN
  ) {
    chain.push(next as PeerCertificate);
    next = next.issuerCertificate;
  }
  return chain;
}

/** What the platform calls an error of verification: declared as an `Error`, it is the code of one. */
function codeOf(error: unknown): string {
  return typeof error === 'string' ? error : messageOf(error);
}

function untrusted(code: string, chain: readonly PeerCertificate[]): Error {
  const leaf = chain[0] as PeerCertificate;
  const cause = Object.assign(new Error(code), { code });
  const which = (found: PeerCertificate | undefined): string =>
    found === undefined || found === leaf
      ? `the certificate of the server (${nameIn(leaf.subject)})`
      : `a certificate above that of the server (${nameIn(found.subject)})`;
  const now = Date.now();
  switch (code) {
    case 'CERT_HAS_EXPIRED': {
      const expired = chain.find((each) => Date.parse(each.valid_to) < now) ?? leaf;
      return tlsError(`TLS: ${which(expired)} has expired: it was valid until ${expired.valid_to}`, cause);
    }
    case 'CERT_NOT_YET_VALID': {
      const early = chain.find((each) => Date.parse(each.valid_from) > now) ?? leaf;
      return tlsError(`TLS: ${which(early)} is not valid yet: it is from ${early.valid_from} on`, cause);
    }
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return tlsError(`TLS: ${which(leaf)} is self-signed, and not one of those trusted here`, cause);
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE': {
      const issuer = nameIn((chain.at(-1) as PeerCertificate).issuer);
      return tlsError(`TLS: ${which(leaf)} is of an authority that is not known here (${issuer})`, cause);
    }
    case 'CERT_SIGNATURE_FAILURE':
      return tlsError(
        `TLS: ${which(leaf)} says that it is of ${nameIn(leaf.issuer)}, which did not sign it`,
        cause,
      );
    default:
      return tlsError(
        `TLS: ${which(leaf)}, issued by ${nameIn(leaf.issuer)}, is not accepted: ${code}`,
        cause,
      );
  }
}

/** Whether one of `anchors` has signed a certificate of the chain that the server has sent. */
function leadsTo(socket: TLSSocket, anchors: readonly X509Certificate[]): boolean {
  let certificate = socket.getPeerX509Certificate();
  for (let depth = 0; certificate !== undefined && depth < LONGEST_CHAIN; depth++) {
    const { fingerprint256 } = certificate;
    const below = certificate;
    const isSigned = (by: X509Certificate): boolean => below.checkIssued(by) && below.verify(by.publicKey);
    if (anchors.some((anchor) => anchor.fingerprint256 === fingerprint256 || isSigned(anchor))) return true;
    const { issuerCertificate } = certificate;
    // What the platform has found is another way up: on this one, too, only authorities sign.
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
    const names = certificate.subjectaltname ?? `only ${nameIn(certificate.subject)}`;
    throw tlsError(
      `TLS: the certificate of the server (${nameIn(certificate.subject)}) is not for ${name}: it is for ${shown(names)}`,
      error,
    );
  }
  const wrong = asked(how, name, certificate);
  if (wrong !== undefined) throw tlsError(`tls.verifyHostname: ${messageOf(wrong)}`, wrong);
}

/** What the function of the application finds wrong. */
function asked(
  how: (host: string, certificate: PeerCertificate) => Error | undefined,
  name: string,
  certificate: PeerCertificate,
): unknown {
  let answer: unknown;
  try {
    answer = how(name, certificate);
  } catch (error) {
    return error ?? new Error('it threw nothing');
  }
  if (answer === undefined || answer === null || isError(answer)) return answer ?? undefined;
  // A promise, most likely: nobody would wait for what it comes to.
  return new TypeError('expected an Error or undefined, got something else');
}

const isError = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'message' in value;
