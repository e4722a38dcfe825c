import { createHash } from 'node:crypto';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import type { AttemptContext } from '../../lib/transport/options.ts';
import { openSocket } from '../../lib/transport/tcp.ts';
import type { DialContext, DialOptions, Transport } from '../../lib/transport/transport.ts';
import { dialWebSocket } from '../../lib/transport/websocket.ts';
import { held, listening, startServer } from '../support/endings.ts';
import { dialContext } from '../support/dial-contexts.ts';

/*
 * Both ends of a WebSocket: servers of `ws`, and servers whose bytes a spec controls.
 */

/** The server's end of a WebSocket. */
export interface Accepted {
  readonly ws: WebSocket;
  readonly request: IncomingMessage;
}

/** A WebSocket server. */
export async function webSocketServer(
  options: ServerOptions = {},
): Promise<{ readonly port: number; readonly accepted: () => Promise<Accepted> }> {
  const http = createHttpServer();
  const server = new WebSocketServer({ server: http, ...options });
  const waiting: ((one: Accepted) => void)[] = [];
  const there: Accepted[] = [];
  server.on('connection', (ws, request) => {
    ws.on('error', () => {});
    const next = waiting.shift();
    if (next === undefined) there.push({ ws, request });
    else next({ ws, request });
  });
  const accepted = (): Promise<Accepted> => {
    const one = there.shift();
    return one === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(one);
  };
  return { port: (await startServer(http)).port, accepted };
}

/** A server that calls `answer` with the head of an HTTP request. */
export async function rawServer(answer: (socket: Socket, head: string) => void): Promise<number> {
  const { port } = await listening((socket) => {
    socket.once('data', (head) => answer(socket, head.toString('latin1')));
  });
  return port;
}

/** The head of a response that accepts an upgrade. `fields` are added, or replace the usual ones. */
export function switching(head: string, fields: Readonly<Record<string, string>> = {}): string {
  const key = /^sec-websocket-key: (.*)\r$/im.exec(head)?.[1] ?? '';
  const all = {
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Accept': createHash('sha1')
      .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64'),
    'Sec-WebSocket-Protocol': 'mqtt',
    ...fields,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === '' ? [] : `${name}: ${value}\r\n`));
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`;
}

/** A frame of a server. `opcode`: 0 continuation, 1 text, 2 binary, 8 close. */
export function frame(opcode: number, payload: Uint8Array | string, isLast = true): Buffer {
  const bytes = Buffer.from(payload);
  const first = (isLast ? 0x80 : 0) | opcode;
  if (bytes.length < 126) return Buffer.concat([Buffer.from([first, bytes.length]), bytes]);
  return Buffer.concat([Buffer.from([first, 126, bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

/** Unmasks a frame of a client. `rest` are the bytes behind it. */
export function unmasked(bytes: Buffer): {
  readonly opcode: number;
  readonly payload: Buffer;
  readonly rest: Buffer;
} {
  const opcode = (bytes[0] ?? 0) & 0x0f;
  const length = (bytes[1] ?? 0) & 0x7f;
  const mask = bytes.subarray(2, 6);
  const payload = Buffer.from(bytes.subarray(6, 6 + length)).map((byte, i) => byte ^ (mask[i % 4] ?? 0));
  return { opcode, payload: Buffer.from(payload), rest: bytes.subarray(6 + length) };
}

/** The options and the context of an attempt. */
export interface Dialling extends Partial<Omit<DialOptions, 'port'>> {
  readonly signal?: AbortSignal;
  readonly protocolVersion?: number;
  readonly context?: Partial<AttemptContext>;
}

/** Opens a WebSocket to a port of this machine. */
export async function dialled(
  port: number,
  { signal = new AbortController().signal, protocolVersion = 4, context = {}, ...dialOptions }: Dialling = {},
): Promise<{ readonly transport: Transport; readonly phases: readonly string[]; readonly stream: Socket }> {
  const stream = held(await openSocket({ protocol: 'ws', host: '127.0.0.1', port }, signal));
  const one = { ...dialContext(signal), protocolVersion, ...context };
  const dial: DialContext = one;
  const transport = await dialWebSocket(
    { protocol: 'ws', host: '127.0.0.1', port, path: '/mqtt', ...dialOptions },
    dial,
    stream,
  );
  held(transport);
  return { transport, phases: one.phases, stream };
}

/** A transport before `open()`, and its other end. */
export async function connected(
  options: ServerOptions = {},
  dialOptions: Dialling = {},
): Promise<{ readonly transport: Transport; readonly stream: Socket } & Accepted> {
  const { port, accepted } = await webSocketServer(options);
  const { transport, stream } = await dialled(port, dialOptions);
  return { transport, stream, ...(await accepted()) };
}

/** A transport before `open()`, and the bare socket of a server that has sent `behind` after the head of its response. */
export async function rawlyConnected(
  behind: Uint8Array = new Uint8Array(0),
  dialOptions: Dialling = {},
): Promise<{ readonly transport: Transport; readonly peer: Socket }> {
  let peer: Socket | undefined;
  const port = await rawServer((socket, head) => {
    peer = socket;
    socket.write(Buffer.concat([Buffer.from(switching(head)), behind]));
  });
  const { transport } = await dialled(port, dialOptions);
  return { transport, peer: peer! };
}
