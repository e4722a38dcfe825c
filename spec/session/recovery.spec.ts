import { describe, expect, it } from '@jest/globals';
import { NO_PROPERTIES } from '../../lib/codec/packets.ts';
import { Stage, type Exchange } from '../../lib/session/exchange.ts';
import { LAYOUT } from '../../lib/session/records.ts';
import { JournalRig } from '../support/journal-rig.ts';

/** A store with `count` messages, called 1, 2, …. */
function storeWith(count: number): JournalRig {
  const rig = new JournalRig();
  for (let n = 1; n <= count; n++) rig.add(`${n}`);
  rig.commit();
  return rig;
}

/** Changes the byte of a record behind its header. */
function damage({ records }: JournalRig, key: string): void {
  const value = records.get(key)?.slice() ?? new Uint8Array();
  value[value.length - 1] = (value[value.length - 1] ?? 0) ^ 1;
  records.set(key, value);
}

/** All topics, in the order in which they are sent. */
function drained(rig: JournalRig): string[] {
  const topics = [...rig.sent];
  for (const exchange of rig.session.outgoing.all()) rig.end(exchange);
  for (rig.readAhead(); rig.waiting.length > 0; rig.readAhead()) {
    const exchange = rig.send();
    topics.push(exchange.topicName);
    rig.end(exchange);
  }
  rig.commit();
  return topics;
}

describe('a recovery', () => {
  it('of nothing finds nothing', () => {
    const { journal, keys } = new JournalRig();
    expect([journal.messages, journal.isKnown, journal.demand, keys]).toEqual([0, false, 'none', []]);
  });

  it('finds what waits, in order, and reads no more than a page and a range ahead', () => {
    const next = storeWith(9).crash();
    expect([next.waiting, next.journal.messages]).toEqual([['1', '2', '3', '4'], 9]);
    expect([next.session.queue.messages, next.session.queue.reserved]).toEqual([4, 5]);
    expect(drained(next)).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9']);
    expect(next.keys).toEqual(['session']);
  });

  it('finds what is under way under its Packet Identifier, and gives that to no other message', () => {
    const rig = storeWith(3);
    rig.send();
    const { packetId } = rig.send();
    rig.commit();
    const next = rig.crash();
    expect([next.sent, next.waiting]).toEqual([['1', '2'], ['3']]);
    expect(next.session.outgoing.get(packetId)).toMatchObject({ topicName: '2', stage: Stage.Published });
    expect(next.send().packetId).toBe(packetId + 1);
  });

  it('reads on until everything is there that may be with the server', () => {
    const rig = storeWith(9);
    while (rig.waiting.length > 0) {
      rig.send();
      rig.readAhead();
    }
    rig.commit();
    const next = rig.crash();
    expect(next.sent).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9']);
    expect([next.session.queue.messages, next.session.queue.reserved]).toEqual([0, 0]);
  });

  it('keeps the order of the PUBRECs, over several processes', () => {
    const rig = new JournalRig();
    for (const topic of ['1', '2', '3']) rig.add(topic, 2);
    rig.commit();
    const [, second, third] = [rig.send(), rig.send(), rig.send()];
    for (const exchange of [third, second]) {
      rig.journal.released(exchange);
      rig.session.outgoing.release(exchange);
    }
    rig.commit();
    const next = rig.crash();
    const [first] = next.session.outgoing.all();
    next.journal.released(first as Exchange);
    next.commit();
    const topics = [...next.crash().session.outgoing.released()].map(({ topicName }) => topicName);
    expect(topics).toEqual(['3', '2', '1']);
  });

  it('does not count a message of a lost session as under way', () => {
    const rig = storeWith(1);
    const exchange = rig.send();
    rig.commit();
    rig.session.discard();
    rig.session.queue.putBack([exchange]);
    rig.commit();
    expect(rig.crash()).toMatchObject({ sent: [], waiting: ['1'] });
  });

  it('knows the messages of the server that were answered with PUBREC', () => {
    const rig = new JournalRig();
    rig.journal.received(7);
    rig.commit();
    const { session, journal } = rig.crash();
    expect(session.incoming.onPubrel(7)).toBe(true);
    expect(journal.completed(7)).toBe(true);
  });

  it('gives each message a waiter of its own', () => {
    const next = storeWith(1).crash();
    next.send().settle(0x97, NO_PROPERTIES);
    expect(next.unattended).toMatchObject([{ told: 1, reasonCode: 0x97 }]);
  });

  it('counts the time of expiry from the call', () => {
    const rig = new JournalRig();
    rig.add('a', 1, { messageExpiryInterval: 10 }).exchange.calledAt = 4_000;
    rig.commit();
    const next = rig.crash();
    expect(next.session.queue.peek()?.expires(13_000)).toBe(false);
    expect(next.session.queue.peek()?.expires(14_000)).toBe(true);
  });
});

describe('a record that cannot be read', () => {
  it('is kept under another key, and those around it are sent', () => {
    const rig = storeWith(9);
    damage(rig, 'm/00000000000003');
    const next = rig.crash();
    expect(drained(next)).toEqual(['1', '2', '5', '6', '7', '8', '9']);
    expect([next.journal.unreadable, next.journal.messages, next.journal.bytes]).toEqual([1, 0, 0]);
    expect(next.keys).toEqual(['session', 'x/m/00000000000003']);
    expect(next.session.queue.reserved).toBe(0);
  });

  it('leaves its messages to be sent again, if it is that of their progress', () => {
    const rig = storeWith(2);
    rig.send();
    rig.commit();
    damage(rig, 'p/00000000000001');
    const next = rig.crash();
    expect([next.sent, next.waiting]).toEqual([[], ['1', '2']]);
  });

  it('is made up for by counting, if it is that of the session', () => {
    const rig = storeWith(5);
    const { bytes } = rig.journal;
    damage(rig, 'session');
    const next = rig.crash();
    expect([next.journal.messages, next.journal.bytes, next.journal.isKnown]).toEqual([5, bytes, false]);
    next.add('6');
    next.commit();
    expect(drained(next)).toEqual(['1', '2', '3', '4', '5', '6']);
  });

  it('ends the recovery if a newer version has written the session', () => {
    const rig = storeWith(1);
    const value = rig.records.get('session')?.slice() ?? new Uint8Array();
    value[0] = LAYOUT + 1;
    rig.records.set('session', value);
    expect(() => rig.crash()).toThrow('newer version');
  });

  it('is kept under another key if a newer version has written only that', () => {
    const rig = storeWith(1);
    const value = rig.records.get('m/00000000000001')?.slice() ?? new Uint8Array();
    value[0] = LAYOUT + 1;
    rig.records.set('m/00000000000001', value);
    const next = rig.crash();
    expect([drained(next), next.journal.unreadable]).toEqual([[], 1]);
  });
});
