import { connect, type Socket } from 'node:net';
import { Decoder, encode } from '../../lib/codec/codec.ts';
import type { ConnackPacket, EncodablePacket, Packet, ProtocolVersion } from '../../lib/codec/packets.ts';
import { atEnd } from '../support/endings.ts';
import { utf8 } from '../support/packets.ts';
import { inTime } from './actors.ts';

/** Maximum ms for an answer. */
const PATIENCE = 10_000;

type Connect = Partial<Extract<EncodablePacket, { type: 'connect' }>>;
type PublishPacket = Extract<Packet, { type: 'publish' }>;

/** What a user of a packet client has to know of the broker. */
export interface Address {
  readonly port: number;
  readonly version: ProtocolVersion;
  readonly username?: string;
  readonly password?: string;
}

/** Packets to and from a broker, without a client between: to measure what the broker does. Ends with the test. */
export class PacketClient {
  readonly #socket: Socket;
  readonly #address: Address;
  readonly #packets: Packet[] = [];
  /** Whether it answers messages. */
  answers = true;
  /** Whether the broker has closed the connection, or sent what no client accepts. */
  hasEnded = false;
  /** Why the decoder refused a packet. */
  error: unknown;
  #packetId = 0;
  #look = (): void => {};

  /** With `for: 'file'` its end is up to the caller. */
  constructor(address: Address, { for: lifetime = 'test' }: { readonly for?: 'test' | 'file' } = {}) {
    this.#address = address;
    this.#socket = connect({ port: address.port, host: '127.0.0.1', noDelay: true });
    const decoder = new Decoder({ receiver: 'client', protocolVersion: address.version });
    this.#socket.on('error', () => {});
    this.#socket.on('data', (bytes) => {
      try {
        decoder.push(bytes);
        for (let packet = decoder.next(); packet !== undefined; packet = decoder.next()) this.#take(packet);
      } catch (error) {
        this.error = error;
        this.#socket.destroy();
      }
      this.#look();
    });
    this.#socket.on('close', () => {
      this.hasEnded = true;
      this.#look();
    });
    if (lifetime === 'test') atEnd(() => this.#end());
  }

  /** Connects, and fails if the broker does not accept that. */
  static async accepted(address: Address, fields: Connect = {}): Promise<PacketClient> {
    const client = new PacketClient(address);
    const connack = await client.connect(fields);
    if (connack?.reasonCode !== 0) throw new Error(`expected CONNACK, got ${JSON.stringify(connack)}`);
    return client;
  }

  /** Sends CONNECT. Resolves with CONNACK, or undefined if the broker closes the connection without one. */
  connect(fields: Connect = {}): Promise<ConnackPacket | undefined> {
    const { username, password } = this.#address;
    const clientId = `packets${Math.random().toString(36).slice(2, 12)}`;
    const credentials = username === undefined ? {} : { username, password: utf8(password ?? '') };
    const defaults = { clientId, cleanStart: true, keepAlive: 60, properties: {}, ...credentials };
    this.send({ type: 'connect', ...defaults, ...fields });
    return this.next('connack');
  }

  send(...packets: readonly EncodablePacket[]): void {
    for (const packet of packets) this.#socket.write(encode(packet, this.#address.version));
  }

  /** Takes the next packet of these types. Resolves with undefined when the connection has ended without one. */
  async next<Type extends Packet['type']>(
    ...types: readonly Type[]
  ): Promise<Extract<Packet, { type: Type }> | undefined> {
    const isWanted = ({ type }: Packet): boolean => (types as readonly string[]).includes(type);
    await this.until(() => this.#packets.some(isWanted));
    const index = this.#packets.findIndex(isWanted);
    return this.#packets.splice(index, index < 0 ? 0 : 1)[0] as Extract<Packet, { type: Type }> | undefined;
  }

  /** Subscribes with QoS 1, or that of each filter. Returns the Reason Codes; undefined if the connection ended. */
  async subscribe(
    filters: Readonly<Record<string, 0 | 1 | 2>>,
    subscriptionIdentifier?: number,
  ): Promise<readonly number[] | undefined> {
    this.send({
      type: 'subscribe',
      packetId: ++this.#packetId,
      subscriptions: Object.entries(filters).map(([topicFilter, qos]) => ({ topicFilter, qos })),
      properties: subscriptionIdentifier === undefined ? {} : { subscriptionIdentifier },
    });
    return (await this.next('suback'))?.reasonCodes;
  }

  /** Sends PUBLISH. Returns its Packet Identifier. */
  publish(topic: string, payload: string | Uint8Array, qos: 0 | 1 | 2 = 1, retain = false): number {
    const bytes = typeof payload === 'string' ? utf8(payload) : payload;
    const packetId = qos === 0 ? undefined : ++this.#packetId;
    this.send({
      type: 'publish',
      topic,
      payload: bytes,
      qos,
      retain,
      duplicate: false,
      packetId,
      properties: {},
    });
    return packetId ?? 0;
  }

  /** Publishes with QoS 1 and waits for the acknowledgement: its Reason Code; undefined if the connection ended. */
  async published(topic: string, payload: string, retain = false): Promise<number | undefined> {
    this.publish(topic, payload, 1, retain);
    return (await this.next('puback'))?.reasonCode;
  }

  /** Messages received and not yet taken. */
  get messages(): readonly PublishPacket[] {
    return this.#packets.filter((packet): packet is PublishPacket => packet.type === 'publish');
  }

  /** Waits until `isTrue`, or until the connection has ended. */
  async until(isTrue: () => boolean): Promise<void> {
    const done = new Promise<void>((resolve) => {
      this.#look = () => {
        if (isTrue() || this.hasEnded) resolve();
      };
      this.#look();
    });
    await inTime(done, PATIENCE, () => this.#packets.map(({ type }) => type).join(' '));
  }

  /** Waits for this many messages, then for an answer to a ping: more that came before it are counted, too. */
  async received(count: number): Promise<readonly PublishPacket[]> {
    await this.until(() => this.messages.length >= count);
    await this.ping();
    return this.messages;
  }

  /** Waits until the broker has handled what was sent so far. */
  async ping(): Promise<void> {
    this.send({ type: 'pingreq' });
    await this.next('pingresp');
  }

  /** Ends the connection without DISCONNECT. */
  cut(): void {
    this.#socket.destroy();
  }

  /** Disconnects, and waits for the broker: one in this process then has no timers for this client. */
  async #end(): Promise<void> {
    if (this.#socket.destroyed) return;
    this.send({ type: 'disconnect', reasonCode: 0, properties: {} });
    await this.until(() => false);
  }

  #take(packet: Packet): void {
    this.#packets.push(packet);
    if (this.answers && packet.type === 'publish' && packet.qos === 1) this.acknowledge(packet);
  }

  acknowledge({ packetId = 0 }: PublishPacket): void {
    this.send({ type: 'puback', packetId, reasonCode: 0, properties: {} });
  }
}
