/** What CONNECT is made of. Functions of the application are called before every CONNECT, within `connectTimeout`. */

import { encode } from '../../codec/codec.ts';
import { connectPacket, type ConnectSettings } from '../../connection/negotiated.ts';
import type { Credentials as ConnectInputs } from '../../engine/options.ts';
import { ConnectError, messageOf } from '../../errors.ts';
import type { AttemptContext } from '../../transport/options.ts';
import type { UrlCredentials } from '../../transport/url.ts';
import type { ValueOrFunction } from './client-options.ts';
import { toClientId, toConnectProperties, toIdentity, toWill, type Credentials } from './connect-fields.ts';
import type { CheckedOptions } from './schema.ts';
import { checkEncodable } from './validate.ts';

/** Returns what one attempt connects with. */
export type AskConnectInputs = (context: AttemptContext, fromUrl: UrlCredentials) => Promise<ConnectInputs>;

/** `value`, unless it is a function. */
export function known<T>(value: T): Exclude<T, (...args: never[]) => unknown> | undefined {
  return typeof value === 'function' ? undefined : (value as Exclude<T, (...args: never[]) => unknown>);
}

/** Calls a function of the application. The error names the function. */
export async function ask<T>(name: string, call: () => T | Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    throw new ConnectError('credentials', `no ${name}: ${messageOf(cause)}`, { cause });
  }
}

/** `connect`: the part of CONNECT that is the same for every attempt. */
export function toConnectInputs(options: CheckedOptions, connect: ConnectSettings): AskConnectInputs {
  const { protocolVersion, cleanStart, clientId, credentials, will, properties, username, password } =
    options;
  const own = { username, password };
  // Without functions, only a URL can bring what was not checked before: its user name and password.
  if (![clientId, credentials, will, properties].some((option) => typeof option === 'function'))
    return async (_, fromUrl) => toIdentity(fixedCredentials(own, fromUrl), protocolVersion);
  return async (context, fromUrl) => {
    const askFor = async <T, U>(
      name: string,
      option: ValueOrFunction<T> | undefined,
      check: (answer: T) => U,
    ): Promise<U | undefined> => {
      if (typeof option !== 'function') return undefined;
      const call = option as (context: AttemptContext) => T | Promise<T>;
      return ask(name, async () => check(await call(context)));
    };
    const [identity = toIdentity(fixedCredentials(own, fromUrl), protocolVersion), ...asked] =
      await Promise.all([
        askFor('credentials', credentials, (answer) => toIdentity(answer, protocolVersion)),
        askFor('clientId', clientId, (answer) => toClientId(answer, cleanStart, protocolVersion)),
        askFor('will', will, (answer) =>
          answer === undefined ? undefined : toWill('will', answer, protocolVersion),
        ),
        askFor('properties', properties, (answer) => toConnectProperties('properties', answer)),
      ]);
    const [ownId = '', ownWill, ownProperties] = asked;
    const inputs = {
      ...identity,
      ...(ownId !== '' && { clientId: ownId }),
      ...(ownWill !== undefined && { will: ownWill }),
      ...(ownProperties !== undefined && { properties: ownProperties }),
    };
    await ask('CONNECT', () => checkConnect(connect, inputs));
    return inputs;
  };
}

/** User name and password of the options, or else of the URL. */
export function fixedCredentials({ username, password }: Credentials, fromUrl: UrlCredentials): Credentials {
  return { username: username ?? fromUrl.username, password: password ?? fromUrl.password };
}

/** Throws a `TypeError` if CONNECT cannot be encoded. */
export function checkConnect(connect: ConnectSettings, inputs: ConnectInputs): void {
  const { will = connect.will, properties = connect.properties, ...rest } = inputs;
  const identity = { clientId: '1', cleanStart: true, ...rest };
  checkEncodable(() =>
    encode(connectPacket({ ...connect, will, properties }, identity), connect.protocolVersion),
  );
}
