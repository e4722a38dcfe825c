import type { AuthProperties, ConnectProperties } from '../../codec/packets.ts';
import type { AuthenticationStep } from '../../engine/effects.ts';
import { ClosedError, ConnectError, ConnectionLostError, messageOf, type MqttError } from '../../errors.ts';
import type { AttemptContext } from '../../transport/options.ts';
import {
  toAuthenticationData,
  type Authentication,
  type AuthenticationContext,
} from '../config/authentication.ts';
import { checkCall, onAbort, withCancellation, type CallOptions } from './cancellation.ts';
import type { Clock } from './clock.ts';
import type { Driver } from './driver.ts';
import type { EventQueue } from './event-queue.ts';

export interface AuthenticatorParts {
  readonly clock: Clock;
  readonly driver: Driver;
  readonly events: EventQueue;
}

/** One exchange of AUTH packets. An answer that comes after it is ignored. */
interface Exchange {
  readonly controller: AbortController;
  readonly context: AuthenticationContext;
}

/** One re-authentication, shared by all calls of `reauthenticate()` until it ends. */
interface Reauthentication {
  readonly over: Promise<void>;
  callers: number;
}

const NOT_AUTHORIZED = 0x87;

/**
 * Asks the application during the exchanges of one connection. Each CONNECT gets an authenticator of its own: it keeps the
 * `authentication` of that CONNECT for re-authentications [MQTT-4.12.1-1], whatever `configure()` changes meanwhile.
 */
export class Authenticator {
  readonly #authentication: Authentication;
  readonly #parts: AuthenticatorParts;
  #exchange: Exchange | undefined = undefined;
  #reauthentication: Reauthentication | undefined = undefined;

  constructor(authentication: Authentication, parts: AuthenticatorParts) {
    this.#authentication = authentication;
    this.#parts = parts;
  }

  /** The properties of CONNECT. */
  async connect({ attempt, reason, signal }: AttemptContext): Promise<ConnectProperties> {
    const { context, controller } = this.#begin({ attempt, reason, reauthentication: false });
    onAbort(signal, () => controller.abort(signal.reason));
    const authenticationMethod = this.#authentication.method;
    try {
      const authenticationData = toAuthenticationData('start', await this.#authentication.start(context));
      return { authenticationMethod, ...(authenticationData !== undefined && { authenticationData }) };
    } catch (cause) {
      throw failure('start', cause);
    }
  }

  /** The engine asks. Called while it runs. */
  step(step: AuthenticationStep): 'asked' | 'not needed' {
    const { events } = this.#parts;
    if (step.type === 'over') {
      const exchange = this.#exchange;
      this.#exchange = undefined;
      if (step.result === 'failed') events.add(() => exchange?.controller.abort());
      return 'not needed';
    }
    if (step.type === 'finish' && this.#authentication.finish === undefined) return 'not needed';
    const exchange =
      step.type === 'start'
        ? this.#begin({ attempt: 0, reason: undefined, reauthentication: true })
        : this.#exchange;
    events.add(() => {
      if (exchange !== undefined && exchange === this.#exchange) void this.#ask(exchange, step);
    });
    return 'asked';
  }

  /** Resolves when the server has accepted. Simultaneous calls share one exchange. */
  reauthenticate(options: CallOptions): Promise<void> {
    const shared = this.#reauthentication ?? this.#reauthenticate();
    shared.callers++;
    return new Promise<void>((resolve, reject) => {
      const done = withCancellation(options, this.#parts.clock, 'reauthenticate', (reason) => {
        if (--shared.callers === 0)
          this.#parts.driver.withdrawReauthentication(
            new ClosedError('reauthenticate was given up by its caller'),
          );
        reject(reason);
      });
      shared.over.then(resolve, reject).finally(done);
    });
  }

  #begin(attempt: Pick<AuthenticationContext, 'attempt' | 'reason' | 'reauthentication'>): Exchange {
    const controller = new AbortController();
    const { signal } = controller;
    const context = { ...attempt, signal, reasonString: undefined, userProperties: [] };
    const exchange = { controller, context };
    this.#exchange = exchange;
    return exchange;
  }

  #reauthenticate(): Reauthentication {
    let settle!: (error?: MqttError) => void;
    const over = new Promise<void>((resolve, reject) => {
      settle = (error) => {
        this.#reauthentication = undefined;
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    // Every caller may have left.
    over.catch(() => {});
    const shared = { over, callers: 0 };
    // Assigned first: `start()` may call `reauthenticate()`.
    this.#reauthentication = shared;
    const { driver } = this.#parts;
    if (!driver.reauthenticate({ authenticated: settle, failed: settle }))
      settle(withoutConnection('connecting'));
    return shared;
  }

  async #ask(exchange: Exchange, step: Exclude<AuthenticationStep, { type: 'over' }>): Promise<void> {
    const { driver } = this.#parts;
    const { type } = step;
    let data: Uint8Array | undefined;
    try {
      const answer = await this.#call(exchange, step);
      data = type === 'finish' ? undefined : toAuthenticationData(type, answer);
    } catch (cause) {
      if (exchange === this.#exchange) driver.authenticationFailed(failure(type, cause));
      return;
    }
    if (exchange === this.#exchange) driver.authenticated(data);
  }

  #call({ context }: Exchange, step: Exclude<AuthenticationStep, { type: 'over' }>): unknown {
    const authentication = this.#authentication;
    if (step.type === 'start') return authentication.start(context);
    const { authenticationData, reasonString, userProperties = [] }: AuthProperties = step.properties;
    const told = { ...context, reasonString, userProperties };
    return step.type === 'continue'
      ? authentication.continue(authenticationData, told)
      : authentication.finish?.(authenticationData, told);
  }
}

/** `reauthenticate()` of a client. `authenticator`: that of the present connection, if its CONNECT had one. */
export async function reauthenticate(
  driver: Driver,
  configured: Authentication | undefined,
  authenticator: Authenticator | undefined,
  options: CallOptions,
): Promise<void> {
  checkCall('reauthenticate', options);
  if (configured === undefined && authenticator === undefined)
    throw new TypeError('reauthenticate: expected the option authentication, got none');
  const { state } = driver;
  if (state !== 'connected') throw withoutConnection(state);
  if (authenticator === undefined)
    throw new ConnectionLostError(
      'reauthenticate: CONNECT of this connection had no authentication [MQTT-4.12.0-7]: call reconnect()',
    );
  return authenticator.reauthenticate(options);
}

function withoutConnection(state: Driver['state']): ClosedError | ConnectionLostError {
  const what = `reauthenticate: the client is ${state}, so there is no connection to authenticate again`;
  return state === 'waiting' || state === 'dialing' || state === 'connecting'
    ? new ConnectionLostError(`${what}: the next CONNECT authenticates`)
    : new ClosedError(`${what}: call connect()`);
}

/** The error of a function of the application that has failed. Its data is never in it. */
function failure(name: string, cause: unknown): ConnectError {
  const message = `authentication.${name} failed: ${messageOf(cause)}`;
  return new ConnectError('authentication', message, { reasonCode: reasonCodeOf(cause), cause });
}

/** The Reason Code that a thrown value names. Reading it may throw. */
function reasonCodeOf(cause: unknown): number {
  try {
    const code = (cause as { readonly reasonCode?: unknown } | null | undefined)?.reasonCode;
    const isFailure = Number.isInteger(code) && (code as number) >= 0x80 && (code as number) <= 0xff;
    return isFailure ? (code as number) : NOT_AUTHORIZED;
  } catch {
    return NOT_AUTHORIZED;
  }
}
