/** Failures of a database as `StoreError`s that say what happened and what to do. */

import { codeOf, messageOf, StoreError } from '../errors.ts';

/** The error for a session that somebody else has. */
export function lockedError(message: string, options?: ErrorOptions): StoreError {
  return new StoreError(message, { ...options, code: 'ERR_MQTT_STORE_LOCKED' });
}

/** What a failure looks like, by the codes and messages of an error and its causes; and what to say about it. */
const FAILURES: readonly (readonly [
  pattern: RegExp,
  say: (place: string) => string,
  code?: 'ERR_MQTT_STORE_LOCKED',
])[] = [
  [
    /LEVEL_LOCKED/,
    (place) =>
      `${place} is in use by another process, or by another client of this one: end that one, or give this client a directory of its own`,
    'ERR_MQTT_STORE_LOCKED',
  ],
  [
    /LEVEL_CORRUPTION|Corruption:/,
    (place) =>
      `${place} is damaged: copy it, then try ClassicLevel.repair() on it, which keeps what can be read, or begin with an empty one`,
  ],
  [
    /ENOSPC|EDQUOT|EFBIG|No space left|quota exceeded|File too large/i,
    (place) => `${place} has no space left: make room, then connect again`,
  ],
  [
    /EACCES|EPERM|EROFS|Permission denied|Operation not permitted|Read-only file system/i,
    (place) => `${place} cannot be written: this process needs the right to write there`,
  ],
  [
    /ENOTDIR|EEXIST|Not a directory|File exists/i,
    (place) => `${place} is not a directory, or lies below something that is none: choose another path`,
  ],
  [
    /EMFILE|ENFILE|Too many open files/i,
    (place) => `${place} needs more open files than this process may have: raise its limit`,
  ],
];

/**
 * The error for a failure of the database. `action` says what was to be done, such as `be opened`; `place` names the
 * database. A `StoreError` is returned as it is.
 */
export function storeErrorOf(cause: unknown, place: string, action: string): StoreError {
  if (cause instanceof StoreError) return cause;
  const causes = chainOf(cause);
  const text = causes.map((one) => `${codeOf(one)} ${messageOf(one)}`).join('\n');
  const why = messageOf(causes.at(-1));
  for (const [pattern, say, code] of FAILURES)
    if (pattern.test(text)) return new StoreError(`${say(place)} (${why})`, { cause, code });
  if (/^LEVEL_(?:DATABASE|ITERATOR)_NOT_OPEN$/.test(codeOf(causes.at(-1))))
    return new StoreError(
      `${place} could not ${action}, as the database is closed: leave that to the store`,
      {
        cause,
      },
    );
  return new StoreError(`${place} could not ${action}: ${why}`, { cause });
}

/** An error and its causes. A ring of causes ends it. */
function chainOf(error: unknown): unknown[] {
  const chain: unknown[] = [];
  for (let one = error; one !== undefined && !chain.includes(one);) {
    chain.push(one);
    one = one instanceof Error ? one.cause : undefined;
  }
  return chain;
}
