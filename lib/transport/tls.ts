/** MQTT over TLS. */

import { isIP, type Socket } from 'node:net';
import { connect, type ConnectionOptions, TLSSocket } from 'node:tls';
import { domainToASCII } from 'node:url';
import type { TlsOptions } from './options.ts';
import { connectFirst } from './happy-eyeballs.ts';
import { socketEvent, ReadTarget, StreamTransport } from './stream.ts';
import { addressOf, tune } from './tcp.ts';
import { verify } from './tls-certificate.ts';
import { messageOf } from '../errors.ts';
import { explain, handshakeError, nameIn, tlsError } from './tls-errors.ts';
import { materialOf, type Material } from './tls-material.ts';
import type { Ticket, Verified } from './tls-sessions.ts';
import type { DialContext, DialOptions, Transport } from './transport.ts';

/** Of all who give none: they have material and sessions in common. */
const DEFAULTS: TlsOptions = Object.freeze({});

/** A TLS socket, and where it reads to. */
interface Connected<L> {
  readonly socket: TLSSocket;
  readonly readTarget: L;
}

/** `mqtts:`, over a tunnel or over TCP. */
export async function dialTls(
  dialOptions: DialOptions,
  signal: AbortSignal,
  context: DialContext,
  tunnel: Socket | undefined,
): Promise<Transport> {
  // Only a socket of our own can be told where to read to.
  if (tunnel !== undefined) {
    const socket = await openTls(dialOptions, signal, context, tunnel);
    return new StreamTransport(socket, { explain: explainerOf(socket) });
  }
  const handshake = await prepared(dialOptions, signal, context);
  const { socket, readTarget } = await handshake.direct(signal, () => new ReadTarget());
  return new StreamTransport(socket, { readTarget, explain: explainerOf(socket) });
}

/** What errors of an open connection are for the client, where they are about TLS: see `StreamOptions.explain`. */
export function explainerOf(socket: Socket): (error: unknown) => unknown {
  const certificate = socket instanceof TLSSocket ? ownCertificate(socket) : undefined;
  return (error) => explain(error, certificate);
}

/**
 * A TLS socket whose server is verified. It is paused: nothing is read before somebody asks for it. A tunnel is
 * destroyed where this rejects.
 */
export async function openTls(
  dialOptions: DialOptions,
  signal: AbortSignal,
  context: DialContext,
  tunnel?: Socket,
): Promise<TLSSocket> {
  // It may break while nobody looks.
  tunnel?.on('error', () => {});
  try {
    const handshake = await prepared(dialOptions, signal, context);
    if (tunnel !== undefined) return await handshake.over(tunnel, signal);
    return (await handshake.direct(signal, () => undefined)).socket;
  } catch (error) {
    tunnel?.destroy();
    throw error;
  }
}

async function prepared(
  dialOptions: DialOptions,
  signal: AbortSignal,
  context: DialContext,
): Promise<Handshake> {
  signal.throwIfAborted();
  context.onPhase('tls');
  const material = await materialOf(dialOptions.tls ?? DEFAULTS, { ...context, signal });
  return new Handshake(dialOptions, material, context);
}

/** One handshake. */
class Handshake {
  readonly #dialOptions: DialOptions;
  readonly #options: TlsOptions;
  readonly #material: Material;
  readonly #context: DialContext;
  /** What the server has to be called. */
  readonly #name: string;
  /** Which sessions could be resumed. */
  readonly #server: string;
  /** What was wrong with what the application's function for pre-shared keys did. */
  #pskError: unknown;

  constructor(dialOptions: DialOptions, material: Material, context: DialContext) {
    this.#dialOptions = dialOptions;
    this.#options = dialOptions.tls ?? DEFAULTS;
    this.#material = material;
    this.#context = context;
    this.#name = toAscii(this.#options.servername ?? dialOptions.host);
    this.#server = `${dialOptions.host} ${dialOptions.port} ${this.#name}`;
  }

  /** TLS through a tunnel, which is taken over. */
  over(tunnel: Socket, signal: AbortSignal): Promise<TLSSocket> {
    const ticket = this.#material.sessions.take(this.#server);
    if (tunnel.destroyed) throw tlsError('TLS: the proxy closed the connection before the handshake');
    const socket = connect({ ...this.#connectionOptions(ticket?.session), socket: tunnel });
    return this.#secured(socket, ticket, signal);
  }

  /** TLS over a socket of its own. */
  async direct<L extends ReadTarget | undefined>(
    signal: AbortSignal,
    readTargetOf: () => L,
  ): Promise<Connected<L>> {
    const { localAddress } = this.#dialOptions;
    // Refused by the platform, too, but only after it has made a socket that nobody could close.
    if (localAddress !== undefined && isIP(localAddress) === 0)
      throw Object.assign(new TypeError('localAddress: expected an IP address, got something else'), {
        code: 'ERR_INVALID_IP_ADDRESS',
      });
    const ticket = this.#material.sessions.take(this.#server);
    this.#context.onPhase('dial');
    const options = this.#connectionOptions(ticket?.session);
    const { socket, readTarget } = await connectFirst(addressOf(this.#dialOptions), signal, (target) => {
      const into = readTargetOf();
      const begun = connect({ ...options, ...target, ...into?.options });
      into?.of(begun);
      tune(begun, this.#dialOptions);
      return { socket: begun, readTarget: into };
    });
    this.#context.onPhase('tls');
    return { socket: await this.#secured(socket, ticket, signal), readTarget };
  }

  /** The handshake is done, and the server is verified. Called in the turn in which the handshake begins. */
  async #secured(socket: TLSSocket, ticket: Ticket | undefined, signal: AbortSignal): Promise<TLSSocket> {
    const { sessions, anchors } = this.#material;
    // Of what is wrong after the handshake the platform only tells: it does not close the socket.
    socket.on('error', () => socket.destroy());
    let latest: Buffer | undefined;
    let verified: Verified | undefined;
    const keep = (session: Buffer): void => {
      latest = session;
      if (verified !== undefined) sessions.keep(this.#server, { ...verified, session });
    };
    // TLS 1.3: servers send them at any time after the handshake.
    socket.on('session', keep);
    // At once, so that a server that talks a lot is not read before anybody has asked for it.
    socket.once('secureConnect', () => socket.pause());
    const certificate = ownCertificate(socket);
    try {
      await socketEvent(socket, 'secureConnect', signal);
    } catch (error) {
      if (signal.aborted) throw error;
      if (this.#pskError !== undefined)
        throw tlsError(`tls.pskCallback: ${messageOf(this.#pskError)}`, this.#pskError);
      throw handshakeError(error, this.#options, certificate);
    }
    const expected = { name: this.#name, options: this.#options, anchors };
    try {
      verified = verify(socket, expected, ticket);
    } catch (error) {
      socket.destroy();
      throw error;
    }
    // A server of TLS 1.2 may shake hands again later (RFC 5246, 7.4.1.1), and have another certificate then.
    socket.on('secureConnect', () => {
      try {
        verified = verify(socket, expected, verified);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    // Where the server sends no new one, the old one goes on.
    if (socket.isSessionReused()) latest ??= ticket?.session;
    if (latest !== undefined) keep(latest);
    return socket;
  }

  #connectionOptions(session: Buffer | undefined): ConnectionOptions {
    const { alpn, pskCallback } = this.#options;
    return {
      secureContext: this.#material.context,
      // We verify for ourselves as soon as the handshake is done, and nothing is sent before. The platform would do so
      // at the same moment, but leave neither the certificate nor its names to say what is wrong with them.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      // A name, never an address (RFC 6066, 3).
      ...(isIP(this.#name) === 0 && { servername: this.#name }),
      ...(alpn !== undefined && { ALPNProtocols: [alpn].flat() }),
      ...(session !== undefined && { session }),
      ...(pskCallback !== undefined && { pskCallback: (hint) => this.#preSharedKey(hint, pskCallback) }),
    };
  }

  /** OpenSSL asks for it in the middle of the handshake: what is thrown there would be an uncaught exception. */
  #preSharedKey(hint: string | null, ask: NonNullable<TlsOptions['pskCallback']>): ReturnType<typeof ask> {
    try {
      const answer: unknown = ask(hint);
      if (answer === null || answer === undefined) return null;
      if (isPreSharedKey(answer)) return answer;
      throw new TypeError('expected { psk, identity }, bytes of 1 to 256 and text of 1 to 128, or null');
    } catch (error) {
      this.#pskError = error ?? new Error('it threw nothing');
      return null;
    }
  }
}

function isPreSharedKey(value: unknown): value is { psk: NodeJS.ArrayBufferView; identity: string } {
  if (typeof value !== 'object' || value === null || !('psk' in value) || !('identity' in value))
    return false;
  const { psk, identity } = value;
  if (!ArrayBuffer.isView(psk) || typeof identity !== 'string') return false;
  const length = Buffer.byteLength(identity);
  return psk.byteLength > 0 && psk.byteLength <= 256 && length > 0 && length <= 128;
}

/** As certificates and SNI have it: `xn--bcher-kva.example`, and without the dot that ends a name. */
function toAscii(name: string): string {
  const ascii = /[^\0-\x7f]/.test(name) ? domainToASCII(name) : name;
  return ascii.replace(/\.$/, '');
}

/** The certificate of the client, for errors that are about it. */
function ownCertificate(socket: TLSSocket): string | undefined {
  const certificate = socket.getCertificate();
  if (certificate === null || !('subject' in certificate)) return undefined;
  return `${nameIn(certificate.subject)}, issued by ${nameIn(certificate.issuer)}, valid until ${certificate.valid_to}`;
}
