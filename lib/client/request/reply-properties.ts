/** Request and response with the properties of 5.0 (4.10). */

import { RequestError, shown } from '../../errors.ts';
import type { PublishProperties, UserProperties } from '../../codec/packets.ts';
import { correlationKey } from './correlation.ts';

/** A received reply. */
export interface ReceivedReply {
  /** What it says which request it belongs to; undefined: nothing. */
  readonly key: string | undefined;
  /** Set if it is a failure. */
  readonly error: RequestError | undefined;
}

/** The User Properties of a reply that is a failure. They are documented: other programs may send or read them. */
export const ERROR_CODE = 'mqtt-await-error-code';
export const ERROR_MESSAGE = 'mqtt-await-error-message';

/** Codes that only this package gives begin with it. */
export const OWN_CODES = 'ERR_MQTT_';
/** The code of a failure to which the service has given none. */
export const NO_CODE = 'ERR_MQTT_REQUEST';
/** The most characters of an error text from the network that are shown. */
const MOST_TEXT = 1_024;

export function readProperties(properties: PublishProperties): ReceivedReply {
  const { correlationData, userProperties } = properties;
  const key = correlationData === undefined ? undefined : correlationKey(correlationData);
  const code = userProperties?.find(([name]) => name === ERROR_CODE)?.[1];
  if (code === undefined) return { key, error: undefined };
  const message = userProperties?.find(([name]) => name === ERROR_MESSAGE)?.[1] ?? '';
  return { key, error: remoteError(code, message) };
}

/** Adds the failure to the User Properties of a reply. */
export function failureProperties(code: string, message: string): UserProperties {
  return [
    [ERROR_CODE, code],
    [ERROR_MESSAGE, message],
  ];
}

/** A failure that a service reported. Its text is not to be trusted: it gets no code of this package but one. */
export function remoteError(code: string, message: string): RequestError {
  const known = code === '' || code.startsWith(OWN_CODES) ? NO_CODE : shown(code);
  return new RequestError(known, shown(message, MOST_TEXT) || 'the service reported a failure', {
    remote: true,
  });
}
