/** How far a stored message is on its way, as the store has to know it. */
export const Progress = {
  /** It was never written, or its session was lost since. */ Waiting: 0,
  /** It may have been written under its Packet Identifier. */ Published: 1,
  /** QoS 2: PUBREC was received. */ Released: 2,
  /** It is acknowledged, given up or withdrawn. */ Over: 3,
} as const;
export type Progress = (typeof Progress)[keyof typeof Progress];

/** What a segment has to know of a message. */
export interface SegmentMessage {
  readonly packetId: number;
  /** Its place in the order of calls. */
  readonly publishOrder: number;
  readonly queuedBytes: number;
}

/** Is told what changes in its segments. */
export interface SegmentOwner {
  /** The progress of a message has changed. */
  changed(segment: Segment): void;
  /** A message is over. `progress`: how far it was on its way. */
  ended(message: SegmentMessage, progress: Progress): void;
}

/**
 * Stored messages that were written together and have consecutive places in the order of calls. The store has their text
 * in one record and their progress in another, so that neither costs a record per message.
 */
export class Segment {
  /** Place of the first message in the order of calls. */
  readonly first: number;
  /** How many messages there are, those that are over included. */
  readonly count: number;
  readonly #owner: SegmentOwner;
  readonly #progress: Uint8Array;
  /** Made with the first message that is published. */
  #packetIds: Uint16Array | undefined = undefined;
  /** Places in the order of the PUBRECs. Made with the first one. */
  #releases: Float64Array | undefined = undefined;
  /** Messages that are not over. */
  #live: number;
  /** `progress`: the store has a record of the progress, too. */
  inStore: 'messages' | 'progress' = 'messages';

  constructor(first: number, count: number, owner: SegmentOwner) {
    this.first = first;
    this.count = count;
    this.#owner = owner;
    this.#progress = new Uint8Array(count);
    this.#live = count;
  }

  /** Messages that are not over. Once there are none, the store can forget the segment. */
  get live(): number {
    return this.#live;
  }

  /** The place of the last message. */
  get last(): number {
    return this.first + this.count - 1;
  }

  progressAt(place: number): Progress {
    return this.#progress[place - this.first] as Progress;
  }

  packetIdAt(place: number): number {
    return this.#packetIds?.[place - this.first] ?? 0;
  }

  /** The place of a released message in the order of the PUBRECs. */
  releaseAt(place: number): number {
    return this.#releases?.[place - this.first] ?? 0;
  }

  /** hot: the message is about to be written under its Packet Identifier. */
  published({ packetId, publishOrder }: SegmentMessage): void {
    const at = publishOrder - this.first;
    const packetIds = (this.#packetIds ??= new Uint16Array(this.count));
    if (this.#progress[at] === Progress.Published && packetIds[at] === packetId) return;
    packetIds[at] = packetId;
    this.#set(at, Progress.Published);
  }

  /** PUBREC was received. `release`: its place in the order of the PUBRECs. */
  released({ publishOrder }: SegmentMessage, release: number): void {
    const at = publishOrder - this.first;
    this.#releases ??= new Float64Array(this.count);
    this.#releases[at] = release;
    this.#set(at, Progress.Released);
  }

  /** The message will be sent as a new one. */
  startedOver({ publishOrder }: SegmentMessage): void {
    const at = publishOrder - this.first;
    if (this.#progress[at] !== Progress.Waiting) this.#set(at, Progress.Waiting);
  }

  /** hot: the message is acknowledged, given up or withdrawn. */
  ended(message: SegmentMessage): void {
    const at = message.publishOrder - this.first;
    const progress = this.progressAt(message.publishOrder);
    if (progress === Progress.Over) return;
    this.#live--;
    this.#owner.ended(message, progress);
    this.#set(at, Progress.Over);
  }

  /** Takes over what a record says of the message at `place`, without telling the owner. */
  restore(place: number, progress: Progress, packetId: number, release: number): void {
    const at = place - this.first;
    if (progress === Progress.Over) this.#live--;
    this.#progress[at] = progress;
    if (packetId > 0) (this.#packetIds ??= new Uint16Array(this.count))[at] = packetId;
    if (release > 0) (this.#releases ??= new Float64Array(this.count))[at] = release;
  }

  #set(at: number, progress: Progress): void {
    this.#progress[at] = progress;
    this.#owner.changed(this);
  }
}
