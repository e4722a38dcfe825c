/** What an application may leave open until an attempt: its functions are asked before every CONNECT. */

import { copyOf, isBytes } from '../../bytes.ts';
import { encode } from '../../codec/codec.ts';
import { connectPacket, type ConnectSettings } from '../../connection/negotiated.ts';
import type { Credentials as Introduction } from '../../engine/options.ts';
import { ConnectError, messageOf } from '../../errors.ts';
import type { AttemptContext } from '../../transport/options.ts';
import type { UrlCredentials } from '../../transport/url.ts';
import { checkEncodable, wrongType } from './validate.ts';
import {
  toClientId,
  toConnectProperties,
  toIdentity,
  toWill,
  type Credentials,
  type OtherConnectProperties,
  type Will,
} from './connect-fields.ts';

/** A value, or a function that is asked for it before every CONNECT. */
export type ValueOrFunction<T> = T | ((context: AttemptContext) => T | Promise<T>);

/** Options that CONNECT is made of. Functions are asked before every CONNECT, within `connectTimeout`. */
export interface IdentityOptions {
  /**
   * Client Identifier (3.1.3.1). Empty or absent: a random one of up to 23 letters and digits, which takes
   * `cleanStart: true`; on 5.0 an empty one lets the server assign it. With another one than before the session of
   * before is lost. @default random
   */
  readonly clientId?: ValueOrFunction<string> | undefined;
  readonly username?: string | undefined;
  /** Without `username` only on 5.0 [v4 MQTT-3.1.2-22]. */
  readonly password?: string | Uint8Array | undefined;
  /** Asked before every CONNECT, in place of `username` and `password`: for tokens that expire. */
  readonly credentials?: ((context: AttemptContext) => Credentials | Promise<Credentials>) | undefined;
  /** A function may return undefined: none. */
  readonly will?:
    | Will
    | ((context: AttemptContext) => Will | undefined | Promise<Will | undefined>)
    | undefined;
  /** The other CONNECT properties (3.1.2.11, 5.0). */
  readonly properties?: ValueOrFunction<OtherConnectProperties> | undefined;
}

/** What one attempt connects with. */
export type AskConnectInputs = (context: AttemptContext, fromUrl: UrlCredentials) => Promise<Introduction>;

/** `value`, unless it is to be asked for. */
export function known<T>(value: T): Exclude<T, (...args: never[]) => unknown> | undefined {
  return typeof value === 'function' ? undefined : (value as Exclude<T, (...args: never[]) => unknown>);
}

/** Runs a function of the application, and `check` on what it returns. What goes wrong says which function it was. */
export async function ask<T, U>(
  name: string,
  asked: () => T | Promise<T>,
  check: (answer: T) => U,
): Promise<U> {
  try {
    return check(await asked());
  } catch (cause) {
    throw new ConnectError('credentials', `no ${name}: ${messageOf(cause)}`, { cause });
  }
}

/** What is to be asked before every CONNECT. `connect`: what is known already, for all of them. */
export function toConnectInputs(
  given: IdentityOptions,
  connect: ConnectSettings,
  cleanStart: boolean | 'first',
): AskConnectInputs {
  const { clientId, credentials, will, properties } = given;
  const version = connect.protocolVersion;
  const { username, password } = given;
  // Bytes are copied, as the caller may use them for something else.
  const fixed = { username, password: isBytes(password) ? copyOf(password) : password };
  if (credentials !== undefined && typeof credentials !== 'function')
    throw wrongType('credentials', 'a function', credentials);
  return async (context, fromUrl) => {
    const [identity, name, last, other] = await Promise.all([
      credentials === undefined
        ? toIdentity(fixedCredentials(fixed, fromUrl), version)
        : ask(
            'credentials',
            () => credentials(context),
            (answer) => toIdentity(answer, version),
          ),
      typeof clientId === 'function'
        ? ask(
            'clientId',
            () => clientId(context),
            (answer) => toClientId(answer, cleanStart, version),
          )
        : '',
      typeof will === 'function'
        ? ask(
            'will',
            () => will(context),
            (answer) => (answer === undefined ? undefined : toWill(answer, version)),
          )
        : undefined,
      typeof properties === 'function'
        ? ask('properties', () => properties(context), toConnectProperties)
        : undefined,
    ]);
    const asked = {
      ...identity,
      ...(name !== '' && { clientId: name }),
      ...(last !== undefined && { will: last }),
      ...(other !== undefined && { properties: other }),
    };
    // What cannot be encoded is told here, by its name.
    return ask(
      'CONNECT',
      () => asked,
      (answer) => (checkConnect(connect, answer), answer),
    );
  };
}

/** User name and password as the options have them, or else the URL. */
export function fixedCredentials(
  { username, password }: { readonly [Key in keyof Credentials]: Credentials[Key] | undefined },
  fromUrl: UrlCredentials,
): Credentials {
  return {
    ...fromUrl,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  };
}

/** Throws where a CONNECT cannot be encoded. */
export function checkConnect(connect: ConnectSettings, { will, properties, ...rest }: Introduction): void {
  const settings = { ...connect, will: will ?? connect.will, properties: properties ?? connect.properties };
  const identity = { clientId: '1', cleanStart: true, ...rest };
  checkEncodable(() => encode(connectPacket(settings, identity), connect.protocolVersion));
}
