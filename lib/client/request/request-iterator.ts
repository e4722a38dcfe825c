import { ClosableIterator, END } from '../receive/next-calls.ts';
import type { ReceivedMessage } from '../receive/received-message.ts';
import type { ReceivedRequest } from './received-request.ts';
import type { ServiceRequest } from './service.ts';

/** A service as its loops see it. */
interface RequestSource {
  accept(message: ReceivedMessage): Promise<ReceivedRequest | undefined>;
  leave(request: ReceivedRequest): Promise<void>;
  giveBack(request: ReceivedRequest): void;
}

/**
 * One `for await` over a service: a loop over its messages that passes over those that are not to be handled. Asking for
 * the next message acknowledges the one before, so this waits until a reply to it is acknowledged.
 */
export class RequestIterator extends ClosableIterator<ServiceRequest> {
  readonly #messages: AsyncIterator<ReceivedMessage>;
  readonly #source: RequestSource;
  #inHand: ReceivedRequest | undefined = undefined;

  constructor(messages: AsyncIterator<ReceivedMessage>, source: RequestSource) {
    super();
    this.#messages = messages;
    this.#source = source;
  }

  async next(): Promise<IteratorResult<ServiceRequest, undefined>> {
    const before = this.#inHand;
    this.#inHand = undefined;
    if (before !== undefined) await this.#source.leave(before);
    for (;;) {
      const result = await this.#messages.next();
      if (result.done === true) return END;
      const request = await this.#source.accept(result.value);
      if (request === undefined) continue;
      this.#inHand = request;
      return { value: request, done: false };
    }
  }

  async return(): Promise<IteratorResult<ServiceRequest, undefined>> {
    const request = this.#inHand;
    this.#inHand = undefined;
    if (request !== undefined) {
      this.#source.giveBack(request);
      // A reply that is under way settles its request: it must not be handed out again.
      await request.answered();
    }
    await this.#messages.return?.();
    return END;
  }
}
