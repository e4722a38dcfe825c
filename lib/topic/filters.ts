/**
 * Topic Filters (4.7, 4.8.2). `+` stands for exactly one level, `#` for any number of levels and their parent.
 * `$share/{ShareName}/{filter}` shares the messages of `{filter}` among a group.
 */

import { quoted, topicTextError } from './names.ts';

/** The beginning of the Topic Filter of a Shared Subscription [v5 MQTT-4.8.2-1]. */
const SHARE = '$share/';

/**
 * Beginnings that EMQX takes for instructions. It leaves them out of the Topic Names that it delivers. Other servers take
 * them for ordinary levels.
 */
const INSTRUCTION = /^\$(?:queue|exclusive|delayed\/\d+)\/(?=.)(?!\$share\/)/s;
const QUEUE = '$queue/';

const SLASH = 0x2f;
const DOLLAR = 0x24;
const PLUS = 0x2b;
const HASH = 0x23;

/**
 * Why a Topic Filter is illegal, as the text of a `TypeError`; undefined if it is legal: 1 to 65,535 bytes of well-formed
 * UTF-8 without U+0000, `#` alone in the last level [v5 MQTT-4.7.1-1], `+` alone in its level [v5 MQTT-4.7.1-2], and after
 * `$share/` a ShareName and a filter [v5 MQTT-4.8.2-1, -2].
 */
export function topicFilterError(filter: string): string | undefined {
  const textError = topicTextError(filter, 'Topic Filter');
  if (textError !== undefined) return textError;
  if (!isShared(filter)) return wildcardError(filter, filter);
  const slash = filter.indexOf('/', SHARE.length);
  if (slash === -1 || slash === filter.length - 1) {
    return `expected a Topic Filter after $share/{ShareName}/, got ${quoted(filter)}`;
  }
  const shareName = filter.substring(SHARE.length, slash);
  if (shareName === '' || hasWildcard(shareName)) {
    return `expected a ShareName of at least one character and without + and #, got ${quoted(filter)}`;
  }
  return wildcardError(filter.substring(slash + 1), filter);
}

/** Checks the neighbours of each wildcard. `whole`: the Topic Filter in the error text. */
function wildcardError(filter: string, whole: string): string | undefined {
  for (let i = 0; i < filter.length; i++) {
    const character = filter[i];
    if (character !== '+' && character !== '#') continue;
    const beginsLevel = i === 0 || filter[i - 1] === '/';
    const isLast = i === filter.length - 1;
    if (character === '#' && !(beginsLevel && isLast)) {
      return `expected a Topic Filter with # alone in its last level, got ${quoted(whole)}`;
    }
    if (character === '+' && !(beginsLevel && (isLast || filter[i + 1] === '/'))) {
      return `expected a Topic Filter with + alone in its level, got ${quoted(whole)}`;
    }
  }
  return undefined;
}

/** Whether a legal Topic Filter belongs to a Shared Subscription. */
export function isShared(filter: string): boolean {
  return filter.startsWith(SHARE);
}

/** The part of a legal Topic Filter that Topic Names are matched with. */
export function matchedFilter(filter: string): string {
  return isShared(filter) ? filter.substring(filter.indexOf('/', SHARE.length) + 1) : filter;
}

/**
 * Whether each message goes to one client of a group: `$share/…`, and `$queue/…` of EMQX. A client that has other matching
 * filters as well may get separate copies for them.
 */
export function isGroup(filter: string): boolean {
  return isShared(filter) || filter.startsWith(QUEUE);
}

/** The filters that Topic Names of a legal Topic Filter match: each matches one of them. */
export function deliveredFilters(filter: string): readonly string[] {
  const matched = matchedFilter(filter);
  const delivered = matched === filter ? filter.replace(INSTRUCTION, '') : matched;
  return delivered === matched ? [matched] : [matched, delivered];
}

/** hot: whether a legal Topic Name matches a legal Topic Filter that is not shared (4.7). */
export function matchesFilter(filter: string, name: string): boolean {
  if (filter === name) return true;
  const { length } = name;
  const first = filter.charCodeAt(0);
  // [MQTT-4.7.2-1]: a filter that begins with a wildcard does not match a name that begins with $.
  if ((first === HASH || first === PLUS) && name.charCodeAt(0) === DOLLAR) return false;
  let at = 0;
  for (let i = 0; i < filter.length; i++) {
    const unit = filter.charCodeAt(i);
    if (unit === HASH) return true;
    if (unit === PLUS) {
      while (at < length && name.charCodeAt(at) !== SLASH) at++;
    } else if (at < length && name.charCodeAt(at) === unit) {
      at++;
    } else {
      // `sport/#` also matches `sport`.
      return at === length && unit === SLASH && i === filter.length - 2 && filter.charCodeAt(i + 1) === HASH;
    }
  }
  return at === length;
}

export function hasWildcard(filter: string): boolean {
  return filter.includes('+') || filter.includes('#');
}
