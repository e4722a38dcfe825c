import { Decoder, encode } from '../../lib/codec/codec.ts';
import type {
  EncodablePacket,
  Packet,
  PublishProperties,
  QoS,
  SubscriptionRequest,
} from '../../lib/codec/packets.ts';
import { Engine } from '../../lib/engine/engine.ts';
import type { EngineOptions, EnginePorts } from '../../lib/engine/options.ts';
import { Exchange } from '../../lib/session/exchange.ts';
import { Request } from '../../lib/session/request.ts';
import { join } from './bytes.ts';
import { ENGINE_DEFAULTS, enginePorts } from './engine-options.ts';
import { connack } from './packets.ts';
import { Recorder, Waiter } from './recorder.ts';

interface MessageFields {
  readonly qos?: QoS;
  readonly payload?: string | Uint8Array;
  readonly retain?: boolean;
  readonly properties?: PublishProperties;
}

export interface Publication {
  readonly exchange: Exchange;
  readonly waiter: Waiter;
}

/** An engine with a server that a spec plays packet by packet, and a clock that the spec advances. */
export class Rig {
  readonly options: EngineOptions;
  readonly effects: Recorder = new Recorder();
  readonly engine: Engine;
  random = 0.5;
  now = 1_000_000;
  #decoder: Decoder;

  constructor(
    options: Partial<EngineOptions> = {},
    ports: Partial<EnginePorts> = {},
    EngineClass: typeof Engine = Engine,
  ) {
    this.options = { ...ENGINE_DEFAULTS, ...options };
    this.engine = new EngineClass(
      this.options,
      { ...enginePorts(() => this.random), ...ports },
      this.effects,
    );
    this.#decoder = this.#server();
  }

  /** Opens the Network Connection. Returns the packets written at once: CONNECT. */
  open(server = 'server'): Packet[] {
    this.#decoder = this.#server();
    this.engine.opened({ server }, this.now);
    return this.sent();
  }

  /** Delivers packets of the server to the engine. */
  send(...packets: EncodablePacket[]): void {
    this.receive(this.bytes(...packets));
  }

  /** Encodes packets as the server sends them. */
  bytes(...packets: EncodablePacket[]): Uint8Array {
    return join(...packets.map((packet) => encode(packet, this.options.protocolVersion)));
  }

  /** Delivers bytes, which the engine reads turn by turn within its limits. Returns whether reading has stopped. */
  receive(bytes: Uint8Array): 'all' | 'stop' {
    this.engine.onData(bytes.slice());
    return this.read();
  }

  /** Reads the delivered bytes turn by turn, within the limits. */
  read(): 'all' | 'stop' {
    for (;;) {
      const result = this.engine.read(this.now);
      if (result === 'all' || result === 'stop') return result;
    }
  }

  /** Flushes the output. Returns the packets that the server receives. */
  sent(): Packet[] {
    const { engine, now } = this;
    for (;;) {
      for (let piece = engine.takeOutput(now); piece !== undefined; piece = engine.takeOutput(now)) {
        this.#decoder.push(piece.slice());
        engine.flushed(piece, false, now);
      }
      if (!engine.pump(now)) return this.#decoded();
    }
  }

  /** The packets that the server received together with the end of the connection. */
  rest(): Packet[] {
    for (const piece of this.effects.rest) this.#decoder.push(piece.slice());
    return this.#decoded();
  }

  /** Advances the time, and calls the engine for every timer that is due. */
  advance(ms: number): void {
    const until = this.now + ms;
    for (let at = this.engine.nextTimeout(); at <= until; at = this.engine.nextTimeout()) {
      this.now = Math.max(this.now, at);
      this.engine.handleTimeout(this.now);
    }
    this.now = until;
  }

  /** Opens the next connection of a client that waits to reconnect. Returns what it writes after CONNACK. */
  reconnect(answer: EncodablePacket = connack()): Packet[] {
    this.now = Math.max(this.now, this.engine.nextTimeout());
    this.engine.handleTimeout(this.now);
    this.open();
    this.send(answer);
    return this.sent();
  }

  /** Loses the connection and opens the next one. Returns what the client writes after CONNACK. */
  resume(answer: EncodablePacket = connack({ sessionPresent: true })): Packet[] {
    this.engine.lost(undefined, this.now);
    return this.reconnect(answer);
  }

  publish(
    topicName: string,
    { qos = 1, payload = topicName, retain = false, properties }: MessageFields = {},
  ): Publication {
    const exchange = new Exchange(topicName, payload, qos, retain, properties);
    const waiter = new Waiter();
    exchange.waiter = waiter;
    this.engine.publish(exchange, this.now);
    return { exchange, waiter };
  }

  /** SUBSCRIBE or UNSUBSCRIBE of one turn, written at once. */
  request(kind: 'subscribe' | 'unsubscribe', ...entries: (string | SubscriptionRequest)[]): Waiter {
    const waiter = this.ask(kind, ...entries);
    this.engine.flushRequests(this.now);
    return waiter;
  }

  /** The same, written with the next flush. */
  ask(kind: 'subscribe' | 'unsubscribe', ...entries: (string | SubscriptionRequest)[]): Waiter {
    const waiter = new Waiter();
    const filters = entries.map((e) => (typeof e === 'string' ? { topicFilter: e, qos: 1 as const } : e));
    this.engine.request(new Request(kind, filters, undefined, waiter));
    return waiter;
  }

  disconnect(pending: 'keep' | 'discard' = 'keep', timeout = 5_000): void {
    this.engine.disconnect({ reasonCode: 0, properties: {}, pending, timeout }, this.now);
  }

  #server(): Decoder {
    return new Decoder({ receiver: 'server', protocolVersion: this.options.protocolVersion });
  }

  #decoded(): Packet[] {
    const packets: Packet[] = [];
    for (let p = this.#decoder.next(); p !== undefined; p = this.#decoder.next()) packets.push(p);
    return packets;
  }
}
