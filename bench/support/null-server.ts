/**
 * A server that only answers, in its own process. It sends PUBACK, PUBREC and PUBCOMP as fast as possible, and messages
 * from prepared bytes. It supports only the packets that the clients of the bench send, and checks nothing. A PUBLISH
 * to `go` requests messages: its payload is a `Demand`.
 *
 * Prints its port. Exits when its stdin ends.
 */
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type AddressInfo, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer } from 'node:tls';
import { createWebSocketStream, WebSocketServer } from 'ws';

/** The transport of the server, with its key and certificate for TLS. */
export interface Listening {
  readonly over: 'tcp' | 'tls' | 'ws' | 'wss';
  readonly key?: string;
  readonly cert?: string;
}

/** The messages that a client requests. */
export interface Demand {
  readonly messages: number;
  readonly payload: number;
  readonly qos: 0 | 1;
  readonly topic: string;
}

/** Maximum bytes per read. A batch of messages has about the same size. */
const READ = 262_144;

/** Maximum number of unacknowledged messages to a client. Refilled when half of them are acknowledged. */
const WINDOW = 1_000;

/** Number of Packet Identifiers. */
const IDENTIFIERS = 65_535;

const PINGRESP = Buffer.from([0xd0, 0]);

/** Encodes messages back to back: as many as fit into a read for QoS 0, one per Packet Identifier for QoS 1. */
function prepare({ payload, qos, topic }: Demand, version: number): { bytes: Buffer; size: number } {
  const identifier = qos > 0 ? 2 : 0;
  const properties = version === 5 ? 1 : 0;
  const remaining = 2 + topic.length + identifier + properties + payload;
  const length = [];
  for (let rest = remaining; rest > 0; rest >>= 7) length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  const start = 1 + length.length;
  const size = start + remaining;
  const count = qos > 0 ? IDENTIFIERS : Math.max(1, Math.floor(READ / size));
  const bytes = Buffer.alloc(count * size, 0x61);
  for (let i = 0; i < count; i++) {
    const at = i * size;
    bytes.set([0x30 | (qos << 1), ...length, topic.length >> 8, topic.length & 0xff], at);
    bytes.write(topic, at + start + 2, 'latin1');
    if (qos > 0) bytes.writeUInt16BE(i + 1, at + start + 2 + topic.length);
    if (version === 5) bytes[at + start + 2 + topic.length + identifier] = 0;
  }
  return { bytes, size };
}

/** One client. */
class Session {
  readonly #socket: Duplex;
  readonly #input = Buffer.allocUnsafeSlow(READ + 65_536);
  /** Number of bytes of an incomplete packet, at the start of `#input`. */
  #kept = 0;
  /** Acknowledgements to send for one read: type and Packet Identifier of each. */
  readonly #found = new Uint32Array(READ / 4);
  #version = 4;
  #prepared: { bytes: Buffer; size: number } = { bytes: Buffer.alloc(0), size: 1 };
  #qos = 0;
  #wanted = 0;
  #unacknowledged = 0;
  #next = 0;

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on('drain', () => this.#deliver());
  }

  /** The buffer for the next read. */
  space(): Buffer {
    return this.#kept === 0 ? this.#input : this.#input.subarray(this.#kept);
  }

  filled(length: number): void {
    const input = this.#input;
    const end = this.#kept + length;
    let at = 0;
    let found = 0;
    while (end - at >= 2) {
      let size = input[at + 1]!;
      let start = at + 2;
      if (size > 0x7f) {
        if (end - at < 4) break;
        size = (size & 0x7f) | (input[at + 2]! << 7);
        start = at + 3;
        if (size > 0x3fff) throw new RangeError('the packet is larger than any packet of the bench');
      }
      if (start + size > end) break;
      const header = input[at]!;
      const answer = this.#take(header, start, start + size);
      if (answer > 0) this.#found[found++] = answer;
      at = start + size;
    }
    this.#kept = end - at;
    if (at > 0 && this.#kept > 0) input.copyWithin(0, at, end);
    if (found > 0) this.#answer(found);
    if (this.#wanted > 0) this.#deliver();
  }

  /** Handles one packet. Returns its acknowledgement, or 0 for none. */
  #take(header: number, start: number, end: number): number {
    const input = this.#input;
    switch (header >> 4) {
      case 3: {
        const topic = (input[start]! << 8) | input[start + 1]!;
        if (topic === 2) this.#demand(input.toString('latin1', start + 4, end));
        if ((header & 0x06) === 0) return 0;
        const identifier = (input[start + 2 + topic]! << 8) | input[start + 3 + topic]!;
        return ((header & 0x02) !== 0 ? 0x4002_0000 : 0x5002_0000) | identifier;
      }
      case 4:
        this.#unacknowledged--;
        return 0;
      case 6:
        return 0x7002_0000 | (input[start]! << 8) | input[start + 1]!;
      case 1:
        this.#version = input[start + 6]!;
        this.#socket.write(Buffer.from(this.#version === 5 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]));
        return 0;
      case 8: {
        const identifier = [input[start]!, input[start + 1]!];
        const rest = this.#version === 5 ? [0, input[end - 1]! & 3] : [input[end - 1]!];
        this.#socket.write(Buffer.from([0x90, 2 + rest.length, ...identifier, ...rest]));
        return 0;
      }
      case 12:
        this.#socket.write(PINGRESP);
        return 0;
      default:
        return 0;
    }
  }

  #answer(count: number): void {
    const answers = Buffer.allocUnsafe(count * 4);
    for (let i = 0; i < count; i++) {
      const answer = this.#found[i]!;
      answers[4 * i] = answer >>> 24;
      answers[4 * i + 1] = 2;
      answers[4 * i + 2] = (answer >> 8) & 0xff;
      answers[4 * i + 3] = answer & 0xff;
    }
    this.#socket.write(answers);
  }

  #demand(payload: string): void {
    const demand = JSON.parse(payload.slice(payload.lastIndexOf('{'))) as Demand;
    this.#prepared = prepare(demand, this.#version);
    this.#qos = demand.qos;
    this.#wanted = demand.messages;
    this.#unacknowledged = 0;
  }

  #deliver(): void {
    const { bytes, size } = this.#prepared;
    const held = bytes.length / size;
    while (this.#wanted > 0 && !this.#socket.writableNeedDrain) {
      if (this.#qos === 0) this.#next = 0;
      else if (this.#unacknowledged > WINDOW / 2) return;
      else if (this.#next === held) this.#next = 0;
      const room = this.#qos === 0 ? held : Math.min(held - this.#next, WINDOW - this.#unacknowledged);
      const count = Math.min(room, this.#wanted);
      this.#wanted -= count;
      this.#unacknowledged += count;
      this.#socket.write(bytes.subarray(this.#next * size, (this.#next + count) * size));
      this.#next += count;
    }
  }
}

function serve(socket: Duplex): void {
  socket.on('error', () => socket.destroy());
  const session = new Session(socket);
  socket.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length;) {
      const length = chunk.copy(session.space(), 0, at);
      session.filled(length);
      at += length;
    }
  });
}

/** Adds WebSocket to an HTTP or HTTPS server. */
function webSocket(server: Server): Server {
  const sockets = new WebSocketServer({ server: server as ReturnType<typeof createHttpServer> });
  sockets.on('connection', (socket) => serve(createWebSocketStream(socket)));
  return server;
}

const LISTENERS: Readonly<Record<Listening['over'], (options: object) => Server>> = {
  tcp: (options) => createServer(options, serve),
  tls: (options) => createTlsServer(options, serve),
  ws: (options) => webSocket(createHttpServer(options)),
  wss: (options) => webSocket(createHttpsServer(options)),
};

const { over, ...certificate } = JSON.parse(process.argv[2]!) as Listening;
const server = LISTENERS[over]({ noDelay: true, ...certificate });
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
process.stdin.on('end', () => process.exit()).resume();
