/**
 * Splits TypeScript source into code, comments, strings, templates and regular expressions, so that it can be searched
 * safely. It is not a parser: rules about identifiers and import specifiers do not need one.
 */

/** A piece of source. Tokens are contiguous. */
export interface Token {
  readonly kind: 'code' | 'comment' | 'string' | 'regex';
  readonly text: string;
}

/** A slash after these begins a regular expression; otherwise it is a division. */
const BEFORE_REGEX =
  /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|new))\s*$/;

const COMMENT = /\/\/[^\n]*|\/\*[^]*?\*\//y;
const STRING = /'(?:\\[^]|[^'\\\n])*'|"(?:\\[^]|[^"\\\n])*"/y;
const REGEX = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
const TEMPLATE_TEXT = /(?:\\[^]|\$(?!\{)|[^`\\$])*/y;

/** Splits source into tokens. `${…}` contains code; the rest of a template is a string. */
export function tokens(source: string): Token[] {
  const found: Token[] = [];
  /** For each open template, the number of open braces in its `${…}`. */
  const templates: number[] = [];
  let code = '';
  let at = 0;

  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const text = pattern.exec(source)?.[0] ?? '';
    at += text.length;
    return text;
  };
  const add = (kind: Token['kind'], text: string): void => {
    if (code !== '') found.push({ kind: 'code', text: code });
    code = '';
    found.push({ kind, text });
  };
  const templateText = (): void => {
    const opener = source[at++] as string;
    const text = opener + take(TEMPLATE_TEXT);
    if (source[at] === '$') {
      at += 2;
      templates.push(0);
      add('string', `${text}\${`);
    } else {
      at++;
      add('string', `${text}\``);
    }
  };

  while (at < source.length) {
    const character = source[at] as string;
    const depth = templates.at(-1);
    if (character === '/' && /[/*]/.test(source[at + 1] ?? '')) add('comment', take(COMMENT));
    else if (character === "'" || character === '"') add('string', take(STRING) || (source[at++] as string));
    else if (character === '`') templateText();
    else if (character === '}' && depth === 0) {
      templates.pop();
      templateText();
    } else if (character === '/' && BEFORE_REGEX.test(lastCode(found) + code)) {
      add('regex', take(REGEX) || (source[at++] as string));
    } else {
      if (depth !== undefined && character === '{') templates[templates.length - 1] = depth + 1;
      if (depth !== undefined && character === '}') templates[templates.length - 1] = depth - 1;
      code += character;
      at++;
    }
  }
  if (code !== '') found.push({ kind: 'code', text: code });
  return found;
}

/** The text before the current code, which decides between division and regular expression. */
function lastCode(found: readonly Token[]): string {
  const last = found.findLast((token) => token.kind !== 'comment');
  if (last === undefined) return '';
  return last.kind === 'code' || last.text.endsWith('${') ? last.text : '""';
}

/** The code of a source, without comments, and with empty strings and regular expressions. */
export function codeOf(source: string): string {
  return tokens(source)
    .map(({ kind, text }) =>
      kind === 'code' ? text : kind === 'comment' ? ' ' : kind === 'regex' ? '(/ /)' : '""',
    )
    .join('');
}

/** Every specifier that a source imports: static, dynamic, type-only, re-exported, required or referenced. */
export function importsOf(source: string): string[] {
  const specifiers: string[] = [];
  let code = '';
  for (const { kind, text } of tokens(source)) {
    if (kind === 'comment') {
      const reference = /^\/\/\/\s*<reference[^>]*?(?:path|types)\s*=\s*["']([^"']+)/.exec(text)?.[1];
      if (reference !== undefined) specifiers.push(reference);
    } else if (kind === 'code') code += text;
    else {
      if (/(?:^|[^.\w$#])(?:from|import|import\s*\(|require\s*\()\s*$/.test(code)) {
        specifiers.push(text.slice(1, -1));
      }
      code = '';
    }
  }
  return specifiers;
}
