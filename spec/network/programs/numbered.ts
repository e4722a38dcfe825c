import { createHash, type Hash } from 'node:crypto';
import type { ProtocolVersion } from '../../../lib/codec/packets.ts';

/** Numbered messages with a checksum. */
export function numbered(i: number): string {
  return `${i} ${createHash('sha256').update(`message ${i}`).digest('hex')}`;
}

/** Checks that numbered messages arrive once, unchanged and in order. */
export class Sequence {
  count = 0;
  /** The first message that was not the expected one. */
  wrong: string | undefined = undefined;
  readonly #hash: Hash = createHash('sha256');

  add(text: string): void {
    if (text !== numbered(this.count)) this.wrong ??= `expected message ${this.count}, got ${text}`;
    this.count++;
    this.#hash.update(text).update('\n');
  }

  /** A summary of all messages. Call it once. */
  summary(): Summary {
    const { count, wrong } = this;
    return { count, hash: this.#hash.digest('hex'), ...(wrong !== undefined && { wrong }) };
  }

  /** The summary of `count` messages without errors. */
  static of(count: number): Summary {
    const sequence = new Sequence();
    for (let i = 0; i < count; i++) sequence.add(numbered(i));
    return sequence.summary();
  }
}

export interface Summary {
  readonly count: number;
  readonly hash: string;
  readonly wrong?: string;
}

/** The servers in arguments: `URL VERSION` each. */
export function serversOf(args: readonly string[]): readonly { url: string; version: ProtocolVersion }[] {
  return args.flatMap((url, i) =>
    i % 2 === 0 ? [{ url, version: Number(args[i + 1]) as ProtocolVersion }] : [],
  );
}
