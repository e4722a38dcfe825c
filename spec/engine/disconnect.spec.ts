import { describe, expect, it } from '@jest/globals';
import { brief, online, withSession } from '../support/engines.ts';
import { connack } from '../support/packets.ts';

describe('DISCONNECT', () => {
  const ending = { reasonCode: 0, properties: {}, pending: 'keep', timeout: 1 } as const;

  it('v5 U-3.14.2-a cannot extend a session that ends with the connection', () => {
    const rig = online();
    const properties = { sessionExpiryInterval: 5 };
    expect(() => rig.engine.disconnect({ ...ending, properties }, rig.now)).toThrow(TypeError);
    expect(rig.engine.state).toBe('connected');
    rig.publish('a');
    expect(brief(rig.sent())).toEqual(['publish a 1']);
  });

  it('is refused without effect if it cannot be encoded', () => {
    const rig = online();
    const { waiter } = rig.publish('a');
    expect(() => rig.engine.disconnect({ ...ending, reasonCode: 1 }, rig.now)).toThrow('MQTT-3.14.2-1');
    expect(rig.engine.state).toBe('connected');
    expect(waiter.told).toBe(0);
  });

  it('v5 MQTT-3.14.2-3, -4 leaves out Reason String and User Properties to stay within Maximum Packet Size', () => {
    const rig = withSession({}, connack({ maximumPacketSize: 30 }));
    const properties = {
      sessionExpiryInterval: 5,
      reasonString: 'x'.repeat(30),
      userProperties: [['a', 'b']] as [string, string][],
    };
    rig.engine.disconnect({ ...ending, reasonCode: 4, properties }, rig.now);
    expect(rig.sent()).toEqual([
      { type: 'disconnect', reasonCode: 4, properties: { sessionExpiryInterval: 5 } },
    ]);
  });

  it('v5 MQTT-3.14.4-3 has its Reason Code, and on 3.1.1 none', () => {
    const five = online();
    five.engine.disconnect({ ...ending, reasonCode: 4 }, five.now);
    expect(five.sent()).toEqual([{ type: 'disconnect', reasonCode: 4, properties: {} }]);
    const four = online({ protocolVersion: 4 });
    four.disconnect();
    expect(four.sent()).toEqual([{ type: 'disconnect', reasonCode: 0, properties: {} }]);
  });
});
