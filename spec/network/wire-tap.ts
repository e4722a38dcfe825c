import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Decoder } from '../../lib/codec/codec.ts';
import type { Packet, ProtocolVersion } from '../../lib/codec/packets.ts';

/**
 * A TCP proxy that decodes the packets between a client and a broker. It counts unacknowledged messages: a PUBLISH counts
 * from when it leaves the client until its PUBACK or PUBCOMP is about to reach it.
 */
export class WireTap {
  readonly port: number;
  readonly url: string;
  /** The maximum number of unacknowledged messages, per QoS. */
  readonly peak: Record<1 | 2, number> = { 1: 0, 2: 0 };
  /** Payloads of messages whose last acknowledgement went to the client. */
  readonly acknowledged = new Set<string>();
  readonly #published = new Set<string>();
  /** Number of PUBLISH packets of QoS 1 and 2, repetitions included. */
  sent = 0;
  /** Number of those with DUP 1. */
  duplicates = 0;
  /** Number of connections. */
  connections = 0;
  /** Called with the payload of each acknowledged message. */
  onAcknowledged: (payload: string) => void = () => {};
  /** Called with each packet before it is forwarded, and its sender. */
  onPacket: (packet: Packet, from: 'client' | 'server') => void = () => {};
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Unacknowledged messages by Packet Identifier: an exchange may begin on one connection and end on the next. */
  readonly #open = new Map<number, { readonly qos: 1 | 2; readonly payload: string }>();

  private constructor(server: Server, target: number, protocolVersion: ProtocolVersion) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    this.url = `mqtt://127.0.0.1:${this.port}`;
    server.on('connection', (client: Socket) => {
      this.connections++;
      this.#join(client, connect({ port: target, host: '127.0.0.1', noDelay: true }), protocolVersion);
    });
  }

  /** Listens on a free port, and connects to the local port `target` for each client. */
  static async to(target: number, protocolVersion: ProtocolVersion = 4): Promise<WireTap> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new WireTap(server, target, protocolVersion);
  }

  /** Payloads of QoS 1 and 2 without duplicates, in order of their first transmission. */
  get published(): readonly string[] {
    return [...this.#published];
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket, server: Socket, protocolVersion: ProtocolVersion): void {
    this.#forward(client, server, new Decoder({ receiver: 'server' }), (packet) => this.#sent(packet));
    const answers = new Decoder({ receiver: 'client', protocolVersion });
    this.#forward(server, client, answers, (packet) => this.#answered(packet));
  }

  #sent(packet: Packet): void {
    this.onPacket(packet, 'client');
    if (packet.type !== 'publish' || packet.qos === 0 || packet.packetId === undefined) return;
    const { qos, packetId } = packet;
    const payload = Buffer.from(packet.payload).toString();
    this.sent++;
    if (packet.duplicate) this.duplicates++;
    this.#published.add(payload);
    this.#open.set(packetId, { qos, payload });
    const count = [...this.#open.values()].filter((message) => message.qos === qos).length;
    this.peak[qos] = Math.max(this.peak[qos], count);
  }

  #answered(packet: Packet): void {
    this.onPacket(packet, 'server');
    // Exchanges of a lost session are never completed.
    if (packet.type === 'connack' && !packet.sessionPresent) this.#open.clear();
    if (packet.type !== 'puback' && packet.type !== 'pubcomp') return;
    const message = this.#open.get(packet.packetId);
    if (message === undefined) return;
    this.#open.delete(packet.packetId);
    this.acknowledged.add(message.payload);
    this.onAcknowledged(message.payload);
  }

  #forward(from: Socket, to: Socket, decoder: Decoder, read: (packet: Packet) => void): void {
    this.#sockets.add(from);
    from.on('error', () => {});
    from.on('data', (bytes) => {
      decoder.push(bytes);
      for (let packet = decoder.next(); packet !== undefined; packet = decoder.next()) read(packet);
      if (to.write(bytes)) return;
      from.pause();
      to.once('drain', () => from.resume());
    });
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroySoon();
    });
  }
}
