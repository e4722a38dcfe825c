import {
  after,
  alsoWhen,
  always,
  before,
  drop,
  never,
  onlyWhen,
  plantAt,
  replaced,
  twice,
  visiting,
  within,
  type Operation,
} from './markers.ts';

/** A bug: what it does wrong, and the changes at the markers of lib that cause it. */
export interface Fault {
  readonly name: string;
  readonly changes: Readonly<Record<string, Operation>>;
}

/** `source` with the changes at `markers`. Throws when a marker is not there exactly once. */
export function planted({ name, changes }: Fault, markers: readonly string[], source: string): string {
  let code = source;
  for (const marker of markers) {
    try {
      code = plantAt(marker, changes[marker] as Operation, code);
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
    }
  }
  return code;
}

const fault = (name: string, changes: Fault['changes']): Fault => ({ name, changes });

/** Bugs that a client of this kind can have; some have had them. */
export const faults: readonly Fault[] = [
  // published messages: flags, identifiers, order
  fault('a PUBLISH is sent again without DUP', { 'duplicate-flag': within('true', 'false') }),
  fault('DUP is set the first time', { 'first-flag': within('false', 'exchange.publishOrder % 4 === 0') }),
  fault('a Packet Identifier is free with PUBREC', {
    pubrec: after('this.#session.packetIdentifiers.free(exchange.packetId);'),
    'identifier-next': replaced('let packetId = this.#used.absentFrom(1);'),
  }),
  fault('a Packet Identifier is used again while it is in use', {
    'identifier-next': replaced('let packetId = (this.#last % 4) + 1;'),
  }),
  fault('PUBREL is not sent again', { 'pubrel-resend': drop }),
  fault('PUBRELs are not sent again in the order of the PUBRECs', {
    'pubrel-resend': visiting('all.reverse()'),
  }),
  fault('PUBLISH is sent again after PUBREC', {
    pubrel: replaced('this.#write(exchange, connection, true);'),
  }),
  fault('the oldest PUBLISH is not sent again', { rewind: within('first', 'first?.next') }),
  fault('queued messages are not sent in call order', {
    'queue-order': replaced("this.#ring[exchange.qos === 2 ? 'unshift' : 'push'](exchange);"),
  }),
  fault('messages sent as new after a lost session are in another order', {
    'put-back-order': visiting('all.reverse()'),
  }),
  // the send window
  fault('the send window is too large', { window: within('this.limit', 'this.limit + 1') }),
  fault('the send quota is credited twice', { credit: twice }),
  fault('the send quota is not credited for QoS 2', { credit: onlyWhen('exchange.qos === 1') }),
  fault('a PUBREL that is sent again takes no send quota', { 'pubrel-quota': drop }),
  fault('output that waits for the network is never written', { drain: drop }),
  // promises
  fault('a promise resolves when its message is written', {
    written: after('exchange.waiter?.settled(0, NO_PROPERTIES); exchange.waiter = undefined;'),
  }),
  fault('a refused publish never settles', { refusal: onlyWhen('reasonCode < 0x80') }),
  fault('a refused publish resolves', { refused: always }),
  fault('disconnect() does not settle messages in flight', { 'close-in-flight': onlyWhen('!kept') }),
  fault('a large QoS 0 message never settles when its connection is lost', {
    unsent: visiting('all.slice(1)'),
  }),
  fault('a timeout reports a message in flight as withdrawn', { withdraw: onlyWhen('!exchange.written') }),
  fault('a queued message is sent although its call was cancelled', {
    withdrawn: before('if (exchange.qos === 2) return;'),
  }),
  fault('a message withdrawn from the queue still counts', {
    'waiting-count': within('this.#discount(exchange)', 'exchange.stage = Stage.Over'),
  }),
  // memory
  fault('a payload is not copied when its call is cancelled', { 'copy-payload': drop }),
  fault('a large payload of a call that can be cancelled is not copied', { 'copy-large': never }),
  fault('a slab is used again while the network holds it', { slab: before('slabs.give(piece);') }),
  fault('input is overwritten while the application holds it', { retain: drop }),
  fault('the buffer of a subscription has no limit', {
    'buffer-limit': onlyWhen('this.#droppable > 10 * messages || this.#droppableBytes > 10 * bytes'),
  }),
  fault('buffered messages of a lost session have no limit', { 'lost-session': drop }),
  // when the client reads
  fault('reading never resumes', { 'resume-reading': always }),
  fault('reading resumes too early', {
    'half-full': replaced('counted < receiveMaximum && held < receiveBuffer'),
  }),
  fault('there is always room for one more message', {
    'room-messages': within('counted < receiveMaximum', 'true'),
  }),
  fault('there is always room for one more byte', { 'room-bytes': always }),
  fault('timers that judge the server run while nothing is read', { judging: drop }),
  fault('no PINGREQ is sent while nothing is read', {
    'ping-stopped': replaced('timers.stop(Timer.KeepAlive);'),
  }),
  fault('the client does not read for an awaited answer', { 'awaited-answer': always }),
  fault('reading past the limit does not end with the answer', { 'awaited-answer': never }),
  fault('a message without room is skipped, and those behind it are taken', { 'put-back': drop }),
  fault('a message that is set aside in a clean session is never answered', { 'set-aside': always }),
  fault('a message is taken behind one that was abandoned as a last resort', {
    'last-resort': onlyWhen(
      "this.#lastResort === 'abandoned' && this.#held > 0 && (this.#lastResort = 'reconnect') === 'reconnect'",
    ),
  }),
  fault('a timer is left', { wake: drop }),
  fault('a call leaves its timer', { 'call-timer': drop }),
  // the session
  fault('a new session is taken for the old one', { 'absent-session': alsoWhen('!this.#attempts.isFirst') }),
  fault('QoS 1 is dropped with the session', {
    'lost-messages': within('goesOut', '(exchange) => exchange.qos === 2 && goesOut(exchange)'),
  }),
  fault('QoS 2 is dropped with the session', {
    'lost-messages': within('goesOut', '(exchange) => exchange.qos === 1'),
  }),
  fault('subscriptions are not restored', { resubscribe: onlyWhen("presence === 'presumed'") }),
  fault('received messages are remembered over a lost session', {
    'discard-states': drop,
    'discard-table': drop,
  }),
  // received messages
  fault('acknowledgements are out of order', { 'acknowledgement-order': within('push', 'unshift') }),
  fault('a message is acknowledged on a connection on which it did not come', {
    'stale-pubacks': drop,
    'stale-pubrecs': drop,
    'stale-connection': alsoWhen('head.state === ReceiptState.Settled'),
  }),
  fault('a redelivered message is delivered again', { redelivery: within('Redelivery', 'New') }),
  fault('a QoS 2 message that is repeated after PUBREC is delivered again', {
    repeated: within('Repeated', 'New'),
  }),
  fault('a redelivered message is never answered', { 'answer-again': drop }),
  fault('a PUBREL with an unknown identifier is not answered', { 'unknown-pubrel': onlyWhen('known') }),
  fault('a message that is not settled blocks the others', {
    stalled: within('this.#incoming.skip(receipt)', 'continue'),
  }),
  fault('a message that is skipped in a clean session is never answered', { stalled: always }),
  fault('a message in a clean session is acknowledged too early', {
    'stall-timeout': within('ackStallTimeout', 'ackStallTimeout / 10'),
  }),
  fault('a message is acknowledged when it is handed over', {
    'hand-over': after('this.#subscription.processed(message);'),
  }),
  fault('a message for two subscriptions is acknowledged when one has settled it', {
    copies: within('= taken', '= 1'),
  }),
  fault('the message in hand is acknowledged when its loop ends', {
    'in-hand': within('giveBack([message])', 'processed(message)'),
  }),
  fault('the message in hand is lost when its loop ends', { unfinished: drop }),
  fault('a held message is not acknowledged by a subscription that acknowledges on receipt', {
    'held-settled': drop,
  }),
  // Topic Aliases
  fault('a Topic Alias survives its connection', {
    'fresh-aliases': replaced(
      'connection.assigned = options.kept; if (!connection.assigned) connection.assignAliases(); options.kept = connection.assigned;',
    ),
  }),
  fault('a Topic Alias is part of what is sent again', {
    'set-alias': after('message.kept = alias;'),
    'resent-alias': replaced(
      'const assigned = duplicate && message.kept ? { find: () => message.kept } : connection.assigned;',
    ),
  }),
  fault('a topic keeps its Topic Alias when another one has taken it', { 'taken-alias': drop }),
  // the connection
  fault('the Keep Alive timer is never set', { 'keep-alive': drop }),
  fault('a missing PINGRESP does not end the connection', { 'ping-timeout': within('true', 'false') }),
  fault('a wait for the next attempt never ends', {
    'reconnect-timer': onlyWhen('this.#attempts.number < 3'),
  }),
  // the store: what has to be in it, and when
  fault('a commit is not synced, though something waits for it', {
    'lazy-commit': replaced('const sync = false;'),
  }),
  fault('a commit is made change by change', {
    'atomic-commit': replaced('for (const change of changes) await store.commit([change], { sync });'),
  }),
  fault('a message counts as stored before it is', {
    'early-stored': after(
      "if (exchange.waiter?.stored() === 'done') exchange.waiter = this.#ports.unattended(exchange.topicName);",
    ),
  }),
  fault('QoS 2 is written before the store has its Packet Identifier', {
    'early-publish': within('(qos === 2 && segment !== undefined)', 'false'),
  }),
  fault('PUBREL is written before the store has its PUBREC', {
    'early-pubrel': before('if (segment) this.#journal.released(exchange); return false;'),
  }),
  fault('PUBREL is written without a record of its PUBREC', { 'early-pubrel': always }),
  fault('PUBREC is written before the store knows it', {
    'early-pubrec': replaced('this.#journal.received(packetId); const isUnrecorded = false;'),
  }),
  fault('PUBCOMP is written before the store knows it', {
    'early-pubcomp': within(
      'this.#journal.completed(packetId)',
      'this.#journal.completed(packetId) && this.#journal === undefined',
    ),
  }),
  fault('a PUBREC is not stored', { 'release-record': drop }),
  fault('a Packet Identifier is not stored', { 'progress-record': drop }),
  fault('a message stays in the store after its last acknowledgement', { 'kept-record': drop }),
  fault('a message that could not be stored is never settled', { 'kept-unstored': drop }),
  // connections that end while commits are under way
  fault('answers that wait for the store are written on the next connection', { 'stale-answers': drop }),
  fault('messages that wait for the store are lost with the connection', { departing: drop }),
  fault('PUBREL answers a PUBREC that came before the PUBLISH was sent again', {
    'repeated-pubrec': drop,
  }),
  fault('what is being committed counts as stored on the next connection', { 'unstored-receipt': never }),
  // the next process
  fault('the next process does not know the messages it has received', { 'forgotten-receipt': drop }),
  fault('the next process sends PUBLISH again after PUBREC', { 'recovered-release': drop }),
  fault('the next process sends messages again in another order', {
    'recovered-order': visiting('all.reverse()'),
  }),
  fault('the next process gives Packet Identifiers out again', {
    'recovered-identifier': replaced('if (this.#used) return true;'),
  }),
  fault('the next process counts no bytes', { 'recovered-bytes': drop }),
  fault('the time in the store does not count for the expiry', {
    'stored-time': after('exchange.calledAt += 60_000;'),
  }),
  fault('a damaged record is sent', {
    'unchecked-record': within("inspect(value, this.#ports.checksum) === 'sound'", 'true'),
  }),
  fault('a message that was withdrawn in the store is sent', { 'withdrawn-record': drop }),
  fault('a message that was withdrawn during its commit is sent', { 'withdrawn-meanwhile': drop }),
  // the backlog
  fault('a page of the store is read twice', { 'read-to': drop }),
  fault('a page of the store is read in another order', { 'page-order': visiting('all.reverse()') }),
  fault('a segment that is being removed is read', { 'skipped-segment': drop }),
];

/** The same, which show only where messages are refused for their size, given up, or name Topic Aliases. */
export const aliasFaults: readonly Fault[] = [
  fault('a message that is not written sets a Topic Alias', {
    'unwritten-alias': before('if (known === 0) assigned.define(alias, topicName);'),
  }),
  fault('a message whose payload is gone before it is written sets a Topic Alias', {
    'borrowed-alias': drop,
    'unwritten-alias': within(' || this.#writer.payloadLength > COPY_LIMIT', ''),
  }),
  fault('a message is sent that fits only with a Topic Alias', {
    'shortened-size': drop,
  }),
  fault('a message that fits without Topic Alias is refused', {
    'unwritten-alias': within('return 0', 'return size'),
  }),
  fault('the Topic Alias of another topic is named, and still used for that', { 'named-alias': drop }),
];

/** Bugs of clients whose Topic Filters overlap: `spec/model/overlaps.ts` finds them. */
export const overlapFaults: readonly Fault[] = [
  fault('a message goes to the subscriptions of an earlier one with the same identifiers', {
    'identified-memo': within(' && topicName === this.#lastTopic', ''),
  }),
  fault('a change of subscriptions is not noticed', { 'identified-change': drop }),
  fault('a subscription gets a copy for each of its filters', {
    contested: within('holding?.isContested === false', 'holding !== undefined'),
  }),
  fault('of several copies for one subscription, that with the highest identifier is taken', {
    'left-to-lower': replaced('return other.identifier < identifier;'),
  }),
  fault('of several copies for one subscription, none is taken', {
    'left-to-lower': replaced('return true;'),
  }),
  fault('a copy is left to that of a filter which the server does not have', { 'left-to-requested': drop }),
  fault('a filter is taken for granted after the session was lost', { 'requested-again': drop }),
  fault('a filter that was granted less counts as requested', { 'granted-less': drop }),
  fault('a copy for a filter that has ended goes to other subscriptions', { former: drop }),
  fault('a copy that another one was left to is dropped with its filter', { survivors: drop }),
  fault('subscriptions have no identifiers', { identifier: never }),
];
