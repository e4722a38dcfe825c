import { ClosedError, ConnectError, type MqttError } from '../../errors.ts';
import { withCancellation, checkCall, checkCallWith, type CallOptions } from './cancellation.ts';
import { boolean, integerIn } from '../config/validate.ts';
import type { Clock } from './clock.ts';
import { ConnectQueue } from './connect-queue.ts';
import type { Driver } from './driver.ts';
import type { StoredSession } from './stored-session.ts';
import type { Settings } from '../config/settings.ts';
import { toLocalAddress } from '../config/network-options.ts';
import { toHost, type Endpoints } from '../config/endpoints.ts';
import type { Connack } from '../status.ts';

/** Options of `connect()`. They replace those of the constructor, for this attempt and later ones. */
export interface ConnectOptions extends CallOptions {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** Seconds, 0 = off. */
  readonly keepAlive?: number | undefined;
  /** The local address to connect from. */
  readonly localAddress?: string | undefined;
  /** Whether to keep trying until it succeeds. @default `reconnect.retryInitial` */
  readonly retry?: boolean | undefined;
}

type AttemptOptions = Omit<ConnectOptions, keyof CallOptions>;

type Deferred<T> = ReturnType<typeof deferred<T>>;

/** A promise with its handles. It counts as handled: nobody has to wait for it. */
function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((...handles) => ([resolve, reject] = handles));
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/** One attempt, shared by all calls of `connect()` until it ends. */
interface Attempt {
  readonly connack: Promise<Connack>;
  callers: number;
  /** What it waits for, once it has begun. */
  outcome: Deferred<Connack> | undefined;
  /** `joined`: it waits for an attempt that was already in progress; `left`: no call waits for it any more. */
  phase: 'queued' | 'begun' | 'joined' | 'left';
}

interface ConnectCallsParts {
  readonly clock: Clock;
  readonly configuration: { readonly settings: Settings<unknown> };
  readonly driver: Driver;
  readonly endpoints: Endpoints;
  readonly storedSession: Pick<StoredSession, 'close'> | undefined;
}

/** `connect()`, `reconnect()` and `closed`: what waits for a connection or its end. */
export class ConnectCalls {
  readonly #parts: ConnectCallsParts;
  readonly #driver: Driver;
  readonly #queue = new ConnectQueue();
  #connack: Connack | undefined = undefined;
  #attempt: Attempt | undefined = undefined;
  /** They settle when the connection is established, or will not be. */
  #outcomes: readonly Deferred<Connack>[] = [];
  /** Made when it is first asked for. */
  #closed: Deferred<void> | undefined = undefined;
  /** How the client has ended; undefined while it has not. */
  #end: { readonly error: MqttError | undefined } | undefined = undefined;

  constructor(parts: ConnectCallsParts) {
    this.#parts = parts;
    this.#driver = parts.driver;
  }

  get closed(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = deferred<void>();
      this.#settleClosed();
    }
    return this.#closed.promise;
  }

  /**
   * Resolves when the client is closed, with or without an error; at once if it was never used. A store that takes longer
   * than `timeout` ms to close is not waited for.
   */
  async ended(timeout?: number): Promise<void> {
    const { state } = this.#driver;
    if (state !== 'closed' && state !== 'offline') await this.closed.catch(() => {});
    await this.#driver.gracefulClose();
    const closing = this.#parts.storedSession?.close();
    if (closing === undefined || timeout === undefined) return closing;
    await new Promise<void>((resolve) => {
      const done = withCancellation({ timeout }, this.#parts.clock, 'disconnect', () => resolve());
      void closing.then(resolve).finally(done);
    });
  }

  async connect(options?: ConnectOptions): Promise<Connack> {
    const { retryInitial } = this.#parts.configuration.settings;
    const { signal, timeout, retry = retryInitial } = options === undefined ? {} : this.#apply(options);
    if (this.#driver.state === 'connected' && this.#connack !== undefined) return this.#connack;
    const attempt = this.#attempt ?? this.#begin(retry);
    attempt.callers++;
    if (signal === undefined && timeout === undefined) return attempt.connack;
    return new Promise<Connack>((resolve, reject) => {
      const done = withCancellation({ signal, timeout }, this.#parts.clock, 'connect', (reason) => {
        // Other calls may wait for the attempt: only the last one gives it up.
        if (--attempt.callers === 0) this.#giveUp(attempt, reason);
        reject(reason);
      });
      attempt.connack.then(resolve, reject).finally(done);
    });
  }

  /**
   * Resolves with the CONNACK of the connection that replaces the present one. It does not queue behind calls that wait for
   * an attempt, because it cuts their wait short.
   */
  async reconnect(options: CallOptions): Promise<Connack> {
    checkCall('reconnect', options);
    // A `connect()` waits for the end of the previous connection, and connects then.
    if (this.#attempt?.phase === 'queued') return this.connect(options);
    const { state } = this.#driver;
    if (state === 'offline' || state === 'closed' || state === 'disconnecting')
      throw new ClosedError(
        `reconnect: the client is ${state}, so there is no connection to replace: call connect()`,
      );
    return new Promise<Connack>((resolve, reject) => {
      const outcome = this.#awaitOutcome();
      const done = withCancellation(options, this.#parts.clock, 'reconnect', (reason) => {
        this.#forget(outcome);
        reject(reason);
      });
      outcome.promise.then(resolve, reject).finally(done);
      // If an attempt is in progress already, this waits for it.
      this.#driver.reconnect();
    });
  }

  /** `disconnect()` was called: everything that waits here rejects with `reason`. */
  abort(reason: MqttError): void {
    this.#attempt = undefined;
    this.#queue.abort(reason);
    this.#settle((outcome) => outcome.reject(reason));
  }

  connected(connack: Connack): void {
    this.#connack = connack;
    this.#settle((outcome) => outcome.resolve(connack));
  }

  /** The first attempt failed and is not retried. */
  gaveUp(error: MqttError): void {
    this.#settle((outcome) => outcome.reject(error));
  }

  end(error: MqttError | undefined): void {
    this.#connack = undefined;
    this.#end = { error };
    this.#settle((outcome) => outcome.reject(error ?? new ClosedError('the client was disconnected')));
    this.#settleClosed();
  }

  #settleClosed(): void {
    if (this.#end === undefined) return;
    const { error } = this.#end;
    if (error === undefined) this.#closed?.resolve();
    else this.#closed?.reject(error);
  }

  /** Checks the options of `connect()`, and applies those that hold for later attempts, too. */
  #apply(options: ConnectOptions): Pick<ConnectOptions, 'signal' | 'timeout' | 'retry'> {
    const { configuration, endpoints } = this.#parts;
    const { engine, network } = configuration.settings;
    const { signal, timeout, retry, keepAlive, ...overrides } = checkCallWith<AttemptOptions>(
      'connect',
      options,
      {
        host: toHost,
        port: integerIn(1, 65_535),
        keepAlive: integerIn(0, 65_535),
        localAddress: (_, value) => toLocalAddress(value, network.family),
        retry: boolean,
      },
    );
    endpoints.override(overrides);
    if (keepAlive !== undefined) engine.keepAlive = keepAlive;
    return { signal, timeout, retry };
  }

  #awaitOutcome(): Deferred<Connack> {
    const outcome = deferred<Connack>();
    this.#outcomes = [...this.#outcomes, outcome];
    return outcome;
  }

  #forget(outcome: Deferred<Connack>): void {
    this.#outcomes = this.#outcomes.filter((one) => one !== outcome);
  }

  #settle(how: (outcome: Deferred<Connack>) => void): void {
    const outcomes = this.#outcomes;
    this.#outcomes = [];
    for (const outcome of outcomes) how(outcome);
  }

  #begin(retry: boolean): Attempt {
    this.#reopen();
    const { promise: connack, resolve, reject } = deferred<Connack>();
    const attempt: Attempt = { connack, callers: 0, outcome: undefined, phase: 'queued' };
    // Assigned first: the application may call `connect()` when the attempt begins.
    this.#attempt = attempt;
    const forget = (): void => {
      if (this.#attempt === attempt) this.#attempt = undefined;
    };
    connack.then(forget, forget);
    this.#queue.run((turn) => this.#run(attempt, retry, turn)).then(resolve, reject);
    return attempt;
  }

  async #run(attempt: Attempt, retry: boolean, turn: Pick<AbortController, 'signal'>): Promise<Connack> {
    if (this.#driver.state === 'disconnecting') {
      await this.ended();
      turn.signal.throwIfAborted();
    }
    if (attempt.phase === 'left') throw new ClosedError('connect was given up by its caller');
    this.#reopen();
    const { state } = this.#driver;
    if (state === 'connected' && this.#connack !== undefined) return this.#connack;
    attempt.phase = state === 'offline' || state === 'closed' ? 'begun' : 'joined';
    const outcome = this.#awaitOutcome();
    attempt.outcome = outcome;
    this.#driver.connect(retry ? 'retry' : 'give up');
    return outcome.promise;
  }

  /** A closed client is used again: `closed` now stands for its next end. */
  #reopen(): void {
    if (this.#end === undefined || this.#driver.state !== 'closed') return;
    this.#end = undefined;
    this.#closed = undefined;
  }

  /** No call waits for `attempt` any more. An attempt to restore a lost connection goes on. */
  #giveUp(attempt: Attempt, reason: unknown): void {
    if (this.#attempt === attempt) this.#attempt = undefined;
    const { phase } = attempt;
    attempt.phase = 'left';
    if (phase === 'queued') return;
    const error = new ConnectError('timeout', 'connect was given up by its caller', { cause: reason });
    if (phase === 'begun') this.#driver.giveUp(error);
    const { outcome } = attempt;
    if (outcome === undefined) return;
    this.#forget(outcome);
    outcome.reject(error);
  }
}
