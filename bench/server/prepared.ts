/** Messages that the null server sends, encoded before. */
import { topicOf, type Demand } from '../client/task.ts';

/** Bytes of messages that are prepared for QoS 0, if a message is not larger. */
const BATCH = 262_144;

/** Number of Packet Identifiers. */
const IDENTIFIERS = 65_535;

export interface Prepared {
  /** Messages of `size` bytes, back to back. */
  readonly bytes: Buffer;
  readonly size: number;
}

/** Encodes at least one message per topic, and for QoS 1 and 2 one per Packet Identifier. */
export function prepare({ payload, qos, topics }: Demand, version: number): Prepared {
  const topic = topicOf(0).length;
  const identifier = qos > 0 ? 2 : 0;
  const properties = version === 5 ? 1 : 0;
  const remaining = 2 + topic + identifier + properties + payload;
  const length = [];
  for (let rest = remaining; rest > 0; rest >>= 7) length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  const start = 1 + length.length;
  const size = start + remaining;
  const count = qos > 0 && payload < 65_536 ? IDENTIFIERS : Math.max(topics, Math.floor(BATCH / size), 1);
  const bytes = Buffer.alloc(count * size, 0x61);
  for (let i = 0; i < count; i++) {
    const at = i * size;
    bytes.set([0x30 | (qos << 1), ...length, 0, topic], at);
    bytes.write(topicOf(i % topics), at + start + 2, 'latin1');
    if (qos > 0) bytes.writeUInt16BE(i + 1, at + start + 2 + topic);
    if (version === 5) bytes[at + start + 2 + topic + identifier] = 0;
  }
  return { bytes, size };
}
