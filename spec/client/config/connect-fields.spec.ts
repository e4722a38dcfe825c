import { describe, expect, it } from '@jest/globals';
import {
  anyClientId,
  toClientId,
  toConnectProperties,
  toWill,
} from '../../../lib/client/config/connect-fields.ts';

describe('a Client Identifier', () => {
  it('that is random has 23 letters and digits, which every server accepts [MQTT-3.1.3-5]', () => {
    let n = 0;
    const drawn = new Set(Array.from({ length: 62 }, () => anyClientId(() => (n++ % 62) / 62)).join(''));
    expect(drawn.size).toBe(62);
    expect(anyClientId(() => 0.999)).toMatch(/^[0-9A-Za-z]{23}$/);
  });

  it('may be empty if the server assigns one, or in a clean session', () => {
    expect([toClientId('', true, 4), toClientId('', false, 5), toClientId('', 'first', 5)]).toEqual([
      '',
      '',
      '',
    ]);
    expect(() => toClientId('', false, 4)).toThrow('clientId: expected a string that is not empty');
    expect(() => toClientId('', 'first', 3)).toThrow('clientId: expected a string that is not empty');
  });
});

describe('a Will and the CONNECT properties', () => {
  it('are copied: changing them later changes nothing', () => {
    const payload = Uint8Array.of(1);
    const userProperties: [string, string][] = [['a', 'b']];
    const will = toWill('will', { topic: 't', payload, properties: { userProperties } }, 5);
    const properties = toConnectProperties('properties', { userProperties });
    payload[0] = 9;
    userProperties.push(['c', 'd']);
    expect(will.payload).toEqual(Uint8Array.of(1));
    expect(will.properties).toEqual({ userProperties: [['a', 'b']] });
    expect(properties).toEqual({ userProperties: [['a', 'b']] });
  });
});
