import { LinkedList, type Linked } from '../../session/linked-list.ts';
import type { Ring } from '../../session/ring.ts';
import type { ReceivedMessage } from './received-message.ts';

/** Messages that wait, in order. */
export type WaitingMessages = Pick<
  Ring<ReceivedMessage>,
  'length' | 'push' | 'unshift' | 'shift' | 'removeFirst' | 'takeAll' | typeof Symbol.iterator
>;

class Waiting implements Linked<Waiting> {
  readonly message: ReceivedMessage;
  previous: Waiting | undefined = undefined;
  next: Waiting | undefined = undefined;

  constructor(message: ReceivedMessage) {
    this.message = message;
  }
}

/**
 * Messages that wait, in order, for `latest-per-topic`: the oldest of a Topic Name is found and removed in the same time
 * however many messages wait.
 */
export class MessagesByTopic implements WaitingMessages {
  #list = new LinkedList<Waiting>();
  #length = 0;
  /**
   * Those of them that can be dropped, by Topic Name, oldest first. Usually there is one. There are more after messages
   * were put back, or were released.
   */
  readonly #droppable = new Map<string, Waiting[]>();

  get length(): number {
    return this.#length;
  }

  push(message: ReceivedMessage): void {
    const waiting = new Waiting(message);
    this.#list.append(waiting);
    this.#length++;
    if (!message.unsettled) this.#ofTopic(message.topic).push(waiting);
  }

  unshift(message: ReceivedMessage): void {
    const waiting = new Waiting(message);
    this.#list.prepend(waiting);
    this.#length++;
    if (!message.unsettled) this.#ofTopic(message.topic).unshift(waiting);
  }

  shift(): ReceivedMessage | undefined {
    const { first } = this.#list;
    return first === undefined ? undefined : this.#remove(first);
  }

  removeFirst(test: (message: ReceivedMessage) => boolean): ReceivedMessage | undefined {
    for (const waiting of this.#list) if (test(waiting.message)) return this.#remove(waiting);
    return undefined;
  }

  /** Removes and returns the oldest message of a Topic Name that can be dropped. */
  removeOldest(topic: string): ReceivedMessage | undefined {
    const oldest = this.#droppable.get(topic)?.[0];
    return oldest === undefined ? undefined : this.#remove(oldest);
  }

  takeAll(): ReceivedMessage[] {
    const all = [...this];
    this.#list = new LinkedList();
    this.#length = 0;
    this.#droppable.clear();
    return all;
  }

  *[Symbol.iterator](): Generator<ReceivedMessage, void, undefined> {
    for (const { message } of this.#list) yield message;
  }

  #ofTopic(topic: string): Waiting[] {
    let waiting = this.#droppable.get(topic);
    if (waiting === undefined) {
      waiting = [];
      this.#droppable.set(topic, waiting);
    }
    return waiting;
  }

  /** `waiting` is the first of all, or of those of its Topic Name that can be dropped: so it is the first of these in any case. */
  #remove(waiting: Waiting): ReceivedMessage {
    const { message } = waiting;
    this.#list.remove(waiting);
    this.#length--;
    const ofTopic = this.#droppable.get(message.topic);
    if (ofTopic?.[0] === waiting) {
      ofTopic.shift();
      if (ofTopic.length === 0) this.#droppable.delete(message.topic);
    }
    return message;
  }
}
