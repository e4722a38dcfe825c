import type { QoS } from '../../lib/codec/packets.ts';
import type { ModelBroker, ServerConnection } from './broker.ts';

/** A message for the client that is not fully acknowledged. */
interface Delivery {
  readonly tag: number;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 1 | 2;
  packetId: number;
  phase: 'queued' | 'published' | 'released';
  /** The last connection on which it was sent, and its place there. */
  on: ServerConnection | undefined;
  place: number;
  /** The connection on which PUBREL was sent. */
  releasedOn: ServerConnection | undefined;
}

/** What a server sends to a client, checked against the acknowledgements. */
export class Deliveries {
  readonly #broker: ModelBroker;
  #all: Delivery[] = [];
  #connection: ServerConnection | undefined;
  #window = 0;
  #place = 0;
  /** Places of the last PUBACK and PUBREC. */
  #last = { puback: 0, pubrec: 0 };

  constructor(broker: ModelBroker) {
    this.#broker = broker;
  }

  /** Messages that are not fully acknowledged. */
  get tags(): number[] {
    return this.#all.map(({ tag }) => tag);
  }

  /** A new accepted Network Connection. `window`: maximum number of unacknowledged messages. */
  connected(connection: ServerConnection, window: number): void {
    this.#connection = connection;
    this.#window = window;
    this.#last = { puback: 0, pubrec: 0 };
    this.#pump();
  }

  add(tag: number, topic: string, payload: Uint8Array, qos: QoS): void {
    if (qos === 0) return this.#broker.send({ type: 'publish', topic, payload, qos: 0 });
    const fresh = { packetId: 0, phase: 'queued', on: undefined, place: 0, releasedOn: undefined } as const;
    this.#all.push({ tag, topic, payload, qos, ...fresh });
    this.#pump();
  }

  onAck(type: 'puback' | 'pubrec' | 'pubcomp', packetId: number, reasonCode: number): void {
    const { model } = this.#broker;
    const found = this.#all.find((one) => one.packetId === packetId && one.on === this.#connection);
    const asked =
      type === 'pubcomp'
        ? found?.phase === 'released' && found.releasedOn === this.#connection
        : found?.phase === 'published' && found.qos === (type === 'puback' ? 1 : 2);
    if (found === undefined || !asked)
      return model.broken(`${type} ${packetId} for nothing that was sent on this connection`);
    if (type !== 'pubcomp') {
      if (found.place < this.#last[type]) model.broken(`${type} of m${found.tag} out of order`);
      this.#last[type] = found.place;
      model.arrivals.acknowledged(found.tag);
    }
    if (type === 'pubrec' && reasonCode < 0x80) {
      found.phase = 'released';
      this.#release(found);
    } else this.#all.splice(this.#all.indexOf(found), 1);
    this.#pump();
  }

  /** The client has written PUBREC, which was lost. */
  answered(packetId: number): void {
    const found = this.#all.find((one) => one.packetId === packetId && one.on === this.#connection);
    if (found !== undefined) this.#broker.model.arrivals.answered(found.tag);
  }

  #release(delivery: Delivery): void {
    const connection = this.#connection;
    this.#broker.answer({ type: 'pubrel', packetId: delivery.packetId }, () => {
      delivery.releasedOn = connection;
    });
  }

  /** Sends what the window allows, in order. On a new connection unacknowledged messages are repeated first (4.4). */
  #pump(): void {
    const connection = this.#connection;
    if (connection === undefined || connection !== this.#broker.connection) return;
    let inFlight = this.#all.filter(({ on }) => on === connection).length;
    for (const delivery of this.#all) {
      if (delivery.on === connection) continue;
      if (inFlight++ >= this.#window) return;
      const duplicate = delivery.phase !== 'queued';
      if (!duplicate) delivery.packetId = this.#freeIdentifier();
      delivery.on = connection;
      delivery.place = ++this.#place;
      if (delivery.phase === 'released') {
        this.#release(delivery);
        continue;
      }
      delivery.phase = 'published';
      this.#broker.model.arrivals.written(delivery.tag);
      const { topic, payload, qos, packetId } = delivery;
      this.#broker.send({ type: 'publish', topic, payload, qos, packetId, duplicate });
    }
  }

  /** The lowest one, so that identifiers are reused as soon as possible. */
  #freeIdentifier(): number {
    const used = new Set(this.#all.map(({ packetId }) => packetId));
    let packetId = 1;
    while (used.has(packetId)) packetId++;
    return packetId;
  }
}
