import { describe, expect, it } from '@jest/globals';
import { flag, hex, integer, malformed, qosOf, show, violation } from '../../lib/codec/errors.ts';

describe('errors of the codec', () => {
  it('carry the Reason Code and the statement', () => {
    expect(malformed('x', 'MQTT-1')).toMatchObject({
      reasonCode: 0x81,
      statement: 'MQTT-1',
      message: 'x [MQTT-1]',
    });
    expect(violation('x', 'MQTT-1').reasonCode).toBe(0x82);
    expect(hex(10)).toBe('0x0A');
  });

  it('never show the text of a string, which may be a password', () => {
    expect(show('secret')).toBe('a string of 6 characters');
    expect([show(null), show(7), show([1]), show({})]).toEqual(['null', '7', 'an array of 1', 'object']);
  });

  it('distinguish a wrong type from a wrong value', () => {
    expect(() => integer('keepAlive', '7', 0, 9)).toThrow(TypeError);
    expect(() => integer('keepAlive', 7.5, 0, 9)).toThrow(
      'keepAlive: expected an integer of 0 to 9, got 7.5',
    );
    expect(() => flag('retain', 1)).toThrow('retain: expected a boolean, got 1');
    expect(flag('retain', undefined)).toBe(false);
  });
});

describe('qosOf', () => {
  it('[MQTT-3.3.1-4] accepts 0, 1 and 2', () => {
    expect([qosOf('qos', undefined), qosOf('qos', 2)]).toEqual([0, 2]);
    expect(() => qosOf('qos', 3)).toThrow(
      expect.objectContaining({ statement: 'MQTT-3.3.1-4', reasonCode: 0x81 }),
    );
    expect(() => qosOf('qos', 4)).toThrow(RangeError);
    expect(() => qosOf('qos', '1')).toThrow(TypeError);
  });
});
