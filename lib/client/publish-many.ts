import type { PublishProperties, QoS } from '../codec/packets.ts';
import { ClosedError, messageOf } from '../errors.ts';
import { Ring } from '../session/ring.ts';
import { bound, checkCall, type CallOptions } from './calls.ts';
import { flag, oneOf, record, wrongType } from './checks.ts';
import type { Clock } from './clock.ts';
import type { PublishResult } from './exchanges.ts';
import type { Payload } from './payload.ts';
import type { PublishOptions } from './publishing.ts';
import type { Failure } from './reading.ts';

/** One message for `publishMany()`, its fields named as those of a `Message` that was received. */
export interface Publication {
  readonly topic: string;
  readonly payload: Payload;
  /** @default that of the call */
  readonly qos?: QoS;
  /** @default that of the call */
  readonly retain?: boolean;
  /** 5.0 */
  readonly properties?: Omit<PublishProperties, 'subscriptionIdentifiers'>;
}

/** What came of one message of `publishMany()`: what `publish()` resolves with, or rejects with. */
export type PublishOutcome<P extends Publication = Publication> =
  | { readonly publication: P; readonly result: PublishResult; readonly error?: undefined }
  | { readonly publication: P; readonly result?: undefined; readonly error: unknown };

/**
 * Options of `publishMany()`. Aborting ends the iteration with the reason of the signal; what was pulled by then goes
 * out all the same. `timeout` is that of each message.
 */
export interface PublishManyOptions extends CallOptions {
  /** Of publications that name none. @default 0 */
  readonly qos?: QoS;
  /** Of publications that name none. @default false */
  readonly retain?: boolean;
}

/** What `publishMany()` needs of its client. */
export interface Outlet {
  readonly clock: Clock;
  publish(topicName: string, payload: Payload, options: PublishOptions): Promise<PublishResult>;
  /** Whether one more message can go out at once, whatever its QoS. */
  hasRoom(): boolean;
  /** Whether the client has ended. */
  isClosed(): boolean;
  /** Calls `look` whenever any of this may have changed. Returns what ends that. */
  watch(look: () => void): () => void;
  warn(message: string): void;
}

/** So many outcomes may wait for whoever iterates before the source is left alone. */
const AHEAD = 1_024;

/** Checks the arguments; nothing is pulled or sent before the result is iterated. */
export function publishMany<P extends Publication>(
  outlet: Outlet,
  source: Iterable<P> | AsyncIterable<P>,
  options: PublishManyOptions,
): AsyncIterable<PublishOutcome<P>> {
  record('publishMany', options, ['qos', 'retain', 'signal', 'timeout']);
  checkCall(options);
  if (options.qos !== undefined) oneOf('qos', options.qos, [0, 1, 2]);
  if (options.retain !== undefined) flag('retain', options.retain);
  const iterate = iteratorOf(source);
  if (iterate === undefined) throw wrongType('source', 'an iterable or async iterable', source);
  return outcomes(outlet, iterate, options);
}

async function* outcomes<P extends Publication>(
  outlet: Outlet,
  iterate: () => Source<P>,
  options: PublishManyOptions,
): AsyncGenerator<PublishOutcome<P>, void, undefined> {
  const flow = new Flow(outlet, iterate(), options);
  try {
    for (let next = await flow.next(); next !== undefined; next = await flow.next()) yield next;
  } finally {
    await flow.stop();
  }
}

type Source<P> = Iterator<P> | AsyncIterator<P>;

function iteratorOf<P>(source: Iterable<P> | AsyncIterable<P>): (() => Source<P>) | undefined {
  const given = Object(source) as Partial<Iterable<P> & AsyncIterable<P>>;
  if (typeof given[Symbol.asyncIterator] === 'function')
    return () => (source as AsyncIterable<P>)[Symbol.asyncIterator]();
  if (typeof given[Symbol.iterator] === 'function') return () => (source as Iterable<P>)[Symbol.iterator]();
  return undefined;
}

/** Messages from a source into the client, as long as there is room; outcomes in the order of the source. */
class Flow<P extends Publication> {
  readonly #outlet: Outlet;
  readonly #source: Source<P>;
  readonly #options: PublishManyOptions;
  readonly #sent = new Ring<Promise<PublishOutcome<P>>>();
  #phase: 'flowing' | 'exhausted' | 'stopped' = 'flowing';
  /** `asking`: the source has been asked for its next message and has not answered. */
  #pull: 'idle' | 'asking' = 'idle';
  #failure: Failure | undefined = undefined;
  /** Whoever iterates waits: for an outcome, or for there to be one. */
  #waiting: { proceed(): void; fail(error: unknown): void } | undefined = undefined;
  readonly #unwatch: () => void;
  readonly #unbind: () => void;

  constructor(outlet: Outlet, source: Source<P>, options: PublishManyOptions) {
    this.#outlet = outlet;
    this.#source = source;
    this.#options = options;
    this.#unwatch = outlet.watch(() => this.#fill());
    this.#unbind = bound({ signal: options.signal }, outlet.clock, 'publishMany', (reason) => {
      this.#waiting?.fail(reason);
      this.#fail(reason);
    });
  }

  /** The next outcome, or undefined after the last. Throws what the source threw, after what came before that. */
  async next(): Promise<PublishOutcome<P> | undefined> {
    for (;;) {
      this.#fill();
      if (this.#options.signal?.aborted === true) break;
      const head = this.#sent.shift();
      if (head !== undefined) return this.#until(head);
      if (this.#phase !== 'flowing') break;
      await new Promise<void>((proceed, fail) => (this.#waiting = { proceed, fail }));
    }
    if (this.#failure !== undefined) throw this.#failure.reason;
    return undefined;
  }

  async stop(): Promise<void> {
    this.#unwatch();
    this.#unbind();
    const before = this.#phase;
    this.#phase = 'stopped';
    if (before === 'exhausted' || this.#source.return === undefined) return;
    // A source that is being asked may not answer for long: it ends when it does.
    if (this.#pull === 'idle') await this.#source.return();
    else Promise.resolve(this.#source.return()).catch((error: unknown) => this.#lost(error));
  }

  /** Pulls as long as there is room. */
  #fill(): void {
    if (this.#phase === 'flowing' && this.#outlet.isClosed())
      this.#fail(new ClosedError('publishMany: the client is closed'));
    while (this.#phase === 'flowing' && this.#pull === 'idle' && this.#sent.length < AHEAD) {
      if (!this.#outlet.hasRoom()) return;
      this.#ask();
    }
  }

  #ask(): void {
    try {
      const answer = this.#source.next();
      if ('then' in answer) void this.#await(answer);
      else this.#take(answer);
    } catch (error) {
      this.#exhausted({ reason: error });
    }
  }

  async #await(answer: Promise<IteratorResult<P>>): Promise<void> {
    this.#pull = 'asking';
    const result = await answer.catch((error: unknown) => {
      if (this.#phase === 'stopped') this.#lost(error);
      else this.#exhausted({ reason: error });
    });
    this.#pull = 'idle';
    if (result === undefined) return;
    this.#take(result);
    this.#fill();
  }

  #take(result: IteratorResult<P>): void {
    if (this.#phase === 'stopped') return;
    if (result.done === true) this.#exhausted(undefined);
    else this.#sent.push(this.#send(result.value));
    this.#proceed();
  }

  async #send(publication: P): Promise<PublishOutcome<P>> {
    try {
      const { topic, payload, properties } = publication;
      const { qos = this.#options.qos ?? 0, retain = this.#options.retain ?? false } = publication;
      // A message that was received has its properties always, empty ones too.
      const some = properties !== undefined && Object.keys(properties).length > 0;
      const { timeout } = this.#options;
      const result = await this.#outlet.publish(topic, payload, {
        qos,
        retain,
        ...(some && { properties }),
        ...(timeout !== undefined && { timeout }),
      });
      return { publication, result };
    } catch (error) {
      return { publication, error };
    }
  }

  /** The client or the caller has ended it: nothing more is pulled. */
  #fail(reason: unknown): void {
    if (this.#phase === 'stopped') return;
    this.#phase = 'stopped';
    this.#failure = { reason };
    this.#proceed();
  }

  /** The source has come to its end, or `failure`: it is not to be asked or ended any more. */
  #exhausted(failure: Failure | undefined): void {
    this.#phase = 'exhausted';
    this.#failure = failure;
    this.#proceed();
  }

  #lost(error: unknown): void {
    this.#outlet.warn(`publishMany: the source failed after it was left: ${messageOf(error)}`);
  }

  #proceed(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.proceed();
  }

  /** `outcome`, which may be cut short by an abort. */
  #until(outcome: Promise<PublishOutcome<P>>): Promise<PublishOutcome<P>> {
    if (this.#options.signal === undefined) return outcome;
    return new Promise((resolve, reject) => {
      this.#waiting = { proceed: () => {}, fail: reject };
      void outcome.then(resolve);
    });
  }
}
