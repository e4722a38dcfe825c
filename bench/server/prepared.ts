/** Messages that the null server sends, encoded before. */
import { topicOf, type Demand } from '../client/task.ts';

/** Bytes of messages that are prepared for QoS 0, if a message is not larger. */
const BATCH = 262_144;

/** Number of Packet Identifiers. */
const IDENTIFIERS = 65_535;

/** A number that looks random. */
const scramble = (i: number): number => Math.imul(i ^ (i >>> 7), 0x9e37_79b1) >>> 8;

export interface Prepared {
  /** Messages of `size` bytes, back to back. */
  readonly bytes: Buffer;
  readonly size: number;
}

/** The last messages that were prepared: a run requests the same as its warm-up. */
let last: { readonly key: string; readonly prepared: Prepared } | undefined;

export function prepare(demand: Demand, version: number): Prepared {
  const key = JSON.stringify([{ ...demand, messages: 0 }, version]);
  if (last?.key !== key) last = { key, prepared: encode(demand, version) };
  return last.prepared;
}

/** Encodes at least one message per topic, and for QoS 1 and 2 one per Packet Identifier. */
function encode({ payload, qos, topics, order }: Demand, version: number): Prepared {
  const name = topicOf(0);
  const identifier = qos > 0 ? 2 : 0;
  const properties = version === 5 ? 1 : 0;
  const remaining = 2 + name.length + identifier + properties + payload;
  const length = [];
  for (let rest = remaining; rest > 0; rest >>= 7) length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  const first = Buffer.concat([
    Buffer.from([0x30 | (qos << 1), ...length, 0, name.length]),
    Buffer.from(name),
    Buffer.alloc(identifier + properties),
    Buffer.alloc(payload, 0x61),
  ]);
  const size = first.length;
  const topic = 1 + length.length + 2;
  const most = order === 'random' ? 4 * topics : topics;
  const count = qos > 0 && payload < 65_536 ? IDENTIFIERS : Math.max(most, Math.floor(BATCH / size), 1);
  const bytes = Buffer.allocUnsafeSlow(count * size);
  for (let i = 0; i < count; i++) {
    const at = i * size;
    bytes.set(first, at);
    if (topics > 1) bytes.write(topicOf(order === 'random' ? scramble(i) % topics : i % topics), at + topic);
    if (qos > 0) bytes.writeUInt16BE(i + 1, at + topic + name.length);
  }
  return { bytes, size };
}
