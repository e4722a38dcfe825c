/** The options of WebSocket, and header fields: checked and copied. */

import type { HttpHeaders, WebSocketOptions } from '../../transport/options.ts';
import { boolean, integer, checkKeys, string, wrongSecret, wrongType } from './validate.ts';

/** Bytes that `ws` can count to. */
const LARGEST_MESSAGE = 2_147_483_647;
/** Checks the options of WebSocket, and copies them. */
export function toWebSocket(given: WebSocketOptions): WebSocketOptions {
  const ws = checkKeys('ws', given, [
    'path',
    'headers',
    'maxPayload',
    'perMessageDeflate',
  ]) as WebSocketOptions;
  if (ws.path !== undefined) {
    if (!string('ws.path', ws.path).startsWith('/'))
      throw new TypeError('ws.path: expected a path that begins with /, got one that does not');
    if (ws.path.includes('#')) throw new TypeError('ws.path: expected a path, got one with a fragment');
  }
  if (ws.maxPayload !== undefined) integer('ws.maxPayload', ws.maxPayload, 1, LARGEST_MESSAGE);
  if (ws.perMessageDeflate !== undefined) boolean('ws.perMessageDeflate', ws.perMessageDeflate);
  const { headers } = ws;
  if (headers === undefined) return { ...ws };
  if (typeof headers !== 'function') return { ...ws, headers: toUpgradeHeaders(headers) };
  // What it returns is as likely to be wrong as what is given at once.
  return { ...ws, headers: async (...asked) => toUpgradeHeaders(await headers(...asked)) };
}

/** What makes an HTTP request one for a WebSocket, and where it ends: not the application's to say. */
const OURS = /^(?:connection|upgrade|content-length|transfer-encoding|expect|te|trailer|sec-websocket-.*)$/i;

function toUpgradeHeaders(given: HttpHeaders): HttpHeaders {
  const headers = toHeaders('ws.headers', given);
  const ours = Object.keys(headers).find((field) => OURS.test(field));
  if (ours !== undefined)
    throw new TypeError(`ws.headers.${ours}: expected none, as it is the WebSocket's own`);
  return headers;
}

/** Header fields, as the application gave them or as its function returned them. */
export function toHeaders(name: string, given: HttpHeaders): HttpHeaders {
  // A Map or a `Headers` of fetch() has no fields of its own, and would pass for empty.
  if (typeof given !== 'object' || (given as unknown) === null || Symbol.iterator in given)
    throw wrongType(name, 'an object', given);
  for (const [field, value] of Object.entries(given)) {
    if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(field))
      throw new TypeError(`${name}: expected names of header fields, got one that is none`);
    if (typeof value !== 'string') throw wrongSecret(`${name}.${field}`, 'a string', value);
    // A line break in a value would be the beginning of another field.
    if (/[^\t\x20-\x7e\x80-\xff]/.test(value))
      throw new TypeError(
        `${name}.${field}: expected the value of a header field, got one with control characters`,
      );
  }
  return { ...given };
}
