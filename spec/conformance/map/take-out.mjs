import ts from 'typescript-5.9';
import { CHECKS, nameOf } from './checks.mjs';

/*
 * Checks of lib behind a switch: `globalThis.withoutCheck` is the name of the check that is taken out at present. So one
 * process can try them one after another.
 */

/** Code that is legal or not for good, once it was seen: it would remember what a check that was taken out let through. */
const CACHES = [
  {
    path: 'codec/publish-writer',
    expression: 'topics.size >= CACHED_TOPICS || this.#topicLength > LONGEST_CACHED',
    code: 'true',
  },
];

const textOf = ({ statement, expression }) => statement ?? expression;

/** Every place, with the names of the checks that it belongs to. A cache has none: it is never used. */
const PLACES = [...allPlaces(), ...CACHES];

function allPlaces() {
  const places = new Map();
  for (const check of [...CHECKS.values()].flat())
    for (const place of check) {
      const key = `${place.path} ${textOf(place)} ${place.code}`;
      const known = places.get(key) ?? { ...place, names: new Set() };
      known.names.add(nameOf(check));
      places.set(key, known);
    }
  return places.values();
}

/** `return malformed(…)`: without it `undefined` would be thrown, which is still a refusal. Its `throw` is meant. */
const makesError = ({ expression }) =>
  expression !== undefined &&
  (ts.isNewExpression(expression) || ts.isCallExpression(expression)) &&
  /^(?:malformed|violation|wrongType|\w+Error)$/.test(expression.expression.getText());

const isCut = (node, code) =>
  ts.isThrowStatement(node) ||
  ts.isExpressionStatement(node) ||
  (ts.isReturnStatement(node) && !(code === '' && makesError(node)));

/** The nodes that a place means: the smallest statements with its text, or the expressions that are its text. */
function nodesOf({ statement, expression, code }, source) {
  const found = [];
  const visit = (node) => {
    const before = found.length;
    ts.forEachChild(node, visit);
    if (expression !== undefined) {
      if (ts.isExpression(node) && node.getText(source) === expression) found.push(node);
    } else if (found.length === before && isCut(node, code) && node.getText(source).includes(statement))
      found.push(node);
  };
  visit(source);
  return found;
}

/** `code` of `file` (relative to lib) with its checks behind the switch, and the places that are in it. */
function switched(file, code) {
  const places = PLACES.filter(
    (place) =>
      (file === `${place.path}.ts` || file.startsWith(`${place.path}/`)) && code.includes(textOf(place)),
  );
  if (places.length === 0) return { code, found: [] };
  const source = ts.createSourceFile(file, code, ts.ScriptTarget.Latest, true);
  /** Text to insert, by offset. Of two at one offset, the outer node's comes first before it, and last behind it. */
  const inserts = [];
  const wrap = (node, before, after) => {
    const [start, end] = [node.getStart(source), node.getEnd()];
    inserts.push({ at: start, text: before, order: -end }, { at: end, text: after, order: -start });
  };
  const found = places.filter((place) => {
    const names = place.names && JSON.stringify([...place.names]);
    const isOut = names === undefined ? 'true' : `${names}.includes(globalThis.withoutCheck)`;
    const nodes = nodesOf(place, source);
    for (const node of nodes)
      if (place.expression === undefined) wrap(node, `{ if (${isOut}) { ${place.code} } else `, ' }');
      else wrap(node, `(${isOut} ? (${place.code}) : (`, '))');
    return nodes.length > 0;
  });
  inserts.sort((a, b) => a.at - b.at || a.order - b.order);
  let result = '';
  let at = 0;
  for (const insert of inserts) {
    result += code.slice(at, insert.at) + insert.text;
    at = insert.at;
  }
  return { code: result + code.slice(at), found };
}

/** `code` of `file` (relative to lib) with its checks behind the switch. */
export function switchable(file, code) {
  return switched(file, code).code;
}

/** The places that are in none of `files`, which have a name relative to lib and code. */
export function missingPlaces(files) {
  const found = new Set(files.flatMap(({ file, code }) => switched(file, code).found));
  return PLACES.filter((place) => !found.has(place)).map((place) => `${place.path}: ${textOf(place)}`);
}
