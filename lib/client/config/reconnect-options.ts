/** The option `reconnect`: its checks and defaults, and the policy of the application. */

import { types } from 'node:util';
import type { RetryContext } from '../../engine/backoff.ts';
import type { EngineOptions, Reconnection } from '../../engine/options.ts';
import { messageOf } from '../../errors.ts';
import { ClientLogger, type Logger } from '../logger.ts';
import type { ReconnectOptions, ReconnectPolicy } from './client-options.ts';
import { boolean, callable, checkObject, integerIn, numeric, type Checks } from './validate.ts';

const CHECKS: Checks<ReconnectOptions> = {
  minDelay: (name, value) => numeric(name, value, 0),
  maxDelay: (name, value) => numeric(name, value, 0),
  factor: (name, value) => numeric(name, value, 1),
  jitter: (name, value) => numeric(name, value, 0, 1),
  maxAttempts: integerIn(1),
  policy: callable,
  retryInitial: boolean,
};

export interface ReconnectSettings extends Omit<Reconnection, 'policy'> {
  readonly policy?: ReconnectPolicy | undefined;
  readonly retryInitial: boolean;
}

/** Checks the option. A function alone is short for `{ policy }`. */
export function toReconnect(name: string, value: unknown): ReconnectSettings | false {
  if (value === false) return false;
  const object = typeof value === 'function' ? { policy: value } : value;
  const given = checkObject<ReconnectOptions>(name, object, CHECKS);
  const settings = { minDelay: 1_000, factor: 2, jitter: 0.2, retryInitial: false, ...given };
  const maxDelay = given.maxDelay ?? Math.max(120_000, settings.minDelay);
  return { ...settings, maxDelay: numeric(`${name}.maxDelay`, maxDelay, settings.minDelay) };
}

export function toReconnection(
  settings: ReconnectSettings | false,
  logger: Logger | undefined,
): EngineOptions['reconnect'] {
  if (settings === false) return false;
  const { minDelay, maxDelay, factor, jitter, maxAttempts, policy } = settings;
  return {
    minDelay,
    maxDelay,
    factor,
    jitter,
    maxAttempts,
    policy: policy && ((context) => askPolicy(policy, context, new ClientLogger(logger))),
  };
}

/** Never throws. Undefined, and a line in the log, if the policy throws or returns an invalid value. */
function askPolicy(
  policy: ReconnectPolicy,
  context: RetryContext,
  logger: ClientLogger,
): number | false | undefined {
  try {
    const answer: unknown = policy(context);
    if (answer === false || (typeof answer === 'number' && answer >= 0)) return answer;
    // The rejection of a policy that is asynchronous by mistake must not end the process.
    if (types.isPromise(answer)) answer.catch(() => {});
    const got = typeof answer === 'number' ? String(answer) : typeof answer;
    logger.error(
      `reconnect.policy: expected a delay in ms or false, got ${got}; the default delay is used instead`,
    );
  } catch (error) {
    logger.error(`reconnect.policy threw, the default delay is used instead: ${messageOf(error)}`);
  }
  return undefined;
}
