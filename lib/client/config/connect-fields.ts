/** What CONNECT says of its client: checked, and in the form that it has there. */

import { isBytes } from '../../bytes.ts';
import { encode } from '../../codec/codec.ts';
import type {
  ConnectProperties,
  ProtocolVersion,
  QoS,
  WillMessage,
  WillProperties,
} from '../../codec/packets.ts';
import { topicNameError } from '../../topic/names.ts';
import { checkEncodable, boolean, integer, oneOf, checkKeys, string, wrongSecret } from './validate.ts';
import { toBytes, type Payload } from '../publish/payload.ts';

/** User name and password for one CONNECT (3.1.3.5, 3.1.3.6). */
export interface Credentials {
  readonly username?: string | undefined;
  readonly password?: string | Uint8Array | undefined;
}

/** The message the server publishes for a client that is gone without DISCONNECT (3.1.2.5). */
export interface Will {
  readonly topic: string;
  /** `null` = zero length. */
  readonly payload?: Payload | undefined;
  /** @default 0 */
  readonly qos?: QoS | undefined;
  /** @default false */
  readonly retain?: boolean | undefined;
  /** 5.0 */
  readonly properties?: WillProperties | undefined;
}

/** The CONNECT properties that no option of its own stands for (3.1.2.11, 5.0). */
export type OtherConnectProperties = Pick<
  ConnectProperties,
  'topicAliasMaximum' | 'requestResponseInformation' | 'requestProblemInformation' | 'userProperties'
>;

const LETTERS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** A Client Identifier that was asked for. Empty: none of one's own. */
export function toClientId(given: string, cleanStart: boolean | 'first', version: ProtocolVersion): string {
  const clientId = string('clientId', given);
  if (!clientId.isWellFormed() || clientId.includes('\0'))
    throw new TypeError('clientId: expected well-formed text without U+0000');
  // On 5.0 the server assigns one [MQTT-3.1.3-7].
  if (clientId === '' && version < 5 && cleanStart !== true)
    throw new TypeError(`clientId: expected one of your own with cleanStart ${cleanStart}, got none`);
  return clientId;
}

/** Any of up to 23 letters and digits, which every server takes [MQTT-3.1.3-5]. */
export function anyClientId(random: () => number): string {
  return Array.from({ length: 23 }, () => LETTERS[Math.floor(random() * LETTERS.length)]).join('');
}

/** Checks credentials and puts them into the form that CONNECT has. */
export function toIdentity(
  credentials: Credentials,
  version: ProtocolVersion,
): { username?: string; password?: Uint8Array } {
  const { username, password } = checkKeys('credentials', credentials, [
    'username',
    'password',
  ]) as Credentials;
  if (username !== undefined) string('username', username);
  if (password !== undefined && typeof password !== 'string' && !isBytes(password))
    throw wrongSecret('password', 'a string or bytes', password);
  if (password !== undefined && username === undefined && version < 5)
    throw new TypeError(
      'password: expected a username with it, as MQTT 3.1 and 3.1.1 have no password without [v4 MQTT-3.1.2-22]',
    );
  const identity = {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password: toBytes(password) }),
  };
  // Too long, or not well-formed: it must not be found out by the attempt that is to send it.
  checkEncodable(() =>
    encode({ type: 'connect', clientId: '1', cleanStart: true, keepAlive: 0, ...identity }, version),
  );
  return identity;
}

export function toWill(given: Will, version: ProtocolVersion): WillMessage {
  const will = checkKeys('will', given, [
    'topic',
    'payload',
    'qos',
    'retain',
    'properties',
  ]) as unknown as Will;
  const wrong = topicNameError(string('will.topic', will.topic));
  if (wrong !== undefined) throw new TypeError(`will.topic: ${wrong}`);
  if (version < 5 && will.properties !== undefined)
    throw new TypeError(
      `will.properties: expected none with protocolVersion ${version}, as only MQTT 5.0 has them`,
    );
  return structuredClone({
    topic: will.topic,
    payload: toBytes(will.payload ?? null),
    qos: oneOf('will.qos', will.qos ?? 0, [0, 1, 2]),
    retain: boolean('will.retain', will.retain ?? false),
    properties: will.properties ?? {},
  });
}

export function toConnectProperties(given: OtherConnectProperties): ConnectProperties {
  const keys = [
    'topicAliasMaximum',
    'requestResponseInformation',
    'requestProblemInformation',
    'userProperties',
  ];
  const properties = checkKeys('properties', given, keys) as ConnectProperties;
  if (properties.topicAliasMaximum !== undefined)
    integer('properties.topicAliasMaximum', properties.topicAliasMaximum, 0, 65_535);
  for (const key of ['requestResponseInformation', 'requestProblemInformation'] as const)
    if (properties[key] !== undefined) boolean(`properties.${key}`, properties[key]);
  return structuredClone(properties);
}
