import type { Socket } from 'node:net';
import { expect } from '@jest/globals';
import { Decoder, encode } from '../../lib/codec/codec.ts';
import type { ConnackPacket, EncodablePacket, Packet, ProtocolVersion } from '../../lib/codec/packets.ts';
import type { FakeClock } from './fake-clock.ts';
import type { MemoryEnd } from './memory-transport.ts';
import { type Answered, answersTo } from './answers.ts';
import { memoryWire, socketWire, type Wire, type WireEnd } from './wires.ts';

type Of<Type extends Packet['type']> = Extract<Packet, { type: Type }>;

/**
 * The server's end of one connection, which a spec plays packet by packet. The spec must expect each packet of the
 * client, in order, or let the broker answer it automatically.
 */
export class ScriptedBroker {
  /** All received packets, oldest first. */
  readonly packets: Packet[] = [];
  /** Whether the connection is closed. */
  isClosed = false;
  readonly #wire: Wire;
  readonly #decoder = new Decoder({ receiver: 'server' });
  readonly #unread: Packet[] = [];
  readonly #answered = new Set<Answered>();
  readonly #answers: EncodablePacket[] = [];
  #isBlackHole = false;
  #error: unknown;

  constructor(wire: (end: WireEnd) => Wire) {
    this.#wire = wire({
      receive: (bytes) => this.#receive(bytes),
      lost: () => {
        this.isClosed = true;
      },
    });
  }

  /** Uses a connection in memory. Waiting for the client advances `clock`. */
  static over(end: MemoryEnd, clock: FakeClock): ScriptedBroker {
    return new ScriptedBroker((broker) => memoryWire(end, clock, broker));
  }

  /** Uses a real connection. */
  static on(socket: Socket): ScriptedBroker {
    return new ScriptedBroker((broker) => socketWire(socket, broker));
  }

  /** The version in CONNECT; 4 before it. */
  get protocolVersion(): ProtocolVersion {
    return this.#decoder.protocolVersion ?? 4;
  }

  /** Received packets that were neither expected nor answered. */
  get unread(): readonly Packet[] {
    return this.#unread;
  }

  /** Waits for the next packet, and checks its type and fields. */
  async expect<Type extends Packet['type']>(type: Type, fields: Partial<Of<Type>> = {}): Promise<Of<Type>> {
    await this.until(() => this.#unread.length > 0 || this.isClosed);
    const packet = this.#unread.shift();
    if (packet === undefined) throw new Error(`expected ${type}, got the end of the connection`);
    expect(packet).toMatchObject({ type, ...fields });
    return packet as Of<Type>;
  }

  /** Waits for the client to close, and checks that no unexpected packet came before. */
  async expectClose(): Promise<void> {
    await this.until(() => this.#unread.length > 0 || this.isClosed);
    expect(this.#unread).toEqual([]);
  }

  /** Waits until a condition is true. Throws on a protocol error of the client meanwhile. */
  async until(isTrue: () => boolean): Promise<void> {
    await this.#wire.until(() => this.#error !== undefined || isTrue());
    if (this.#error !== undefined) throw this.#error as Error;
  }

  /** Expects CONNECT and answers it, by default with success. */
  async accept(connack: Partial<ConnackPacket> = {}): Promise<Of<'connect'>> {
    const connect = await this.expect('connect');
    this.send({ ...connack, type: 'connack' });
    return connect;
  }

  /** Sends packets in one piece. */
  send(...packets: readonly EncodablePacket[]): void {
    for (const packet of packets) this.sendBytes(encode(packet, this.protocolVersion));
  }

  /** Sends any bytes. */
  sendBytes(bytes: Uint8Array): void {
    this.#wire.write(bytes);
  }

  /** From now on answers these types automatically, including packets that already wait. */
  answer(...types: readonly Answered[]): void {
    for (const type of types) this.#answered.add(type);
    for (const packet of this.#unread.splice(0)) this.#take(packet);
    this.#sendAnswers();
  }

  /** From now on acknowledges every PUBLISH automatically and completely. */
  ackPublishes(): void {
    this.answer('publish', 'pubrel');
  }

  /** From now on answers every packet automatically, and grants every request. */
  answerAll(): void {
    this.answer('publish', 'pubrel', 'subscribe', 'unsubscribe', 'pingreq');
  }

  /** From now on discards all input. The connection stays open. */
  blackhole(): void {
    this.#isBlackHole = true;
  }

  /** Closes in order, after all output. */
  close(): void {
    this.#wire.end();
  }

  /** Resets the connection. */
  reset(): void {
    this.#wire.reset();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#isBlackHole || this.#error !== undefined) return;
    try {
      this.#decoder.push(bytes);
      for (let packet = this.#decoder.next(); packet !== undefined; packet = this.#decoder.next()) {
        this.packets.push(packet);
        this.#take(packet);
      }
      this.#sendAnswers();
    } catch (error) {
      this.#error = error;
    }
  }

  #take(packet: Packet): void {
    const isAnswered = (this.#answered as ReadonlySet<string>).has(packet.type);
    if (!isAnswered) this.#unread.push(packet);
    else this.#answers.push(...answersTo(packet, this.protocolVersion));
  }

  /** Answers to packets that came in one piece leave in one piece. */
  #sendAnswers(): void {
    if (this.#answers.length === 0) return;
    const answers = this.#answers.splice(0).map((packet) => encode(packet, this.protocolVersion));
    this.sendBytes(Buffer.concat(answers));
  }
}
