import { Framer } from '../codec/framer.ts';
import type { ProtocolVersion } from '../codec/packets.ts';
import { AssignedAliases } from './assigned-aliases.ts';
import { KeepAlive } from './keep-alive.ts';
import type { ConnectIdentity, ConnectSettings, Negotiated } from './negotiated.ts';
import { Outbox, type SlabPool } from './outbox.ts';
import { SendQuota } from './send-quota.ts';
import { Slices } from './slices.ts';
import type { Traffic } from './traffic.ts';
import { TopicAliases } from './topic-aliases.ts';

/** The largest packet accepted before CONNACK, in bytes, fixed header included. */
export const MAXIMUM_SIZE_BEFORE_CONNACK = 1_048_576;

export interface ConnectionOptions {
  /** 1-based number of the Network Connection of this client. */
  readonly connectionNumber: number;
  readonly settings: ConnectSettings;
  readonly identity: ConnectIdentity;
  readonly slabs: SlabPool;
  readonly traffic: Traffic;
  readonly allocate: (size: number) => Uint8Array;
  readonly protect?: ((chunk: Uint8Array) => void) | undefined;
}

/** Everything that ends with a Network Connection. Before CONNACK nothing may be published on it: its quota is 0. */
export class Connection {
  readonly connectionNumber: number;
  readonly protocolVersion: ProtocolVersion;
  readonly settings: ConnectSettings;
  readonly identity: ConnectIdentity;
  /** Whether CONNECT had Request Problem Information 0 (3.1.2.11.7). */
  readonly withoutProblemInformation: boolean;
  readonly framer: Framer;
  readonly outbox: Outbox;
  readonly slices: Slices = new Slices();
  readonly traffic: Traffic;
  keepAlive: KeepAlive;
  quota: SendQuota = new SendQuota(0);
  negotiated: Negotiated | undefined = undefined;
  /** Undefined: the client chooses no Topic Aliases by itself. */
  assigned: AssignedAliases | undefined = undefined;
  /** Pieces of output that were handed to the transport and are not written yet. */
  piecesOut = 0;
  /** When CONNACK came, in ms. */
  acceptedAt = 0;
  /** Breaches of the protocol by the server that are tolerated and were reported. */
  tolerated: readonly string[] = [];
  /** When the unanswered PINGREQ was written, in ms; 0 = none. */
  pingedAt = 0;
  #aliases: TopicAliases | undefined = undefined;

  constructor(options: ConnectionOptions, now: number) {
    this.connectionNumber = options.connectionNumber;
    const { settings } = options;
    const { protocolVersion, maximumPacketSize } = settings;
    this.protocolVersion = protocolVersion;
    this.settings = settings;
    this.identity = options.identity;
    this.withoutProblemInformation =
      protocolVersion === 5 && settings.properties.requestProblemInformation === false;
    const { allocate, protect } = options;
    this.framer = new Framer({ protocolVersion, maximumPacketSize, allocate, protect });
    if (maximumPacketSize === undefined || maximumPacketSize > MAXIMUM_SIZE_BEFORE_CONNACK)
      this.framer.limit(MAXIMUM_SIZE_BEFORE_CONNACK, 'before CONNACK');
    this.traffic = options.traffic;
    this.outbox = new Outbox(options.slabs, options.traffic);
    this.keepAlive = new KeepAlive(0, 0, now);
  }

  /** Made for the first alias in either direction: most connections never have one. */
  get aliases(): TopicAliases {
    const { topicAliasMaximum = 0 } = this.settings.properties;
    return (this.#aliases ??= new TopicAliases(topicAliasMaximum, this.negotiated?.topicAliasMaximum ?? 0));
  }

  /** The client chooses Topic Aliases from now on, if the server takes any [MQTT-3.2.2-18]. */
  assignAliases(): void {
    const { topicAliasMaximum = 0 } = this.negotiated ?? {};
    if (topicAliasMaximum > 0) this.assigned = new AssignedAliases(topicAliasMaximum);
  }

  /** `length` bytes were read into the memory that `framer.allocate()` gave. */
  onRead(length: number): void {
    this.traffic.bytesReceived += length;
    this.framer.commit(length);
  }

  /** `chunk` was read. It belongs to the framer from now on. */
  onData(chunk: Uint8Array): void {
    this.traffic.bytesReceived += chunk.length;
    this.framer.push(chunk);
  }

  /** CONNACK was accepted. `window`: the send window; `pingTimeout` in ms. */
  accepted(negotiated: Negotiated, window: number, pingTimeout: number | undefined, now: number): void {
    this.negotiated = negotiated;
    this.framer.limit(this.settings.maximumPacketSize);
    this.acceptedAt = now;
    this.quota = new SendQuota(window);
    this.#aliases = undefined;
    this.keepAlive = new KeepAlive(negotiated.keepAlive, pingTimeout, now);
  }
}
