import type { OutgoingPublish } from '../codec/publish-writer.ts';
import { NO_PROPERTIES } from '../codec/packets.ts';
import type { Connection } from '../connection/connection.ts';
import {
  ConnectionLostError,
  messageOf,
  ProtocolError,
  PublishError,
  QueueFullError,
  TimeoutError,
  withoutFrames,
} from '../errors.ts';
import { Stage, type Exchange } from '../session/exchange.ts';
import type { Queue } from '../session/queue.ts';
import type { Journal } from '../session/journal.ts';
import type { Session } from '../session/session.ts';
import { writePubrel } from './ack-writer.ts';
import { sendWindow } from './connack.ts';
import type { EngineContext } from './engine-context.ts';
import type { EngineOptions } from './options.ts';
import { borrowsPayload, payloadGone, PayloadReferences, PublishOutput, refusal } from './publish-output.ts';
import { PublishTimers } from './publish-timers.ts';
import type { Quarantine } from './quarantine.ts';
import type { StoreGate } from './store-gate.ts';

/** With so many bytes in the output nothing new is published: it waits in the queue. */
const HIGH_WATER = 1_048_576;

/**
 * Sends messages: at once, from the queue, or again. Packets to be sent again come first, then the queue, in call order.
 * A new message goes out directly only if nothing of its kind waits.
 */
export class OutboundPublish {
  readonly references: PayloadReferences;
  readonly timers: PublishTimers;
  readonly #session: Session;
  readonly #options: EngineOptions;
  readonly #quarantine: Quarantine;
  readonly #output: PublishOutput;
  /** Only with a store. */
  readonly #journal: Journal | undefined;
  readonly #gate: StoreGate | undefined;
  readonly #admit = (exchange: Exchange): void => this.#accept(exchange);
  /** PUBRELs are sent again on a resumed session, but not before suspect ones may be. */
  #pubrels: 'to be sent again' | 'sent' = 'sent';
  #publishOrder = 0;

  constructor(context: EngineContext, quarantine: Quarantine) {
    ({ session: this.#session, options: this.#options } = context);
    ({ journal: this.#journal, gate: this.#gate } = context);
    this.#quarantine = quarantine;
    this.#output = new PublishOutput(context.ports.text);
    this.timers = new PublishTimers(context);
    this.references = new PayloadReferences(context.session);
  }

  /** hot: writes QoS 0 that can go at once and needs no exchange. Returns false if it has to go through `publish()`. */
  writeNow(connection: Connection, message: OutgoingPublish): boolean {
    if (this.#session.queue.qos0 > 0 || connection.outbox.size >= HIGH_WATER) return false;
    if (this.#output.passesByReference(message)) return false;
    return this.#output.write(connection, message, 0, false) === 0;
  }

  /** A new message: out at once, or into the queue. `connection`: undefined if none is up. */
  publish(exchange: Exchange, connection: Connection | undefined, now: number): void {
    exchange.publishOrder = ++this.#publishOrder;
    if (exchange.canExpire) exchange.calledAt = now;
    if (this.#isStored(exchange, connection)) this.#enqueue(exchange);
    else if (connection !== undefined && this.#canGo(exchange, connection))
      this.#transmit(exchange, connection, now);
    else if (exchange.qos === 0 && connection === undefined && !this.#options.queueQos0Offline)
      exchange.end(
        new ConnectionLostError(
          'message not sent: the client is not connected, and QoS 0 is not queued (queueQos0Offline)',
          { fate: { delivery: 'not-sent', kept: false } },
        ),
      );
    else this.#enqueue(exchange);
  }

  /** Whether one more message of any QoS would go out at once. */
  hasRoom(connection: Connection): boolean {
    const { queue, outgoing } = this.#session;
    if (connection.outbox.size >= HIGH_WATER || queue.messages > 0) return false;
    if (outgoing.nextResend !== undefined || !this.#hasPlace(connection)) return false;
    // Messages that are being stored will take places of the window.
    return queue.reserved === 0 || connection.quota.free > queue.reserved + (this.#gate?.departing ?? 0);
  }

  /** Whether one more message would be stored soon: little waits for the store, and the queue is not full. */
  get canStore(): boolean {
    const { queue } = this.#session;
    const { messages, bytes } = this.#options.queueLimits;
    if (this.#journal === undefined || this.#journal.unstoredBytes >= HIGH_WATER) return false;
    if (messages > 0 && queue.messages + queue.reserved >= messages) return false;
    return bytes === 0 || queue.bytes + queue.reservedBytes < bytes;
  }

  /** hot: the window has moved, output has left, or a connection has come up: sends what may go now. */
  pump(connection: Connection, now: number): void {
    const { queue, outgoing } = this.#session;
    if (this.#pubrels === 'to be sent again' && !this.#quarantine.isProving)
      this.#resendPubrels(connection, now);
    const { outbox } = connection;
    while (this.#hasPlace(connection) && outbox.size < HIGH_WATER) {
      const exchange = outgoing.nextResend;
      if (exchange === undefined) break;
      this.#resend(exchange, connection, now);
    }
    if (outgoing.nextResend !== undefined) return;
    while (outbox.size < HIGH_WATER) {
      const head = queue.peek();
      if (head === undefined || (head.qos > 0 && !this.#admitted(head, connection))) return;
      queue.shift();
      queue.admitWaiters(this.#options.queueLimits, this.#admit);
      if (head.qos > 0 && this.#gate?.holds(head) === true) this.#gate.depart(head);
      else this.#transmitUnlessExpired(head, connection, now);
    }
  }

  /** The store has made a commit: what has waited for it goes on. */
  committed(connection: Connection | undefined, now: number): void {
    const gate = this.#gate;
    if (gate === undefined) return;
    this.#journal?.committed();
    gate.committed(connection, now, this.#pubrels);
    if (connection === undefined) return;
    for (const exchange of gate.takeDeparting()) this.#transmitUnlessExpired(exchange, connection, now);
    this.pump(connection, now);
  }

  /**
   * The session was resumed: the next `pump()` sends PUBREL in the order of the PUBRECs, then every PUBLISH as the window
   * allows. `isUnknownSession`: another client may have used the session until now.
   */
  resume(isUnknownSession: boolean): void {
    const { outgoing } = this.#session;
    outgoing.rewind();
    if (isUnknownSession) outgoing.orphanedIds.addAll();
    this.timers.reset();
    this.#pubrels = 'to be sent again';
  }

  #resendPubrels(connection: Connection, now: number): void {
    this.#pubrels = 'sent';
    // fault: pubrel-resend
    for (const exchange of this.#session.outgoing.released()) {
      this.#session.outgoing.written(exchange, connection.connectionNumber, now);
      connection.quota.take(); // fault: pubrel-quota
      writePubrel(connection, exchange.packetId, 0); // fault: pubrel
      this.timers.start(now);
    }
  }

  /**
   * The server has no session: messages in flight go out as new ones, before all others, in their old order. For QoS 2,
   * whose delivery is unknown, `onSessionLost` decides. Returns how many received messages the application had
   * not settled.
   */
  startOver(): number {
    this.#pubrels = 'sent';
    this.timers.reset();
    this.#journal?.sessionBegun();
    const { outgoing, unsettled } = this.#session.discard();
    const goesOut = (exchange: Exchange) => exchange.qos === 1 || this.#options.onSessionLost === 'resend';
    for (const exchange of outgoing) if (!goesOut(exchange)) exchange.end(withoutFrames(sessionLost));
    this.#session.queue.putBack(outgoing.filter(goesOut)); // fault: lost-messages
    return unsettled;
  }

  /**
   * The caller of `exchange` no longer waits. Returns whether the message is kept: it is once it was written, unless it
   * is QoS 0, which is never sent again.
   */
  withdraw(exchange: Exchange, connection: Connection | undefined): boolean {
    exchange.waiter = undefined;
    if (exchange.stage === Stage.Storing || exchange.stage === Stage.Stored) {
      if (exchange.packetId !== 0) this.#session.packetIdentifiers.free(exchange.packetId);
      this.#journal?.withdraw(exchange);
    } else this.#session.queue.withdraw(exchange);
    this.#session.queue.admitWaiters(this.#options.queueLimits, this.#admit);
    if (exchange.stage === Stage.Over) return false;
    if (connection !== undefined) this.references.detach(connection, exchange);
    return exchange.copyPayload() && exchange.qos > 0;
  }

  /** The options have changed: the queue and the window of the present connection follow. */
  reconfigured(connection: Connection | undefined, now: number): void {
    this.#session.queue.admitWaiters(this.#options.queueLimits, this.#admit);
    if (connection?.negotiated === undefined) return;
    connection.quota.limit = sendWindow(connection.negotiated, this.#options);
    this.pump(connection, now);
  }

  /** The Retry timer is due: sends the oldest unacknowledged exchange again (3.1, 3.1.1). It takes no place in the window. */
  retry(connection: Connection, now: number): void {
    const oldest = this.timers.takeRetry(connection, now);
    if (oldest === undefined) return;
    if (oldest.stage === Stage.Released) writePubrel(connection, oldest.packetId, 0);
    // It was written whole once and may still be acknowledged: until then its Packet Identifier is not free.
    else if (!oldest.isIntact) oldest.fail(payloadGone('unknown'));
    else {
      // The first transmission may be acknowledged, and the caller get its payload back, before this one has left.
      if (this.#output.passesByReference(oldest)) oldest.copyPayload();
      this.#output.write(connection, oldest, oldest.packetId, true);
    }
  }

  /** The Watchdog timer is due. Whether an exchange has been unacknowledged for `ackTimeout`. */
  isAckOverdue(connection: Connection, now: number): boolean {
    const timedOut = this.timers.timedOutExchange(connection, now);
    if (timedOut !== undefined) this.#quarantine.noteAckTimeout(timedOut);
    return timedOut !== undefined;
  }

  #canGo(exchange: Exchange, connection: Connection): boolean {
    const { queue, outgoing } = this.#session;
    if (connection.outbox.size >= HIGH_WATER) return false;
    if (exchange.qos === 0) return queue.qos0 === 0;
    return outgoing.nextResend === undefined && queue.messages === 0 && this.#admitted(exchange, connection);
  }

  /** Whether one more exchange may be on the wire: the window has room, and the quarantine allows it. */
  #hasPlace({ quota }: Connection): boolean {
    const departing = this.#gate?.departing ?? 0;
    return quota.free > departing && this.#quarantine.allows(quota.used + departing);
  }

  /** Gives a QoS > 0 message its place in the window and its Packet Identifier, if there is one. */
  #admitted(exchange: Exchange, connection: Connection): boolean {
    if (!this.#hasPlace(connection)) return false;
    exchange.packetId = this.#session.packetIdentifiers.take();
    return exchange.packetId !== 0;
  }

  /** A message that has waited. Its time is counted once: when it is written. */
  #transmitUnlessExpired(exchange: Exchange, connection: Connection, now: number): void {
    if (exchange.expires(now)) this.#expire(exchange);
    else this.#transmit(exchange, connection, now);
  }

  /** hot: first transmission. */
  #transmit(exchange: Exchange, connection: Connection, now: number): void {
    if (exchange.qos === 2 && this.#session.outgoing.orphanedIds.take(exchange.packetId)) {
      exchange.ignoresPubcomp = true;
      writePubrel(connection, exchange.packetId, 0);
    }
    const refused = this.#write(exchange, connection, false); // fault: first-flag
    if (refused !== undefined) {
      if (exchange.packetId !== 0) this.#session.packetIdentifiers.free(exchange.packetId);
      exchange.end(refused);
      return;
    }
    if (exchange.qos === 0) {
      exchange.stage = Stage.Published;
      if (this.#output.passesByReference(exchange)) this.references.track(connection, exchange);
      else exchange.settle(0, NO_PROPERTIES);
      this.#session.outgoing.written(exchange, connection.connectionNumber, now);
      return;
    }
    this.#session.outgoing.begin(exchange);
    this.#written(exchange, connection, now);
  }

  #expire(exchange: Exchange): void {
    if (exchange.packetId !== 0) this.#session.packetIdentifiers.free(exchange.packetId);
    const message = 'message not sent: it expired while it waited to be sent (messageExpiryInterval)';
    exchange.end(withoutFrames(() => new TimeoutError(message, { delivery: 'not-sent', kept: false })));
  }

  #resend(exchange: Exchange, connection: Connection, now: number): void {
    const refused = this.#write(exchange, connection, true); // [MQTT-3.3.1-1]; fault: duplicate-flag
    if (refused === undefined) {
      this.#session.outgoing.resent();
      this.#written(exchange, connection, now);
      return;
    }
    // This server has lower limits than the one before.
    this.#session.outgoing.giveUp(exchange);
    this.#session.packetIdentifiers.free(exchange.packetId);
    exchange.fail(refused);
  }

  /** Writes a PUBLISH, or returns why not: one message that cannot be sent must not stop those behind it. */
  #write(exchange: Exchange, connection: Connection, duplicate: boolean): PublishError | undefined {
    if (!exchange.isIntact) return payloadGone(exchange.delivery);
    // A Topic Alias ends with its connection [MQTT-3.3.2-7]: if this one has no such alias, the message goes without.
    const alias = exchange.properties?.topicAlias;
    if (alias !== undefined && exchange.written && alias > connection.aliases.outgoingMaximum)
      exchange.dropTopicAlias();
    try {
      const refused = this.#output.write(connection, exchange, exchange.packetId, duplicate);
      return refused === 0 ? undefined : refusal(refused, exchange.delivery);
    } catch (cause) {
      const reasonCode = cause instanceof ProtocolError ? cause.reasonCode : 0x80;
      const fate = { delivery: exchange.delivery, kept: false };
      const message = `message not sent: it cannot be encoded: ${messageOf(cause)}`;
      return new PublishError(message, reasonCode, fate, {}, { cause });
    }
  }

  #written(exchange: Exchange, connection: Connection, now: number): void {
    if (borrowsPayload(exchange)) this.references.track(connection, exchange);
    this.#session.outgoing.written(exchange, connection.connectionNumber, now); // fault: written
    exchange.segment?.published(exchange);
    connection.quota.take();
    this.timers.start(now);
  }

  /** Whether `exchange` is stored before it is sent. QoS 0 is only if it has to wait for a connection. */
  #isStored({ qos }: Exchange, connection: Connection | undefined): boolean {
    if (this.#journal === undefined) return false;
    const { queueQos0Offline, storeQos0 } = this.#options;
    return qos > 0 || (connection === undefined && queueQos0Offline && storeQos0);
  }

  /** `exchange` has room: it waits to be sent, or to be stored first. */
  #accept(exchange: Exchange): void {
    if (this.#journal !== undefined && this.#isStored(exchange, undefined)) this.#journal.add(exchange);
    else this.#session.queue.push(exchange);
  }

  #enqueue(exchange: Exchange): void {
    const { queue } = this.#session;
    const { queueLimits, onQueueFull } = this.#options;
    // A message that would not fit into an empty queue would wait for ever, and must not drop others.
    const fits = queue.fits(exchange, queueLimits);
    const full = queue.waiters > 0 || !queue.hasRoomFor(exchange, queueLimits);
    if (fits && full && (queue.waiters > 0 || onQueueFull === 'wait')) {
      queue.addWaiter(exchange);
      return;
    }
    while (!queue.hasRoomFor(exchange, queueLimits)) {
      const drops = fits && onQueueFull === 'drop-oldest';
      const dropped = drops ? (queue.shift() ?? this.#journal?.dropOldest()) : undefined;
      if (dropped === undefined) {
        exchange.end(queueFull(queue, 'message not sent', 'not-sent'));
        return;
      }
      const { delivery } = dropped;
      dropped.end(withoutFrames(() => queueFull(queue, 'message dropped for a newer one', delivery)));
    }
    this.#accept(exchange);
  }
}

function sessionLost(): PublishError {
  const message =
    'message not sent again: the server lost the session before it acknowledged the message (onSessionLost)';
  return new PublishError(message, 0x92, { delivery: 'unknown', kept: false });
}

function queueFull(
  { messages, bytes, reserved, reservedBytes }: Queue,
  fate: string,
  delivery: 'not-sent' | 'unknown',
): QueueFullError {
  const [all, size] = [messages + reserved, bytes + reservedBytes];
  const text = `${fate}: the queue is full: ${all} messages, ${size} bytes (maxQueued, maxQueuedBytes)`;
  return new QueueFullError(text, { delivery });
}
