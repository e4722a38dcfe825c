import { describe, expect, it } from '@jest/globals';
import { Connection } from '../../lib/connection/connection.ts';
import { Traffic } from '../../lib/connection/traffic.ts';
import type { Negotiated } from '../../lib/connection/handshake.ts';
import { SLAB_SIZE } from '../../lib/connection/outbox.ts';
import { ENGINE_DEFAULTS } from '../support/engine-options.ts';

function connection(maximumPacketSize?: number): Connection {
  return new Connection(
    {
      epoch: 3,
      identity: { clientId: 'c', cleanStart: true },
      settings: { ...ENGINE_DEFAULTS, maximumPacketSize },
      traffic: new Traffic(),
      slabs: { take: () => new Uint8Array(SLAB_SIZE) },
      allocate: (size) => new Uint8Array(size),
    },
    1_000,
  );
}

describe('Connection', () => {
  it('has nothing to give before CONNACK: no window, no aliases, no Keep Alive', () => {
    const { quota, aliases, keepAlive, negotiated } = connection();
    expect(quota.free).toBe(0);
    expect(aliases.outgoingMaximum).toBe(0);
    expect(keepAlive.pingDue).toBe(Infinity);
    expect(negotiated).toBeUndefined();
  });

  it('v5 U-4.9-b, MQTT-3.3.2-7 takes over what CONNACK granted', () => {
    const up = connection();
    const negotiated = { keepAlive: 10, topicAliasMaximum: 4 } as Negotiated;
    up.accepted(negotiated, { window: 7, topicAliasMaximum: 2, pingTimeout: 500 }, 2_000);
    expect(up.negotiated).toBe(negotiated);
    expect(up.quota.free).toBe(7);
    expect(up.aliases.outgoingMaximum).toBe(4);
    expect(up.aliases.receive(2, 'a')).toBe('a');
    expect(up.keepAlive.pingDue).toBe(11_000);
    expect(up.keepAlive.silenceFatal(11_000)).toBe(11_500);
  });

  it('v5 MQTT-3.1.2-24 refuses a packet above our Maximum Packet Size by its Remaining Length alone', () => {
    const { framer } = connection(10);
    framer.push(Uint8Array.of(0x30, 9));
    expect(() => framer.next()).toThrow(expect.objectContaining({ reasonCode: 0x95 }));
  });
});
