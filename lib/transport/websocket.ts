/** MQTT over WebSocket (§6). */

import { type ClientRequest, type IncomingMessage, STATUS_CODES } from 'node:http';
import type { createConnection, Socket } from 'node:net';
import type * as Ws from 'ws';
import { ConnectError, messageOf, ProtocolError, shown } from '../errors.ts';
import { WriteBacklog } from './write-backlog.ts';
import { nextTick } from './next-tick.ts';
import type { HttpHeaders } from './options.ts';
import { loadPackage } from './packages.ts';
import { unlessAborted } from './stream.ts';
import type { DialContext, TransportReceiver, DialOptions, Flushed, Transport } from './transport.ts';

/** Bytes: as much as the largest MQTT packet. See `WebSocketOptions.maxPayload`. */
const MAX_PAYLOAD = 268_435_460;

/** The same where messages may be compressed: a few bytes on the wire can be a thousand times as many here. */
const MAX_INFLATED = 16_777_216;

/**
 * Bytes of a write that is compressed, where that was agreed on. Compressing takes its time: what is shorter, such as a
 * DISCONNECT that is followed by the end, leaves at once.
 */
const WORTH_COMPRESSING = 128;

/** Close codes (RFC 6455, 7.4.1) that say nothing was wrong: done, going away, none given. */
const IN_ORDER = [1000, 1001, 1005];
const NORMAL_CLOSURE = 1000;
const UNSUPPORTED_DATA = 1003;
/** The close code of a connection that ended without a close frame. */
const ABNORMAL_CLOSURE = 1006;

const NO_BYTES = new Uint8Array(0);

/** What an error of the stream is for the client. */
type Explain = (error: unknown) => unknown;

/** A WebSocket over `stream`, which is TCP or TLS and is taken over: where this rejects, it is destroyed. */
export async function dialWebSocket(
  dialOptions: DialOptions,
  signal: AbortSignal,
  context: DialContext,
  stream: Socket,
  explain: Explain = (error) => error,
): Promise<Transport> {
  // Without a listener for it, an error would be an uncaught exception; whoever has the stream looks for its reason.
  stream.on('error', () => {});
  try {
    context.onPhase('websocket');
    const { WebSocket } = await loadWs();
    signal.throwIfAborted();
    const url = urlOf(dialOptions);
    const headers = await headersOf(dialOptions, signal, context, url.host);
    signal.throwIfAborted();
    if (stream.destroyed) throw failed(explain(stream.errored ?? new Error('the connection was closed')));
    const protocol = protocolOf(context);
    return await upgrade(dialOptions, signal, stream, { WebSocket, url, headers, protocol, explain });
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/**
 * The package `ws`. A bundler may have put it into an ES module, where its `require()` of what is built into Node.js
 * fails, as with esbuild: then it is taken from where the program runs.
 */
async function loadWs(): Promise<typeof Ws> {
  try {
    return await import('ws');
  } catch {
    return (await loadPackage('ws', 'WebSocket')) as typeof Ws;
  }
}

/** [MQTT-6.0.0-3] For 3.1, which knows no WebSocket, `mqttv3.1` has become usual. */
function protocolOf({ protocolVersion }: DialContext): string {
  return protocolVersion === 3 ? 'mqttv3.1' : 'mqtt';
}

/** What the HTTP request is sent to. */
function urlOf({ protocol, host, port, path = '' }: DialOptions): URL {
  // Which network card an address is behind (`fe80::1%eth0`) means nothing to the server.
  const name = host.includes(':') ? `[${host.replace(/%.*/, '')}]` : host;
  const url = `${protocol}://${name}:${port}${path}`;
  if (!URL.canParse(url)) throw new ConnectError('websocket', 'no WebSocket: expected a host for a URL');
  return new URL(url);
}

async function headersOf(
  dialOptions: DialOptions,
  signal: AbortSignal,
  { attempt, reason }: DialContext,
  host: string,
): Promise<HttpHeaders> {
  const { headers = {} } = dialOptions.ws ?? {};
  if (typeof headers !== 'function') return headers;
  try {
    return await unlessAborted(signal, async () => headers({ Host: host }, { attempt, reason, signal }));
  } catch (cause) {
    signal.throwIfAborted();
    throw new ConnectError('websocket', `no headers for the WebSocket: ${messageOf(cause)}`, { cause });
  }
}

/** What a handshake says and listens to. */
interface Handshake {
  readonly WebSocket: typeof Ws.WebSocket;
  readonly url: URL;
  readonly headers: HttpHeaders;
  readonly protocol: string;
  readonly explain: Explain;
}

/** Asks for a WebSocket, and resolves when there is one. */
function upgrade(
  { ws: options = {}, noDelay = true }: DialOptions,
  signal: AbortSignal,
  stream: Socket,
  { WebSocket, url, headers, protocol, explain }: Handshake,
): Promise<Transport> {
  const { perMessageDeflate = false } = options;
  const ws = new WebSocket(url, protocol, {
    createConnection: (() => stream) as typeof createConnection,
    // The stream is paused until somebody listens to it.
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
    const settle = (): void => {
      signal.removeEventListener('abort', abort);
      ws.off('open', open).off('upgrade', select).off('unexpected-response', refuse).off('close', close);
    };
    const fail = (error: unknown): void => {
      settle();
      reject(error);
      ws.terminate();
    };
    const abort = (): void => fail(signal.reason);
    const close = (): void => fail(failed(new Error('the connection was closed')));
    const error = (cause: Error): void => fail(failed(explain(cause)));
    const refuse = (_: ClientRequest, { statusCode = 0 }: IncomingMessage): void => fail(refused(statusCode));
    const select = (response: IncomingMessage): void => {
      // [MQTT-6.0.0-4]
      if (response.headers['sec-websocket-protocol'] !== protocol)
        fail(failed(new Error(`the server did not select the subprotocol ${protocol} [MQTT-6.0.0-4]`)));
    };
    const open = (): void => {
      settle();
      ws.off('error', error);
      // Whoever dialled reads when it wants to.
      ws.pause();
      // `ws` has switched Nagle's algorithm off.
      stream.setNoDelay(noDelay);
      resolve(new WebSocketTransport(ws, stream, explain));
    };
    signal.addEventListener('abort', abort);
    ws.on('open', open).on('upgrade', select).on('unexpected-response', refuse).on('close', close);
    // Stays where the handshake fails: what is called off has errors too.
    ws.on('error', error);
  });
}

/** What the error of a handshake is for the caller of `connect()`. */
function failed(cause: unknown): unknown {
  if (cause instanceof ConnectError) return cause;
  // Bytes of the server could repeat what it was sent, such as a token.
  if (isObject(cause)) Reflect.deleteProperty(cause, 'rawPacket');
  const text = messageOf(cause);
  const why = text === 'socket hang up' ? 'the server closed the connection' : text;
  return new ConnectError('websocket', `no WebSocket: ${why}`, { cause });
}

/** Another status than 101. */
function refused(status: number): ConnectError {
  const text = STATUS_CODES[status] ?? '';
  const isRedirect = status >= 300 && status < 400;
  const what = `no WebSocket: the server answered with HTTP ${`${status} ${text}`.trimEnd()}`;
  return new ConnectError('websocket', isRedirect ? `${what}, which is not followed` : what, { status });
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** A WebSocket as a transport. What it sends and gets are bytes of a stream: where a frame ends means nothing. */
class WebSocketTransport implements Transport {
  readonly #ws: Ws.WebSocket;
  readonly #stream: Socket;
  readonly #holding: WriteBacklog;
  #receiver: TransportReceiver | undefined;
  /** `ending`: we close once all has left; `over`: what still comes is not listened to. */
  #state: 'up' | 'ending' | 'over' | 'closed' = 'up';
  /** Why it is over. */
  #error: unknown;
  /** What has come of the last read: `part` of a message, or something that is whole. */
  #came: 'part' | 'whole' = 'part';

  constructor(ws: Ws.WebSocket, stream: Socket, explain: Explain) {
    this.#ws = ws;
    this.#stream = stream;
    this.#holding = new WriteBacklog({
      send: (bytes, done) =>
        ws.send(bytes, { binary: true, compress: bytes.length >= WORTH_COMPRESSING }, done),
      isEmpty: () => ws.bufferedAmount === 0,
      drained: () => this.#drained(),
    });
    ws.on('message', (data, isBinary) => this.#message(data, isBinary));
    for (const control of ['ping', 'pong'] as const) ws.on(control, () => (this.#came = 'whole'));
    // After `ws`, which was there first and has read it.
    stream.on('data', () => this.#read());
    ws.on('error', (error) => this.#broken(error));
    ws.on('close', (code, reason) => this.#closed(code, reason.toString()));
    // Not what it has as `errored` at its end: since Node 22 these may be writes that we have cancelled ourselves.
    stream.on('error', (error) => {
      this.#error ??= explain(error);
    });
  }

  open(receiver: TransportReceiver): void {
    this.#receiver = receiver;
    // Lost before it was opened.
    if (this.#state === 'closed') nextTick(() => receiver.onClose(this.#error));
    else this.#ws.resume();
  }

  write(bytes: Uint8Array, written: (bytes: Uint8Array, taken?: Flushed) => void): void {
    const { readyState, OPEN } = this.#ws;
    if (this.#state === 'up' && readyState === OPEN) {
      this.#holding.write(bytes, written);
      return;
    }
    written(bytes);
    // A peer that has said it closes has left, even where its side of the connection stays.
    if (this.#state === 'up') this.#ws.terminate();
  }

  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  /** Not what is held back of answers to pings: nobody is told when these have left. */
  get bytesPending(): number {
    return this.#holding.bytes;
  }

  end(): void {
    // Who does not read does not see that the peer has closed, too.
    if (this.#receiver === undefined) this.destroy();
    if (this.#state !== 'up') return;
    this.#state = 'ending';
    if (this.#holding.bytes === 0) this.#close();
  }

  destroy(): void {
    if (this.#state !== 'closed') this.#state = 'over';
    this.#ws.terminate();
  }

  /** It is given 30 s for that: they begin when all has left. */
  #close(): void {
    this.#ws.close(NORMAL_CLOSURE);
  }

  #drained(): void {
    if (this.#stream.destroyed) return;
    if (this.#state === 'ending') this.#close();
    this.#receiver?.onDrain();
  }

  /** A message is brought when it is whole, which may take long: until then, each part of it is a sign of life. */
  #read(): void {
    const came = this.#came;
    this.#came = 'part';
    if (came === 'part' && this.#state === 'up') this.#receiver?.onData(NO_BYTES);
  }

  #message(data: Ws.RawData, isBinary: boolean): void {
    this.#came = 'whole';
    if (this.#state !== 'up' && this.#state !== 'ending') return;
    if (!isBinary) {
      this.#ws.close(UNSUPPORTED_DATA);
      const what = 'expected binary frames from the server, got a text frame';
      this.#over(new ProtocolError(what, 'MQTT-6.0.0-1', 0x82));
    } else if ((data as Uint8Array).length > 0) this.#receiver?.onData(data as Uint8Array);
  }

  /** What came is no WebSocket, or more than we take. The peer has been told so. */
  #broken(cause: Error): void {
    if (this.#state === 'closed') return;
    const { code } = cause as Error & { code?: string };
    const suffix = code === undefined ? '' : ` (${code})`;
    this.#over(new Error(`websocket: ${cause.message}${suffix}`, { cause }));
  }

  #over(error: unknown): void {
    this.#error = error;
    this.#state = 'over';
    this.#ws.terminate();
  }

  #closed(code: number, reason: string): void {
    if (this.#error === undefined && this.#state === 'up') this.#error = unexpected(code, reason);
    this.#state = 'closed';
    this.#receiver?.onClose(this.#error);
  }
}

/** What a close that we have not asked for is, unless it is in order. */
function unexpected(code: number, reason: string): Error | undefined {
  if (IN_ORDER.includes(code) && reason === '') return undefined;
  if (code === ABNORMAL_CLOSURE)
    return new Error(`websocket: the connection ended without a close frame (${code})`);
  return new Error(`websocket: the server closed with ${code}${reason === '' ? '' : `: ${shown(reason)}`}`);
}
