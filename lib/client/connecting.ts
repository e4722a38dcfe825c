import type { Change } from '../engine/effects.ts';
import { ClosedError, ConnectError, type MqttError } from '../errors.ts';
import type { Target } from '../transport/transport.ts';
import { bound, checkCall, type CallOptions } from './calls.ts';
import { flag, integer, record, string } from './checks.ts';
import type { Clock } from './clock.ts';
import { ControlLane } from './control-lane.ts';
import type { Driver } from './driver.ts';
import type { Settings } from './options.ts';
import type { Connack } from './status.ts';

/** Options of `connect()`: over what the constructor was given, for this and later attempts. */
export interface ConnectOptions extends CallOptions {
  readonly host?: string;
  readonly port?: number;
  /** Seconds, 0 = off. */
  readonly keepAlive?: number;
  /** The local address to connect from. */
  readonly localAddress?: string;
  /** Whether to keep trying until it succeeds. @default `reconnect.retryInitial` */
  readonly retry?: boolean;
}

/** A promise with its handles, marked as handled: it is there for whoever looks. */
interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

function deferred<T>(): Deferred<T> {
  let handles: Omit<Deferred<T>, 'promise'>;
  const promise = new Promise<T>((resolve, reject) => (handles = { resolve, reject }));
  promise.catch(() => {});
  return { promise, ...handles! };
}

/** `connect()` and what waits for the connection: to come up, to end. */
export class Connecting {
  readonly #driver: Driver;
  readonly #settings: Settings<unknown>;
  readonly #clock: Clock;
  readonly #lane = new ControlLane();
  #target: Target;
  #connack: Connack | undefined = undefined;
  /** The attempt that calls of `connect()` share, and how many wait for it. */
  #attempt: Promise<Connack> | undefined = undefined;
  #callers = 0;
  /** What settles when the connection is up, or will not come up. */
  #outcome: Deferred<Connack> | undefined = undefined;
  #closed = deferred<void>();

  constructor(driver: Driver, settings: Settings<unknown>, clock: Clock) {
    this.#driver = driver;
    this.#settings = settings;
    this.#clock = clock;
    this.#target = settings.target;
  }

  /** What to connect to. */
  get target(): Target {
    return this.#target;
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Resolves when the client is closed, however it came to that; at once where it was never used. */
  async ended(): Promise<void> {
    if (this.#driver.state === 'closed' || this.#driver.state === 'offline') return;
    await this.#closed.promise.catch(() => {});
  }

  async connect(options: ConnectOptions): Promise<Connack> {
    record('connect', options, ['host', 'port', 'keepAlive', 'localAddress', 'retry', 'signal', 'timeout']);
    checkCall(options);
    const retry = flag('retry', options.retry ?? this.#settings.retryInitial);
    this.#override(options);
    if (this.#driver.state === 'connected' && this.#connack !== undefined) return this.#connack;
    const attempt = (this.#attempt ??= this.#begin(retry));
    this.#callers++;
    return new Promise<Connack>((resolve, reject) => {
      const done = bound(options, this.#clock, 'connect', (reason) => {
        // Others may still wait for the attempt: only the last one to leave gives it up.
        if (--this.#callers === 0) this.#giveUp(reason);
        reject(reason);
      });
      attempt.then(resolve, reject).finally(done);
    });
  }

  /** `disconnect()` ends what runs and waits. */
  abort(reason: MqttError): void {
    this.#lane.abort(reason);
    this.#outcome?.reject(reason);
  }

  changed(change: Change): void {
    switch (change.type) {
      case 'connected': {
        const { sessionPresent, reasonCode, properties } = change.connack;
        this.#connack = { sessionPresent, reasonCode, properties };
        this.#outcome?.resolve(this.#connack);
        break;
      }
      case 'gaveUp':
        this.#outcome?.reject(change.error);
        break;
      case 'closed': {
        const { error } = change;
        this.#connack = undefined;
        this.#outcome?.reject(error ?? new ClosedError('the client was disconnected'));
        if (error === undefined) this.#closed.resolve();
        else this.#closed.reject(error);
        break;
      }
      default:
        break;
    }
  }

  #begin(retry: boolean): Promise<Connack> {
    this.#callers = 0;
    const attempt = this.#lane.run(async () => {
      await this.#whileDisconnecting();
      if (this.#driver.state === 'closed') this.#closed = deferred<void>();
      const outcome = deferred<Connack>();
      this.#outcome = outcome;
      this.#driver.connect(retry ? 'retry' : 'give up');
      return outcome.promise;
    });
    const over = (): void => {
      this.#attempt = undefined;
      this.#outcome = undefined;
    };
    attempt.then(over, over);
    return attempt;
  }

  async #whileDisconnecting(): Promise<void> {
    if (this.#driver.state === 'disconnecting') await this.ended();
  }

  #giveUp(reason: unknown): void {
    const error = new ConnectError('timeout', 'connect was given up by its caller', { cause: reason });
    this.#driver.giveUp(error);
  }

  #override(options: ConnectOptions): void {
    const { host, port, keepAlive, localAddress } = options;
    if (keepAlive !== undefined) this.#settings.engine.keepAlive = integer('keepAlive', keepAlive, 0, 65_535);
    this.#target = {
      ...this.#target,
      ...(host !== undefined && { host: string('host', host) }),
      ...(port !== undefined && { port: integer('port', port, 1, 65_535) }),
      ...(localAddress !== undefined && { localAddress: string('localAddress', localAddress) }),
    };
  }
}
