/** When what is published goes out: the window, the queue, and what is sent again. */
import type { OutgoingPublish } from '../codec/publish.ts';
import { NO_PROPERTIES } from '../codec/packets.ts';
import type { Connection } from '../connection/connection.ts';
import { ConnectionLostError, ProtocolError, PublishError, QueueFullError, TimeoutError } from '../errors.ts';
import { Stage, type Exchange } from '../session/exchange.ts';
import type { Queue } from '../session/queue.ts';
import type { Session } from '../session/session.ts';
import { sendWindow } from './connack.ts';
import { type Timers, Timer } from './timers.ts';
import type { EngineOptions } from './options.ts';
import {
  HIGH_WATER,
  writePubrel,
  type PacketWriter,
  type Reference,
  refusal,
  spoiled,
} from './packet-writer.ts';
import type { Quarantine } from './quarantine.ts';

/**
 * Messages of ours from the call to the first byte, and again after a loss. Order: what has to be sent again goes
 * first; then the queue, in call order; a new message goes out directly only where nothing of its kind waits.
 */
export class OutboundPublish {
  readonly #session: Session;
  readonly #writer: PacketWriter;
  readonly #timers: Timers;
  readonly #options: EngineOptions;
  readonly #quarantine: Quarantine;
  /** PUBRELs that are to be sent again wait until those that are suspect may be. */
  #released: 'to be sent again' | 'sent' = 'sent';
  #publishOrder = 0;
  /** ms until the oldest exchange is sent again on a live connection; doubles each time. */
  #retryDelay: number;
  /** When something last moved: an acknowledgement came, held back output left, the oldest was sent again. */
  #progressAt = 0;
  /** Before this time nothing was read, so that no answer can be late. */
  #judgedFrom = 0;

  constructor(
    session: Session,
    publisher: PacketWriter,
    timers: Timers,
    options: EngineOptions,
    quarantine: Quarantine,
  ) {
    this.#session = session;
    this.#quarantine = quarantine;
    this.#writer = publisher;
    this.#timers = timers;
    this.#options = options;
    this.#retryDelay = options.messageRetry;
  }

  /** hot: QoS 0 that can go at once needs no exchange. Returns false where it has to take the long way. */
  writeNow(connection: Connection, message: OutgoingPublish): boolean {
    if (this.#session.queue.atMostOnce > 0 || connection.outbox.size >= HIGH_WATER) return false;
    if (this.#writer.passesByReference(message)) return false;
    return this.#writer.write(connection, message, 0, false) === 0;
  }

  /** A new message: out at once, or into the queue. `connection`: undefined where there is none that is up. */
  publish(exchange: Exchange, connection: Connection | undefined, now: number): void {
    exchange.publishOrder = ++this.#publishOrder;
    exchange.calledAt = now;
    if (connection !== undefined && this.#canGo(exchange, connection))
      this.#transmit(exchange, connection, now);
    else if (exchange.qos === 0 && connection === undefined && !this.#options.queueQos0Offline)
      exchange.end(
        new ConnectionLostError('there is no connection', { fate: { delivery: 'not-sent', kept: false } }),
      );
    else this.#enqueue(exchange);
  }

  /** Whether one more message, whatever its QoS, would go out at once. */
  hasRoom(connection: Connection): boolean {
    const { queue, outgoing } = this.#session;
    if (connection.outbox.size >= HIGH_WATER || queue.messages > 0) return false;
    return outgoing.nextResend === undefined && this.#hasPlace(connection);
  }

  /** The window has moved, output has left, or a connection has come up: sends what may go now. */
  pump(connection: Connection, now: number): void {
    const { queue, outgoing } = this.#session;
    if (this.#released === 'to be sent again' && !this.#quarantine.isProving)
      this.#releaseAgain(connection, now);
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
      queue.admitWaiters(this.#options.queueLimits);
      if (head.expires(now)) this.#expire(head);
      else this.#transmit(head, connection, now);
    }
  }

  /**
   * The session was resumed: what is pumped next is PUBRELs, in the order of the PUBRECs, then every PUBLISH as the
   * window allows. `isUnknownSession`: another client may have used it until now.
   */
  resume(isUnknownSession: boolean): void {
    this.#session.resume();
    if (isUnknownSession) this.#session.outgoing.orphanedIds.addAll();
    this.#retryDelay = this.#options.messageRetry;
    this.#released = 'to be sent again';
  }

  #releaseAgain(connection: Connection, now: number): void {
    this.#released = 'sent';
    for (const exchange of this.#session.outgoing.released()) {
      exchange.connectionNumber = connection.connectionNumber;
      exchange.writtenAt = now;
      connection.quota.take();
      writePubrel(connection, exchange.packetId, 0);
      this.#watch(now);
    }
  }

  /**
   * The server has no session: what was in flight goes out as new messages, before all others, in its old order.
   * `onSessionLost` decides for QoS 2, of which nobody can know whether it was delivered. Returns how many messages
   * the application had not settled.
   */
  startOver(): number {
    this.#released = 'sent';
    this.#retryDelay = this.#options.messageRetry;
    const { outgoing, unsettled } = this.#session.discard();
    const goesOut = (exchange: Exchange) => exchange.qos === 1 || this.#options.onSessionLost === 'resend';
    for (const exchange of outgoing) {
      if (goesOut(exchange)) continue;
      exchange.end(
        new PublishError('the server lost the session before it acknowledged the message', 0x92, {
          delivery: 'unknown',
          kept: false,
        }),
      );
    }
    this.#session.queue.putBack(outgoing.filter(goesOut));
    return unsettled;
  }

  /**
   * Nobody waits for `exchange` any longer. Returns whether the message is kept: it is, once it was written, unless it is
   * QoS 0, which is never sent again.
   */
  withdraw(exchange: Exchange, connection: Connection | undefined): boolean {
    exchange.waiter = undefined;
    this.#session.queue.withdraw(exchange);
    this.#session.queue.admitWaiters(this.#options.queueLimits);
    if (exchange.stage === Stage.Over) return false;
    if (connection !== undefined) this.#writer.detach(connection, exchange);
    return exchange.copyPayload() && exchange.qos > 0;
  }

  /**
   * Gives up messages whose owner has taken the payload back before it left, against the contract. Returns why the
   * connection has to be closed, where it has: the beginning of such a packet has left, or others rely on it.
   */
  dropSpoiled(connection: Connection): ConnectionLostError | undefined {
    const { outbox } = connection;
    for (let packet = outbox.dropSpoiled(); packet !== undefined; packet = outbox.dropSpoiled()) {
      const reference = this.#writer.takeReference(packet.lastPiece);
      const hasAlias = reference?.exchange.properties?.topicAlias !== undefined;
      if (packet.phase === 'whole' && !hasAlias) {
        if (reference !== undefined) this.#giveUp(reference, connection);
        continue;
      }
      return this.#cut(reference, connection);
    }
    return undefined;
  }

  /** The options have changed: the queue and the window of the connection that is up follow. */
  reconfigured(connection: Connection | undefined, now: number): void {
    this.#session.queue.admitWaiters(this.#options.queueLimits);
    if (connection?.negotiated === undefined) return;
    connection.quota.limit = sendWindow(connection.negotiated, this.#options);
    this.pump(connection, now);
  }

  /** An acknowledgement came. */
  progress(now: number): void {
    this.#progressAt = now;
    const { messageRetry } = this.#options;
    if (this.#retryDelay === messageRetry) return;
    // The timer is set for the longer delay.
    this.#retryDelay = messageRetry;
    this.#timers.set(Timer.Retry, now + messageRetry);
  }

  /** Reading goes on after it had stopped: the time for each answer begins anew. */
  judgeFrom(now: number): void {
    this.#judgedFrom = now;
    this.#progressAt = now;
    if (this.#session.outgoing.size > 0) this.#watch(now);
  }

  /**
   * A piece of output has left; `held`: not at once. QoS 0 by reference ends with its last one. Returns why the connection
   * has to be closed, where it has: a payload that was gone before it had left may be missing on the wire.
   */
  flushed(
    connection: Connection,
    piece: Uint8Array,
    held: boolean,
    now: number,
  ): ConnectionLostError | undefined {
    if (held) {
      // The network had no room and has some now: the other side has taken something.
      connection.keepAlive.lastFlushAt = now;
      this.#progressAt = now;
    }
    const reference = this.#writer.takeReference(piece);
    if (reference === undefined) return undefined;
    const { exchange } = reference;
    if (!exchange.isIntact) return this.#cut(reference, connection);
    if (exchange.qos === 0) exchange.settle(0, NO_PROPERTIES);
    return undefined;
  }

  /** Sends the oldest unanswered exchange again (3.1, 3.1.1). While output is held back nothing can be late. */
  retry(connection: Connection, now: number): void {
    const oldest = this.#session.outgoing.oldest(connection.connectionNumber);
    if (oldest === undefined) return;
    if (connection.piecesOut > 0) this.#progressAt = now;
    const due = Math.max(oldest.writtenAt, this.#progressAt) + this.#retryDelay;
    if (due <= now) {
      // On the wire already, so it takes no place in the window.
      if (oldest.stage === Stage.Released) writePubrel(connection, oldest.packetId, 0);
      // It was written whole once, and may still be answered: until then its Packet Identifier is not free.
      else if (!oldest.isIntact) oldest.fail(spoiled('unknown'));
      else {
        // The answer to the first transmission may come, and give the caller its payload back, before this has left.
        if (this.#writer.passesByReference(oldest)) oldest.copyPayload();
        this.#writer.write(connection, oldest, oldest.packetId, true);
      }
      this.#progressAt = now;
      this.#retryDelay *= 2;
    }
    this.#timers.set(Timer.Retry, due <= now ? now + this.#retryDelay : due);
  }

  /** Whether an exchange has been unanswered for `ackTimeout`; where not, the timer is set to when that will be. */
  isAckOverdue(connection: Connection, now: number): boolean {
    const oldest = this.#session.outgoing.oldest(connection.connectionNumber);
    if (oldest === undefined) return false;
    const due = Math.max(oldest.writtenAt, this.#judgedFrom) + this.#options.ackTimeout;
    if (due <= now) {
      this.#quarantine.noteAckTimeout(oldest);
      return true;
    }
    this.#timers.set(Timer.Watchdog, due);
    return false;
  }

  #canGo(exchange: Exchange, connection: Connection): boolean {
    const { queue, outgoing } = this.#session;
    if (connection.outbox.size >= HIGH_WATER) return false;
    if (exchange.qos === 0) return queue.atMostOnce === 0;
    return outgoing.nextResend === undefined && queue.messages === 0 && this.#admitted(exchange, connection);
  }

  /** Whether one more may be on the wire: within the window, and as long as nothing suspect says otherwise. */
  #hasPlace({ quota }: Connection): boolean {
    return quota.free > 0 && this.#quarantine.allows(quota.used);
  }

  /** Gives a QoS > 0 message its place in the window and its Packet Identifier, if there is one. */
  #admitted(exchange: Exchange, connection: Connection): boolean {
    if (!this.#hasPlace(connection)) return false;
    exchange.packetId = this.#session.packetIdentifiers.take();
    return exchange.packetId !== 0;
  }

  #transmit(exchange: Exchange, connection: Connection, now: number): void {
    if (exchange.qos === 2 && this.#session.outgoing.orphanedIds.take(exchange.packetId)) {
      exchange.ignoresPubcomp = true;
      writePubrel(connection, exchange.packetId, 0);
    }
    const refused = this.#write(exchange, connection, false);
    if (refused !== undefined) {
      if (exchange.packetId !== 0) this.#session.packetIdentifiers.free(exchange.packetId);
      exchange.end(refused);
      return;
    }
    if (exchange.qos === 0) {
      exchange.stage = Stage.Published;
      if (this.#writer.passesByReference(exchange)) this.#writer.trackReference(connection, exchange);
      else exchange.settle(0, NO_PROPERTIES);
      exchange.written = true;
      return;
    }
    this.#session.outgoing.begin(exchange);
    this.#written(exchange, connection, now);
  }

  #expire(exchange: Exchange): void {
    if (exchange.packetId !== 0) this.#session.packetIdentifiers.free(exchange.packetId);
    const fate = { delivery: 'not-sent', kept: false } as const;
    exchange.end(new TimeoutError('the message expired while it waited (messageExpiryInterval)', fate));
  }

  #resend(exchange: Exchange, connection: Connection, now: number): void {
    const refused = this.#write(exchange, connection, true); // [MQTT-3.3.1-1]
    if (refused === undefined) {
      this.#session.outgoing.resent();
      this.#written(exchange, connection, now);
      return;
    }
    // The limits of this server are others than those it was sent under.
    this.#session.outgoing.giveUp(exchange);
    this.#session.packetIdentifiers.free(exchange.packetId);
    exchange.fail(refused);
  }

  /** A part of a packet is missing on the wire: nothing may follow it. */
  #cut(reference: Reference | undefined, connection: Connection): ConnectionLostError {
    connection.outbox.clear();
    if (reference !== undefined) this.#giveUp({ ...reference, delivery: 'unknown' }, connection);
    return new ConnectionLostError('a message could not be written to its end: its payload was gone');
  }

  #giveUp({ exchange, delivery }: Reference, connection: Connection): void {
    const { outgoing, packetIdentifiers } = this.#session;
    if (exchange.qos > 0) {
      if (exchange.stage !== Stage.Published) return;
      if (delivery === 'not-sent') outgoing.end(exchange);
      else outgoing.giveUp(exchange);
      packetIdentifiers.free(exchange.packetId);
      connection.quota.give();
    }
    exchange.end(spoiled(delivery));
  }

  /** Writes a PUBLISH, or says why not: one message that cannot be sent must not stop those behind it. */
  #write(exchange: Exchange, connection: Connection, again: boolean): PublishError | undefined {
    if (!exchange.isIntact) return spoiled(exchange.written ? 'unknown' : 'not-sent');
    // The alias it was sent under ended with its connection [MQTT-3.3.2-7]: where this one has no such alias, the message
    // is not lost for that.
    const alias = exchange.properties?.topicAlias;
    if (alias !== undefined && exchange.written && alias > connection.aliases.outgoingMaximum)
      exchange.dropTopicAlias();
    try {
      const refused = this.#writer.write(connection, exchange, exchange.packetId, again);
      return refused === 0 ? undefined : refusal(refused, exchange.written);
    } catch (cause) {
      const reasonCode = cause instanceof ProtocolError ? cause.reasonCode : 0x80;
      const fate = { delivery: exchange.written ? 'unknown' : 'not-sent', kept: false } as const;
      return new PublishError('message not sent: it cannot be encoded', reasonCode, fate, {}, { cause });
    }
  }

  #written(exchange: Exchange, connection: Connection, now: number): void {
    if (this.#writer.isLent(exchange)) this.#writer.trackReference(connection, exchange);
    exchange.connectionNumber = connection.connectionNumber;
    exchange.writtenAt = now;
    exchange.written = true;
    connection.quota.take();
    this.#watch(now);
  }

  /** Something unanswered is on the wire. */
  #watch(now: number): void {
    const { messageRetry, ackTimeout } = this.#options;
    if (messageRetry > 0 && this.#timers.at(Timer.Retry) === Infinity)
      this.#timers.set(Timer.Retry, now + this.#retryDelay);
    if (ackTimeout > 0 && this.#timers.at(Timer.Watchdog) === Infinity)
      this.#timers.set(Timer.Watchdog, now + ackTimeout);
  }

  #enqueue(exchange: Exchange): void {
    const { queue } = this.#session;
    const { queueLimits, onQueueFull } = this.#options;
    // What would not even fit alone makes no room for itself, and would wait for ever.
    const fits = queue.fits(exchange, queueLimits);
    const full = queue.waiters > 0 || !queue.hasRoomFor(exchange, queueLimits);
    if (fits && full && (queue.waiters > 0 || onQueueFull === 'wait')) {
      queue.addWaiter(exchange);
      return;
    }
    while (!queue.hasRoomFor(exchange, queueLimits)) {
      const dropped = fits && onQueueFull === 'drop-oldest' ? queue.shift() : undefined;
      const gone = dropped ?? exchange;
      const what = dropped === undefined ? 'refused' : 'dropped for a newer one';
      gone.end(queueFull(queue, what, gone.written));
      if (dropped === undefined) return;
    }
    queue.push(exchange);
  }
}

function queueFull({ messages, bytes }: Queue, what: string, written: boolean): QueueFullError {
  return new QueueFullError(`the queue is full (${messages} messages, ${bytes} bytes): message ${what}`, {
    delivery: written ? 'unknown' : 'not-sent',
  });
}
