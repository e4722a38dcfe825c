import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { KeepAlive } from '../../lib/connection/keep-alive.ts';

describe('KeepAlive', () => {
  it('v5 MQTT-3.1.2-20 makes PINGREQ due shortly before the end of Keep Alive', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 65_535 }), fc.nat(1e9), fc.nat(1e6), (seconds, sent, later) => {
        const keepAlive = new KeepAlive(seconds, undefined, 0);
        keepAlive.sentAt = sent;
        keepAlive.receivedAt = sent + later;
        const ms = seconds * 1_000;
        const margin = sent + ms - keepAlive.pingDue;
        expect(margin).toBeGreaterThanOrEqual(100);
        expect(margin).toBeLessThanOrEqual(Math.max(100, Math.min(5_000, ms / 10)));
      }),
    );
  });

  it('peers P15 counts from the last packet sent or the last byte received, whichever is longer ago', () => {
    const keepAlive = new KeepAlive(10, undefined, 0);
    expect(keepAlive.pingDue).toBe(9_000);
    keepAlive.sentAt = 5_000;
    expect(keepAlive.pingDue).toBe(9_000);
    keepAlive.receivedAt = 3_000;
    expect(keepAlive.pingDue).toBe(12_000);
    keepAlive.receivedAt = 8_000;
    expect(keepAlive.pingDue).toBe(14_000);
  });

  it('v5 U-3.1.2-a is never due with Keep Alive 0', () => {
    expect(new KeepAlive(0, undefined, 5).pingDue).toBe(Infinity);
  });

  it('notices a dead server within one and a half Keep Alive', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 65_535 }), (seconds) => {
        const keepAlive = new KeepAlive(seconds, undefined, 0);
        expect(keepAlive.silenceFatalAt(keepAlive.pingDue)).toBeLessThanOrEqual(1_500 * seconds);
      }),
    );
  });

  it('waits for pingTimeout after the last sign of life', () => {
    const keepAlive = new KeepAlive(60, 2_000, 0);
    expect(keepAlive.silenceFatalAt(55_000)).toBe(57_000);
    keepAlive.receivedAt = 56_000;
    expect(keepAlive.silenceFatalAt(55_000)).toBe(58_000);
    keepAlive.lastFlushAt = 57_500;
    expect(keepAlive.silenceFatalAt(55_000)).toBe(59_500);
  });
});
