import { describe, expect, it } from '@jest/globals';
import { Decoder, encode } from '../../lib/codec/codec.ts';
import { NO_PROPERTIES } from '../../lib/codec/packets.ts';
import { PublishReader } from '../../lib/codec/publish-reader.ts';
import { hex } from '../support/bytes.ts';

function read(bytes: Uint8Array): PublishReader {
  const reader = new PublishReader();
  reader.read(bytes, bytes[0]!, 2, bytes.length, 5);
  return reader;
}

describe('a received Topic Alias', () => {
  it('v5 U-3.3.4-a takes no memory where it is the only property', () => {
    const alone = read(hex`30 08 00 00 03 23 01 02 68 69`);
    expect(alone).toMatchObject({ topic: '', topicAlias: 0x0102, propertiesSize: 0 });
    expect(alone.properties).toBe(NO_PROPERTIES);
    expect(Buffer.from(alone.payload()).toString()).toBe('hi');
  });

  it('v5 U-3.3.4-a is found before, behind and between other properties', () => {
    for (const bytes of [
      hex`30 0b 00 01 61 07 23 00 07 03 00 01 78 21`,
      hex`30 0b 00 01 61 07 03 00 01 78 23 00 07 21`,
    ]) {
      const reader = read(bytes);
      expect(reader).toMatchObject({ topic: 'a', topicAlias: 7, properties: { contentType: 'x' } });
      reader.resolveTopicAlias('a');
      expect(reader.properties).toEqual({ contentType: 'x' });
    }
  });

  it('v5 MQTT-3.3.2-8 is never 0, and never cut off', () => {
    const refused = (reasonCode: number): unknown => expect.objectContaining({ reasonCode });
    expect(() => read(hex`30 06 00 00 03 23 00 00`)).toThrow(refused(0x94));
    expect(() => read(hex`30 05 00 00 03 23 00`)).toThrow(refused(0x81));
    expect(() => read(hex`30 04 00 00 03 23`)).toThrow(refused(0x81));
  });

  it('is given to users of the codec as any other property', () => {
    const decoder = new Decoder({ receiver: 'client', protocolVersion: 5 });
    const properties = { topicAlias: 7 };
    decoder.push(encode({ type: 'publish', topic: '', payload: hex`61`, properties }, 5));
    decoder.push(encode({ type: 'publish', topic: 'a', payload: hex`61` }, 5));
    expect([decoder.next(), decoder.next()]).toMatchObject([
      { topic: '', properties },
      { topic: 'a', properties: {} },
    ]);
  });
});
