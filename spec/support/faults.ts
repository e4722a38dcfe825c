/** One change to one file of lib. */
export interface Change {
  /** Path relative to `lib/`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** A bug: its effect, and the changes that cause it. */
export interface Fault {
  readonly name: string;
  readonly changes: readonly Change[];
}

/** Returns `source` of `file` with the bug. Throws unless each `find` occurs exactly once, so that no fault gets lost. */
export function planted({ name, changes }: Fault, file: string, source: string): string {
  let changed = source;
  for (const { find, replace } of changes.filter((change) => change.file === file)) {
    const places = changed.split(find).length - 1;
    if (places !== 1) throw new Error(`${name}: expected its code once in ${file}, found it ${places} times`);
    changed = changed.replace(find, () => replace);
  }
  return changed;
}

const fault = (name: string, file: string, find: string, replace: string): Fault => ({
  name,
  changes: [{ file, find, replace }],
});

/** Bugs that an MQTT client can have. Some real clients have had them. */
export const faults: readonly Fault[] = [
  // publishing: flags, identifiers, order
  fault(
    'a PUBLISH is sent again without DUP',
    'engine/outbound-publish.ts',
    'this.#write(exchange, connection, true); // [MQTT-3.3.1-1]',
    'this.#write(exchange, connection, false);',
  ),
  fault(
    'DUP is set in a first transmission',
    'engine/outbound-publish.ts',
    'const refused = this.#write(exchange, connection, false);',
    'const refused = this.#write(exchange, connection, exchange.publishOrder % 4 === 0);',
  ),
  {
    name: 'PUBREC frees the Packet Identifier',
    changes: [
      {
        file: 'engine/packet-dispatch.ts',
        find: `      exchange.writtenAt = connection.keepAlive.receivedAt;
`,
        replace: `      exchange.writtenAt = connection.keepAlive.receivedAt;
      this.#session.packetIdentifiers.free(exchange.packetId);
`,
      },
      {
        file: 'session/packet-identifiers.ts',
        find: 'let packetId = this.#last;',
        replace: 'let packetId = 0;',
      },
    ],
  },
  fault(
    'Packet Identifiers are reused while they are in use',
    'session/packet-identifiers.ts',
    `    let packetId = this.#last;
    do packetId = packetId === PACKET_IDENTIFIERS ? 1 : packetId + 1;
    while (this.#used[packetId] === 1);
`,
    `    const packetId = (this.#last % 4) + 1;
`,
  ),
  fault(
    'PUBREL is not sent again',
    'engine/outbound-publish.ts',
    'for (const exchange of this.#session.outgoing.released()) {',
    'for (const exchange of [] as Exchange[]) {',
  ),
  fault(
    'PUBRELs are not sent again in the order of the PUBRECs',
    'engine/outbound-publish.ts',
    'for (const exchange of this.#session.outgoing.released()) {',
    'for (const exchange of [...this.#session.outgoing.released()].toReversed()) {',
  ),
  fault(
    'PUBLISH is sent again after PUBREC',
    'engine/outbound-publish.ts',
    `      writePubrel(connection, exchange.packetId, 0);
      this.#timers.start(now);`,
    `      this.#output.write(connection, exchange, exchange.packetId, true);
      this.#timers.start(now);`,
  ),
  fault(
    'the oldest PUBLISH is not sent again',
    'session/outgoing.ts',
    'this.#resend = this.#published.first;',
    'this.#resend = this.#published.first?.next;',
  ),
  fault(
    'waiting messages are not sent in call order',
    'session/queue.ts',
    `    this.#count(exchange);
    this.#ring.push(exchange);`,
    `    this.#count(exchange);
    if (exchange.qos === 2) this.#ring.unshift(exchange);
    else this.#ring.push(exchange);`,
  ),
  fault(
    'after a lost session messages are published again in another order',
    'session/queue.ts',
    'for (const exchange of exchanges.toReversed()) {',
    'for (const exchange of exchanges) {',
  ),
  // the window
  fault(
    'the window is larger than allowed',
    'connection/send-quota.ts',
    'return Math.max(0, this.limit - this.#used);',
    'return Math.max(0, this.limit + 1 - this.#used);',
  ),
  fault(
    'the quota is credited twice',
    'engine/packet-dispatch.ts',
    'if (exchange.connectionNumber === connectionNumber) quota.give();',
    `if (exchange.connectionNumber === connectionNumber) quota.give();
    if (exchange.connectionNumber === connectionNumber) quota.give();`,
  ),
  fault(
    'the quota is never credited for QoS 2',
    'engine/packet-dispatch.ts',
    'if (exchange.connectionNumber === connectionNumber) quota.give();',
    'if (exchange.connectionNumber === connectionNumber && exchange.qos === 1) quota.give();',
  ),
  fault(
    'a PUBREL that is sent again does not use the quota',
    'engine/outbound-publish.ts',
    `      connection.quota.take();
      writePubrel`,
    '      writePubrel',
  ),
  fault(
    'output does not continue after it was flushed',
    'client/runtime/driver.ts',
    'if (link === this.#link) this.#written();',
    '',
  ),
  // results of promises
  fault(
    'a promise resolves when its message was only written',
    'engine/outbound-publish.ts',
    `    exchange.written = true;
    connection.quota.take();
`,
    `    exchange.written = true;
    exchange.waiter?.settled(0, NO_PROPERTIES);
    exchange.waiter = undefined;
    connection.quota.take();
`,
  ),
  fault(
    'the caller of a refused message gets no result',
    'session/exchange.ts',
    'waiter?.settled(reasonCode, properties);',
    'if (reasonCode < 0x80) waiter?.settled(reasonCode, properties);',
  ),
  fault(
    'a refusal counts as success',
    'client/publish/pending-publish.ts',
    'else if (reasonCode < 0x80) this.#resolve',
    'else if (reasonCode < 0x100) this.#resolve',
  ),
  fault(
    'disconnect() does not settle what is in flight',
    'engine/shutdown.ts',
    "    exchange.fail(new ClosedError(message, { delivery: 'unknown', kept }, options));",
    "    if (!kept) exchange.fail(new ClosedError(message, { delivery: 'unknown', kept }, options));",
  ),
  fault(
    'large QoS 0 is never settled where its connection is lost',
    'engine/payload-references.ts',
    'for (const exchange of unsent) exchange.end(',
    'for (const exchange of unsent.slice(1)) exchange.end(',
  ),
  fault(
    'a time-out reports that a message in flight is not kept',
    'client/publish/publish-calls.ts',
    'const kept = this.#driver.withdraw(exchange);',
    'const kept = this.#driver.withdraw(exchange) && !exchange.written;',
  ),
  fault(
    'a waiting message is sent although its call was aborted',
    'session/queue.ts',
    `    exchange.stage = Stage.Over;
    exchange.dropPayload();`,
    `    if (exchange.qos < 2) exchange.stage = Stage.Over;`,
  ),
  fault(
    'a message removed from the queue still counts',
    'session/queue.ts',
    'else if (exchange.stage === Stage.Waiting) this.#discount(exchange);',
    'else if (exchange.stage === Stage.Waiting) exchange.stage = Stage.Over;',
  ),
  // memory
  fault(
    'a payload is not copied when its call is aborted',
    'session/exchange.ts',
    "if (typeof this.payload !== 'string') this.payload = copyOf(this.payload);",
    '',
  ),
  fault(
    'a large payload of a call that can be aborted is written without a copy',
    'client/publish/publish-calls.ts',
    'payload.byteLength > COPY_LIMIT ? copyOf(payload) : payload',
    'payload.byteLength < 0 ? copyOf(payload) : payload',
  ),
  fault(
    'a slab is reused before it was flushed',
    'client/runtime/driver.ts',
    "    let byDefault: Flushed = 'at-once';",
    `    slabs.give(piece);
    let byDefault: Flushed = 'at-once';`,
  ),
  fault(
    'memory of a payload is overwritten while the application holds it',
    'codec/framer.ts',
    'if (this.bytes === this.#slab && this.end > this.#retainedEnd) this.#retainedEnd = this.end;',
    '',
  ),
  fault(
    'the buffer of a subscription has no limit',
    'client/receive/message-buffer.ts',
    'while (this.#droppable > messages || this.#droppableBytes > bytes) {',
    'while (this.#droppable > 10 * messages || this.#droppableBytes > 10 * bytes) {',
  ),
  fault(
    'buffered messages of a lost session have no limit',
    'client/runtime/client-runtime.ts',
    `        for (const subscription of this.router.subscriptions) subscription.sessionLost();
`,
    '',
  ),
  // reading and its limits
  fault(
    'reading never continues after it has stopped',
    'client/runtime/network-reader.ts',
    "if (this.#state !== 'stopped' || !this.#host.mayRead()) return;",
    'return;',
  ),
  fault(
    'reading continues too early',
    'engine/flow-control.ts',
    ': counted <= receiveMaximum / 2 && held <= receiveBuffer / 2;',
    ': counted < receiveMaximum && held < receiveBuffer;',
  ),
  fault(
    'there is always room for one more message',
    'engine/flow-control.ts',
    '? counted < receiveMaximum && held < receiveBuffer',
    '? held < receiveBuffer',
  ),
  fault(
    'there is always room for one more byte',
    'engine/flow-control.ts',
    'if (this.#held + size <= this.#options.receiveBuffer || !isAcknowledged(header)) return true;',
    'if (size > 0) return true;',
  ),
  fault(
    'timers that judge the server run while reading is stopped',
    'engine/flow-control.ts',
    'this.#timers.hold(SERVER_TIMERS);',
    '',
  ),
  fault(
    'no PINGREQ is sent while reading is stopped',
    'engine/connection-timers.ts',
    "if (timers.expire(Timer.KeepAlive, now)) keepAliveTimer.keepAlive(connection, 'stopped', now);",
    'timers.stop(Timer.KeepAlive);',
  ),
  fault(
    'the client does not read for an awaited answer',
    'engine/flow-control.ts',
    'if (!this.#isAwaiting) return false;',
    'if (this.#held >= 0) return false;',
  ),
  fault(
    'reading beyond the limit continues after the answer',
    'engine/flow-control.ts',
    'if (!this.#isAwaiting) return false;',
    '',
  ),
  fault(
    'a message without room is lost, and later ones are delivered',
    'engine/input-reader.ts',
    `        framer.putBack();
`,
    '',
  ),
  fault(
    'a message that is skipped in a clean session is never acknowledged',
    'engine/acknowledgements.ts',
    'if (this.#options.persistent) this.markSkippable(receipt);',
    'this.markSkippable(receipt);',
  ),
  fault(
    'a message is delivered after one that was abandoned as a last resort',
    'engine/flow-control.ts',
    "return this.#lastResort === 'abandoned' || this.#lastResort === 'reconnect';",
    "return this.#lastResort === 'abandoned' && this.#held > 0 && (this.#lastResort = 'reconnect') === 'reconnect';",
  ),
  fault(
    'a timer is leaked',
    'client/runtime/driver.ts',
    `    this.#wake?.cancel();
    this.#wakeAt = at;`,
    '    this.#wakeAt = at;',
  ),
  fault(
    'a call leaks its timer',
    'client/runtime/cancellation.ts',
    `    wake?.cancel();
`,
    '',
  ),
  // the session
  fault(
    'a new session is treated as the old one',
    'engine/session-resume.ts',
    "if (presence !== 'absent') this.#outbound.resume(",
    "if (presence !== 'absent' || !this.#attempts.isFirst) this.#outbound.resume(",
  ),
  fault(
    'QoS 1 messages are lost with the session',
    'engine/outbound-publish.ts',
    'this.#session.queue.putBack(outgoing.filter(goesOut));',
    'this.#session.queue.putBack(outgoing.filter((exchange) => exchange.qos === 2 && goesOut(exchange)));',
  ),
  fault(
    'QoS 2 messages are lost with the session',
    'engine/outbound-publish.ts',
    'this.#session.queue.putBack(outgoing.filter(goesOut));',
    'this.#session.queue.putBack(outgoing.filter((exchange) => exchange.qos === 1));',
  ),
  fault(
    'subscriptions are not restored',
    'engine/session-resume.ts',
    "if (presence !== 'present' && this.#options.resubscribe)",
    "if (presence === 'presumed' && this.#options.resubscribe)",
  ),
  fault(
    'received messages are remembered after the session was lost',
    'session/incoming.ts',
    `    for (const receipt of this.#table.values()) receipt.state = ReceiptState.Over;
    this.#table.clear();
`,
    '',
  ),
  // receiving
  fault(
    'acknowledgements are out of order',
    'session/incoming.ts',
    'this.#queue(receipt.qos).push(receipt);',
    'this.#queue(receipt.qos).unshift(receipt);',
  ),
  {
    name: 'a message is acknowledged on another connection than it arrived on',
    changes: [
      {
        file: 'session/incoming.ts',
        find: `    this.#pubacks = new Ring();
    this.#pubrecs = new Ring();
  }`,
        replace: '  }',
      },
      {
        file: 'session/incoming.ts',
        find: 'if (head.state !== ReceiptState.Over && head.connectionNumber === this.#connectionNumber) return head;',
        replace:
          'if (head.state === ReceiptState.Settled || head.connectionNumber === this.#connectionNumber) return head;',
      },
    ],
  },
  fault(
    'a redelivered message is delivered twice',
    'session/incoming.ts',
    'if (again) return Arrival.Redelivery;',
    'if (again) return Arrival.New;',
  ),
  fault(
    'a QoS 2 message redelivered after PUBREC is delivered twice',
    'session/incoming.ts',
    'return Arrival.Repeated;',
    'return Arrival.New;',
  ),
  fault(
    'a redelivered message is never acknowledged',
    'session/incoming.ts',
    `    receipt.connectionNumber = this.#connectionNumber;
    this.#enqueue(receipt);`,
    '    receipt.connectionNumber = this.#connectionNumber;',
  ),
  fault(
    'PUBREL of what is not known is not answered',
    'engine/packet-dispatch.ts',
    'writePubcomp(connection, packetId, known ? 0 : 0x92);',
    'if (known) writePubcomp(connection, packetId, 0);',
  ),
  fault(
    'one unacknowledged message blocks the others',
    'engine/acknowledgements.ts',
    'if (this.#options.persistent) this.#incoming.skip(receipt);',
    'if (this.#options.persistent) continue;',
  ),
  fault(
    'a message that blocked others in a clean session is never acknowledged',
    'engine/acknowledgements.ts',
    'else this.#incoming.release(receipt);',
    'else this.#incoming.skip(receipt);',
  ),
  fault(
    'a message in a clean session is acknowledged before ackStallTimeout',
    'engine/acknowledgements.ts',
    'this.#stallPlace = this.#incoming.lastPlace;\n    this.#timers.set(Timer.Stall, now + ackStallTimeout);',
    'this.#stallPlace = this.#incoming.lastPlace;\n    this.#timers.set(Timer.Stall, now + ackStallTimeout / 10);',
  ),
  fault(
    'a message is acknowledged before it was processed',
    'client/receive/message-iterator.ts',
    `      this.#inHand = message;
      const handed`,
    `      this.#inHand = message;
      this.#subscription.processed(message);
      const handed`,
  ),
  fault(
    'a message for two subscriptions is acknowledged after one has processed it',
    'client/receive/router.ts',
    'if (receipt !== undefined && taken > 0) receipt.copies = taken;',
    '',
  ),
  fault(
    'the current message of a loop that ends is acknowledged',
    'client/receive/message-iterator.ts',
    'if (message !== undefined) this.#subscription.giveBack([message]);',
    'if (message !== undefined) this.#subscription.processed(message);',
  ),
  fault(
    'the current message of a loop that ends is lost',
    'client/receive/client-subscription.ts',
    'for (const message of back.toReversed()) this.#buffer.putBack(message);',
    '',
  ),
  fault(
    'a held message is not acknowledged by a subscription with ack: received',
    'client/receive/unmatched-messages.ts',
    `if (isUnclaimed(subscription.push(message)) && receipt !== undefined)
        this.#host.settle(receipt, 0);`,
    'subscription.push(message);',
  ),
  // the connection
  fault(
    'the Keep Alive timer is never set',
    'engine/keep-alive-timer.ts',
    `    this.#timers.set(Timer.KeepAlive, connection.keepAlive.pingDue);
  }`,
    '  }',
  ),
  fault(
    'the client waits for ever for PINGRESP',
    'engine/keep-alive-timer.ts',
    'if (fatal <= now) return true;',
    'if (fatal <= now) return false;',
  ),
  fault(
    'the wait for the next attempt never ends',
    'engine/engine.ts',
    "if (timers.expire(Timer.Reconnect, now) && this.#go('delayElapsed')) this.#dial(now);",
    "if (timers.expire(Timer.Reconnect, now) && this.#attempts.number < 3 && this.#go('delayElapsed')) this.#dial(now);",
  ),
];
