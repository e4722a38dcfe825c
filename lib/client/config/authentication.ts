/** The option `authentication`: enhanced authentication (4.12), as an application writes it. */

import { copyOf, isBytes } from '../../bytes.ts';
import { encode } from '../../codec/codec.ts';
import type { UserProperties } from '../../codec/packets.ts';
import type { AttemptContext } from '../../transport/options.ts';
import { callable, checkEncodable, checkKeys, string, wrongSecret } from './validate.ts';

/** Passed to the functions of `Authentication`. */
export interface AuthenticationContext extends AttemptContext {
  /**
   * Aborted when the exchange has failed, and at the latest after `connectTimeout`. All calls of one exchange get the same
   * signal, so it can be the key of a `WeakMap` with what belongs to the exchange.
   */
  readonly signal: AbortSignal;
  /** Whether `reauthenticate()` has begun the exchange, on a connection that is up; then `attempt` is 0. */
  readonly reauthentication: boolean;
  /** The Reason String that came with the server's AUTH or CONNACK. */
  readonly reasonString: string | undefined;
  /** The User Properties that came with it. Empty if there were none. */
  readonly userProperties: UserProperties;
}

/** Authentication Data (3.15.2.2.3). A string is sent as UTF-8. At most 65,535 bytes; undefined: none. */
export type AuthenticationData = string | Uint8Array | undefined;

/**
 * Enhanced authentication (4.12). If a function throws, the exchange has failed. A `reasonCode` of the error from 0x80 on
 * is in the `ConnectError` that follows, and in DISCONNECT if a client may send it there; without one they have 0x87 and
 * 0x80.
 */
export interface Authentication {
  /** Authentication Method (3.1.2.11.9), such as `SCRAM-SHA-256`. */
  readonly method: string;
  /** Returns the data of CONNECT, or of the first AUTH of a re-authentication. Called before the connection is opened. */
  start(context: AuthenticationContext): AuthenticationData | Promise<AuthenticationData>;
  /** Answers AUTH of the server, which has `data`. */
  continue(
    data: Uint8Array | undefined,
    context: AuthenticationContext,
  ): AuthenticationData | Promise<AuthenticationData>;
  /**
   * Checks the `data` that came with the server's acceptance, such as its proof that it knows the password, and throws if
   * it is wrong. The connection is not used before this has returned. @default no check
   */
  finish?(data: Uint8Array | undefined, context: AuthenticationContext): unknown;
}

const MAXIMUM_DATA = 65_535;

/** Checks the option. The object is kept, as its functions may use it as `this`. */
export function toAuthentication(name: string, value: unknown): Authentication {
  const given = checkKeys(name, value, ['method', 'start', 'continue', 'finish']);
  const method = string(`${name}.method`, given['method']);
  checkEncodable(() =>
    encode({ type: 'auth', reasonCode: 0x18, properties: { authenticationMethod: method } }, 5),
  );
  for (const key of ['start', 'continue'] as const) callable(`${name}.${key}`, given[key]);
  if (given['finish'] !== undefined) callable(`${name}.finish`, given['finish']);
  return value as Authentication;
}

/** Checks and copies what a function has returned. */
export function toAuthenticationData(name: string, value: unknown): Uint8Array | undefined {
  if (value === undefined) return undefined;
  let data: Uint8Array;
  if (isBytes(value)) data = copyOf(value);
  else if (typeof value === 'string' && value.isWellFormed()) data = new TextEncoder().encode(value);
  else throw wrongSecret(name, 'bytes, well-formed text or undefined', value);
  if (data.length > MAXIMUM_DATA)
    throw new RangeError(`${name}: expected at most ${MAXIMUM_DATA} bytes, got ${data.length}`);
  return data;
}
