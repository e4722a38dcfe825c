import { describe, expect, it } from '@jest/globals';
import { brief, online } from '../support/engines.ts';

describe('a payload that is passed by reference', () => {
  it('is not copied, and QoS 0 is done once it has left', () => {
    const rig = online();
    const { waiter } = rig.publish('a', { qos: 0, payload: new Uint8Array(20_000) });
    expect(waiter.told).toBe(0);
    expect(rig.sent()).toMatchObject([{ payload: new Uint8Array(20_000) }]);
    expect(waiter).toMatchObject({ told: 1, reasonCode: 0 });
  });

  it('leaves the delivery of QoS 0 unknown if the connection is lost first', () => {
    const rig = online();
    const { exchange, waiter } = rig.publish('a', { qos: 0, payload: 'x'.repeat(20_000) });
    rig.engine.takeOutput(rig.now);
    rig.engine.lost(undefined, rig.now);
    expect(waiter.error).toMatchObject({ delivery: 'unknown', kept: false });
    expect(rig.engine.withdraw(exchange)).toBe(false);
  });

  it('is copied if its caller leaves before it has left', () => {
    const rig = online();
    const payload = new Uint8Array(20_000).fill(7);
    const { exchange } = rig.publish('a', { payload });
    expect(rig.engine.withdraw(exchange)).toBe(true);
    payload.fill(0);
    expect(rig.sent()).toMatchObject([{ payload: new Uint8Array(20_000).fill(7) }]);
  });

  it('is not kept if the caller of a QoS 0 message leaves while it is being written', () => {
    const rig = online();
    const { exchange } = rig.publish('a', { qos: 0, payload: new Uint8Array(20_000) });
    expect(rig.engine.withdraw(exchange)).toBe(false);
    expect(brief(rig.sent())).toEqual(['publish a']);
  });
});
