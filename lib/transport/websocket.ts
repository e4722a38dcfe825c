/** The WebSocket handshake (6). */

import { type ClientRequest, type IncomingMessage, STATUS_CODES } from 'node:http';
import type { createConnection, Socket } from 'node:net';
import type * as Ws from 'ws';
import { ConnectError, messageOf } from '../errors.ts';
import { unlessAborted } from './abortable.ts';
import type { HttpHeaders } from './options.ts';
import { loadPackage } from '../packages.ts';
import type { DialContext, DialOptions, Transport } from './transport.ts';
import { authorityOf } from './url.ts';
import { type Explain, WebSocketTransport } from './websocket-transport.ts';

/** Default of `WebSocketOptions.maxPayload`: the bytes of the largest MQTT packet. */
const MAX_PAYLOAD = 268_435_460;

/** The default with compression, where a few bytes on the wire can expand a thousandfold. */
const MAX_INFLATED = 16_777_216;

/** Opens a WebSocket over `stream`, a TCP or TLS socket, which it owns from then on. Destroys it if it rejects. */
export async function dialWebSocket(
  dialOptions: DialOptions,
  context: DialContext,
  stream: Socket,
  explain: Explain = (error) => error,
): Promise<Transport> {
  const { signal } = context;
  // Without a listener, an error would be an uncaught exception. It is read from `stream.errored` below.
  stream.on('error', () => {});
  try {
    context.onPhase('websocket');
    const { WebSocket } = await loadWs();
    signal.throwIfAborted();
    const url = urlOf(dialOptions);
    const headers = await headersOf(dialOptions, context, url.host);
    signal.throwIfAborted();
    if (stream.destroyed)
      throw handshakeError(explain(stream.errored ?? new Error('the connection was closed')));
    const protocol = subprotocolOf(context);
    return await upgrade(dialOptions, signal, stream, { WebSocket, url, headers, protocol, explain });
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/**
 * Loads the package `ws`. In an ES module made by esbuild, its `require()` of modules of Node.js fails; then it is loaded
 * from the directory of the program.
 */
async function loadWs(): Promise<typeof Ws> {
  try {
    return await import('ws');
  } catch {
    return (await loadPackage('ws', 'WebSocket')) as typeof Ws;
  }
}

/** [MQTT-6.0.0-3] MQTT 3.1 does not define WebSocket; `mqttv3.1` is common practice. */
function subprotocolOf({ protocolVersion }: DialContext): string {
  return protocolVersion === 3 ? 'mqttv3.1' : 'mqtt';
}

function urlOf({ protocol, host, port, path = '' }: DialOptions): URL {
  // The zone of an address (`fe80::1%eth0`) has no meaning for the server.
  const name = host.includes(':') ? host.replace(/%.*/, '') : host;
  const url = `${protocol}://${authorityOf(name, port)}${path}`;
  if (!URL.canParse(url))
    throw new ConnectError('websocket', 'WebSocket handshake failed: the host cannot be part of a URL');
  return new URL(url);
}

async function headersOf(
  dialOptions: DialOptions,
  { attempt, reason, signal }: DialContext,
  host: string,
): Promise<HttpHeaders> {
  const { headers = {} } = dialOptions.ws ?? {};
  if (typeof headers !== 'function') return headers;
  try {
    return await unlessAborted(signal, async () => headers({ Host: host }, { attempt, reason, signal }));
  } catch (cause) {
    signal.throwIfAborted();
    throw new ConnectError('websocket', `ws.headers: ${messageOf(cause)}`, { cause });
  }
}

interface Handshake {
  readonly WebSocket: typeof Ws.WebSocket;
  readonly url: URL;
  readonly headers: HttpHeaders;
  readonly protocol: string;
  readonly explain: Explain;
}

/** Sends the HTTP request and waits for the upgrade. */
function upgrade(
  { ws: options = {}, noDelay = true }: DialOptions,
  signal: AbortSignal,
  stream: Socket,
  { WebSocket, url, headers, protocol, explain }: Handshake,
): Promise<Transport> {
  const { perMessageDeflate = false } = options;
  const ws = new WebSocket(url, protocol, {
    createConnection: (() => stream) as typeof createConnection,
    // The stream is paused until the request listens to it.
    finishRequest: (request: ClientRequest) => {
      request.once('socket', () => stream.resume());
      request.end();
    },
    headers,
    followRedirects: false,
    maxPayload: options.maxPayload ?? (perMessageDeflate ? MAX_INFLATED : MAX_PAYLOAD),
    perMessageDeflate,
  });
  return new Promise((resolve, reject) => {
    const stopListening = (): void => {
      signal.removeEventListener('abort', onAbort);
      ws.off('open', onOpen).off('upgrade', onUpgrade);
      ws.off('unexpected-response', onResponse).off('close', onClose);
    };
    const fail = (error: unknown): void => {
      stopListening();
      reject(error);
      ws.terminate();
    };
    const onAbort = (): void => fail(signal.reason);
    const onClose = (): void => fail(handshakeError(new Error('the connection was closed')));
    const onError = (cause: Error): void => fail(handshakeError(explain(cause)));
    const onResponse = (_: ClientRequest, { statusCode = 0 }: IncomingMessage): void =>
      fail(statusError(statusCode));
    const onUpgrade = (response: IncomingMessage): void => {
      // [MQTT-6.0.0-4]
      if (response.headers['sec-websocket-protocol'] !== protocol)
        fail(
          handshakeError(new Error(`the server did not select the subprotocol ${protocol} [MQTT-6.0.0-4]`)),
        );
    };
    const onOpen = (): void => {
      stopListening();
      ws.off('error', onError);
      // Until `open()` nothing may be read.
      ws.pause();
      // `ws` has disabled Nagle's algorithm.
      stream.setNoDelay(noDelay);
      resolve(new WebSocketTransport(ws, stream, explain));
    };
    signal.addEventListener('abort', onAbort);
    ws.on('open', onOpen).on('upgrade', onUpgrade);
    ws.on('unexpected-response', onResponse).on('close', onClose);
    // Not removed on failure: `terminate()` during the handshake emits an error too.
    ws.on('error', onError);
  });
}

/** Converts an error of the handshake for the caller of `connect()`. */
function handshakeError(cause: unknown): unknown {
  if (cause instanceof ConnectError) return cause;
  // The bytes of the response may repeat what was sent, such as a token.
  if (typeof cause === 'object' && cause !== null) Reflect.deleteProperty(cause, 'rawPacket');
  const text = messageOf(cause);
  const why = text === 'socket hang up' ? 'the server closed the connection' : text;
  return new ConnectError('websocket', `WebSocket handshake failed: ${why}`, { cause });
}

/** The error for an HTTP status other than 101. */
function statusError(status: number): ConnectError {
  const text = `${status} ${STATUS_CODES[status] ?? ''}`.trimEnd();
  const hint = status >= 300 && status < 400 ? ' (redirects are not followed)' : '';
  const message = `WebSocket handshake failed: the server answered with HTTP ${text}${hint}`;
  return new ConnectError('websocket', message, { status });
}
