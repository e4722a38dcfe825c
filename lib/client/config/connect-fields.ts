/** The fields of CONNECT that identify a client: checked, and in the form that CONNECT has. */

import { copyOf, isBytes } from '../../bytes.ts';
import { encode } from '../../codec/codec.ts';
import type {
  ConnectProperties,
  ProtocolVersion,
  QoS,
  WillMessage,
  WillProperties,
} from '../../codec/packets.ts';
import { topicNameError } from '../../topic/names.ts';
import { toBytes, type Payload } from '../publish/payload.ts';
import {
  boolean,
  checkEncodable,
  checkObject,
  choice,
  integerIn,
  string,
  wrongSecret,
  type Checks,
} from './validate.ts';

/** User Name and Password of one CONNECT (3.1.3.5, 3.1.3.6). */
export interface Credentials {
  readonly username?: string | undefined;
  readonly password?: string | Uint8Array | undefined;
}

/** The message that the server publishes when the client is gone without DISCONNECT (3.1.2.5). */
export interface Will {
  readonly topic: string;
  /** `null` = zero length. @default null */
  readonly payload?: Payload | undefined;
  /** @default 0 */
  readonly qos?: QoS | undefined;
  /** @default false */
  readonly retain?: boolean | undefined;
  /** 5.0. @default none */
  readonly properties?: WillProperties | undefined;
}

/** The properties of CONNECT that are not options by themselves (3.1.2.11). 5.0. */
export type OtherConnectProperties = Omit<
  ConnectProperties,
  | 'sessionExpiryInterval'
  | 'receiveMaximum'
  | 'maximumPacketSize'
  | 'authenticationMethod'
  | 'authenticationData'
>;

export const CREDENTIAL_CHECKS: Checks<Credentials> = {
  username: string,
  password(name, value) {
    if (isBytes(value)) return copyOf(value);
    if (typeof value !== 'string') throw wrongSecret(name, 'a string or bytes', value);
    return value;
  },
};

const WILL_CHECKS: Checks<Will> = {
  topic(name, value) {
    const error = topicNameError(string(name, value));
    if (error !== undefined) throw new TypeError(`${name}: ${error}`);
    return value as string;
  },
  payload: (_, value) => toBytes(value as Payload),
  qos: choice(0, 1, 2),
  retain: boolean,
  // The codec checks the properties of a Will.
  properties: (_, value) => structuredClone(value as WillProperties),
};

/**
 * Shared by all clients of 5.0. The server may set so many Topic Aliases, which cost nothing until it does. `request()` uses
 * Response Information (3.1.2.11.6), and is called when it is too late to ask for it.
 */
export const DEFAULT_PROPERTIES: OtherConnectProperties = Object.freeze({
  topicAliasMaximum: 16,
  requestResponseInformation: true,
});

const PROPERTY_CHECKS: Checks<OtherConnectProperties> = {
  topicAliasMaximum: integerIn(0, 65_535),
  requestResponseInformation: boolean,
  requestProblemInformation: boolean,
  // The codec checks the pairs.
  userProperties: (_, value) => structuredClone(value as OtherConnectProperties['userProperties']),
};

const LETTERS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

export function toClientId(value: unknown, cleanStart: boolean | 'first', version: ProtocolVersion): string {
  const clientId = string('clientId', value);
  if (!clientId.isWellFormed() || clientId.includes('\0'))
    throw new TypeError('clientId: expected well-formed text without U+0000');
  // On 5.0 the server assigns one [MQTT-3.1.3-7].
  if (clientId === '' && version < 5 && cleanStart !== true)
    throw new TypeError(
      `clientId: expected a string that is not empty with cleanStart ${cleanStart}, got none`,
    );
  return clientId;
}

/** A random Client Identifier of 23 letters and digits, which every server accepts [MQTT-3.1.3-5]. */
export function anyClientId(random: () => number): string {
  let clientId = '';
  while (clientId.length < 23) clientId += LETTERS[Math.floor(random() * LETTERS.length)];
  return clientId;
}

export function toIdentity(
  value: unknown,
  version: ProtocolVersion,
): { username?: string; password?: Uint8Array } {
  const { username, password } = checkObject<Credentials>('credentials', value, CREDENTIAL_CHECKS);
  if (username === undefined && password === undefined) return {};
  if (password !== undefined && username === undefined && version < 5)
    throw new TypeError(
      'password: expected a username with it, as MQTT 3.1 and 3.1.1 have no password without [v4 MQTT-3.1.2-22]',
    );
  const identity = {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password: toBytes(password) }),
  };
  checkEncodable(() =>
    encode({ type: 'connect', clientId: '1', cleanStart: true, keepAlive: 0, ...identity }, version),
  );
  return identity;
}

export function toWill(name: string, value: unknown, version: ProtocolVersion): WillMessage {
  const will = checkObject<Will>(name, value, WILL_CHECKS);
  if (version < 5 && will.properties !== undefined)
    throw new TypeError(
      `${name}.properties: expected none with protocolVersion ${version}, as only MQTT 5.0 has them`,
    );
  const { topic = WILL_CHECKS.topic(`${name}.topic`, undefined), payload = null } = will;
  const { qos = 0, retain = false, properties = {} } = will;
  return { topic, payload: toBytes(payload), qos, retain, properties };
}

export function toConnectProperties(name: string, value: unknown): OtherConnectProperties {
  const given = checkObject<OtherConnectProperties>(name, value, PROPERTY_CHECKS);
  return { ...DEFAULT_PROPERTIES, ...given };
}
