import type { RequestError } from '../../errors.ts';
import type { PendingPublish } from '../publish/pending-publish.ts';
import type { ReceivedMessage } from '../receive/received-message.ts';

/** Takes the replies to one request. Its methods must not call the client: they may run while the engine does. */
export interface ReplyReceiver {
  /** Returns whether it waits for more replies. */
  reply(message: ReceivedMessage): 'more' | 'done';
  /** The reply is a failure. */
  refused(error: RequestError): 'more' | 'done';
  /** There will be no more replies. */
  failed(reason: unknown): void;
  /** The request has left, and its time is over. Without this method, that is a failure. */
  timedOut?(): void;
}

/** A request that waits for its replies. */
export class PendingRequest {
  readonly receiver: ReplyReceiver;
  /** What its replies are found by; empty before it is published. */
  key = '';
  /** Where its replies are expected; undefined before it is published. */
  awaitedBy: PendingRequests | undefined = undefined;
  /** The message, from its publication to its acknowledgement. */
  exchange: PendingPublish | undefined = undefined;
  /** Ends its time-out and the listening to its signal. */
  done: () => void = () => {};

  constructor(receiver: ReplyReceiver) {
    this.receiver = receiver;
  }
}

/** The published requests that one response subscription gets the replies of. */
export class PendingRequests {
  readonly #requests = new Map<string, PendingRequest>();

  get size(): number {
    return this.#requests.size;
  }

  /** Before its message is published: a reply may arrive before the acknowledgement. */
  add(key: string, request: PendingRequest): void {
    request.key = key;
    request.awaitedBy = this;
    this.#requests.set(key, request);
  }

  /** The request that a reply with `key` belongs to. */
  find(key: string | undefined): PendingRequest | undefined {
    return key === undefined ? undefined : this.#requests.get(key);
  }

  remove(request: PendingRequest): void {
    this.#requests.delete(request.key);
  }

  all(): PendingRequest[] {
    return [...this.#requests.values()];
  }
}
