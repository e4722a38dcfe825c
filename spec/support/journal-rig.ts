import { crc32 } from 'node:zlib';
import type { PublishProperties, QoS } from '../../lib/codec/packets.ts';
import { portableText } from '../../lib/codec/text.ts';
import { Exchange } from '../../lib/session/exchange.ts';
import { Journal, type Commit } from '../../lib/session/journal.ts';
import { Recovery } from '../../lib/session/recovery.ts';
import type { Checksum } from '../../lib/session/records.ts';
import { Session } from '../../lib/session/session.ts';
import { STORE_SIZES, type StoreSizes } from '../../lib/session/store-sizes.ts';
import type { StoreRange, StoreRecord } from '../../lib/store/session-store.ts';
import { Waiter } from './recorder.ts';

export const checksum: Checksum = (bytes) => crc32(bytes);
/** Small ones, so that few messages fill them. */
export const SMALL: StoreSizes = {
  ...STORE_SIZES,
  segmentMessages: 2,
  pageMessages: 4,
  segmentsPerRead: 2,
  recordsPerRead: 2,
};

/** The session of one process, and what it finds in the store and leaves there. */
export class JournalRig {
  readonly records: Map<string, Uint8Array>;
  readonly session: Session = new Session();
  readonly journal: Journal;
  /** Waiters of messages that no call waits for. */
  readonly unattended: Waiter[] = [];
  wallClock = 1_700_000_000_000;

  constructor(records: Map<string, Uint8Array> = new Map(), sizes: StoreSizes = SMALL) {
    this.records = records;
    this.journal = new Journal(this.session, {
      text: portableText,
      checksum,
      toWallClock: () => this.wallClock,
      storeSizes: sizes,
      unattended: () => {
        const waiter = new Waiter();
        this.unattended.push(waiter);
        return waiter;
      },
    });
    const recovery = new Recovery(this.session, this.journal, checksum);
    for (let { range } = recovery; range !== undefined; { range } = recovery) recovery.read(this.read(range));
  }

  /** What the next process finds. */
  crash(): JournalRig {
    return new JournalRig(new Map(this.records));
  }

  /** Keys, in order. */
  get keys(): string[] {
    return [...this.records.keys()].toSorted();
  }

  read({ after, before, limit }: StoreRange): StoreRecord[] {
    const keys = this.keys.filter((key) => key > after && key < before).slice(0, limit);
    return keys.map((key) => ({ key, value: this.records.get(key) as Uint8Array }));
  }

  add(
    topicName: string,
    qos: QoS = 1,
    properties?: PublishProperties,
  ): { readonly exchange: Exchange; readonly waiter: Waiter } {
    const exchange = new Exchange(topicName, topicName, qos, false, properties);
    const waiter = new Waiter();
    exchange.waiter = waiter;
    this.journal.add(exchange);
    return { exchange, waiter };
  }

  /** Begins a commit. It is in the store with `made()`. */
  begin(): Commit | undefined {
    return this.journal.takeCommit();
  }

  made({ changes }: Commit): void {
    for (const change of changes)
      if (change.type === 'put') this.records.set(change.key, change.value);
      else this.records.delete(change.key);
    this.journal.committed();
  }

  /** Makes all commits that are due. */
  commit(): void {
    for (let commit = this.begin(); commit !== undefined; commit = this.begin()) this.made(commit);
  }

  /** Reads what is due. */
  readAhead(): void {
    for (let range = this.journal.nextRange(); range !== undefined; range = this.journal.nextRange())
      this.journal.rangeRead(range, this.read(range));
  }

  /** The next message is written. */
  send(): Exchange {
    const { outgoing, packetIdentifiers, queue } = this.session;
    const exchange = queue.shift();
    if (exchange === undefined) throw new Error('no message waits');
    exchange.packetId = packetIdentifiers.take();
    outgoing.begin(exchange);
    exchange.segment?.published(exchange);
    return exchange;
  }

  /** Its last acknowledgement arrives. */
  end(exchange: Exchange): void {
    this.session.outgoing.end(exchange);
    this.session.packetIdentifiers.free(exchange.packetId);
    exchange.settle(0, {});
  }

  /** Topics of the messages that wait in memory. */
  get waiting(): string[] {
    return [...this.session.queue].map(({ topicName }) => topicName);
  }

  /** Topics of the messages that are under way. */
  get sent(): string[] {
    return this.session.outgoing.all().map(({ topicName }) => topicName);
  }
}
