import { Framer } from '../codec/framer.ts';
import type { ProtocolVersion } from '../codec/packets.ts';
import { KeepAlive } from './keep-alive.ts';
import type { ConnectIdentity, ConnectSettings, Negotiated } from './negotiated.ts';
import { Outbox, type SlabPool } from './outbox.ts';
import { SendQuota } from './send-quota.ts';
import type { Traffic } from './traffic.ts';
import { TopicAliases } from './topic-aliases.ts';

/** The largest packet that is taken before CONNACK is accepted, in bytes, fixed header included. */
export const MAXIMUM_SIZE_BEFORE_CONNACK = 1_048_576;

/** What one Network Connection needs from outside. */
export interface ConnectionOptions {
  /** The how-manieth Network Connection of this client, from 1. */
  readonly connectionNumber: number;
  /** What CONNECT is made of. */
  readonly settings: ConnectSettings;
  readonly identity: ConnectIdentity;
  readonly slabs: SlabPool;
  readonly traffic: Traffic;
  readonly allocate: (size: number) => Uint8Array;
}

/** Everything that dies with a Network Connection. Before CONNACK nothing may be published on it: quota 0. */
export class Connection {
  readonly connectionNumber: number;
  readonly protocolVersion: ProtocolVersion;
  readonly settings: ConnectSettings;
  readonly identity: ConnectIdentity;
  /** Whether CONNECT asked for no Reason Strings and User Properties where they are not the message itself. */
  readonly withoutProblemInformation: boolean;
  readonly framer: Framer;
  readonly outbox: Outbox;
  readonly traffic: Traffic;
  keepAlive: KeepAlive;
  quota: SendQuota = new SendQuota(0);
  aliases: TopicAliases = new TopicAliases(0, 0);
  negotiated: Negotiated | undefined = undefined;
  /** Pieces of output that the transport has and has not given back. */
  piecesOut = 0;
  /** When CONNACK came, in ms. */
  acceptedAt = 0;
  /** What the server does against the protocol, is tolerated, and was reported. */
  readonly tolerated: Set<string> = new Set();
  /** When the unanswered PINGREQ was written; 0 = none is unanswered. */
  pingedAt = 0;

  constructor(options: ConnectionOptions, now: number) {
    this.connectionNumber = options.connectionNumber;
    const { settings } = options;
    const { protocolVersion, maximumPacketSize } = settings;
    this.protocolVersion = protocolVersion;
    this.settings = settings;
    this.identity = options.identity;
    this.withoutProblemInformation =
      protocolVersion === 5 && settings.properties.requestProblemInformation === false;
    this.framer = new Framer({ protocolVersion, maximumPacketSize, allocate: options.allocate });
    if (maximumPacketSize === undefined || maximumPacketSize > MAXIMUM_SIZE_BEFORE_CONNACK)
      this.framer.limit(MAXIMUM_SIZE_BEFORE_CONNACK, 'before CONNACK');
    this.traffic = options.traffic;
    this.outbox = new Outbox(options.slabs, options.traffic);
    this.keepAlive = new KeepAlive(0, 0, now);
  }

  /** So many bytes of what `framer.space()` gave were filled. */
  onRead(length: number): void {
    this.traffic.bytesReceived += length;
    this.framer.commit(length);
  }

  /** Bytes came in memory of their own. */
  onData(chunk: Uint8Array): void {
    this.traffic.bytesReceived += chunk.length;
    this.framer.push(chunk);
  }

  /** CONNACK accepted: what it granted holds from now on. */
  accepted(
    negotiated: Negotiated,
    limits: { window: number; topicAliasMaximum: number; pingTimeout: number | undefined },
    now: number,
  ): void {
    this.negotiated = negotiated;
    this.framer.limit(this.settings.maximumPacketSize);
    this.acceptedAt = now;
    this.quota = new SendQuota(limits.window);
    this.aliases = new TopicAliases(limits.topicAliasMaximum, negotiated.topicAliasMaximum);
    this.keepAlive = new KeepAlive(negotiated.keepAlive, limits.pingTimeout, now);
  }
}
