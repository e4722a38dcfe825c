import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { PACKET_IDENTIFIERS } from '../../lib/session/identifier-set.ts';
import { PacketIdentifiers } from '../../lib/session/packet-identifiers.ts';

describe('PacketIdentifiers', () => {
  it('v5 MQTT-2.2.1-3, v4 MQTT-2.3.1-1, -2, peers P7 never gives out an identifier that is in use, nor 0', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat()), { maxLength: 400, size: 'max' }), (script) => {
        const identifiers = new PacketIdentifiers();
        const used: number[] = [];
        for (const [take, choice] of script) {
          if (take || used.length === 0) {
            const packetId = identifiers.take();
            expect(packetId).toBeGreaterThan(0);
            expect(packetId).toBeLessThanOrEqual(65_535);
            expect(used).not.toContain(packetId);
            used.push(packetId);
          } else identifiers.free(used.splice(choice % used.length, 1)[0] as number);
          expect(identifiers.inUse).toBe(used.length);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('skips identifiers that stay in use', () => {
    const identifiers = new PacketIdentifiers();
    const longLived = [identifiers.take(), identifiers.take()];
    for (let i = 0; i < 200_000; i++) {
      const packetId = identifiers.take();
      if (packetId === 0 || longLived.includes(packetId)) throw new Error(`${packetId} was given out`);
      identifiers.free(packetId);
    }
    expect(identifiers.inUse).toBe(2);
    identifiers.free(1);
    const seen = new Set(Array.from({ length: PACKET_IDENTIFIERS - 1 }, () => identifiers.take()));
    expect(seen.has(1)).toBe(true);
    expect(seen.has(2)).toBe(false);
  });

  it('uses a freed identifier again only after all others', () => {
    const identifiers = new PacketIdentifiers();
    identifiers.free(identifiers.take());
    expect(identifiers.take()).toBe(2);
  });

  it('returns 0 if all are in use, and goes on with the first that is freed', () => {
    const identifiers = new PacketIdentifiers();
    for (let i = 0; i < PACKET_IDENTIFIERS; i++) identifiers.take();
    expect(identifiers.take()).toBe(0);
    identifiers.free(40_000);
    identifiers.free(40_000);
    expect(identifiers.inUse).toBe(PACKET_IDENTIFIERS - 1);
    expect(identifiers.take()).toBe(40_000);
    expect(identifiers.take()).toBe(0);
  });

  it('ignores the freeing of an identifier that is not in use', () => {
    const identifiers = new PacketIdentifiers();
    identifiers.free(0);
    identifiers.free(7);
    expect(identifiers.inUse).toBe(0);
  });
});
