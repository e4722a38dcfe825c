import { describe, expect, it } from '@jest/globals';
import { AssignedAliases } from '../../lib/connection/assigned-aliases.ts';

/** Publishes to each topic in turn. Returns what is written: the alias alone, `topic=alias`, or the topic alone. */
function publish(aliases: AssignedAliases, ...topics: readonly string[]): string[] {
  return topics.map((topicName) => {
    const known = aliases.find(topicName);
    if (known > 0) return `${known}`;
    const alias = aliases.next();
    if (alias === 0) return topicName;
    aliases.define(alias, topicName);
    return `${topicName}=${alias}`;
  });
}

describe('AssignedAliases', () => {
  it('v5 R6 gives each topic an alias, and knows it from then on', () => {
    const aliases = new AssignedAliases(10);
    expect(publish(aliases, 'a', 'b', 'a', 'a', 'b', 'c', 'a')).toEqual([
      'a=1',
      'b=2',
      '1',
      '1',
      '2',
      'c=3',
      '1',
    ]);
  });

  it('v5 R6 takes the alias of the topic that was published to least recently', () => {
    const aliases = new AssignedAliases(3);
    expect(publish(aliases, 'a', 'b', 'c', 'a', 'd', 'a', 'c', 'b', 'd')).toEqual([
      'a=1',
      'b=2',
      'c=3',
      '1',
      'd=2',
      '1',
      '3',
      'b=2',
      'd=1',
    ]);
    expect(publish(new AssignedAliases(1), 'a', 'b', 'b', 'a')).toEqual(['a=1', 'b=1', '1', 'a=1']);
  });

  it('v5 MQTT-3.2.2-17, MQTT-3.3.2-9 keeps within the maximum of the server, and within 256', () => {
    for (const [maximum, most] of [
      [1, 1],
      [7, 7],
      [65_535, 256],
    ] as const) {
      const aliases = new AssignedAliases(maximum);
      const topics = Array.from({ length: 300 }, (_, i) => `topic/${i}`);
      const written = publish(aliases, ...topics).map((one) => Number(one.split('=')[1] ?? 0));
      expect([Math.max(...written), Math.min(...written)]).toEqual([most, 1]);
    }
  });

  it('an alias is set only by what is written', () => {
    const aliases = new AssignedAliases(1);
    expect([aliases.next(), aliases.find('a'), aliases.next()]).toEqual([1, 0, 1]);
    expect(publish(aliases, 'b')).toEqual(['b=1']);
    expect([aliases.next(), aliases.find('a'), aliases.find('b')]).toEqual([1, 0, 1]);
  });

  it('leaves aliases to the application that it has named, before they were used and after', () => {
    const aliases = new AssignedAliases(4);
    aliases.reserve(2);
    aliases.reserve(2);
    aliases.reserve(9);
    expect(publish(aliases, 'a', 'b', 'a', 'b')).toEqual(['a=1', 'b=3', '1', '3']);
    aliases.reserve(1);
    expect(publish(aliases, 'a', 'b', 'c', 'a')).toEqual(['a=4', '3', 'c=4', 'a=3']);
    aliases.reserve(3);
    aliases.reserve(4);
    expect(publish(aliases, 'a', 'a')).toEqual(['a', 'a']);
  });

  it('costs little more than no aliases at worst: 1 KiB, then an eighth of a byte for each message', () => {
    const aliases = new AssignedAliases(10);
    let more = 0;
    let beyond = -Infinity;
    for (let i = 1; i <= 10_000; i++) {
      const topic = `once/${i}`;
      if (publish(aliases, topic)[0] !== topic) more += 3;
      beyond = Math.max(beyond, more - (10 * 3 + 1_024 + i / 8));
    }
    expect(beyond).toBeLessThanOrEqual(0);
    expect(more).toBeGreaterThan(1_024);
  });

  it('saves bytes though there are more topics in turn than aliases', () => {
    const aliases = new AssignedAliases(10);
    const topics = Array.from({ length: 15 }, (_, i) => `sensor/${i}/temperature`);
    let more = 0;
    for (let round = 0; round < 1_000; round++)
      for (const [i, written] of publish(aliases, ...topics).entries()) {
        const topic = topics[i] as string;
        if (written.includes('=')) more += 3;
        else if (written !== topic) more += 3 - topic.length;
      }
    const saved = -more / (1_000 * topics.join('').length);
    expect(saved).toBeGreaterThan(0.15);
  });

  it('finds topics that come to stay, though nothing has been saved for long', () => {
    const aliases = new AssignedAliases(2);
    for (let i = 0; i < 1_000; i++) publish(aliases, `once/${i}`);
    const stays = Array.from({ length: 60 }, () => ['stays/a', 'stays/b']).flat();
    const written = publish(aliases, ...stays);
    expect(written.slice(-20).filter((one) => /^\d$/.test(one))).toHaveLength(20);
  });
});
