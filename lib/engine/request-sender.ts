import { encode } from '../codec/codec.ts';
import type { Text } from '../codec/text.ts';
import type { Connection } from '../connection/connection.ts';
import { ClosedError, TimeoutError } from '../errors.ts';
import { PACKET_IDENTIFIERS } from '../session/identifier-set.ts';
import type { Request, RequestPacket, RequestPart } from '../session/request.ts';
import type { RequestLimits } from '../session/request-queue.ts';
import type { Session } from '../session/session.ts';
import { hasWildcard, isShared } from '../topic/filters.ts';
import type { EngineContext } from './engine-context.ts';
import type { EngineOptions } from './options.ts';
import type { Quarantine } from './quarantine.ts';
import type { ClientState } from './states.ts';
import { type Timers, Timer } from './timers.ts';

/** Sends SUBSCRIBE and UNSUBSCRIBE, and fails those that are not acknowledged in time. */
export class RequestSender {
  readonly #session: Session;
  readonly #timers: Timers;
  readonly #options: EngineOptions;
  readonly #text: Text;
  readonly #quarantine: Quarantine;

  constructor(context: EngineContext, quarantine: Quarantine) {
    ({ session: this.#session, timers: this.#timers, options: this.#options } = context);
    this.#text = context.ports.text;
    this.#quarantine = quarantine;
  }

  /** Takes `request` over: its waiter is called when it is done or has failed. */
  add(request: Request, state: ClientState): void {
    if (state === 'closed' || state === 'disconnecting')
      request.fail(new ClosedError(`${request.kind} not sent: the client is closed`));
    else this.#session.requests.add(request);
  }

  /** The caller of `request` no longer waits. Packets that were sent stay on the wire. */
  withdraw(request: Request): void {
    request.waiter = undefined;
    this.#session.requests.withdraw(request);
  }

  /** Writes what can go now: requests of one turn share packets. Nothing goes out beside a suspect one. */
  flush(connection: Connection, now: number): void {
    const quarantine = this.#quarantine;
    if (this.#session.requests.queue.size === 0) return this.#setTimer();
    if (!quarantine.isTrialRunning && !quarantine.isTrialDue) this.#write(connection, now);
    else if (quarantine.isTrialDue && connection.quota.used === 0) {
      const packets = this.#writeSuspects(connection, now);
      if (packets.length > 0) quarantine.startTrial(packets);
    }
    this.#setTimer();
  }

  /** The Trial timer is due: see `Quarantine`. */
  trialOver(connection: Connection, now: number): void {
    this.#quarantine.trialOver();
    this.flush(connection, now);
  }

  /** The Ack timer is due. It runs across connections. */
  expire(now: number): void {
    const ms = this.#options.requestTimeout;
    for (const request of this.#session.requests.takeLate(now))
      request.fail(new TimeoutError(`${request.kind} was not acknowledged within ${ms} ms (requestTimeout)`));
    this.#setTimer();
  }

  /** Reading goes on after it had stopped: the time for each acknowledgement starts over. */
  judgeFrom(now: number): void {
    this.#session.requests.postpone(now + this.#options.requestTimeout);
    this.#setTimer();
  }

  #setTimer(): void {
    this.#timers.set(Timer.Ack, this.#session.requests.nextDue);
  }

  /** Writes every request that can go now, except suspect ones. */
  #write(connection: Connection, now: number): void {
    const { requests, packetIdentifiers } = this.#session;
    this.#refuseUnsupported(connection);
    const most = PACKET_IDENTIFIERS - packetIdentifiers.inUse;
    for (const parts of requests.queue.takePackets(this.#limits(connection), most, this.#text))
      this.#writePacket(connection, parts, now);
  }

  /** Writes some of the suspect requests. Returns their packets. */
  #writeSuspects(connection: Connection, now: number): RequestPacket[] {
    const { requests, packetIdentifiers } = this.#session;
    this.#refuseUnsupported(connection);
    const most = PACKET_IDENTIFIERS - packetIdentifiers.inUse;
    const packets = requests.queue.takeSuspects(this.#limits(connection), most, this.#text);
    return packets.flatMap((parts) => this.#writePacket(connection, parts, now) ?? []);
  }

  #limits({ negotiated }: Connection): RequestLimits {
    const maximum = negotiated?.maximumPacketSize ?? Infinity;
    return {
      filters: this.#options.maxFiltersPerPacket,
      bytes: maximum === Infinity ? 0 : maximum,
      identifiers: negotiated?.subscriptionIdentifiersAvailable === true ? 'one per filter' : 'none',
    };
  }

  #writePacket(
    connection: Connection,
    parts: readonly RequestPart[],
    now: number,
  ): RequestPacket | undefined {
    const { requests, packetIdentifiers } = this.#session;
    const packetId = packetIdentifiers.take();
    const packet = encodeRequest(connection, packetId, parts);
    if (packet.length <= (connection.negotiated?.maximumPacketSize ?? Infinity)) {
      connection.outbox.append(packet);
      return requests.sent(packetId, parts, now, this.#options.requestTimeout);
    }
    // Only a single Topic Filter can still be too large here.
    packetIdentifiers.free(packetId);
    for (const part of parts) requests.answer(part, 0x95);
    return undefined;
  }

  /** Refuses what this server does not support (3.2.2.3.11, -13), with the Reason Code it would answer with. */
  #refuseUnsupported({ negotiated }: Connection): void {
    if (negotiated === undefined) return;
    const { wildcardSubscriptionAvailable: wildcards, sharedSubscriptionAvailable: shared } = negotiated;
    if (wildcards && shared) return;
    const codeOf = (topicFilter: string): number => {
      if (!shared && isShared(topicFilter)) return 0x9e;
      return !wildcards && hasWildcard(topicFilter) ? 0xa2 : 0;
    };
    const { requests } = this.#session;
    for (const part of requests.queue.takeSubscriptions((topicFilter) => codeOf(topicFilter) > 0))
      requests.answer(part, codeOf(part.entry.topicFilter));
  }
}

function encodeRequest(connection: Connection, packetId: number, parts: readonly RequestPart[]): Uint8Array {
  const { kind, userProperties, entry } = parts[0] as RequestPart;
  const properties = userProperties === undefined ? {} : { userProperties };
  const version = connection.protocolVersion;
  if (kind === 'subscribe') {
    // 3.2.2.3.12: not to a server that has none.
    // fault: identifier
    if (connection.negotiated?.subscriptionIdentifiersAvailable === true && entry.identifier !== undefined) {
      const identified = { ...properties, subscriptionIdentifier: entry.identifier };
      return encode({ type: 'subscribe', packetId, subscriptions: [entry], properties: identified }, version);
    }
    const subscriptions = parts.map((part) => {
      const { qos, qosWithoutIdentifier = qos } = part.entry;
      return qosWithoutIdentifier === qos ? part.entry : { ...part.entry, qos: qosWithoutIdentifier };
    });
    return encode({ type: 'subscribe', packetId, subscriptions, properties }, version);
  }
  const topicFilters = parts.map((part) => part.entry.topicFilter);
  return encode({ type: 'unsubscribe', packetId, topicFilters, properties }, version);
}
