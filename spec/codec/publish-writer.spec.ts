import { describe, expect, it } from '@jest/globals';
import type { ProtocolVersion, PublishProperties, QoS } from '../../lib/codec/packets.ts';
import { PublishWriter, type OutgoingPublish } from '../../lib/codec/publish-writer.ts';
import { hex, toHex } from '../support/bytes.ts';

const refused = (statement: string, reasonCode: number): unknown =>
  expect.objectContaining({ name: 'ProtocolError', statement, reasonCode });

describe('PublishWriter', () => {
  const messageOf = (
    topicName: string,
    payload: Uint8Array | string = hex`68 69`,
    qos: QoS = 0,
    properties?: PublishProperties,
  ): OutgoingPublish => ({ topicName, payload, qos, retain: false, properties });

  /** Measures and writes, and checks that both agree. */
  function write(
    writer: PublishWriter,
    message: OutgoingPublish,
    version: ProtocolVersion = 5,
    topicName = message.topicName,
  ): string {
    const size = writer.measure(message, topicName, version);
    const target = new Uint8Array(size + 2);
    expect(writer.write(target, 1, message, 10, false)).toBe(1 + size);
    expect([target[0], target[size + 1]]).toEqual([0, 0]);
    return toHex(target.subarray(1, 1 + size));
  }

  it('writes what it measured, on every version', () => {
    const writer = new PublishWriter();
    expect(write(writer, messageOf('a/b'), 4)).toBe('30 07 00 03 61 2f 62 68 69');
    expect(write(writer, messageOf('a/b'), 5)).toBe('30 08 00 03 61 2f 62 00 68 69');
    expect(write(writer, messageOf('a/b', '', 2), 3)).toBe('34 07 00 03 61 2f 62 00 0a');
    expect(write(writer, messageOf('é', 'ü\u{1F600}', 1), 4)).toBe(
      '32 0c 00 02 c3 a9 00 0a c3 bc f0 9f 98 80',
    );
  });

  it('writes a topic the same, cached or not', () => {
    const writer = new PublishWriter();
    const topics = [...Array.from({ length: 300 }, (_, i) => `topic/${i}/é`), 'x'.repeat(2_000)];
    for (let round = 0; round < 2; round++) {
      for (const topic of topics) {
        const fresh = write(new PublishWriter(), messageOf(topic), 4);
        expect(write(writer, messageOf(topic), 4)).toBe(fresh);
        expect(write(writer, messageOf(topic), 4)).toBe(fresh);
      }
    }
  });

  it('leaves the topic out if the Topic Alias of the message stands for it', () => {
    const writer = new PublishWriter();
    const aliased = messageOf('a', undefined, 0, { topicAlias: 7 });
    expect(write(writer, aliased)).toBe('30 09 00 01 61 03 23 00 07 68 69');
    expect(write(writer, aliased, 5, '')).toBe('30 08 00 00 03 23 00 07 68 69');
    expect(write(writer, messageOf('a'), 5)).toBe('30 06 00 01 61 00 68 69');
  });

  it('writes the header without the payload', () => {
    const writer = new PublishWriter();
    const message = messageOf('a', new Uint8Array(100_000), 1);
    const size = writer.measure(message, 'a', 4);
    const target = new Uint8Array(32);
    expect(writer.writeHeader(target, 0, message, 10, true)).toBe(size - writer.payloadLength);
    expect(toHex(target.subarray(0, 9))).toBe('3a a5 8d 06 00 01 61 00 0a');
  });

  it('writes properties of one length, of another, and after a message it refused', () => {
    const writer = new PublishWriter();
    const typed = (contentType: string): OutgoingPublish => messageOf('a', '', 0, { contentType });
    expect(write(writer, typed('x'))).toBe('30 08 00 01 61 04 03 00 01 78');
    expect(write(writer, typed('y'))).toBe('30 08 00 01 61 04 03 00 01 79');
    expect(write(writer, typed('yz'))).toBe('30 09 00 01 61 05 03 00 02 79 7a');
    expect(() => write(writer, typed(`${'x'.repeat(10_000)}\0`))).toThrow(refused('MQTT-1.5.4-2', 0x81));
    expect(write(writer, typed('ab'))).toBe('30 09 00 01 61 05 03 00 02 61 62');
  });

  it('refuses illegal topics', () => {
    const writer = new PublishWriter();
    expect(() => writer.measure(messageOf('a/+'), 'a/+', 5)).toThrow(refused('MQTT-3.3.2-2', 0x90));
    expect(() => writer.measure(messageOf(''), '', 5)).toThrow(refused('MQTT-4.7.3-1', 0x90));
    expect(() => writer.measure(messageOf('', '', 0, { topicAlias: 1 }), '', 4)).toThrow('[MQTT-4.7.3-1]');
    expect(() => writer.measure(messageOf('\uD800'), '\uD800', 4)).toThrow(refused('MQTT-1.5.3-1', 0x81));
  });

  it('refuses payloads that are not UTF-8', () => {
    const writer = new PublishWriter();
    const utf8 = { payloadFormatIndicator: 1 } as const;
    expect(() => writer.measure(messageOf('a', hex`ff`, 0, utf8), 'a', 5)).toThrow(
      refused('3.3.2.3.2', 0x99),
    );
    expect(() => writer.measure(messageOf('a', '\uD800'), 'a', 5)).toThrow(TypeError);
  });
});
