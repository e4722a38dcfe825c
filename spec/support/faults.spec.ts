import { describe, expect, it } from '@jest/globals';
import { aliasFaults, faults as modelFaults, overlapFaults, planted } from './faults.ts';
import {
  after,
  alsoWhen,
  always,
  before,
  drop,
  markersOf,
  markersOfLib,
  never,
  onlyWhen,
  plantAt,
  replaced,
  twice,
  visiting,
  within,
  type Operation,
} from './markers.ts';

const faults = [...modelFaults, ...overlapFaults];

describe('the planted bugs', () => {
  const all = [...faults, ...aliasFaults];

  it('use every marker of lib, and no other', () => {
    const used = new Set(all.flatMap(({ changes }) => Object.keys(changes)));
    expect([...used].toSorted()).toEqual([...markersOfLib().keys()].toSorted());
  });

  it('have names of their own', () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });

  it('apply every change to a file', () => {
    const fault = { name: 'a fault', changes: { one: drop, two: always } };
    expect(planted(fault, ['one', 'two'], 'a(); // fault: one\nif (b) c(); // fault: two\n')).toBe(
      '; // fault: one\nif (true) c(); // fault: two\n',
    );
  });

  it('are refused when their marker is missing or there twice', () => {
    const fault = { name: 'a fault', changes: { one: drop } };
    expect(() => planted(fault, ['one'], 'a();\n')).toThrow(
      'a fault: expected the marker one once, got it 0 times',
    );
    expect(() => planted(fault, ['one'], 'a(); // fault: one\nb(); // fault: one\n')).toThrow(
      'a fault: expected the marker one once, got it 2 times',
    );
  });
});

describe('a marker', () => {
  it('is a line comment that ends with its name', () => {
    expect(
      markersOf(
        "a(); // fault: one\nb(); // [MQTT-1]; fault: two\nlet byDefault: Late = 'default: three';\n",
      ),
    ).toEqual(['one', 'two']);
  });

  it('marks the next line when it stands alone', () => {
    expect(plantAt('one', drop, '// fault: one\nfor (const a of b) {\n  c();\n}\nd();\n')).toBe(
      '// fault: one\n;\nd();\n',
    );
  });

  it('marks an expression when no statement begins on its line', () => {
    const source = 'const a = b\n  ? c && d // fault: one\n  : e;\n';
    expect(plantAt('one', never, source)).toBe('const a = b\n  ? false // fault: one\n  : e;\n');
  });

  it('marks code', () => {
    expect(() => plantAt('one', drop, '// fault: one\n\n')).toThrow(
      'the marker one marks no statement and no expression',
    );
  });
});

describe('an operation', () => {
  it.each<[string, string, Operation, string]>([
    ['drop', 'a();', drop, ';'],
    ['always', 'if (a) b();', always, 'if (true) b();'],
    ['always', 'return a ? b : c;', always, 'return true ? b : c;'],
    ['never', 'while (a) b();', never, 'while (false) b();'],
    ['alsoWhen', 'return a;', alsoWhen('b'), 'return (a) || (b);'],
    ['onlyWhen', 'const a = b;', onlyWhen('c'), 'const a = (b) && (c);'],
    ['onlyWhen', 'a();', onlyWhen('b'), 'if (b) a();'],
    ['replaced', 'a();', replaced('b();'), 'b();'],
    ['within', 'a(b);', within('b', 'c'), 'a(c);'],
    ['before', 'a();', before('b();'), 'b(); a();'],
    ['after', 'a();', after('b();'), 'a(); b();'],
    ['twice', 'a();', twice, 'a(); a();'],
    [
      'visiting',
      'for (const a of b) c(a);',
      visiting('all'),
      'for (const a of ((all) => all)([...b])) c(a);',
    ],
  ])('%s changes %s', (_name, code, operation, changed) => {
    expect(plantAt('here', operation, `f(() => {\n  ${code} // fault: here\n});\n`)).toBe(
      `f(() => {\n  ${changed} // fault: here\n});\n`,
    );
  });

  it.each<[string, string, Operation]>([
    ['no condition', 'a();', always],
    ['no loop', 'a();', visiting('all')],
    ['expected b once, got it 0 times', 'a();', within('b', 'c')],
    ['expected a once, got it 2 times', 'a(a);', within('a', 'c')],
  ])('is refused with %s', (message, code, operation) => {
    expect(() => plantAt('here', operation, `${code} // fault: here\n`)).toThrow(message);
  });
});
