import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Stage, type Exchange } from '../../lib/session/exchange.ts';
import type { Commit, Demand } from '../../lib/session/journal.ts';
import type { StoreRange, StoreRecord } from '../../lib/store/session-store.ts';
import { JournalRig, SMALL } from '../support/journal-rig.ts';

const keysOf = ({ changes }: Commit): string[] => changes.map(({ type, key }) => `${type} ${key}`);

describe('a commit', () => {
  it('has all that has changed since the last one, and waits for it', () => {
    const rig = new JournalRig();
    rig.add('a');
    const first = rig.begin() as Commit;
    rig.add('b');
    expect(rig.begin()).toBeUndefined();
    rig.made(first);
    rig.end(rig.send());
    expect(keysOf(rig.begin() as Commit)).toEqual([
      'put m/00000000000002',
      'delete m/00000000000001',
      'put session',
    ]);
  });

  it('is synced if a message, a packet or a call waits for it', () => {
    const rig = new JournalRig();
    rig.add('a');
    const storing = rig.begin() as Commit;
    rig.made(storing);
    const exchange = rig.send();
    const written = rig.begin() as Commit;
    rig.made(written);
    rig.journal.released(exchange);
    const released = rig.begin() as Commit;
    expect([storing.sync, written.sync, released.sync]).toEqual([true, false, true]);
  });

  it('waits for more if nothing waits for it, up to some number of segments', () => {
    const rig = new JournalRig();
    for (let n = 0; n < 2 * SMALL.segmentsPerCommit; n++) rig.add('a');
    const demands: Demand[] = [rig.journal.demand];
    rig.commit();
    rig.readAhead();
    demands.push(rig.journal.demand);
    for (let sent = 0; sent < 2 * SMALL.segmentsPerCommit; sent++) {
      rig.readAhead();
      rig.end(rig.send());
      const { demand } = rig.journal;
      if (demand !== demands.at(-1)) demands.push(demand);
    }
    expect(demands).toEqual(['now', 'none', 'later', 'now']);
    rig.commit();
    expect(rig.journal.demand).toBe('none');
  });

  it('does not wait for more with a message that was withdrawn', () => {
    const rig = new JournalRig();
    const { exchange } = rig.add('a');
    rig.commit();
    rig.session.queue.withdraw(exchange);
    expect(rig.journal.demand).toBe('now');
  });

  it('lets messages go on when it is made, and not before', () => {
    const rig = new JournalRig();
    const { exchange } = rig.add('a');
    const commit = rig.begin() as Commit;
    expect([exchange.stage, rig.waiting]).toEqual([Stage.Storing, []]);
    rig.made(commit);
    expect([exchange.stage, rig.waiting]).toEqual([Stage.Waiting, ['a']]);
  });

  it('removes a segment with its last message', () => {
    const rig = new JournalRig();
    rig.add('a');
    rig.add('b');
    rig.commit();
    const [a, b] = [rig.send(), rig.send()];
    rig.commit();
    rig.end(a);
    rig.commit();
    expect(rig.keys).toEqual(['m/00000000000001', 'p/00000000000001', 'session']);
    rig.end(b);
    rig.commit();
    expect(rig.keys).toEqual(['session']);
    expect([rig.journal.messages, rig.journal.bytes]).toEqual([0, 0]);
  });
});

describe('a message in the store and in memory', () => {
  it('has the memory of its record, if its caller waited for the store only', () => {
    const rig = new JournalRig();
    const [a, b] = [rig.add('a'), rig.add('b')];
    a.exchange.payload = Uint8Array.of(1, 2, 3);
    b.exchange.payload = Uint8Array.of(4, 5, 6);
    const [lent, own] = [a.exchange.payload, b.exchange.payload];
    a.waiter.stored = () => 'done';
    rig.commit();
    expect([a.exchange.payload, b.exchange.payload]).toEqual([lent, own]);
    expect([a.exchange.payload === lent, b.exchange.payload === own]).toEqual([false, true]);
  });
});

describe('a message in the store alone', () => {
  it('is in memory only if its call waits for more than the store', () => {
    const rig = new JournalRig();
    const all = Array.from({ length: 8 }, (_, i) => rig.add(`${i}`));
    const [, , , , , sixth, ...others] = all;
    for (const { waiter } of others) waiter.stored = () => 'done';
    rig.commit();
    expect([...rig.journal.backlog.awaited()]).toEqual([all[4]?.exchange, sixth?.exchange]);
  });
});

describe('a message that was withdrawn', () => {
  it('before its commit is never stored', () => {
    const rig = new JournalRig();
    rig.journal.withdraw(rig.add('a').exchange);
    rig.commit();
    expect(rig.keys).toEqual([]);
    expect(rig.session.queue.reserved).toBe(0);
  });

  it('during its commit is not sent, and removed with the next one', () => {
    const rig = new JournalRig();
    const { exchange } = rig.add('a');
    rig.add('b');
    const commit = rig.begin() as Commit;
    rig.journal.withdraw(exchange);
    rig.made(commit);
    expect(rig.waiting).toEqual(['b']);
    rig.commit();
    expect(rig.crash().waiting).toEqual(['b']);
    expect(rig.journal.messages).toBe(1);
  });

  it('during its commit is not read again while the next one removes it', () => {
    const rig = new JournalRig();
    for (const topic of ['a', 'b', 'c', 'd', 'e']) rig.add(topic);
    rig.commit();
    const { exchange } = rig.add('f');
    const storing = rig.begin() as Commit;
    rig.journal.withdraw(exchange);
    rig.made(storing);
    const removing = rig.begin() as Commit;
    while (rig.waiting.length > 0) rig.end(rig.send());
    rig.readAhead();
    expect(rig.waiting).toEqual(['e']);
    rig.made(removing);
    rig.end(rig.send());
    rig.commit();
    expect([rig.journal.messages, rig.keys]).toEqual([0, ['session']]);
  });

  it('during its commit hides no other one, when both go to the backlog', () => {
    const rig = new JournalRig();
    for (const topic of ['a', 'b', 'c', 'd']) rig.add(topic);
    rig.commit();
    const { exchange } = rig.add('e');
    rig.add('f');
    const commit = rig.begin() as Commit;
    rig.journal.withdraw(exchange);
    rig.made(commit);
    for (rig.readAhead(); rig.waiting.length > 0; rig.readAhead()) rig.end(rig.send());
    rig.commit();
    expect([rig.journal.messages, rig.keys]).toEqual([0, ['session']]);
  });

  it('in the store alone leaves nothing there, though nothing waits behind it', () => {
    const rig = new JournalRig();
    for (const topic of ['a', 'b', 'c', 'd']) rig.add(topic);
    rig.commit();
    const { exchange } = rig.add('e');
    rig.commit();
    rig.journal.withdraw(exchange);
    while (rig.waiting.length > 0) rig.end(rig.send());
    rig.readAhead();
    rig.commit();
    expect(rig.keys).toEqual(['session']);
  });

  it('in the store alone is over for the next process, too', () => {
    const rig = new JournalRig();
    const all = Array.from({ length: 8 }, (_, i) => rig.add(`${i}`).exchange);
    rig.commit();
    rig.journal.withdraw(all[6] as (typeof all)[0]);
    rig.commit();
    expect(rig.keys).toContain('w/00000000000007');
    const next = rig.crash();
    while (next.waiting.length > 0) {
      next.end(next.send());
      next.readAhead();
    }
    next.commit();
    expect([next.journal.messages, next.keys]).toEqual([0, ['session']]);
  });
});

describe('the receipt of a QoS 2 message', () => {
  it('is stored before PUBREC, and its end before PUBCOMP', () => {
    const rig = new JournalRig();
    expect(rig.journal.received(7)).toBe(true);
    rig.commit();
    expect([rig.journal.received(7), rig.keys]).toEqual([false, ['received']]);
    expect(rig.journal.completed(7)).toBe(true);
    rig.commit();
    expect([rig.journal.completed(7), rig.keys]).toEqual([false, []]);
  });

  it('has to be waited for again on the next connection, as long as its commit is under way', () => {
    const rig = new JournalRig();
    rig.journal.received(7);
    const commit = rig.begin() as Commit;
    expect(rig.journal.received(7)).toBe(true);
    rig.made(commit);
    rig.commit();
    rig.journal.completed(7);
    const end = rig.begin() as Commit;
    expect(rig.journal.completed(7)).toBe(true);
    rig.made(end);
    rig.commit();
    expect(rig.journal.completed(7)).toBe(false);
  });
});

describe('a journal', () => {
  it('gives up the messages that it could not store, when it is closed', () => {
    const rig = new JournalRig();
    rig.add('a');
    rig.commit();
    rig.add('b');
    rig.begin();
    rig.add('c');
    expect(rig.journal.close().map(({ topicName }) => topicName)).toEqual(['b', 'c']);
    expect(rig.session.queue.reserved).toBe(0);
  });

  it('leaves nothing out, nothing twice and nothing out of order, whatever happens', () => {
    const happening = fc.oneof(
      { weight: 4, arbitrary: fc.constant('add' as const) },
      { weight: 3, arbitrary: fc.constant('send' as const) },
      { weight: 2, arbitrary: fc.constantFrom('end' as const, 'begin' as const, 'made' as const) },
      { weight: 2, arbitrary: fc.constantFrom('withdraw' as const, 'read' as const) },
      { weight: 1, arbitrary: fc.constant('crash' as const) },
    );
    fc.assert(
      fc.property(
        fc.array(happening, { size: 'max', maxLength: 60 }),
        fc.boolean(),
        (happenings, isCrash) => {
          const story = new Story();
          const left = story.run(happenings, isCrash);
          expect(left).toEqual({
            order: story.stored,
            messages: story.stored.length,
            keys: [],
            left: [0, 0],
            queued: [0, 0, 0, 0],
          });
        },
      ),
      { numRuns: 300 },
    );
  });
});

type Happening = 'add' | 'send' | 'end' | 'begin' | 'made' | 'withdraw' | 'read' | 'crash';

/** A journal, and the messages that are not over. Topics are numbers in call order. */
class Story {
  #rig = new JournalRig();
  #commit: Commit | undefined = undefined;
  #reading: { readonly range: StoreRange; readonly records: readonly StoreRecord[] } | undefined = undefined;
  #number = 0;
  #open = new Map<string, Exchange | undefined>();
  /** Those of the time when the present commit was begun, and the last one that was made. */
  #atBegin: readonly string[] = [];
  #stored: readonly string[] = [];

  /** The messages that have to be left: after a crash those of the last commit that was made. */
  get stored(): readonly string[] {
    return this.#stored;
  }

  /** Returns what is left, and what is there when all of that was sent. */
  run(happenings: readonly Happening[], isCrash: boolean): object {
    for (const one of happenings) this[one]();
    if (isCrash) this.crash();
    else this.#finish();
    const rig = this.#rig;
    const { messages } = rig.journal;
    const order: string[] = [];
    const take = (exchange: Exchange): void => {
      order.push(exchange.topicName);
      rig.end(exchange);
    };
    for (const exchange of rig.session.outgoing.all()) take(exchange);
    for (rig.readAhead(); rig.waiting.length > 0; rig.readAhead()) take(rig.send());
    rig.commit();
    const { queue } = rig.session;
    return {
      order,
      messages,
      keys: rig.keys.filter((key) => key !== 'session'),
      left: [rig.journal.messages, rig.journal.bytes],
      queued: [queue.messages, queue.bytes, queue.reserved, queue.reservedBytes],
    };
  }

  /** All that has begun is done. */
  #finish(): void {
    this.made();
    this.#rig.commit();
    if (this.#reading !== undefined) this.read();
    this.#stored = [...this.#open.keys()];
  }

  add(): void {
    const topic = `${++this.#number}`;
    this.#open.set(topic, this.#rig.add(topic).exchange);
  }

  send(): void {
    if (this.#rig.waiting.length > 0) this.#rig.send();
  }

  end(): void {
    const [exchange] = this.#rig.session.outgoing.all();
    if (exchange === undefined) return;
    this.#open.delete(exchange.topicName);
    this.#rig.end(exchange);
  }

  withdraw(): void {
    const all = [...this.#open].filter(
      ([, exchange]) => exchange?.stage === Stage.Storing || exchange?.stage === Stage.Stored,
    );
    const [topic, exchange] = all[this.#number % Math.max(1, all.length)] ?? [];
    if (topic === undefined || exchange === undefined) return;
    this.#open.delete(topic);
    this.#rig.journal.withdraw(exchange);
  }

  /** Begins to read, or ends that. */
  read(): void {
    const reading = this.#reading;
    this.#reading = undefined;
    const range = this.#rig.journal.nextRange();
    if (reading !== undefined) this.#rig.journal.rangeRead(reading.range, reading.records);
    else if (range !== undefined) this.#reading = { range, records: this.#rig.read(range) };
  }

  begin(): void {
    const commit = this.#rig.begin();
    if (commit === undefined) return;
    this.#commit = commit;
    this.#atBegin = [...this.#open.keys()];
  }

  made(): void {
    if (this.#commit === undefined) return;
    this.#rig.made(this.#commit);
    this.#commit = undefined;
    this.#stored = this.#atBegin;
  }

  crash(): void {
    this.#rig = this.#rig.crash();
    this.#commit = undefined;
    this.#reading = undefined;
    this.#open = new Map(this.#stored.map((topic) => [topic, undefined]));
  }
}
