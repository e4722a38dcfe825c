import { describe, expect, it } from '@jest/globals';
import { TopicAliases } from '../../lib/connection/topic-aliases.ts';

const refused = (reasonCode: number, statement: string): unknown =>
  expect.objectContaining({ reasonCode, statement });

describe('TopicAliases', () => {
  it('v5 U-3.3.4-a sets, uses and overwrites a received alias', () => {
    const aliases = new TopicAliases(2, 0);
    expect(aliases.receive(1, 'a')).toBe('a');
    expect(aliases.receive(2, 'b')).toBe('b');
    expect(aliases.receive(1, '')).toBe('a');
    expect(aliases.receive(1, 'c')).toBe('c');
    expect(aliases.receive(1, '')).toBe('c');
    expect(aliases.receive(2, '')).toBe('b');
  });

  it('v5 U-3.3.4-a refuses an alias that was not defined', () => {
    expect(() => new TopicAliases(2, 0).receive(2, '')).toThrow(refused(0x82, '3.3.4'));
  });

  it('v5 MQTT-3.1.2-26, MQTT-3.3.2-10, -11 accepts every alias up to the maximum and none above', () => {
    const aliases = new TopicAliases(65_535, 0);
    expect(aliases.receive(65_535, 'a')).toBe('a');
    expect(() => new TopicAliases(2, 0).receive(3, 'a')).toThrow(refused(0x94, 'MQTT-3.1.2-26'));
  });

  it('v5 MQTT-3.1.2-27 accepts none if the maximum is 0', () => {
    expect(() => new TopicAliases(0, 9).receive(1, 'a')).toThrow(refused(0x94, 'MQTT-3.1.2-27'));
  });

  it('keeps at most 16 MiB of Topic Names, then refuses with 0x97', () => {
    const aliases = new TopicAliases(65_535, 0);
    const name = 'x'.repeat(65_536);
    for (let alias = 1; alias <= 128; alias++) aliases.receive(alias, name);
    // A name that is overwritten no longer counts.
    aliases.receive(1, 'short');
    aliases.receive(2, name);
    expect(aliases.receive(129, 'short')).toBe('short');
    expect(() => aliases.receive(130, name)).toThrow(refused(0x97, '3.1.2.11.5'));
    expect(aliases.receive(3, '')).toBe(name);
  });

  it('keeps sent aliases apart from received ones', () => {
    const aliases = new TopicAliases(5, 5);
    aliases.receive(1, 'a');
    expect(aliases.isKnown(1, 'a')).toBe(false);
    aliases.noteSent(1, 'a');
    expect(aliases.isKnown(1, 'a')).toBe(true);
    aliases.noteSent(1, 'b');
    expect(aliases.isKnown(1, 'a')).toBe(false);
    expect(aliases.isKnown(1, 'b')).toBe(true);
    expect(aliases.outgoingMaximum).toBe(5);
  });
});
