import { describe, expect, it } from '@jest/globals';
import { online } from '../support/engines.ts';
import { publish, puback } from '../support/packets.ts';

describe('the counts of an engine', () => {
  it('are messages in flight, in the queue, and not settled by the application', () => {
    const rig = online({ maxInflight: 2 });
    for (const payload of ['a', 'bb', 'ccc']) rig.publish('t', { payload });
    rig.send(publish({ qos: 1, packetId: 7, payload: '12345' }));
    expect(rig.engine.counts).toEqual({
      pending: 3,
      inFlight: 2,
      window: 2,
      queued: { messages: 1, bytes: 4 },
      unsettled: { messages: 1, bytes: 8 },
      skipped: 0,
    });
    rig.send(puback(1), puback(2));
    rig.engine.lost(undefined, rig.now);
    expect(rig.engine.counts).toMatchObject({ pending: 1, inFlight: 1, window: 0, queued: { messages: 0 } });
  });
});
