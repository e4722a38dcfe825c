/** The options of WebSocket, and HTTP header fields: checked and copied. */

import type { HttpHeaders, WebSocketOptions } from '../../transport/options.ts';
import { boolean, checkObject, integerIn, string, wrongSecret, wrongType, type Checks } from './validate.ts';

const CHECKS: Checks<WebSocketOptions> = {
  path(name, value) {
    const path = string(name, value);
    if (!path.startsWith('/'))
      throw new TypeError(`${name}: expected a path that begins with /, got one that does not`);
    if (path.includes('#')) throw new TypeError(`${name}: expected a path, got one with a fragment`);
    return path;
  },
  headers(name, value) {
    if (typeof value !== 'function') return toUpgradeHeaders(name, value);
    const headers = value as Exclude<WebSocketOptions['headers'], HttpHeaders | undefined>;
    return async (...args) => toUpgradeHeaders(name, await headers(...args));
  },
  // The most that the package `ws` can count.
  maxPayload: integerIn(1, 2_147_483_647),
  perMessageDeflate: boolean,
};

export function toWebSocket(name: string, value: unknown): WebSocketOptions {
  return checkObject<WebSocketOptions>(name, value, CHECKS);
}

/** Header fields of the WebSocket handshake and of HTTP itself, which an application cannot set. */
const RESERVED =
  /^(?:connection|upgrade|content-length|transfer-encoding|expect|te|trailer|sec-websocket-.*)$/i;

function toUpgradeHeaders(name: string, value: unknown): HttpHeaders {
  const headers = toHeaders(name, value);
  const reserved = Object.keys(headers).find((field) => RESERVED.test(field));
  if (reserved !== undefined)
    throw new TypeError(`${name}.${reserved}: expected none, as it belongs to the WebSocket handshake`);
  return headers;
}

/** Checks header fields and copies them. */
export function toHeaders(name: string, value: unknown): HttpHeaders {
  // A Map, or `Headers` of fetch(), has no own properties and would pass as empty.
  if (typeof value !== 'object' || value === null || Symbol.iterator in value)
    throw wrongType(name, 'an object', value);
  const headers = Object.entries(value).map(([field, content]: [string, unknown]) => {
    if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(field))
      throw new TypeError(`${name}: expected names of header fields, got an invalid name`);
    if (typeof content !== 'string') throw wrongSecret(`${name}.${field}`, 'a string', content);
    // A line break in a value would begin another field.
    if (/[^\t\x20-\x7e\x80-\xff]/.test(content))
      throw new TypeError(`${name}.${field}: expected a header field value, got invalid characters`);
    return [field, content] as const;
  });
  return Object.fromEntries(headers);
}
