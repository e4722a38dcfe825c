import { describe, expect, it } from '@jest/globals';
import { Connection, MAXIMUM_SIZE_BEFORE_CONNACK } from '../../lib/connection/connection.ts';
import { Traffic } from '../../lib/connection/traffic.ts';
import type { Negotiated } from '../../lib/connection/negotiated.ts';
import { SLAB_SIZE } from '../../lib/connection/outbox.ts';
import { hex, join, varint } from '../support/bytes.ts';
import { ENGINE_DEFAULTS } from '../support/engine-options.ts';

function connection(maximumPacketSize?: number): Connection {
  return new Connection(
    {
      connectionNumber: 3,
      identity: { clientId: 'c', cleanStart: true },
      settings: { ...ENGINE_DEFAULTS, maximumPacketSize, properties: { topicAliasMaximum: 2 } },
      traffic: new Traffic(),
      slabs: { take: () => new Uint8Array(SLAB_SIZE) },
      allocate: (size) => new Uint8Array(size),
    },
    1_000,
  );
}

describe('Connection', () => {
  it('has no window, no Topic Aliases and no Keep Alive before CONNACK', () => {
    const { quota, aliases, keepAlive, negotiated } = connection();
    expect(quota.free).toBe(0);
    expect(aliases.outgoingMaximum).toBe(0);
    expect(keepAlive.pingDue).toBe(Infinity);
    expect(negotiated).toBeUndefined();
  });

  it('v5 U-4.9-b, MQTT-3.3.2-7 uses the values of CONNACK', () => {
    const up = connection();
    const negotiated = { keepAlive: 10, topicAliasMaximum: 4 } as Negotiated;
    up.accepted(negotiated, 7, 500, 2_000);
    expect(up.negotiated).toBe(negotiated);
    expect(up.quota.free).toBe(7);
    expect(up.aliases.outgoingMaximum).toBe(4);
    expect(up.aliases.receive(2, 'a')).toBe('a');
    expect(up.keepAlive.pingDue).toBe(11_000);
    expect(up.keepAlive.silenceFatalAt(11_000)).toBe(11_500);
  });

  it('v5 MQTT-3.1.2-24 refuses a packet above Maximum Packet Size by its Remaining Length alone', () => {
    const { framer } = connection(10);
    framer.push(Uint8Array.of(0x30, 9));
    expect(() => framer.next()).toThrow(expect.objectContaining({ reasonCode: 0x95 }));
  });

  describe('before CONNACK is accepted', () => {
    const accept = (up: Connection): void =>
      up.accepted({ keepAlive: 0, topicAliasMaximum: 0 } as Negotiated, 1, undefined, 2_000);
    /** The first bytes of a packet of `size` bytes, with a Remaining Length of three bytes. */
    const begin = (size: number): Uint8Array => join(hex`20`, varint(size - 4));

    it('accepts a packet of 1 MiB', () => {
      const { framer } = connection();
      expect(MAXIMUM_SIZE_BEFORE_CONNACK).toBe(1_048_576);
      framer.push(begin(MAXIMUM_SIZE_BEFORE_CONNACK));
      expect(framer.next()).toBe(false);
    });

    it('refuses a larger one by its Remaining Length alone', () => {
      const { framer } = connection();
      framer.push(begin(MAXIMUM_SIZE_BEFORE_CONNACK + 1));
      expect(() => framer.next()).toThrow(/1048577 bytes arrived before CONNACK/);
    });

    it('accepts it afterwards', () => {
      const up = connection();
      accept(up);
      up.framer.push(begin(MAXIMUM_SIZE_BEFORE_CONNACK + 1));
      expect(up.framer.next()).toBe(false);
    });

    it('applies a smaller maximumPacketSize, before and after', () => {
      const up = connection(1_000_000);
      up.framer.push(begin(1_000_001));
      expect(() => up.framer.next()).toThrow(/exceeds the Maximum Packet Size of 1000000/);
      accept(up);
      expect(() => up.framer.next()).toThrow(/exceeds the Maximum Packet Size of 1000000/);
    });

    it('applies a larger maximumPacketSize only afterwards', () => {
      const up = connection(2_000_000);
      up.framer.push(begin(2_000_000));
      expect(() => up.framer.next()).toThrow(/arrived before CONNACK/);
      accept(up);
      expect(up.framer.next()).toBe(false);
      const other = connection(2_000_000);
      accept(other);
      other.framer.push(begin(2_000_001));
      expect(() => other.framer.next()).toThrow(/exceeds the Maximum Packet Size of 2000000/);
    });
  });
});
