import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript-5.9';

/**
 * Markers in lib name the places where bugs are planted: a line comment that ends with `fault: name`. It marks the line
 * at the end of which it stands, or the next line when it stands alone.
 */

export const LIB = fileURLToPath(new URL('../../lib/', import.meta.url));

const MARKER = /\/\/ (?:.* )?fault: ([a-z-]+)$/gm;

/** The outermost statement that begins on the marked line or, without one, the outermost expression. */
export interface Place {
  readonly node: ts.Statement | ts.Expression;
  readonly source: ts.SourceFile;
}

/** A change to a marked place: its new code. */
export type Operation = (place: Place) => string;

const textOf = ({ source }: Place, node: ts.Node): string => node.getText(source);

/** The names of all markers in `source`, in their order. */
export function markersOf(source: string): string[] {
  return Array.from(source.matchAll(MARKER), ([, name]) => name as string);
}

/** Which file of lib, relative to it, has which marker. Throws when a marker is there twice. */
export function markersOfLib(): ReadonlyMap<string, string> {
  const markers = new Map<string, string>();
  for (const name of readdirSync(LIB, { recursive: true, encoding: 'utf8' })) {
    const file = name.replaceAll('\\', '/');
    if (!file.endsWith('.ts')) continue;
    for (const marker of markersOf(readFileSync(join(LIB, file), 'utf8'))) {
      const other = markers.get(marker);
      if (other !== undefined) throw new Error(`the marker ${marker} is in ${other} and in ${file}`);
      markers.set(marker, file);
    }
  }
  return markers;
}

function findPlace(marker: string, source: ts.SourceFile): Place {
  const found = [...source.text.matchAll(MARKER)].filter(([, name]) => name === marker);
  if (found.length !== 1) throw new Error(`expected the marker ${marker} once, got it ${found.length} times`);
  const at = source.getLineAndCharacterOfPosition(found[0]?.index ?? 0);
  const isAlone = source.text.split('\n')[at.line]?.trim().startsWith('//');
  const line = isAlone ? at.line + 1 : at.line;
  const begins = (node: ts.Node): boolean =>
    source.getLineAndCharacterOfPosition(node.getStart(source)).line === line;
  let statement: ts.Statement | undefined;
  let expression: ts.Expression | undefined;
  const visit = (node: ts.Node): void => {
    if (begins(node)) {
      if (ts.isStatement(node) && !ts.isBlock(node)) statement ??= node;
      else if (ts.isExpression(node)) expression ??= node;
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  const node = statement ?? expression;
  if (node === undefined) throw new Error(`the marker ${marker} marks no statement and no expression`);
  return { node, source };
}

/** `code` with `operation` applied to the place that has `marker`. */
export function plantAt(marker: string, operation: Operation, code: string): string {
  const source = ts.createSourceFile('planted.ts', code, ts.ScriptTarget.Latest, true);
  const place = findPlace(marker, source);
  return code.slice(0, place.node.getStart(source)) + operation(place) + code.slice(place.node.getEnd());
}

/** The place with `change` made to `part` of it. */
function changed(place: Place, part: ts.Node, change: (code: string) => string): string {
  const { node, source } = place;
  const text = textOf(place, node);
  const at = part.getStart(source) - node.getStart(source);
  const end = part.getEnd() - node.getStart(source);
  return text.slice(0, at) + change(text.slice(at, end)) + text.slice(end);
}

/** The condition of an `if`, a loop, or the `?:` of a `return`; the value of a `return`; or an initial value. */
function conditionOf({ node }: Place): ts.Expression {
  if (ts.isIfStatement(node) || ts.isWhileStatement(node)) return node.expression;
  if (ts.isReturnStatement(node) && node.expression !== undefined)
    return ts.isConditionalExpression(node.expression) ? node.expression.condition : node.expression;
  if (ts.isVariableStatement(node)) {
    const value = node.declarationList.declarations[0]?.initializer;
    if (value !== undefined) return value;
  }
  if (ts.isExpression(node)) return node;
  throw new Error(`no condition in: ${node.getText()}`);
}

/** Removes the place. */
export const drop: Operation = ({ node }) => (ts.isExpression(node) ? 'undefined' : ';');
/** Makes its condition true. */
export const always: Operation = (place) => changed(place, conditionOf(place), () => 'true');
/** Makes its condition false. */
export const never: Operation = (place) => changed(place, conditionOf(place), () => 'false');
/** Makes its condition true also when `condition` is. */
export const alsoWhen =
  (condition: string): Operation =>
  (place) =>
    changed(place, conditionOf(place), (code) => `(${code}) || (${condition})`);
/** Makes its condition true only while `condition` is; a statement without a condition runs only then. */
export const onlyWhen =
  (condition: string): Operation =>
  (place) =>
    ts.isExpressionStatement(place.node)
      ? `if (${condition}) ${textOf(place, place.node)}`
      : changed(place, conditionOf(place), (code) => `(${code}) && (${condition})`);
/** Replaces the place by `code`. */
export const replaced =
  (code: string): Operation =>
  () =>
    code;
/** Replaces one `part` of the text by `other`. */
export const within =
  (part: string, other: string): Operation =>
  (place) => {
    const pieces = textOf(place, place.node).split(part);
    if (pieces.length !== 2)
      throw new Error(`expected ${part} once, got it ${pieces.length - 1} times in: ${pieces.join(part)}`);
    return pieces.join(other);
  };
/** Runs `code` before. */
export const before =
  (code: string): Operation =>
  (place) =>
    `${code} ${textOf(place, place.node)}`;
/** Runs `code` afterwards. */
export const after =
  (code: string): Operation =>
  (place) =>
    `${textOf(place, place.node)} ${code}`;
/** Runs twice. */
export const twice: Operation = (place) => `${textOf(place, place.node)} ${textOf(place, place.node)}`;
/** A `for … of` visits `list`, an array expression in which `all` is the array of the original elements. */
export const visiting =
  (list: string): Operation =>
  (place) => {
    if (!ts.isForOfStatement(place.node)) throw new Error(`no loop: ${textOf(place, place.node)}`);
    return changed(place, place.node.expression, (code) => `((all) => ${list})([...${code}])`);
  };
