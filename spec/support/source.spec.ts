import { describe, expect, it } from '@jest/globals';
import { codeOf, importsOf, tokens } from './source.ts';

describe('tokens', () => {
  it('contain the whole source', () => {
    const source = "import a from 'b'; /* c */ const d = `e${f('g')}h` / 2; // i\nreturn /j'/g.test(k);";
    const joined = tokens(source).map(({ text }) => text);
    expect(joined.join('')).toBe(source);
  });
});

describe('codeOf', () => {
  it.each([
    ['a // Date\nb', 'a  \nb'],
    ['a /* Date\n Date */ b', 'a   b'],
    ["a('Date \\' Date')", 'a("")'],
    ['a("it\'s // Date")', 'a("")'],
    ['`Date ${b} Date ${`Date ${c}`} Date`', '""b""""c""""'],
    ['`${{ a: { b } }} Date` + c', '""{ a: { b } }"" + c'],
    ['`\\`Date\\${Date}$` + c', '"" + c'],
    ['a = /Date[/"]\\//g; b', 'a = (/ /); b'],
    ['return /Date/.test(b)', 'return (/ /).test(b)'],
    ['(a) / Date / b', '(a) / Date / b'],
    ['a / Date / b', 'a / Date / b'],
    ["'a' / Date / b", '"" / Date / b'],
    ['`a` / Date / b', '"" / Date / b'],
    ['`${/Date/.source}`', '""(/ /).source""'],
  ])('of %j is %j', (source, code) => {
    expect(codeOf(source)).toBe(code);
  });
});

describe('importsOf', () => {
  it.each([
    ["import a from './a.ts';", ['./a.ts']],
    ['import type { A } from \'./a.ts\';\nimport { b } from "./b.ts";', ['./a.ts', './b.ts']],
    ["import './a.ts';", ['./a.ts']],
    ["export * from './a.ts'; export type { B } from './b.ts';", ['./a.ts', './b.ts']],
    ["const a = await import('./a.ts'), b: import('./b.ts').B = a;", ['./a.ts', './b.ts']],
    ['await import(`node:net`)', ['node:net']],
    ["createRequire(url)('c'); const a = require('a');", ['a']],
    ["import.meta.resolve('x'); // import './y.ts'", []],
    ["const text = \"import './a.ts'\"; from.call('b'); Array.from('c')", []],
    ['/// <reference types="node" />', ['node']],
  ])('of %j are %j', (source, specifiers) => {
    expect(importsOf(source)).toEqual(specifiers);
  });
});
