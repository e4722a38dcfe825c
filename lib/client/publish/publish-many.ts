import type { PublishProperties, QoS } from '../../codec/packets.ts';
import { ClosedError, messageOf } from '../../errors.ts';
import { Ring } from '../../session/ring.ts';
import { withCancellation, checkCallWith, type CallOptions, type Failure } from '../runtime/cancellation.ts';
import { boolean, choice, wrongType } from '../config/validate.ts';
import type { Logger } from '../logger.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Driver } from '../runtime/driver.ts';
import type { Notifier } from '../runtime/notifier.ts';
import type { PublishResult } from './pending-publish.ts';
import type { Payload } from './payload.ts';
import type { PublishCalls } from './publish-calls.ts';

/** One message for `publishMany()`. Its fields have the names of a received `Message`. */
export interface Publication {
  readonly topic: string;
  readonly payload: Payload;
  /** @default that of the call */
  readonly qos?: QoS | undefined;
  /** @default that of the call */
  readonly retain?: boolean | undefined;
  /** 5.0 */
  readonly properties?: Omit<PublishProperties, 'subscriptionIdentifiers'> | undefined;
}

/** The outcome of one message of `publishMany()`: what `publish()` resolves with, or rejects with. */
export type PublishOutcome<P extends Publication = Publication> =
  | {
      readonly status: 'published';
      readonly publication: P;
      readonly result: PublishResult;
      readonly error?: undefined;
    }
  | {
      readonly status: 'failed';
      readonly publication: P;
      readonly result?: undefined;
      readonly error: unknown;
    };

type MessageDefaults = Pick<PublishManyOptions, 'qos' | 'retain' | 'until'>;

/**
 * Options of `publishMany()`. Aborting ends the iteration with the reason of the signal. Messages that were pulled are
 * still sent. `timeout` applies to each message.
 */
export interface PublishManyOptions extends CallOptions {
  /** Of publications that name none. @default 0 */
  readonly qos?: QoS | undefined;
  /** Of publications that name none. @default false */
  readonly retain?: boolean | undefined;
  /** When a message counts as published: see `PublishOptions`. @default "acknowledged" */
  readonly until?: 'acknowledged' | 'stored' | undefined;
}

/** What `publishMany()` needs of its client. */
export interface PublishManyParts {
  readonly clock: Clock;
  readonly driver: Driver;
  readonly logger: Logger;
  /** Notifies whenever the driver may have room, or has ended. */
  readonly progress: Notifier;
  readonly publishCalls: PublishCalls;
}

/** How many outcomes may wait for the consumer before pulling stops. */
const MAX_AHEAD = 1_024;

/** Checks the arguments; nothing is pulled or sent before the result is iterated. */
export function publishMany<P extends Publication>(
  parts: PublishManyParts,
  source: Iterable<P> | AsyncIterable<P>,
  options: PublishManyOptions,
): AsyncIterable<PublishOutcome<P>> {
  const checked = checkCallWith<MessageDefaults>('publishMany', options, {
    qos: choice(0, 1, 2),
    retain: boolean,
    until: choice('acknowledged', 'stored'),
  });
  const iterate = iteratorOf(source);
  let flow: Flow<P> | undefined = undefined;
  async function* run(): AsyncGenerator<PublishOutcome<P>, undefined, undefined> {
    const own = new Flow(parts, iterate(), checked);
    flow = own;
    try {
      for (let next = await own.next(); next !== undefined; next = await own.next()) yield next;
    } finally {
      await own.stop();
    }
    return undefined;
  }
  const steps = run();
  return outcomes(steps, () => flow?.leave());
}

/** `onReturn` ends a `next()` that waits, too, however long the source or the server may take. */
function outcomes<T>(steps: AsyncGenerator<T, undefined>, onReturn: () => void): AsyncIterableIterator<T> {
  return {
    next: () => steps.next(),
    return() {
      onReturn();
      return steps.return(undefined);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

type Source<P> = Iterator<P> | AsyncIterator<P>;

function iteratorOf<P>(source: Iterable<P> | AsyncIterable<P>): () => Source<P> {
  const given = Object(source) as Partial<Iterable<P> & AsyncIterable<P>>;
  if (typeof given[Symbol.asyncIterator] === 'function')
    return () => (source as AsyncIterable<P>)[Symbol.asyncIterator]();
  if (typeof given[Symbol.iterator] === 'function') return () => (source as Iterable<P>)[Symbol.iterator]();
  throw wrongType('source', 'an iterable or async iterable', source);
}

/** Publishes the messages of a source while there is room. Yields outcomes in the order of the source. */
class Flow<P extends Publication> {
  readonly #parts: PublishManyParts;
  readonly #source: Source<P>;
  readonly #options: PublishManyOptions;
  readonly #sent = new Ring<Promise<PublishOutcome<P>>>();
  /** `finishing`: nothing more is pulled, but outcomes are yielded. `left`: nothing more is yielded either. */
  #phase: 'flowing' | 'finishing' | 'left' = 'flowing';
  /** `asking`: the next message of the source is awaited. `over`: the source has ended. */
  #pull: 'idle' | 'asking' | 'over' = 'idle';
  /** What the iteration throws after the last outcome. */
  #failure: Failure | undefined = undefined;
  /** Resumes `next()` where it waits. */
  #proceed: () => void = () => {};
  readonly #unwatch: () => void;
  readonly #unlisten: () => void;

  constructor(parts: PublishManyParts, source: Source<P>, options: PublishManyOptions) {
    this.#parts = parts;
    this.#source = source;
    this.#options = options;
    this.#unwatch = parts.progress.add(() => this.#fill());
    this.#unlisten = withCancellation({ signal: options.signal }, parts.clock, 'publishMany', (reason) =>
      this.#enter('left', { reason }),
    );
  }

  /** The next outcome, or undefined after the last. Throws what the source threw, after the outcomes before that. */
  async next(): Promise<PublishOutcome<P> | undefined> {
    for (;;) {
      this.#fill();
      const head = this.#isLeft() ? undefined : this.#sent.shift();
      const outcome = head === undefined ? undefined : await this.#unlessLeft(head);
      if (outcome !== undefined) return outcome;
      if (this.#phase !== 'flowing') break;
      await new Promise<void>((resolve) => (this.#proceed = resolve));
    }
    if (this.#failure !== undefined) throw this.#failure.reason;
    return undefined;
  }

  leave(): void {
    this.#enter('left', undefined);
  }

  /** The iteration is over: ends the source, unless it has ended by itself. */
  async stop(): Promise<void> {
    this.#unwatch();
    this.#unlisten();
    this.#phase = 'left';
    const pull = this.#pull;
    // An error of the source must not replace the one that ended the iteration.
    if (pull === 'idle' && this.#failure === undefined) await this.#source.return?.();
    else if (pull === 'idle') await this.#end();
    // The source may not answer for long: it is ended when it does.
    else if (pull === 'asking') void this.#end();
  }

  async #end(): Promise<void> {
    try {
      await this.#source.return?.();
    } catch (error) {
      this.#lost(error);
    }
  }

  #fill(): void {
    const { signal } = this.#options;
    const { driver } = this.#parts;
    if (this.#phase !== 'flowing') return;
    if (signal?.aborted === true) this.#enter('left', { reason: signal.reason });
    else if (driver.state === 'closed' || driver.state === 'disconnecting')
      this.#enter('finishing', { reason: new ClosedError('publishMany: the client is closed') });
    while (this.#isFlowing() && this.#pull === 'idle' && this.#sent.length < MAX_AHEAD) {
      if (!driver.hasRoom(this.#options.until)) return;
      this.#ask();
    }
  }

  #ask(): void {
    try {
      const answer: unknown = this.#source.next();
      if (typeof answer === 'object' && answer !== null && 'then' in answer)
        void this.#await(answer as PromiseLike<unknown>);
      else this.#take(answer);
    } catch (error) {
      this.#broken(error);
    }
  }

  async #await(answer: PromiseLike<unknown>): Promise<void> {
    this.#pull = 'asking';
    try {
      const result = await answer;
      this.#pull = 'idle';
      this.#take(result);
    } catch (error) {
      this.#broken(error);
    }
    this.#fill();
  }

  /** Publishes what the source has brought, even after the iteration has ended. */
  #take(answer: unknown): void {
    // Like `for await`.
    if (typeof answer !== 'object' || answer === null)
      throw wrongType('source', 'an object from next()', answer);
    const result = answer as IteratorResult<P>;
    if (result.done) this.#exhausted(undefined);
    else if (this.#isLeft()) void this.#sendLate(result.value);
    else this.#sent.push(this.#send(result.value));
    this.#proceed();
  }

  async #send(publication: P): Promise<PublishOutcome<P>> {
    try {
      const { topic, payload, properties } = publication;
      const { qos = this.#options.qos ?? 0, retain = this.#options.retain ?? false } = publication;
      // A received message always has properties, which may be empty.
      const hasProperties = properties !== undefined && Object.keys(properties).length > 0;
      const { timeout, until } = this.#options;
      const result = await this.#parts.publishCalls.publish(topic, payload, {
        qos,
        retain,
        properties: hasProperties ? properties : undefined,
        timeout,
        until,
      });
      return { status: 'published', publication, result };
    } catch (error) {
      return { status: 'failed', publication, error };
    }
  }

  /** Publishes after the iteration has ended: a failure is only logged. */
  async #sendLate(publication: P): Promise<void> {
    const { status, error } = await this.#send(publication);
    if (status === 'failed')
      this.#parts.logger.warn(`publishMany: the last message pulled was not published: ${messageOf(error)}`);
  }

  #enter(phase: 'finishing' | 'left', failure: Failure | undefined): void {
    if (this.#isLeft()) return;
    this.#phase = phase;
    this.#failure = failure;
    this.#proceed();
  }

  /** The source has ended, or failed: it must not be called again. */
  #exhausted(failure: Failure | undefined): void {
    this.#pull = 'over';
    if (this.#isFlowing()) this.#enter('finishing', failure);
  }

  #broken(error: unknown): void {
    if (this.#isFlowing()) this.#exhausted({ reason: error });
    else this.#lost(error);
  }

  #lost(error: unknown): void {
    this.#parts.logger.warn(`publishMany: the source failed after it was left: ${messageOf(error)}`);
  }

  #isFlowing(): boolean {
    return this.#phase === 'flowing';
  }

  #isLeft(): boolean {
    return this.#phase === 'left';
  }

  /** `outcome`, or undefined once the iteration was left. */
  #unlessLeft(outcome: Promise<PublishOutcome<P>>): Promise<PublishOutcome<P> | undefined> {
    return new Promise((resolve) => {
      this.#proceed = () => {
        if (this.#isLeft()) resolve(undefined);
      };
      void outcome.then(resolve);
    });
  }
}
