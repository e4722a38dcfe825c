import type { PublishPacket } from '../../lib/codec/packets.ts';

/** The topic of message `tag`: more of them than there are Topic Aliases. */
export function topicOf(tag: number): string {
  return `out/${tag % 3}`;
}

/** The Topic Aliases that a server keeps for one Network Connection (3.3.2.3.4). */
export class ServerAliases {
  readonly #names = new Map<number, string>();
  readonly #maximum: number;

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** The Topic Name of a PUBLISH. Throws where the client has broken a rule. */
  resolve({ topic, duplicate, properties: { topicAlias } }: PublishPacket): string {
    if (duplicate && topic === '') throw new Error('a PUBLISH is sent again without its Topic Name');
    if (topicAlias === undefined) return topic;
    if (topicAlias < 1 || topicAlias > this.#maximum)
      throw new Error(`Topic Alias ${topicAlias}, expected ${this.#maximum} at the most`);
    if (topic !== '') this.#names.set(topicAlias, topic);
    const name = this.#names.get(topicAlias);
    if (name === undefined) throw new Error(`Topic Alias ${topicAlias} stands for nothing`);
    return name;
  }
}
