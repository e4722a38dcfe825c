import { describe, expect, it } from '@jest/globals';
import { brief, online } from '../support/engines.ts';

describe('a payload that is passed by reference', () => {
  it('keeps a large payload as it is until it has left, then is done', () => {
    const rig = online();
    const { waiter } = rig.publish('a', { qos: 0, payload: new Uint8Array(20_000) });
    expect(waiter.told).toBe(0);
    expect(rig.sent()).toMatchObject([{ payload: new Uint8Array(20_000) }]);
    expect(waiter).toMatchObject({ told: 1, reasonCode: 0 });
  });

  it('tells that a large QoS 0 payload may not have left when the connection was lost', () => {
    const rig = online();
    const { exchange, waiter } = rig.publish('a', { qos: 0, payload: 'x'.repeat(20_000) });
    rig.engine.takeOutput(rig.now);
    rig.engine.lost(undefined, rig.now);
    expect(waiter.error).toMatchObject({ delivery: 'unknown', kept: false });
    expect(rig.engine.withdraw(exchange)).toBe(false);
  });

  it('copies a large payload that has not left yet when its caller leaves', () => {
    const rig = online();
    const payload = new Uint8Array(20_000).fill(7);
    const { exchange } = rig.publish('a', { payload });
    expect(rig.engine.withdraw(exchange)).toBe(true);
    payload.fill(0);
    expect(rig.sent()).toMatchObject([{ payload: new Uint8Array(20_000).fill(7) }]);
  });

  it('does not call QoS 0 kept whose caller leaves while it is being written: it is not sent again', () => {
    const rig = online();
    const { exchange } = rig.publish('a', { qos: 0, payload: new Uint8Array(20_000) });
    expect(rig.engine.withdraw(exchange)).toBe(false);
    expect(brief(rig.sent())).toEqual(['publish a']);
  });
});
