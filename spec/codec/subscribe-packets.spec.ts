import { describe, expect, it } from '@jest/globals';
import { encode, type ProtocolVersion } from '../../lib/codec/codec.ts';
import { hex, toHex } from '../support/bytes.ts';
import { readBytes } from '../support/codec.ts';

describe('SUBSCRIBE', () => {
  const read = (bytes: Uint8Array, version: ProtocolVersion = 5): unknown =>
    readBytes(bytes, version, 'server');
  const subscribe = (subscription: object, version: ProtocolVersion = 5): string =>
    toHex(encode({ type: 'subscribe', packetId: 10, subscriptions: [subscription as never] }, version));

  it('is written and read as each version has it', () => {
    const request = { topicFilter: 'a', qos: 1 } as const;
    expect(subscribe(request, 4)).toBe('82 06 00 0a 00 01 61 01');
    expect(subscribe({ ...request, noLocal: true, retainHandling: 2 })).toBe('82 07 00 0a 00 00 01 61 25');
    expect(read(hex`82 06 00 0a 00 01 61 01`, 4)).toMatchObject({ subscriptions: [request] });
    expect(read(hex`82 07 00 0a 00 00 01 61 09`)).toMatchObject({
      subscriptions: [{ ...request, noLocal: false, retainAsPublished: true, retainHandling: 0 }],
    });
  });

  it.each([
    ['no filter', hex`82 03 00 0a 00`, 5, 'MQTT-3.8.3-2'],
    ['no filter', hex`82 02 00 0a`, 4, 'MQTT-3.8.3-3'],
    ['reserved options', hex`82 07 00 0a 00 00 01 61 40`, 5, 'MQTT-3.8.3-5'],
    ['reserved options', hex`82 06 00 0a 00 01 61 04`, 4, 'MQTT-3-8.3-4'],
    ['QoS 3', hex`82 06 00 0a 00 01 61 03`, 3, 'MQTT-3-8.3-4'],
    ['Retain Handling 3', hex`82 07 00 0a 00 00 01 61 30`, 5, '3.8.3.1'],
    ['an illegal filter', hex`82 08 00 0a 00 00 02 61 23 00`, 5, '4.7.1'],
    [
      'No Local on a shared one',
      hex`82 10 00 0a 00 00 0a 24 73 68 61 72 65 2f 67 2f 61 04`,
      5,
      'MQTT-3.8.3-4',
    ],
  ] as const)('with %s is refused (%#)', (_, bytes, version, statement) => {
    expect(() => read(bytes, version)).toThrow(expect.objectContaining({ statement }));
  });

  it('refuses illegal Topic Filters and Subscription Options', () => {
    expect(() => subscribe({ topicFilter: 'a#', qos: 0 })).toThrow(
      expect.objectContaining({ reasonCode: 0x8f }),
    );
    expect(() => subscribe({ topicFilter: 'a' })).toThrow(TypeError);
    expect(() => subscribe({ topicFilter: 'a', qos: 3 })).toThrow('[MQTT-3.3.1-4]');
    expect(() => subscribe({ topicFilter: 'a', qos: 0, retainHandling: 3 })).toThrow('[3.8.3.1]');
    expect(() => subscribe({ topicFilter: 'a', qos: 0, noLocal: true }, 4)).toThrow(TypeError);
    expect(() => subscribe({ topicFilter: '$share/g/a', qos: 0, noLocal: true })).toThrow('[MQTT-3.8.3-4]');
    expect(() => subscribe(null as unknown as object)).toThrow(TypeError);
    expect(() => encode({ type: 'subscribe', packetId: 1, subscriptions: [] }, 5)).toThrow('[MQTT-3.8.3-2]');
  });
});

describe('SUBACK', () => {
  const suback = (reasonCodes: number[], version: ProtocolVersion = 5): string =>
    toHex(encode({ type: 'suback', packetId: 10, reasonCodes }, version));

  it('has one Reason Code per Topic Filter, in order', () => {
    expect(readBytes(hex`90 06 00 0a 00 02 8f 00`)).toMatchObject({ reasonCodes: [2, 0x8f, 0] });
    expect(suback([2, 0x80], 4)).toBe('90 04 00 0a 02 80');
  });

  it('[MQTT-3.9.3-2] has the codes of its version', () => {
    expect(() => readBytes(hex`90 03 00 0a 8f`, 4)).toThrow('[MQTT-3.9.3-2]');
    expect(() => readBytes(hex`90 04 00 0a 00 03`)).toThrow('[MQTT-3.9.3-2]');
    expect(() => suback([0x80], 3)).toThrow('[MQTT-3.9.3-2]');
    expect(() => suback([undefined as unknown as number])).toThrow(TypeError);
  });

  it('of 3.1 with an unknown code is a refusal', () => {
    expect(readBytes(hex`90 05 00 0a 01 03 80`, 3)).toMatchObject({ reasonCodes: [1, 0x80, 0x80] });
  });

  it('without codes is refused', () => {
    expect(() => readBytes(hex`90 03 00 0a 00`)).toThrow('[MQTT-3.8.4-6]');
    expect(() => readBytes(hex`90 02 00 0a`, 4)).toThrow('[MQTT-3.8.4-5]');
    expect(() => suback([])).toThrow('[MQTT-3.8.4-6]');
  });
});

describe('UNSUBSCRIBE', () => {
  const unsubscribe = {
    type: 'unsubscribe',
    packetId: 10,
    topicFilters: ['a', 'b/+'],
    properties: {},
  } as const;

  it('is written and read as each version has it', () => {
    const bytes = encode(unsubscribe, 5);
    expect(toHex(bytes)).toBe('a2 0b 00 0a 00 00 01 61 00 03 62 2f 2b');
    expect(readBytes(bytes, 5, 'server')).toEqual(unsubscribe);
    expect(toHex(encode(unsubscribe, 4))).toBe('a2 0a 00 0a 00 01 61 00 03 62 2f 2b');
  });

  it('[MQTT-3.10.3-2] has at least one filter, and legal ones', () => {
    expect(() => encode({ ...unsubscribe, topicFilters: [] }, 5)).toThrow('[MQTT-3.10.3-2]');
    expect(() => encode({ ...unsubscribe, topicFilters: ['#/a'] }, 5)).toThrow('[4.7.1]');
    expect(() => readBytes(hex`a2 03 00 0a 00`, 5, 'server')).toThrow('[MQTT-3.10.3-2]');
  });
});

describe('UNSUBACK', () => {
  const unsuback = { type: 'unsuback', packetId: 10 } as const;

  it('has Reason Codes on 5.0 only', () => {
    expect(toHex(encode({ ...unsuback, reasonCodes: [0, 0x11] }, 5))).toBe('b0 05 00 0a 00 00 11');
    expect(toHex(encode(unsuback, 4))).toBe('b0 02 00 0a');
    expect(() => encode({ ...unsuback, reasonCodes: [0] }, 4)).toThrow(TypeError);
    expect(readBytes(hex`b0 02 00 0a`, 4)).toMatchObject({ reasonCodes: [] });
  });

  it('[MQTT-3.11.3-1] has at least one Reason Code, from its own set', () => {
    expect(() => encode(unsuback, 5)).toThrow('[MQTT-3.11.3-1]');
    expect(() => readBytes(hex`b0 03 00 0a 00`)).toThrow('[MQTT-3.11.3-1]');
    expect(() => readBytes(hex`b0 04 00 0a 00 01`)).toThrow('[MQTT-3.11.3-2]');
  });
});
