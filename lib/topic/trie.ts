/**
 * Topic Filters in a tree with one node per level. The filters that match a Topic Name are found by walking down its
 * levels once. With `sport/+`, `sport/#` and `sport/tennis`:
 *
 *     (root) ── sport ─┬─ +          filters ending here: sport/+
 *                      ├─ tennis     filters ending here: sport/tennis
 *                      └ #           kept in the node `sport`, which it also matches
 *
 * `match` allocates nothing: no level of the Topic Name becomes a string. A level is found by a hash of its UTF-16 units
 * and compared unit by unit.
 */

import { matchedFilter } from './filters.ts';

const SLASH = 0x2f;
const DOLLAR = 0x24;

/** Hashes have 30 bits, so that V8 never puts one on the heap. */
const HASH_MASK = 0x3fff_ffff;
const HASH_START = 0x11c9_dc5;
const HASH_FACTOR = 0x0100_0193;
// A local name: looking up a global is slow in the contexts of test runners.
const imul: typeof Math.imul = Math.imul;

/** One level. Every node but the root has values or children. */
class Node<T> {
  readonly parent: Node<T> | undefined;
  readonly level: string;
  readonly hash: number;
  /** The literal level below this one, as long as there was never more than one: it is found without a hash. */
  single: Node<T> | undefined = undefined;
  /** Literal levels below this one, by hash, if there was more than one. Levels with equal hashes are chained by `next`. */
  children: Map<number, Node<T>> | undefined = undefined;
  next: Node<T> | undefined = undefined;
  /** The level `+` below this one. */
  plus: Node<T> | undefined = undefined;
  /** The values of the filter that ends with this level. */
  exact: T[] | undefined = undefined;
  /** The values of the filter that ends with `#` below this level. */
  rest: T[] | undefined = undefined;

  constructor(parent: Node<T> | undefined, level: string, hash: number) {
    this.parent = parent;
    this.level = level;
    this.hash = hash;
  }

  get isEmpty(): boolean {
    return !(this.exact ?? this.rest ?? this.plus ?? this.single ?? this.children);
  }
}

/**
 * Values under Topic Filters. Filters must be legal (`topicFilterError`). Of a shared filter only the part after the
 * ShareName counts. A value may be added several times, also under one filter: it is then visited, and has to be removed,
 * as many times.
 */
export class Trie<T> {
  readonly #root = new Node<T>(undefined, '', 0);

  get isEmpty(): boolean {
    return this.#root.isEmpty;
  }

  add(filter: string, value: T): void {
    const levels = matchedFilter(filter).split('/');
    const isRest = levels.at(-1) === '#';
    if (isRest) levels.pop();
    let node = this.#root;
    for (const level of levels)
      node = level === '+' ? (node.plus ??= new Node(node, level, 0)) : enter(node, level);
    if (isRest) (node.rest ??= []).push(value);
    else (node.exact ??= []).push(value);
  }

  /** Removes a value once. Returns whether it was there. */
  remove(filter: string, value: T): boolean {
    const levels = matchedFilter(filter).split('/');
    const isRest = levels.at(-1) === '#';
    if (isRest) levels.pop();
    let node: Node<T> | undefined = this.#root;
    for (const level of levels) {
      node = level === '+' ? node.plus : find(node, level, 0, level.length);
      if (node === undefined) return false;
    }
    const values = isRest ? node.rest : node.exact;
    const index = values?.indexOf(value) ?? -1;
    if (values === undefined || index === -1) return false;
    values.splice(index, 1);
    if (values.length === 0) {
      if (isRest) node.rest = undefined;
      else node.exact = undefined;
      prune(node);
    }
    return true;
  }

  /**
   * hot: visits every value whose filter matches a legal Topic Name, those of one filter in the order in which they were
   * added. `visit` must not add or remove values.
   */
  match(topicName: string, visit: (value: T) => void): void {
    const root = this.#root;
    if (topicName.charCodeAt(0) !== DOLLAR) {
      walk(root, topicName, 0, visit);
      return;
    }
    // [MQTT-4.7.2-1]: a filter that begins with a wildcard does not match a name that begins with $.
    const end = endOfLevel(topicName, 0);
    const child = find(root, topicName, 0, end);
    if (child !== undefined) walk(child, topicName, end + 1, visit);
  }

  /** Visits every value under a filter that matches a Topic Name which `filter` matches. `visit` must not add or remove values. */
  overlapping(filter: string, visit: (value: T) => void): void {
    walkFilter(this.#root, matchedFilter(filter).split('/'), 0, visit);
  }
}

/**
 * Visits the matches from `node` on. `start`: the offset of the next level; past the end of the name there is none. It
 * recurses only where both `+` and a literal level match, so the stack is not as deep as the name.
 */
function walk<T>(node: Node<T>, name: string, start: number, visit: (value: T) => void): void {
  for (;;) {
    // `sport/#` also matches `sport`, so `rest` is visited whether or not the name goes on.
    if (node.rest !== undefined) visitAll(node.rest, visit);
    if (start > name.length) {
      if (node.exact !== undefined) visitAll(node.exact, visit);
      return;
    }
    const end = endOfLevel(name, start);
    const child = find(node, name, start, end);
    const plus = node.plus;
    if (child !== undefined && plus !== undefined) walk(plus, name, end + 1, visit);
    const only = child ?? plus;
    if (only === undefined) return;
    node = only;
    start = end + 1;
  }
}

/**
 * Visits the values under filters that share a Topic Name with `levels`, from `node` and the level `at` on. A wildcard in
 * the first level of either filter does not match a level that begins with $ [MQTT-4.7.2-1].
 */
function walkFilter<T>(
  node: Node<T>,
  levels: readonly string[],
  at: number,
  visit: (value: T) => void,
): void {
  const level = levels[at];
  if (level === '#') {
    visitBelow(node, at, visit);
    return;
  }
  const isHidden = at === 0 && level?.charCodeAt(0) === DOLLAR;
  if (node.rest !== undefined && !isHidden) visitAll(node.rest, visit);
  if (level === undefined) {
    if (node.exact !== undefined) visitAll(node.exact, visit);
  } else if (level === '+') {
    for (const child of below(node, at)) walkFilter(child, levels, at + 1, visit);
  } else {
    const child = find(node, level, 0, level.length);
    if (child !== undefined) walkFilter(child, levels, at + 1, visit);
    if (node.plus !== undefined && !isHidden) walkFilter(node.plus, levels, at + 1, visit);
  }
}

/** Visits what `#` in the level `at` matches: `node` and everything below it. */
function visitBelow<T>(node: Node<T>, at: number, visit: (value: T) => void): void {
  if (node.exact !== undefined) visitAll(node.exact, visit);
  if (node.rest !== undefined) visitAll(node.rest, visit);
  for (const child of below(node, at)) visitBelow(child, at + 1, visit);
}

/** The nodes directly below `node` that a wildcard in the level `at` matches. */
function* below<T>(node: Node<T>, at: number): Generator<Node<T>, void, undefined> {
  if (node.plus !== undefined) yield node.plus;
  const { single, children } = node;
  if (single !== undefined && (at > 0 || single.level.charCodeAt(0) !== DOLLAR)) yield single;
  for (const first of children?.values() ?? [])
    for (let child: Node<T> | undefined = first; child !== undefined; child = child.next)
      if (at > 0 || child.level.charCodeAt(0) !== DOLLAR) yield child;
}

function visitAll<T>(values: readonly T[], visit: (value: T) => void): void {
  for (let i = 0; i < values.length; i++) visit(values[i] as T);
}

/** The end of the level that begins at `start`: the next slash, or the end of the name. */
function endOfLevel(name: string, start: number): number {
  let end = start;
  while (end < name.length && name.charCodeAt(end) !== SLASH) end++;
  return end;
}

/** FNV-1a over the UTF-16 units of one level. Exported for the specs, which need levels with equal hashes. */
export function hashOf(text: string, start: number, end: number): number {
  let hash = HASH_START;
  for (let i = start; i < end; i++) hash = imul(hash ^ text.charCodeAt(i), HASH_FACTOR) & HASH_MASK;
  return hash;
}

/** The literal level below `node` that equals `text` from `start` to `end`. */
function find<T>(node: Node<T>, text: string, start: number, end: number): Node<T> | undefined {
  const { single, children } = node;
  if (single !== undefined) return isLevel(single.level, text, start, end) ? single : undefined;
  if (children === undefined) return undefined;
  let child = children.get(hashOf(text, start, end));
  while (child !== undefined && !isLevel(child.level, text, start, end)) child = child.next;
  return child;
}

function isLevel(level: string, text: string, start: number, end: number): boolean {
  if (level.length !== end - start) return false;
  for (let i = 0; i < level.length; i++) {
    if (level.charCodeAt(i) !== text.charCodeAt(start + i)) return false;
  }
  return true;
}

/** The node of a literal level below `node`, made if it is new. */
function enter<T>(node: Node<T>, level: string): Node<T> {
  const known = find(node, level, 0, level.length);
  if (known !== undefined) return known;
  const child = new Node(node, level, hashOf(level, 0, level.length));
  if (node.single === undefined && node.children === undefined) {
    node.single = child;
    return child;
  }
  const children = (node.children ??= new Map<number, Node<T>>());
  if (node.single !== undefined) chain(children, node.single);
  node.single = undefined;
  chain(children, child);
  return child;
}

function chain<T>(children: Map<number, Node<T>>, child: Node<T>): void {
  child.next = children.get(child.hash);
  children.set(child.hash, child);
}

/** Removes `node` and its ancestors as far as they are empty. */
function prune<T>(node: Node<T>): void {
  let empty = node;
  while (empty.parent !== undefined && empty.isEmpty) {
    const parent = empty.parent;
    if (parent.plus === empty) parent.plus = undefined;
    else if (parent.single === empty) parent.single = undefined;
    else unchain(parent, empty);
    empty = parent;
  }
}

/** Removes a literal level from the chain of its hash. */
function unchain<T>(parent: Node<T>, child: Node<T>): void {
  const children = parent.children as Map<number, Node<T>>;
  const first = children.get(child.hash) as Node<T>;
  if (first !== child) {
    let before = first;
    while (before.next !== child) before = before.next as Node<T>;
    before.next = child.next;
  } else if (child.next !== undefined) {
    children.set(child.hash, child.next);
  } else {
    children.delete(child.hash);
    if (children.size === 0) parent.children = undefined;
  }
}
