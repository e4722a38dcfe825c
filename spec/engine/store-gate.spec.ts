import { describe, expect, it } from '@jest/globals';
import { crc32 } from 'node:zlib';
import type { EncodablePacket } from '../../lib/codec/packets.ts';
import type { Commit } from '../../lib/session/journal.ts';
import { brief, offline } from '../support/engines.ts';
import { connack } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

const PRESENT = connack({ sessionPresent: true });

/** An engine with an empty store, whose commits the spec makes. */
class StoredRig {
  readonly rig: Rig = offline(
    { cleanStart: false, sessionExpiryInterval: 3_600 },
    { checksum: (bytes) => crc32(bytes), toWallClock: () => 0 },
  );

  constructor() {
    const { rig, store } = this;
    const recovery = store.recovery();
    while (recovery.range !== undefined) recovery.read([]);
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.send(connack());
    rig.sent();
    this.commit();
  }

  get store() {
    const { store } = this.rig.engine;
    if (store === undefined) throw new Error('the engine has no store');
    return store;
  }

  begin(): Commit | undefined {
    return this.store.takeCommit();
  }

  /** Returns what the client writes then. */
  made(): string[] {
    this.store.committed(this.rig.now);
    return brief(this.rig.sent());
  }

  /** Makes all commits that are due, and returns what the client writes. */
  commit(): string[] {
    const written: string[] = [];
    while (this.begin() !== undefined) written.push(...this.made());
    return written;
  }

  send(...packets: EncodablePacket[]): string[] {
    this.rig.send(...packets);
    return brief(this.rig.sent());
  }

  /** A new connection to the same session. Returns what the client writes after CONNACK. */
  resume(): string[] {
    return brief(this.rig.resume(PRESENT));
  }

  /** A QoS 2 message that was written. Returns its Packet Identifier. */
  written(topic: string): number {
    const { exchange } = this.rig.publish(topic, { qos: 2 });
    this.commit();
    return exchange.packetId;
  }

  /** A QoS 2 message of the server, which the application has processed. */
  receive(packetId: number): string[] {
    const { rig } = this;
    rig.send({ type: 'publish', topic: 'a', payload: new Uint8Array(), qos: 2, packetId });
    rig.engine.settle(rig.effects.receipt, 0, rig.now);
    return brief(rig.sent());
  }
}

describe('a published message', () => {
  it('is written after it was stored, and QoS 2 after its Packet Identifier was', () => {
    const stored = new StoredRig();
    stored.rig.publish('one', { qos: 1 });
    stored.begin();
    expect(stored.made()).toEqual(['publish one 1']);
    stored.rig.publish('two', { qos: 2 });
    stored.begin();
    expect(stored.made()).toEqual([]);
    stored.begin();
    expect(stored.made()).toEqual(['publish two 2']);
  });

  it('waits for those before it', () => {
    const stored = new StoredRig();
    stored.rig.publish('two', { qos: 2 });
    stored.rig.publish('one', { qos: 1 });
    stored.begin();
    expect(stored.made()).toEqual([]);
    expect(stored.commit()).toEqual(['publish two 1', 'publish one 2']);
  });

  it('waits in the queue again when the connection is lost, without its Packet Identifier', () => {
    const stored = new StoredRig();
    stored.rig.publish('two', { qos: 2 });
    stored.begin();
    stored.made();
    stored.begin();
    expect(stored.resume()).toEqual([]);
    expect(stored.made()).toEqual([]);
    expect(stored.commit()).toEqual(['publish two 2']);
  });
});

describe('a message that expires while it waits for the store', () => {
  it('is not written', () => {
    const stored = new StoredRig();
    const { rig } = stored;
    const { waiter } = rig.publish('two', { qos: 2, properties: { messageExpiryInterval: 10 } });
    stored.begin();
    stored.made();
    stored.begin();
    rig.advance(10_000);
    expect(stored.made()).toEqual([]);
    expect(waiter.error).toMatchObject({ name: 'TimeoutError', delivery: 'not-sent', kept: false });
  });

  it('has waited only once, however often it was about to be written', () => {
    const stored = new StoredRig();
    const { rig } = stored;
    const { exchange } = rig.publish('two', { qos: 2, properties: { messageExpiryInterval: 10 } });
    stored.begin();
    rig.advance(4_000);
    stored.made();
    stored.begin();
    stored.resume();
    stored.made();
    expect(stored.commit()).toEqual(['publish two 2']);
    expect(exchange.properties?.messageExpiryInterval).toBe(10 - Math.floor((rig.now - 1_000_000) / 1_000));
  });
});

describe('PUBREL', () => {
  it('is written after the store has its PUBREC', () => {
    const stored = new StoredRig();
    const packetId = stored.written('two');
    expect(stored.send({ type: 'pubrec', packetId })).toEqual([]);
    expect(stored.commit()).toEqual([`pubrel ${packetId}`]);
    expect(stored.send({ type: 'pubrec', packetId })).toEqual([`pubrel ${packetId}`]);
  });

  it('is written on the next connection, if the connection was lost meanwhile', () => {
    const stored = new StoredRig();
    const packetId = stored.written('two');
    stored.send({ type: 'pubrec', packetId });
    stored.begin();
    stored.rig.engine.lost(undefined, stored.rig.now);
    expect(stored.made()).toEqual([]);
    expect(brief(stored.rig.reconnect(PRESENT))).toEqual([`pubrel ${packetId}`]);
  });

  it('answers the PUBREC of the connection on which the PUBLISH was written again', () => {
    const stored = new StoredRig();
    const packetId = stored.written('two');
    stored.send({ type: 'pubrec', packetId });
    stored.begin();
    expect(stored.resume()).toEqual([`publish two ${packetId} DUP`]);
    expect(stored.made()).toEqual([]);
    expect(stored.send({ type: 'pubrec', packetId })).toEqual([]);
    expect(stored.commit()).toEqual([`pubrel ${packetId}`]);
  });

  it('does so, too, if that came before the store had the first one', () => {
    const stored = new StoredRig();
    const packetId = stored.written('two');
    stored.send({ type: 'pubrec', packetId });
    stored.begin();
    stored.resume();
    expect(stored.send({ type: 'pubrec', packetId })).toEqual([]);
    expect(stored.made()).toEqual([]);
    expect(stored.commit()).toEqual([`pubrel ${packetId}`]);
  });
});

describe('PUBREC and PUBCOMP', () => {
  it('are written after the store knows what they say', () => {
    const stored = new StoredRig();
    expect(stored.receive(7)).toEqual([]);
    expect(stored.commit()).toEqual(['pubrec 7']);
    expect(stored.send({ type: 'pubrel', packetId: 7 })).toEqual([]);
    expect(stored.commit()).toEqual(['pubcomp 7']);
    expect(stored.send({ type: 'pubrel', packetId: 7 })).toEqual(['pubcomp 7 0x92']);
  });

  it('keep the order of receipt', () => {
    const stored = new StoredRig();
    stored.receive(7);
    stored.begin();
    stored.receive(8);
    expect(stored.made()).toEqual(['pubrec 7']);
    expect(stored.commit()).toEqual(['pubrec 8']);
  });

  it('are not written on a connection on which nothing asked for them', () => {
    const stored = new StoredRig();
    stored.receive(7);
    stored.begin();
    stored.resume();
    expect(stored.made()).toEqual([]);
  });

  it('wait for the store on the next connection, too', () => {
    const stored = new StoredRig();
    stored.receive(7);
    stored.begin();
    stored.resume();
    const again = { type: 'publish', topic: 'a', payload: new Uint8Array(), qos: 2, packetId: 7 } as const;
    expect(stored.send({ ...again, duplicate: true })).toEqual([]);
    stored.made();
    expect(stored.commit()).toEqual(['pubrec 7']);
    stored.send({ type: 'pubrel', packetId: 7 });
    stored.begin();
    stored.resume();
    expect(stored.send({ type: 'pubrel', packetId: 7 })).toEqual([]);
    expect(stored.made()).toEqual([]);
    expect(stored.commit()).toEqual(['pubcomp 7 0x92']);
  });
});
