/** Where the records of a session are in a database: below a prefix that no other session shares. */

import { shown } from '../errors.ts';

/** Begins the key of every record, so that a database can also hold other things. */
const ROOT = 'mqtt-await/';

/** Who a session belongs to. */
export interface SessionOwner {
  readonly scope: string;
  readonly clientId: string;
}

/**
 * The prefix of the keys of a session: scope and Client Identifier, percent-encoded, each with a slash behind it. As
 * neither can contain a slash, no prefix begins with another one. It is ASCII, so its order is that of its bytes.
 */
export function prefixOf({ scope, clientId }: SessionOwner): string {
  return `${ROOT}${encodeURIComponent(scope)}/${encodeURIComponent(clientId)}/`;
}

/** The first key behind all those with `prefix`, which ends with a slash. */
export function endOf(prefix: string): string {
  return `${prefix.substring(0, prefix.length - 1)}0`;
}

/** Whose record has `key`. Undefined if it is none of a session. */
export function ownerOf(key: string): SessionOwner | undefined {
  const [, scope, clientId] = /^mqtt-await\/([^/]*)\/([^/]*)\//.exec(key) ?? [];
  if (scope === undefined || clientId === undefined) return undefined;
  try {
    return { scope: decodeURIComponent(scope), clientId: decodeURIComponent(clientId) };
  } catch {
    return undefined;
  }
}

/** An owner as error messages name it. */
export function nameOf({ scope, clientId }: SessionOwner): string {
  const inScope = scope === '' ? '' : ` in the scope "${shown(scope)}"`;
  return `the Client Identifier "${shown(clientId)}"${inScope}`;
}
