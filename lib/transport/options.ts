/** Options for TLS, WebSocket, proxies and TCP. */

import type { PeerCertificate, PSKCallbackNegotation, SecureContext, SecureVersion } from 'node:tls';
import type { MqttError } from '../errors.ts';

/** Passed to the functions among the options, which are called anew for every attempt. */
export interface AttemptContext {
  /** 0 for the very first attempt, 1 for the first after a loss; increases until a connection is up. */
  readonly attempt: number;
  /** The error that ended the last attempt or the connection. Undefined for the first attempt. */
  readonly reason: MqttError | undefined;
  /**
   * Aborted when the attempt is given up, when it has failed, or when its server's share of `connectTimeout` is over.
   */
  readonly signal: AbortSignal;
}

/** Certificates or a key in PEM, as text or bytes. */
export type Pem = string | Uint8Array;

/**
 * TLS, for `mqtts:` and `wss:`. Files are read for every attempt, so renewed certificates are used. Invalid material fails
 * the attempt with a `ConnectError` of phase `tls` that names the option.
 */
export interface TlsOptions {
  /**
   * Trusted authorities, which replace those of the system. An entry `"system"` adds these again: the authorities of
   * Node.js with `NODE_EXTRA_CA_CERTS` and, from Node.js 22.15 on, those of the operating system.
   * @default the authorities of the system
   */
  readonly ca?: Pem | readonly Pem[] | undefined;
  /** Files with trusted authorities, in addition to `ca`. @default none */
  readonly caFile?: string | readonly string[] | undefined;
  /** The client certificate, followed by intermediate certificates. Requires `key` or `keyFile`. @default none */
  readonly cert?: Pem | undefined;
  /** A file with the contents of `cert`. @default none */
  readonly certFile?: string | undefined;
  /** The private key of the client certificate. Requires `cert` or `certFile`. @default none */
  readonly key?: Pem | undefined;
  /** A file with the contents of `key`. @default none */
  readonly keyFile?: string | undefined;
  /**
   * Client certificate and key in one, as PKCS #12. Authorities in it are trusted too, unless `ca` or `caFile` is set.
   * @default none
   */
  readonly pfx?: Uint8Array | undefined;
  /** A file with the contents of `pfx`. @default none */
  readonly pfxFile?: string | undefined;
  /** Decrypts the key or pfx. A function is called once per attempt, after the files were read. @default none */
  readonly passphrase?: string | ((context: AttemptContext) => string | Promise<string>) | undefined;
  /** `false`: does not verify the server at all, and logs a warning. @default true */
  readonly rejectUnauthorized?: boolean | undefined;
  /**
   * `false`: accepts a certificate for any host name, and logs a warning; the authority is still verified. A function
   * replaces the check of the name. It gets `servername` or else the host, and returns or throws an error to reject the
   * server; it cannot be async. @default true
   */
  readonly verifyHostname?:
    | boolean
    | ((host: string, certificate: PeerCertificate) => Error | undefined)
    | undefined;
  /** The lowest TLS version to accept. @default that of Node.js, `TLSv1.2` */
  readonly minVersion?: SecureVersion | undefined;
  /** The highest TLS version to accept. @default that of Node.js, `TLSv1.3` */
  readonly maxVersion?: SecureVersion | undefined;
  /** Cipher suites in the notation of OpenSSL. @default those of Node.js */
  readonly ciphers?: string | undefined;
  /** Application protocols to offer (ALPN), such as `x-amzn-mqtt-ca`. A server may ignore them. @default none */
  readonly alpn?: string | readonly string[] | undefined;
  /** The host name to request (SNI) and to verify. @default the host of the URL; an address is verified, not sent */
  readonly servername?: string | undefined;
  /** A context from `tls.createSecureContext()`, instead of certificates, key, versions and ciphers. @default none */
  readonly secureContext?: SecureContext | undefined;
  /**
   * Pre-shared keys: see `tls.connect()` of Node.js. Requires `ciphers` that include PSK. Called once or twice per
   * attempt. A certificate that the server sends anyway is verified. @default none
   */
  readonly pskCallback?: ((hint: string | null) => PSKCallbackNegotation | null) | undefined;
}

/** HTTP header fields: names and values. */
export type HttpHeaders = Readonly<Record<string, string>>;

/** WebSocket, for `ws:` and `wss:` (6). A failed handshake is a `ConnectError` of phase `websocket`. */
export interface WebSocketOptions {
  /** The path of a URL that has none. May contain a query. @default "/mqtt" */
  readonly path?: string | undefined;
  /**
   * Additional header fields of the HTTP request. The fields of the handshake itself cannot be set; `Host` replaces the
   * usual one. A function is called once per attempt, when the server is connected. It gets `Host` as it will be sent,
   * and what it returns is sent. If it throws, the attempt fails. @default none
   */
  readonly headers?:
    | HttpHeaders
    | ((defaults: HttpHeaders, context: AttemptContext) => HttpHeaders | Promise<HttpHeaders>)
    | undefined;
  /**
   * Maximum bytes of one WebSocket message, which is buffered as a whole; a larger one closes the connection. At most
   * 2147483647. @default 268435460, or 16777216 with `perMessageDeflate`
   */
  readonly maxPayload?: number | undefined;
  /**
   * Whether to offer compression, for writes of 128 bytes and more. It costs time and memory, and MQTT gains little.
   * @default false
   */
  readonly perMessageDeflate?: boolean | undefined;
}

/** A proxy to connect through. A failure is a `ConnectError` of phase `dial` whose message mentions the proxy. */
export interface ProxyOptions {
  /**
   * `http://[user:password@]host[:port]` (default port 80) or `https://…` (443) for HTTP CONNECT; `socks5://…` (1080) for
   * SOCKS5, which requires the package `socks`. `socks://` and `socks5h://` mean the same as `socks5://`. User name and
   * password are percent-encoded. The proxy looks up the name of the server.
   */
  readonly url: string | URL;
  /** Additional header fields of HTTP CONNECT; they replace the usual ones. @default none */
  readonly headers?: HttpHeaders | undefined;
  /** TLS to an `https:` proxy, which is verified by default. Independent of TLS to the server, which goes through the tunnel. */
  readonly tls?: TlsOptions | undefined;
}

/** TCP, to the server or to the proxy. Does not apply to Unix sockets. */
export interface SocketOptions {
  /**
   * The local IP address to connect from. Only server addresses of the same family are used.
   * @default chosen by the system
   */
  readonly localAddress?: string | undefined;
  /**
   * The local port to connect from. After a connection has ended, its port can be in use for a minute; attempts fail
   * meanwhile. @default a free one
   */
  readonly localPort?: number | undefined;
  /** Uses only IPv4 or only IPv6 addresses. @default both; the first address of a name that answers is used */
  readonly family?: 4 | 6 | undefined;
  /** `false`: small writes may be delayed (Nagle's algorithm). @default true */
  readonly noDelay?: boolean | undefined;
  /**
   * ms without traffic after which the operating system probes the connection (TCP keep-alive). Rounded up to whole
   * seconds; at most 32767000; 0 = off. MQTT Keep Alive is faster and more reliable; this option matters if that is off.
   * @default 60000
   */
  readonly tcpKeepAlive?: number | undefined;
}
