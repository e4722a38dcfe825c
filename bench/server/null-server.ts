/**
 * A server that only answers, in its own process. It acknowledges as fast as possible, and sends messages from prepared
 * bytes. It supports only the packets that the clients of the bench send, and checks nothing. A PUBLISH to `go` requests
 * messages: its payload is a `Demand`. After a PUBLISH to `mute` it acknowledges nothing on this connection.
 *
 * Prints its port. Answers each message of its parent with the CPU time that it has used in µs. Ends with its parent.
 */
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type AddressInfo, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer } from 'node:tls';
import { createWebSocketStream, WebSocketServer } from 'ws';
import type { Demand, Over } from '../client/task.ts';
import { prepare, type Prepared } from './prepared.ts';

/** The transport of the server, with its key and certificate for TLS. */
export interface Listening {
  readonly over: Over;
  readonly key?: string;
  readonly cert?: string;
}

/** Maximum bytes per read. */
const READ = 262_144;

/** Maximum number of unacknowledged messages to a client. Refilled when half of them are acknowledged. */
const WINDOW = 1_000;

/** Bytes of a message that are kept at least: enough for any header, topic and demand. */
const MOST_KEPT = 32_768;

/** The bytes that are parsed, of one client at a time. */
const INPUT = Buffer.allocUnsafeSlow(READ + 2 * MOST_KEPT);

/** Acknowledgements to send for one read: type and Packet Identifier of each. */
const FOUND = new Uint32Array(INPUT.length / 4);

const NOTHING = Buffer.alloc(0);
const PINGRESP = Buffer.from([0xd0, 0]);

/** One client. */
class Session {
  readonly #socket: Duplex;
  /** The bytes of an incomplete packet. */
  #kept = NOTHING;
  #version = 4;
  #prepared: Prepared = { bytes: Buffer.alloc(0), size: 1 };
  #qos = 0;
  #wanted = 0;
  /** Bytes of a large message that are still to come, and its acknowledgement. */
  #toSkip = 0;
  #skipped = 0;
  #isMute = false;
  #unacknowledged = 0;
  #next = 0;

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on('drain', () => this.#deliver());
  }

  /** Takes a chunk of the network. */
  take(chunk: Buffer): void {
    let at = this.#skip(chunk, 0);
    while (at < chunk.length) {
      INPUT.set(this.#kept);
      const length = chunk.copy(INPUT, this.#kept.length, at);
      this.#parse(this.#kept.length + length);
      at = this.#skip(chunk, at + length);
    }
    if (this.#wanted > 0) this.#deliver();
  }

  /** Skips the rest of a large message, and acknowledges it at its end. Returns the place after it. */
  #skip(chunk: Buffer, at: number): number {
    const length = Math.min(this.#toSkip, chunk.length - at);
    this.#toSkip -= length;
    if (this.#toSkip === 0 && this.#skipped > 0) {
      FOUND[0] = this.#skipped;
      this.#skipped = 0;
      this.#answer(1);
    }
    return at + length;
  }

  #parse(end: number): void {
    const input = INPUT;
    let at = 0;
    let found = 0;
    while (end - at >= 2) {
      let size = input[at + 1]! & 0x7f;
      let start = at + 2;
      for (let shift = 7; input[start - 1]! > 0x7f && start < end; shift += 7, start++)
        size |= (input[start]! & 0x7f) << shift;
      if (input[start - 1]! > 0x7f) break;
      const length = start + size;
      if (length > end) {
        if (size <= MOST_KEPT || end - start < MOST_KEPT) break;
        // The rest of a large message is not kept.
        this.#toSkip = length - end;
        this.#skipped = this.#packet(input[at]!, start, end);
        at = end;
        break;
      }
      const answer = this.#packet(input[at]!, start, length);
      if (answer > 0) FOUND[found++] = answer;
      at = length;
    }
    this.#kept = at === end ? NOTHING : Buffer.from(input.subarray(at, end));
    if (found > 0) this.#answer(found);
  }

  /** Handles one packet. Returns its acknowledgement, or 0 for none. */
  #packet(header: number, start: number, end: number): number {
    const input = INPUT;
    const identifier = (input[start]! << 8) | input[start + 1]!;
    switch (header >> 4) {
      case 3:
        return this.#publish(header, start, end);
      case 4:
      case 7:
        this.#unacknowledged--;
        return 0;
      case 5:
        return 0x6202_0000 | identifier;
      case 6:
        return 0x7002_0000 | identifier;
      case 1:
        this.#version = input[start + 6]!;
        this.#socket.write(Buffer.from(this.#version === 5 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]));
        return 0;
      case 8:
        this.#subscribed(start, end);
        return 0;
      case 12:
        this.#socket.write(PINGRESP);
        return 0;
      default:
        return 0;
    }
  }

  #publish(header: number, start: number, end: number): number {
    const input = INPUT;
    const topic = (input[start]! << 8) | input[start + 1]!;
    const isMute = this.#isMute;
    if (topic === 2) this.#demand(input.toString('latin1', start + 4, end));
    else if (topic === 4) this.#isMute = true;
    if ((header & 0x06) === 0 || isMute) return 0;
    const identifier = (input[start + 2 + topic]! << 8) | input[start + 3 + topic]!;
    return ((header & 0x02) !== 0 ? 0x4002_0000 : 0x5002_0000) | identifier;
  }

  /** Grants each filter the QoS that it requests. */
  #subscribed(start: number, end: number): void {
    const input = INPUT;
    const isV5 = this.#version === 5;
    // No client of the bench subscribes with properties.
    let at = start + (isV5 ? 3 : 2);
    const granted = [];
    while (at < end) {
      at += 2 + ((input[at]! << 8) | input[at + 1]!);
      granted.push(input[at++]! & 3);
    }
    const rest = Buffer.from([input[start]!, input[start + 1]!, ...(isV5 ? [0] : []), ...granted]);
    const length = rest.length > 0x7f ? [(rest.length & 0x7f) | 0x80, rest.length >> 7] : [rest.length];
    if (rest.length > 0x3fff)
      throw new RangeError('more filters in a packet than any client of the bench sends');
    this.#socket.write(Buffer.concat([Buffer.from([0x90, ...length]), rest]));
  }

  #answer(count: number): void {
    const answers = Buffer.allocUnsafe(count * 4);
    for (let i = 0; i < count; i++) {
      const answer = FOUND[i]!;
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
  socket.on('data', (chunk: Buffer) => session.take(chunk));
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
server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () =>
  console.log((server.address() as AddressInfo).port),
);
process.on('disconnect', () => process.exit());
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send!(user + system);
});
