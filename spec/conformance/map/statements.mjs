import { readFileSync } from 'node:fs';

/*
 * The statements of the three specifications: what statements.txt lists, and how the names of specs refer to it. Plain
 * JavaScript, as a Jest reporter reads it too.
 */

const LIST = new URL('statements.txt', import.meta.url);

const ID = /MQTT-3-8\.3-4|MQTT-[0-9]+(?:\.[0-9]+)+-[0-9]+|V31-[0-9]+|U4?-[0-9]+(?:\.[0-9]+)*-[a-z]|R[1-9]/
  .source;
/** The first statement of a name. */
const FIRST = new RegExp(`\\b(v[345]) (?=(?:${ID})(?![\\w.]))`, 'g');
/** What may follow: another statement, more of the same section, or a promise about other clients. */
const NEXT = new RegExp(
  `(?:(v[345]) )?(${ID})(?![\\w.])|(to )?-([0-9]+)(?![\\w.])|peers P[0-9]+(?:, P[0-9]+)*`,
  'y',
);
const SEPARATOR = /, | and (?=v[345] |MQTT-|U)| /y;

/** The lines of statements.txt, in their order. */
export function statements() {
  const list = [];
  let version;
  let part;
  for (const line of readFileSync(LIST, 'utf8').split('\n')) {
    const heading = /^## (v[345]) (.*)$/.exec(line);
    if (heading !== null) [, version, part] = heading;
    if (line === '' || line.startsWith('#')) continue;
    const [id, reaction, text, ...more] = line.split(' | ');
    if (text === undefined || more.length > 0 || version === undefined)
      throw new Error(`statements.txt: expected "id | reaction | text", got ${line}`);
    list.push({ name: `${version} ${id}`, version, id, part, reaction, text });
  }
  return list;
}

/** The statements that the name of a spec contains, as `v5 MQTT-3.3.1-2`. */
export function statementsIn(name) {
  const found = new Set();
  for (const { index, 1: first } of name.matchAll(FIRST)) {
    let version = first;
    let last;
    let at = index;
    for (;;) {
      NEXT.lastIndex = at;
      const next = NEXT.exec(name);
      if (next === null) break;
      const [, ownVersion, id, to, number] = next;
      if (id !== undefined) {
        version = ownVersion ?? version;
        last = id;
        found.add(`${version} ${last}`);
      } else if (number !== undefined && last !== undefined) {
        const [, section, from] = /^(.*)-([0-9]+)$/.exec(last) ?? [];
        if (section === undefined) break;
        for (let n = to === undefined ? Number(number) : Number(from) + 1; n <= Number(number); n++) {
          last = `${section}-${n}`;
          found.add(`${version} ${last}`);
        }
      }
      SEPARATOR.lastIndex = NEXT.lastIndex;
      if (SEPARATOR.exec(name) === null) break;
      at = SEPARATOR.lastIndex;
    }
  }
  return [...found];
}
