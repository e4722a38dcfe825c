/** TLS connections. */

import { isIP, type Socket } from 'node:net';
import { connect, type ConnectionOptions, TLSSocket } from 'node:tls';
import { domainToASCII } from 'node:url';
import { messageOf } from '../errors.ts';
import { socketEvent } from './abortable.ts';
import { connectFirst } from './happy-eyeballs.ts';
import type { TlsOptions } from './options.ts';
import { withReadTarget } from './read-target.ts';
import { StreamTransport } from './stream.ts';
import { configureSocket, connectOptionsOf } from './tcp.ts';
import { verify } from './tls-certificate.ts';
import { distinguishedName, explain, handshakeError, tlsError } from './tls-errors.ts';
import { materialOf, type Material, type Ticket, type Verified } from './tls-material.ts';
import type { DialContext, DialOptions, Transport } from './transport.ts';

/** One object, because material and sessions are kept per options object. */
const DEFAULTS: TlsOptions = Object.freeze({});

/** Opens a transport for `mqtts:`, through `tunnel` or over TCP. */
export async function dialTls(
  dialOptions: DialOptions,
  context: DialContext,
  tunnel?: Socket,
): Promise<Transport> {
  // A read target must be set when the underlying socket is created.
  if (tunnel !== undefined) {
    const socket = await openTls(dialOptions, context, tunnel);
    return new StreamTransport(socket, { explain: explainerOf(socket) });
  }
  const handshake = await prepareHandshake(dialOptions, context);
  const { socket, readTarget } = await handshake.overTcp((options) =>
    withReadTarget((into) => connect({ ...options, ...into })),
  );
  return new StreamTransport(socket, { readTarget, explain: explainerOf(socket) });
}

/** Returns a function that converts errors of an open connection: see `StreamOptions.explain`. */
export function explainerOf(socket: Socket): (error: unknown) => unknown {
  const certificate = socket instanceof TLSSocket ? ownCertificate(socket) : undefined;
  return (error) => explain(error, certificate);
}

/**
 * Opens a TLS socket to a verified server, through `tunnel` or over TCP. It is paused: nothing is read before someone
 * resumes it. Destroys the tunnel if it rejects.
 */
export async function openTls(
  dialOptions: DialOptions,
  context: DialContext,
  tunnel?: Socket,
): Promise<TLSSocket> {
  // The tunnel may break while the material is read. Without a listener, that would be an uncaught exception.
  tunnel?.on('error', () => {});
  try {
    const handshake = await prepareHandshake(dialOptions, context);
    if (tunnel !== undefined) return await handshake.overTunnel(tunnel);
    return (await handshake.overTcp((options) => ({ socket: connect(options) }))).socket;
  } catch (error) {
    tunnel?.destroy();
    throw error;
  }
}

async function prepareHandshake(dialOptions: DialOptions, context: DialContext): Promise<Handshake> {
  context.signal.throwIfAborted();
  context.onPhase('tls');
  const material = await materialOf(dialOptions.tls ?? DEFAULTS, context);
  return new Handshake(dialOptions, material, context);
}

class Handshake {
  readonly #dialOptions: DialOptions;
  readonly #options: TlsOptions;
  readonly #material: Material;
  readonly #context: DialContext;
  /** The name that the certificate must be valid for. */
  readonly #name: string;
  /** The key of resumable sessions. */
  readonly #server: string;
  /** What `pskCallback` threw, or what was wrong with its result. */
  #pskError: unknown;

  constructor(dialOptions: DialOptions, material: Material, context: DialContext) {
    this.#dialOptions = dialOptions;
    this.#options = dialOptions.tls ?? DEFAULTS;
    this.#material = material;
    this.#context = context;
    this.#name = toAscii(this.#options.servername ?? dialOptions.host);
    this.#server = `${dialOptions.host} ${dialOptions.port} ${this.#name}`;
  }

  overTunnel(tunnel: Socket): Promise<TLSSocket> {
    const ticket = this.#material.sessions.take(this.#server);
    if (tunnel.destroyed) throw tlsError('TLS: the proxy closed the connection before the handshake');
    return this.#secured(connect({ ...this.#connectionOptions(ticket), socket: tunnel }), ticket);
  }

  /** Connects over TCP. `start` creates the TLS socket for one address of the server. */
  async overTcp<C extends { readonly socket: TLSSocket }>(
    start: (options: ConnectionOptions) => C,
  ): Promise<C> {
    const { localAddress } = this.#dialOptions;
    // Node.js rejects this too, but only after it has created a socket that nobody could close.
    if (localAddress !== undefined && isIP(localAddress) === 0)
      throw Object.assign(new TypeError('localAddress: expected an IP address, got something else'), {
        code: 'ERR_INVALID_IP_ADDRESS',
      });
    const ticket = this.#material.sessions.take(this.#server);
    this.#context.onPhase('dial');
    const options = this.#connectionOptions(ticket);
    const target = connectOptionsOf(this.#dialOptions);
    const connected = await connectFirst(target, this.#context.signal, (address) => {
      const started = start({ ...options, ...address });
      configureSocket(started.socket, this.#dialOptions);
      return started;
    });
    this.#context.onPhase('tls');
    await this.#secured(connected.socket, ticket);
    return connected;
  }

  /**
   * Waits for the handshake and verifies the server. Must be called in the turn in which the handshake starts, so that
   * no event is missed.
   */
  async #secured(socket: TLSSocket, ticket: Ticket | undefined): Promise<TLSSocket> {
    const { sessions, anchors } = this.#material;
    const { signal } = this.#context;
    // After the handshake, Node.js emits errors without closing the socket.
    socket.on('error', () => socket.destroy());
    let latest: Buffer | undefined;
    let verified: Verified | undefined;
    const store = (session: Buffer): void => {
      latest = session;
      if (verified !== undefined) sessions.store(this.#server, { ...verified, session });
    };
    // In TLS 1.3 the server may send sessions at any time after the handshake.
    socket.on('session', store);
    // In the same turn, so that nothing is read before someone resumes the socket.
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
    // In TLS 1.2 the server may renegotiate (RFC 5246, 7.4.1.1) and send another certificate then.
    socket.on('secureConnect', () => {
      try {
        verified = verify(socket, expected, verified);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    // If the server sent no new session, the old one can be resumed again.
    if (socket.isSessionReused()) latest ??= ticket?.session;
    if (latest !== undefined) store(latest);
    return socket;
  }

  #connectionOptions(ticket: Ticket | undefined): ConnectionOptions {
    const { alpn, pskCallback } = this.#options;
    return {
      secureContext: this.#material.context,
      // `#secured()` verifies the server before anything is sent. If Node.js did so, its error would not carry the
      // certificate, which the message needs.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      // SNI takes names only, no addresses (RFC 6066, 3).
      ...(isIP(this.#name) === 0 && { servername: this.#name }),
      ...(alpn !== undefined && { ALPNProtocols: [alpn].flat() }),
      ...(ticket !== undefined && { session: ticket.session }),
      ...(pskCallback !== undefined && { pskCallback: (hint) => this.#preSharedKey(hint, pskCallback) }),
    };
  }

  /** OpenSSL calls this within the handshake, where an error would be an uncaught exception. */
  #preSharedKey(
    hint: string | null,
    callback: NonNullable<TlsOptions['pskCallback']>,
  ): ReturnType<typeof callback> {
    try {
      const result: unknown = callback(hint);
      if (result === null || result === undefined) return null;
      if (isPreSharedKey(result)) return result;
      throw new TypeError(
        'expected { psk, identity } with 1 to 256 bytes and 1 to 128 bytes of text, or null, got something else',
      );
    } catch (error) {
      this.#pskError = error ?? new Error('the function threw null or undefined');
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

/** The name as in certificates and SNI: `xn--bcher-kva.example`, without a dot at the end. */
function toAscii(name: string): string {
  const ascii = /[^\0-\x7f]/.test(name) ? domainToASCII(name) : name;
  return ascii.replace(/\.$/, '');
}

/** Describes the client certificate, for error messages. */
function ownCertificate(socket: TLSSocket): string | undefined {
  const certificate = socket.getCertificate();
  if (certificate === null || !('subject' in certificate)) return undefined;
  const { subject, issuer, valid_to: validTo } = certificate;
  return `${distinguishedName(subject)}, issued by ${distinguishedName(issuer)}, valid until ${validTo}`;
}
