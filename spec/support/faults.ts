/** One change to one file of lib. */
export interface Change {
  /** Below `lib/`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** A bug: what it does, and what has to be changed to have it. */
export interface Fault {
  readonly name: string;
  readonly changes: readonly Change[];
}

/** `source` of `file` with the bug in it. Throws where its place is not there exactly once: a fault must not rot. */
export function planted({ name, changes }: Fault, file: string, source: string): string {
  let changed = source;
  for (const { find, replace } of changes.filter((change) => change.file === file)) {
    const places = changed.split(find).length - 1;
    if (places !== 1) throw new Error(`${name}: expected its place in ${file} once, got it ${places} times`);
    changed = changed.replace(find, () => replace);
  }
  return changed;
}

const fault = (name: string, file: string, find: string, replace: string): Fault => ({
  name,
  changes: [{ file, find, replace }],
});

/** Bugs that a client of this kind can have; some have had them. */
export const faults: readonly Fault[] = [
  // what we publish: flags, identifiers, order
  fault(
    'a PUBLISH is sent again without DUP',
    'engine/outbound-publish.ts',
    'this.#write(exchange, connection, true); // [MQTT-3.3.1-1]',
    'this.#write(exchange, connection, false);',
  ),
  fault(
    'DUP is set the first time',
    'engine/outbound-publish.ts',
    'const refused = this.#write(exchange, connection, false);',
    'const refused = this.#write(exchange, connection, exchange.publishOrder % 4 === 0);',
  ),
  {
    name: 'a Packet Identifier is free with PUBREC',
    changes: [
      {
        file: 'engine/inbound-acks.ts',
        find: `    exchange.writtenAt = connection.keepAlive.receivedAt;
`,
        replace: `    exchange.writtenAt = connection.keepAlive.receivedAt;
    session.packetIdentifiers.free(exchange.packetId);
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
    'Packet Identifiers are given out again while they are in use',
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
    'PUBRELs are sent again in another order than that of the PUBRECs',
    'engine/outbound-publish.ts',
    'for (const exchange of this.#session.outgoing.released()) {',
    'for (const exchange of [...this.#session.outgoing.released()].toReversed()) {',
  ),
  fault(
    'PUBLISH is sent again after PUBREC',
    'engine/outbound-publish.ts',
    `      writePubrel(connection, exchange.packetId, 0);
      this.#watch(now);`,
    `      this.#publisher.write(connection, exchange, exchange.packetId, true);
      this.#watch(now);`,
  ),
  fault(
    'the oldest PUBLISH is left out of what is sent again',
    'session/outgoing.ts',
    'this.#resend = this.#published.first;',
    'this.#resend = this.#published.first?.next;',
  ),
  fault(
    'what waits is not sent in call order',
    'session/queue.ts',
    `    this.#count(exchange);
    this.#ring.push(exchange);`,
    `    this.#count(exchange);
    if (exchange.qos === 2) this.#ring.unshift(exchange);
    else this.#ring.push(exchange);`,
  ),
  fault(
    'what goes out anew after a lost session does so in another order',
    'session/queue.ts',
    'for (const exchange of exchanges.toReversed()) {',
    'for (const exchange of exchanges) {',
  ),
  // the window
  fault(
    'the window is larger than it may be',
    'connection/send-quota.ts',
    'return Math.max(0, this.limit - this.#used);',
    'return Math.max(0, this.limit + 1 - this.#used);',
  ),
  fault(
    'the quota is credited twice',
    'engine/inbound-acks.ts',
    'if (exchange.connectionNumber === connectionNumber) quota.give();',
    `if (exchange.connectionNumber !== connectionNumber) return;
  quota.give();
  quota.give();`,
  ),
  fault(
    'the quota is never credited for QoS 2',
    'engine/inbound-acks.ts',
    'if (exchange.connectionNumber === connectionNumber) quota.give();',
    'if (exchange.connectionNumber === connectionNumber && exchange.qos === 1) quota.give();',
  ),
  fault(
    'a PUBREL that is sent again takes nothing of the quota',
    'engine/outbound-publish.ts',
    `      connection.quota.take();
      writePubrel`,
    '      writePubrel',
  ),
  fault(
    'output that was held back does not go on',
    'client/runtime/driver.ts',
    'if (link === this.#link) this.#written();',
    '',
  ),
  // what promises say
  fault(
    'a promise resolves when its message is written',
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
    'whoever was refused is never told',
    'session/exchange.ts',
    'waiter?.settled(reasonCode, properties);',
    'if (reasonCode < 0x80) waiter?.settled(reasonCode, properties);',
  ),
  fault(
    'a refusal is taken for success',
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
    'engine/packet-writer.ts',
    'for (const exchange of unsent) exchange.end(',
    'for (const exchange of unsent.slice(1)) exchange.end(',
  ),
  fault(
    'a timeout says that a message in flight is gone',
    'client/publish/publish-calls.ts',
    'const kept = this.#driver.withdraw(exchange);',
    'const kept = this.#driver.withdraw(exchange) && !exchange.written;',
  ),
  fault(
    'a message that waits is sent, though its caller has left',
    'session/queue.ts',
    `    exchange.stage = Stage.Over;
    exchange.dropPayload();`,
    `    if (exchange.qos < 2) exchange.stage = Stage.Over;`,
  ),
  fault(
    'what waited and was taken out counts for ever',
    'session/queue.ts',
    'else if (exchange.stage === Stage.Waiting) this.#discount(exchange);',
    'else if (exchange.stage === Stage.Waiting) exchange.stage = Stage.Over;',
  ),
  // memory
  fault(
    'a payload is not copied when its caller leaves',
    'session/exchange.ts',
    "if (typeof this.payload !== 'string') this.payload = copyOf(this.payload);",
    '',
  ),
  fault(
    'a large payload is lent to the network by a caller who can leave',
    'client/publish/publish-calls.ts',
    'payload.byteLength > COPY_LIMIT ? copyOf(payload) : payload',
    'payload.byteLength < 0 ? copyOf(payload) : payload',
  ),
  fault(
    'a slab is used again while the network holds it',
    'client/runtime/driver.ts',
    "    let byDefault: Flushed = 'at-once';",
    `    slabs.give(piece);
    let byDefault: Flushed = 'at-once';`,
  ),
  fault(
    'what was read is overwritten while the application has it',
    'codec/framer.ts',
    'if (this.bytes === this.#slab && this.end > this.#pinned) this.#pinned = this.end;',
    '',
  ),
  fault(
    'the buffer of a subscription has no limit',
    'client/receive/message-buffer.ts',
    'while (this.#loose > messages || this.#looseBytes > bytes) {',
    'while (this.#loose > 10 * messages || this.#looseBytes > 10 * bytes) {',
  ),
  fault(
    'what waits from a lost session has no limit',
    'client/runtime/client-runtime.ts',
    `        for (const subscription of this.router.subscriptions) subscription.sessionLost();
`,
    '',
  ),
  // when the client reads
  fault(
    'reading never goes on once it has stopped',
    'client/runtime/network-reader.ts',
    "if (this.#state !== 'stopped' || !this.#host.mayRead()) return;",
    'return;',
  ),
  fault(
    'reading goes on too early',
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
    'the server is judged while nothing is read',
    'engine/flow-control.ts',
    'this.#timers.hold(JUDGING);',
    '',
  ),
  fault(
    'no PINGREQ is sent while nothing is read',
    'engine/connection-timers.ts',
    "if (timers.expire(Timer.KeepAlive, now)) keepAliveTimer.keepAlive(connection, 'stopped', now);",
    'timers.stop(Timer.KeepAlive);',
  ),
  fault(
    'an answer that is awaited is not read for',
    'engine/flow-control.ts',
    'if (!this.#isAwaiting) return false;',
    'if (this.#held >= 0) return false;',
  ),
  fault(
    'reading past the limit does not end with the answer',
    'engine/flow-control.ts',
    'if (!this.#isAwaiting) return false;',
    '',
  ),
  fault(
    'a message without room is skipped, and those behind it are taken',
    'engine/input-reader.ts',
    `        framer.putBack();
`,
    '',
  ),
  fault(
    'a message that is set aside in a clean session is never answered',
    'engine/acknowledgements.ts',
    'if (this.#options.persistent) this.markSkippable(receipt);',
    'this.markSkippable(receipt);',
  ),
  fault(
    'a message is taken behind one that was left to the server as a last resort',
    'engine/flow-control.ts',
    "return this.#resort === 'left' || this.#resort === 'over';",
    "return this.#resort === 'left' && this.#held > 0 && (this.#resort = 'over') === 'over';",
  ),
  fault(
    'a timer is left',
    'client/runtime/driver.ts',
    `    this.#wake?.cancel();
    this.#wakeAt = at;`,
    '    this.#wakeAt = at;',
  ),
  fault(
    'a call leaves its timer',
    'client/runtime/cancellation.ts',
    `    wake?.cancel();
`,
    '',
  ),
  // the session
  fault(
    'a new session is taken for the old one',
    'engine/session-resume.ts',
    "if (presence !== 'absent') this.#outbound.resume(",
    "if (presence !== 'absent' || !this.#attempts.isFirst) this.#outbound.resume(",
  ),
  fault(
    'QoS 1 is dropped with the session',
    'engine/outbound-publish.ts',
    'this.#session.queue.putBack(outgoing.filter(goesOut));',
    'this.#session.queue.putBack(outgoing.filter((exchange) => exchange.qos === 2 && goesOut(exchange)));',
  ),
  fault(
    'QoS 2 is dropped with the session',
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
    'what was received is remembered over a lost session',
    'session/incoming.ts',
    `    for (const receipt of this.#table.values()) receipt.state = ReceiptState.Over;
    this.#table.clear();
`,
    '',
  ),
  // what we receive
  fault(
    'acknowledgements are out of order',
    'session/incoming.ts',
    'this.#line(receipt.qos).push(receipt);',
    'this.#line(receipt.qos).unshift(receipt);',
  ),
  {
    name: 'a message is acknowledged on a connection on which it did not come',
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
    'what comes again is delivered again',
    'session/incoming.ts',
    'if (again) return Arrival.Redelivery;',
    'if (again) return Arrival.New;',
  ),
  fault(
    'QoS 2 that comes again after PUBREC is delivered again',
    'session/incoming.ts',
    'return Arrival.Repeated;',
    'return Arrival.New;',
  ),
  fault(
    'what comes again is never answered',
    'session/incoming.ts',
    `    receipt.connectionNumber = this.#connectionNumber;
    this.#enqueue(receipt);`,
    '    receipt.connectionNumber = this.#connectionNumber;',
  ),
  fault(
    'PUBREL of what is not known is not answered',
    'engine/inbound-acks.ts',
    'writePubcomp(connection, packetId, known ? 0 : 0x92);',
    'if (known) writePubcomp(connection, packetId, 0);',
  ),
  fault(
    'one message that is not settled stops the others',
    'engine/acknowledgements.ts',
    'if (this.#options.persistent) this.#incoming.skip(receipt);',
    'if (this.#options.persistent) continue;',
  ),
  fault(
    'one message that is passed over in a clean session is never answered',
    'engine/acknowledgements.ts',
    'else this.#incoming.release(receipt);',
    'else this.#incoming.skip(receipt);',
  ),
  fault(
    'a message in a clean session is acknowledged before its time',
    'engine/acknowledgements.ts',
    'this.#suspects = this.#incoming.lastPlace;\n    this.#timers.set(Timer.Stall, now + ackStallTimeout);',
    'this.#suspects = this.#incoming.lastPlace;\n    this.#timers.set(Timer.Stall, now + ackStallTimeout / 10);',
  ),
  fault(
    'a message is acknowledged as it is handed over',
    'client/receive/message-iterator.ts',
    `      this.#inHand = message;
      const handed`,
    `      this.#inHand = message;
      this.#subscription.processed(message);
      const handed`,
  ),
  fault(
    'a message for two is acknowledged when one has settled it',
    'client/receive/router.ts',
    'else receipt.copies = copies;',
    'else receipt.copies = 1;',
  ),
  fault(
    'a message that a loop has in hand as it ends is acknowledged',
    'client/receive/message-iterator.ts',
    'if (message !== undefined) this.#subscription.giveBack([message]);',
    'if (message !== undefined) this.#subscription.processed(message);',
  ),
  fault(
    'a message that a loop has in hand as it ends is lost',
    'client/receive/client-subscription.ts',
    'for (const message of back.toReversed()) this.#buffer.putBack(message);',
    '',
  ),
  fault(
    'a parked message is not acknowledged by who acknowledges on receipt',
    'client/receive/unmatched-messages.ts',
    `      if (mine === undefined) this.#host.settle(receipt, 0);
`,
    '',
  ),
  // the connection
  fault(
    'Keep Alive is never armed',
    'engine/keep-alive-timer.ts',
    `    this.#timers.set(Timer.KeepAlive, connection.keepAlive.pingDue);
  }`,
    '  }',
  ),
  fault(
    'a server that does not answer PINGREQ is waited for without end',
    'engine/keep-alive-timer.ts',
    'if (fatal <= now) return true;',
    'if (fatal <= now) return false;',
  ),
  fault(
    'a wait for the next attempt never ends',
    'engine/engine.ts',
    "if (timers.expire(Timer.Reconnect, now) && this.#go('delayElapsed')) this.#dial(now);",
    "if (timers.expire(Timer.Reconnect, now) && this.#attempts.number < 3 && this.#go('delayElapsed')) this.#dial(now);",
  ),
];
