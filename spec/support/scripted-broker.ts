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
 * The server's end of one connection, played by a spec packet by packet. What the client sends has to be expected, in
 * its order, or to be answered by itself.
 */
export class ScriptedBroker {
  /** Everything received, oldest first. */
  readonly packets: Packet[] = [];
  /** Whether the connection is over. */
  isClosed = false;
  readonly #wire: Wire;
  readonly #decoder = new Decoder({ receiver: 'server' });
  readonly #unread: Packet[] = [];
  readonly #answered = new Set<Answered>();
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

  /** Over a connection in memory: to wait for the client is to let the time of `clock` pass. */
  static over(end: MemoryEnd, clock: FakeClock): ScriptedBroker {
    return new ScriptedBroker((broker) => memoryWire(end, clock, broker));
  }

  /** Over a real connection. */
  static on(socket: Socket): ScriptedBroker {
    return new ScriptedBroker((broker) => socketWire(socket, broker));
  }

  /** What CONNECT says; before it 4. */
  get protocolVersion(): ProtocolVersion {
    return this.#decoder.protocolVersion ?? 4;
  }

  /** What came and has been neither expected nor answered. */
  get unread(): readonly Packet[] {
    return this.#unread;
  }

  /** Waits for the next packet, and checks that it is this one. */
  async expect<Type extends Packet['type']>(type: Type, fields: Partial<Of<Type>> = {}): Promise<Of<Type>> {
    await this.until(() => this.#unread.length > 0 || this.isClosed);
    const packet = this.#unread.shift();
    if (packet === undefined) throw new Error(`expected ${type}, got the end of the connection`);
    expect(packet).toMatchObject({ type, ...fields });
    return packet as Of<Type>;
  }

  /** Waits for the client to close, and checks that it said nothing more that was not answered. */
  async expectClose(): Promise<void> {
    await this.until(() => this.#unread.length > 0 || this.isClosed);
    expect(this.#unread).toEqual([]);
  }

  /** Waits until something is true. Throws what the client broke meanwhile. */
  async until(isTrue: () => boolean): Promise<void> {
    await this.#wire.until(() => this.#error !== undefined || isTrue());
    if (this.#error !== undefined) throw this.#error as Error;
  }

  /** Expects CONNECT and answers it: accepted, unless it says otherwise. */
  async accept(connack: Partial<ConnackPacket> = {}): Promise<Of<'connect'>> {
    const connect = await this.expect('connect');
    this.send({ ...connack, type: 'connack' });
    return connect;
  }

  /** Sends packets, in one piece. */
  send(...packets: readonly EncodablePacket[]): void {
    for (const packet of packets) this.sendBytes(encode(packet, this.protocolVersion));
  }

  /** Sends bytes, whatever they mean. */
  sendBytes(bytes: Uint8Array): void {
    this.#wire.write(bytes);
  }

  /** From now on answers these by itself; those that wait to be expected at once. */
  answer(...types: readonly Answered[]): void {
    for (const type of types) this.#answered.add(type);
    for (const packet of this.#unread.splice(0)) this.#take(packet);
  }

  /** From now on acknowledges every PUBLISH, to its end, by itself. */
  ackPublishes(): void {
    this.answer('publish', 'pubrel');
  }

  /** From now on answers everything that has an answer by itself, and grants all that is asked for. */
  answerAll(): void {
    this.answer('publish', 'pubrel', 'subscribe', 'unsubscribe', 'pingreq');
  }

  /** From now on swallows what comes, and the connection stays up. */
  blackhole(): void {
    this.#isBlackHole = true;
  }

  /** Closes in order, after what was sent. */
  close(): void {
    this.#wire.end();
  }

  /** Breaks the connection. */
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
    } catch (error) {
      this.#error = error;
    }
  }

  #take(packet: Packet): void {
    const isAnswered = (this.#answered as ReadonlySet<string>).has(packet.type);
    if (!isAnswered) this.#unread.push(packet);
    else this.send(...answersTo(packet, this.protocolVersion));
  }
}
