import { describe, expect, it } from '@jest/globals';
import { encode, type ProtocolVersion } from '../../lib/codec/codec.ts';
import { readPacket } from '../../lib/codec/read-packet.ts';
import { hex, toHex } from '../support/bytes.ts';

const read = (bytes: Uint8Array, version: ProtocolVersion = 5): unknown =>
  readPacket({ bytes: bytes, header: 0x82, start: 2, end: bytes.length }, version, 'server');
const subscribe = (subscription: object, version: ProtocolVersion = 5): string =>
  toHex(encode({ type: 'subscribe', packetId: 10, subscriptions: [subscription as never] }, version));

describe('SUBSCRIBE', () => {
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
