import { describe, expect, it } from '@jest/globals';
import {
  checkReasonCode,
  checkReturnCode,
  checkSubackReturnCode,
  reasonCodeName,
  reasonCodeToWrite,
} from '../../lib/codec/reason-codes.ts';

describe('Reason Codes', () => {
  it('have names', () => {
    expect(reasonCodeName(0x87)).toBe('Not authorized');
    expect(reasonCodeName(0)).toBe('Success');
    expect(reasonCodeName(0, 'suback')).toBe('Granted QoS 0');
    expect(reasonCodeName(0, 'disconnect')).toBe('Normal disconnection');
    expect(reasonCodeName(5, 'connack')).toBe('Not authorized');
    expect(reasonCodeName(0x7e)).toBe('Unknown Reason Code 0x7E');
  });

  it('are refused in packets that must not have them', () => {
    expect(() => checkReasonCode(0x92, 'puback')).toThrow('[MQTT-3.4.2-1]');
    expect(() => checkReasonCode(0x92, 'pubcomp')).not.toThrow();
  });

  it('are refused if only the other end may send them', () => {
    expect(() => checkReasonCode(0x04, 'disconnect', 'client')).toThrow('[MQTT-3.14.2-1]');
    expect(() => checkReasonCode(0x04, 'disconnect', 'server')).not.toThrow();
    expect(() => checkReasonCode(0x10, 'puback', 'server')).toThrow('[MQTT-3.4.2-1]');
    expect(() => checkReasonCode(0x19, 'auth', 'client')).toThrow('[MQTT-3.15.2-1]');
  });

  it('are 0 if they are left out', () => {
    expect(reasonCodeToWrite(undefined, 'puback', 5)).toBe(0);
    expect(() => reasonCodeToWrite(null, 'puback', 5)).toThrow(TypeError);
  });

  it('of 3.x are checked against other sets', () => {
    expect(() => checkReturnCode(5)).not.toThrow();
    expect(() => checkReturnCode(6)).toThrow('[3.2.2.3]');
    expect(() => checkSubackReturnCode(0x80, 4)).not.toThrow();
    expect(() => checkSubackReturnCode(0x80, 3)).toThrow('[MQTT-3.9.3-2]');
    expect(() => checkSubackReturnCode(0x03, 4)).toThrow('[MQTT-3.9.3-2]');
  });
});
