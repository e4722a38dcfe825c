/** What an application may say about the way to the server. */

import type { PeerCertificate, PSKCallbackNegotation, SecureContext, SecureVersion } from 'node:tls';
import type { MqttError } from '../errors.ts';

/** What the functions of an application are asked with, once per attempt. */
export interface AttemptContext {
  /** Attempts so far since the last connection that was up: 0 for the very first one, 1 for the first after a loss. */
  readonly attempt: number;
  /** Why there is another attempt: what ended the last one, or the connection. Undefined for the first one. */
  readonly reason: MqttError | undefined;
  /** Aborted when the attempt is given up, or has taken `connectTimeout`. */
  readonly signal: AbortSignal;
}

/** Certificates or a key: PEM as text or bytes. */
export type Pem = string | Uint8Array;

/** TLS, for `mqtts:` and `wss:`. Files are read again for every attempt, so that renewed certificates are used. */
export interface TlsOptions {
  /**
   * Certificate authorities that may have signed the server's certificate. They take the place of those the system
   * knows; an entry `"system"` stands for these: those of Node.js with NODE_EXTRA_CA_CERTS, and from Node.js 22.15 on those
   * of the operating system. @default those of the system
   */
  readonly ca?: Pem | readonly Pem[] | undefined;
  /** The same in files, added to `ca`. */
  readonly caFile?: string | readonly string[] | undefined;
  /** The client's certificate, with those between it and its authority; takes `key` or `keyFile`. */
  readonly cert?: Pem | undefined;
  readonly certFile?: string | undefined;
  /** The private key of the client's certificate; takes `cert` or `certFile`. */
  readonly key?: Pem | undefined;
  readonly keyFile?: string | undefined;
  /**
   * Certificate and key together, PKCS #12. Authorities in it verify the server as well, unless there is `ca` or
   * `caFile`.
   */
  readonly pfx?: Uint8Array | undefined;
  readonly pfxFile?: string | undefined;
  /** Opens an encrypted key or pfx. A function is asked once per attempt, after the files were read. */
  readonly passphrase?: string | ((context: AttemptContext) => string | Promise<string>) | undefined;
  /** `false`: the server's certificate is not verified at all, which is warned of. @default true */
  readonly rejectUnauthorized?: boolean | undefined;
  /**
   * `false`: every host name will do, which is warned of; that a known authority has signed is still verified. A function
   * decides in place of the usual check, for a host that is `servername` where that is given: it returns or throws what
   * is wrong. @default true
   */
  readonly verifyHostname?:
    | boolean
    | ((host: string, certificate: PeerCertificate) => Error | undefined)
    | undefined;
  /** @default that of Node.js, TLSv1.2 */
  readonly minVersion?: SecureVersion | undefined;
  /** @default that of Node.js, TLSv1.3 */
  readonly maxVersion?: SecureVersion | undefined;
  /** In the notation of OpenSSL. @default those of Node.js */
  readonly ciphers?: string | undefined;
  /** Protocols to offer (ALPN), such as `x-amzn-mqtt-ca`. A server may ignore them. @default none */
  readonly alpn?: string | readonly string[] | undefined;
  /** The name asked for (SNI) and verified. @default the host of the URL, unless that is an address */
  readonly servername?: string | undefined;
  /** Made by `tls.createSecureContext()`: in place of certificates, key, versions and ciphers. */
  readonly secureContext?: SecureContext | undefined;
  /**
   * Pre-shared keys: see `tls.connect()` of Node.js. Takes `ciphers` with PSK among them, and is asked once or twice per
   * attempt. Where the server has a certificate all the same, that is verified.
   */
  readonly pskCallback?: ((hint: string | null) => PSKCallbackNegotation | null) | undefined;
}

/** HTTP header fields. */
export type HttpHeaders = Readonly<Record<string, string>>;

/** WebSocket, for `ws:` and `wss:`. */
export interface WebSocketOptions {
  /** Where the URL has no path; may have a query. @default "/mqtt" */
  readonly path?: string | undefined;
  /**
   * Sent with the HTTP request, beside those that make it one for a WebSocket, which cannot be given. `Host` takes the
   * place of the usual one. A function is asked once per attempt, when the server is connected; it gets `Host` as it
   * will be, unless it says otherwise. What it throws ends the attempt. @default none
   */
  readonly headers?:
    | HttpHeaders
    | ((defaults: HttpHeaders, context: AttemptContext) => HttpHeaders | Promise<HttpHeaders>)
    | undefined;
  /**
   * Bytes of one WebSocket message, which is kept whole in memory; a larger one closes the connection. At most
   * 2147483647. @default 268435460, or 16777216 with `perMessageDeflate`
   */
  readonly maxPayload?: number | undefined;
  /** Whether to offer compression, of what is not short: it costs time and memory, and MQTT gains little. @default false */
  readonly perMessageDeflate?: boolean | undefined;
}

/** A proxy to connect through. */
export interface ProxyOptions {
  /**
   * `http://[user:password@]host[:port]` (80) or `https://…` (443) for HTTP CONNECT; `socks5://…` (1080), or `socks` or
   * `socks5h`, which are the same, for SOCKS5, which takes the package `socks`. User name and password in
   * percent-encoding. Names of servers are looked up by the proxy.
   */
  readonly url: string | URL;
  /** Sent with HTTP CONNECT, over what is sent without them. @default none */
  readonly headers?: HttpHeaders | undefined;
  /** TLS to an `https:` proxy itself: that to the server goes through it and knows nothing of it. */
  readonly tls?: TlsOptions | undefined;
}

/** TCP, to the server or, where there is one, to the proxy. Nothing of it is for Unix sockets. */
export interface SocketOptions {
  /** The local address to connect from: to addresses of its family only. */
  readonly localAddress?: string | undefined;
  /**
   * The local port to connect from. One that the last connection came from may be in use for a minute after its end,
   * and with it every attempt in that time fails. @default a free one
   */
  readonly localPort?: number | undefined;
  /** Only addresses of IPv4 or of IPv6. @default both; where a name has several addresses, the first to answer is taken */
  readonly family?: 4 | 6 | undefined;
  /** `false`: small writes may wait for others (Nagle's algorithm). @default true */
  readonly noDelay?: boolean | undefined;
  /**
   * ms without traffic after which the operating system asks whether the other side is there (TCP keep-alive), counted
   * in whole seconds, at most 32767000; 0 = off.
   * Keep Alive of MQTT is surer and sooner: this is for those who switch it off. @default 60000
   */
  readonly tcpKeepAlive?: number | undefined;
}
