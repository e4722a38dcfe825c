import { Decoder, encode } from '../../lib/codec/codec.ts';
import type { ConnectPacket, EncodablePacket, Packet, QoS } from '../../lib/codec/packets.ts';
import { Deliveries } from './deliveries.ts';
import { Exchanges } from './exchanges.ts';
import type { Model } from './model.ts';
import { ServerAliases } from './topics.ts';
import type { Order, Peer, Wire } from './wire.ts';

/** Behaviour of the server during a run. */
export interface ServerOptions {
  readonly protocolVersion: 4 | 5;
  /** Properties of CONNACK (5.0). */
  readonly receiveMaximum: number;
  /** The same (5.0). */
  readonly topicAliasMaximum: number;
  /** QoS > 0 messages that it sends at once, for versions without Receive Maximum. */
  readonly sendWindow: number;
  /** Whether it ignores every window, whatever the client announces. */
  readonly ignoresWindow: boolean;
  /** `maxInflight` of the client. */
  readonly maxInflight: number;
  /** Whether the client repeats messages on a live connection. */
  readonly retries: boolean;
  /** Whether another client has left a session under its identifier, with incomplete QoS 2 exchanges. */
  readonly inherited: boolean;
}

/** Session State of the server. */
export interface ServerSession {
  readonly number: number;
  readonly subscriptions: Map<string, QoS>;
  readonly exchanges: Exchanges;
  readonly deliveries: Deliveries;
}

/** One Network Connection as the server sees it. */
export class ServerConnection implements Peer {
  readonly number: number;
  readonly wire: Wire;
  readonly #broker: ModelBroker;
  readonly #decoder = new Decoder({ receiver: 'server' });
  session: ServerSession | undefined;
  connect: ConnectPacket | undefined;
  sessionPresent = false;
  readonly aliases: ServerAliases;
  lastHeardAt: number;
  #isOver = false;
  /** When the first piece of an incomplete packet was written. */
  #begun: number | undefined;

  constructor(number: number, wire: Wire, broker: ModelBroker) {
    this.number = number;
    this.wire = wire;
    this.#broker = broker;
    this.aliases = new ServerAliases(broker.options.topicAliasMaximum);
    this.lastHeardAt = broker.clock.now();
  }

  receive(bytes: Uint8Array, written: number): void {
    this.lastHeardAt = this.#broker.clock.now();
    // A packet is as old as its first piece.
    let began = this.#begun ?? written;
    this.#begun = began;
    try {
      this.#decoder.push(bytes);
      for (let packet = this.#decoder.next(); packet !== undefined; packet = this.#decoder.next()) {
        this.#take(packet, began);
        began = written;
        this.#begun = undefined;
      }
    } catch (error) {
      this.#broker.model.broken(`the client wrote what is no MQTT: ${String(error)}`);
    }
  }

  closed(): void {
    this.#broker.ended(this);
  }

  lost(bytes: Uint8Array): void {
    this.#decoder.push(bytes);
    for (let packet = this.#decoder.next(); packet !== undefined; packet = this.#decoder.next())
      if (packet.type === 'pubrec' && (packet.reasonCode ?? 0) < 0x80)
        this.session?.deliveries.answered(packet.packetId);
  }

  #take(packet: Packet, written: number): void {
    if (this.#isOver) this.#broker.model.broken(`${packet.type} after DISCONNECT`);
    if (packet.type === 'disconnect') this.#isOver = true;
    if ((packet.type === 'connect') !== (this.connect === undefined))
      this.#broker.model.broken(`${packet.type} out of place`);
    this.#broker.take(this, packet, written);
  }
}

/**
 * A correct server for one client. It answers on command, keeps its session, and checks every packet of the client against
 * the specification and against what the client has promised to its user.
 */
export class ModelBroker {
  readonly options: ServerOptions;
  readonly model: Model;
  readonly order: Order;
  readonly clock: { now(): number };
  /** The current connection. */
  connection: ServerConnection | undefined;
  session: ServerSession | undefined;
  /** Whether it loses its session before the next CONNACK. */
  forgets = false;
  /** Whether it answers PUBLISH, PUBREC and PUBREL automatically. */
  answersAtOnce = false;
  #connections = 0;
  #sessions = 0;
  /** Pending answers, oldest first. */
  #owed: { readonly packet: EncodablePacket; readonly arrives: () => void }[] = [];

  constructor(options: ServerOptions, model: Model, order: Order, clock: { now(): number }) {
    this.options = options;
    this.model = model;
    this.order = order;
    this.clock = clock;
    if (options.inherited) {
      this.session = this.#begin();
      this.session.exchanges.leaveHalfDone([1, 2, 4]);
    }
  }

  get connections(): number {
    return this.#connections;
  }

  /** Number of pending answers. */
  get owed(): number {
    return this.#owed.length;
  }

  accept(wire: Wire): Peer {
    return new ServerConnection(++this.#connections, wire, this);
  }

  /** Queues an answer. `arrives` is called when the client receives it. */
  answer(packet: EncodablePacket, arrives: () => void): void {
    this.#owed.push({ packet, arrives });
    if (this.answersAtOnce) this.give(Infinity);
  }

  /** Whether an answer of this kind to `packetId` is pending. */
  owes(type: EncodablePacket['type'], packetId: number): boolean {
    return this.#owed.some(
      ({ packet }) => packet.type === type && 'packetId' in packet && packet.packetId === packetId,
    );
  }

  /** Sends the oldest answers. */
  give(count: number): void {
    for (let i = 0; i < count; i++) {
      const owed = this.#owed.shift();
      if (owed === undefined) return;
      this.send(owed.packet, owed.arrives);
    }
  }

  /** Rejects the oldest unanswered PUBLISH (5.0). Returns whether there was one. */
  refuse(reasonCode: number): void {
    const at = this.#owed.findIndex(({ packet }) => packet.type === 'puback' || packet.type === 'pubrec');
    const owed = this.#owed[at];
    if (owed === undefined || this.options.protocolVersion < 5 || this.session === undefined) return;
    // Earlier answers are sent first, as acknowledgements keep their order.
    this.give(at);
    this.#owed.shift();
    const packet = owed.packet as Extract<EncodablePacket, { type: 'puback' | 'pubrec' }>;
    const arrives = this.session.exchanges.refuse(packet.packetId, reasonCode);
    this.send({ type: packet.type, packetId: packet.packetId, reasonCode }, arrives);
  }

  /** An Application Message for the client. Returns whether the client has subscribed to it. */
  publish(tag: number, topic: string, payload: Uint8Array, qos: QoS): boolean {
    const { session } = this;
    const granted = session?.subscriptions.get(topic);
    if (session === undefined || granted === undefined) return false;
    session.deliveries.add(tag, topic, payload, Math.min(granted, qos) as QoS);
    return true;
  }

  send(packet: EncodablePacket, arrives?: () => void): void {
    this.connection?.wire.send(encode(packet, this.options.protocolVersion), arrives);
  }

  take(connection: ServerConnection, packet: Packet, written: number): void {
    if (packet.type === 'connect') return this.#connect(connection, packet);
    const { session } = connection;
    if (session === undefined || connection !== this.connection) return;
    if (
      (packet.type === 'subscribe' || packet.type === 'unsubscribe') &&
      session.exchanges.uses(packet.packetId)
    )
      this.model.broken(`${packet.type} under Packet Identifier ${packet.packetId}, which is in use`);
    switch (packet.type) {
      case 'publish':
        return session.exchanges.onPublish(connection, packet, written);
      case 'pubrel':
        return session.exchanges.onPubrel(packet.packetId, written);
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
        return session.deliveries.onAck(packet.type, packet.packetId, packet.reasonCode ?? 0);
      case 'subscribe':
        for (const { topicFilter, qos } of packet.subscriptions) session.subscriptions.set(topicFilter, qos);
        return this.send({
          type: 'suback',
          packetId: packet.packetId,
          reasonCodes: packet.subscriptions.map(({ qos }) => qos),
        });
      case 'unsubscribe':
        for (const topicFilter of packet.topicFilters) session.subscriptions.delete(topicFilter);
        return this.send({
          type: 'unsuback',
          packetId: packet.packetId,
          reasonCodes: this.options.protocolVersion === 5 ? packet.topicFilters.map(() => 0) : [],
        });
      case 'pingreq':
        return this.send({ type: 'pingresp' });
      case 'disconnect':
        return;
      default:
        this.model.broken(`a client does not send ${packet.type}`);
    }
  }

  /** The connection has ended for the server. */
  ended(connection: ServerConnection): void {
    if (connection !== this.connection) return;
    this.connection = undefined;
    this.#owed = [];
    this.model.connectionEnded(connection.number, connection.wire);
    const { connect } = connection;
    const lasts =
      this.options.protocolVersion === 5
        ? (connect?.properties.sessionExpiryInterval ?? 0) > 0
        : connect?.cleanStart === false;
    if (!lasts) this.#forget();
  }

  #connect(connection: ServerConnection, connect: ConnectPacket): void {
    this.connection?.wire.cut();
    connection.connect = connect;
    if (this.forgets || connect.cleanStart) this.#forget();
    this.forgets = false;
    connection.sessionPresent = this.session !== undefined;
    this.session ??= this.#begin();
    connection.session = this.session;
    this.connection = connection;
    const { protocolVersion, receiveMaximum, topicAliasMaximum, ignoresWindow } = this.options;
    this.model.connectionBegan(connection.number, this.session.number);
    this.send({
      type: 'connack',
      sessionPresent: connection.sessionPresent,
      reasonCode: 0,
      properties: protocolVersion === 5 ? { receiveMaximum, topicAliasMaximum } : {},
    });
    const announced = connect.properties.receiveMaximum ?? 65_535;
    const window = ignoresWindow ? Infinity : protocolVersion === 5 ? announced : this.options.sendWindow;
    this.session.exchanges.connected();
    this.session.deliveries.connected(connection, window);
  }

  /** It loses its session at once. No client is connected. */
  loseSession(): void {
    this.#forget();
  }

  #begin(): ServerSession {
    const number = ++this.#sessions;
    return {
      number,
      subscriptions: new Map(),
      exchanges: new Exchanges(number, this),
      deliveries: new Deliveries(this),
    };
  }

  #forget(): void {
    if (this.session !== undefined) this.model.sessionLost(this.session.deliveries.tags);
    this.session = undefined;
  }
}
