import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import withoutParts, { partsOf } from './all-specs.cjs';

const SPEC = fileURLToPath(new URL('../', import.meta.url));
const FILES = readdirSync(SPEC, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.spec.ts'))
  .map((file) => join(SPEC, file));
const ROOMS = FILES.filter((file) => basename(file) === 'all.spec.ts');

/** What registers hooks, except for `endWithTest()`, whose hook is shared, and `certificates()`, which only removes files at the end. */
const HOOKS =
  /^(?:const .* = )?(?:(?:before|after)(?:Each|All)|leakGuard|temporaryDirectories|sharedMosquitto\w*|serversOfEachTransport)(?=\()/gm;

/** Calls outside of `describe()` that register hooks. */
const hooksAtTheRoot = (source: string): string[] => source.match(HOOKS) ?? [];

describe('all.spec.ts', () => {
  it('runs instead of the files that it imports, each of which exists and is in one list once', async () => {
    const { filtered } = await withoutParts(FILES);
    const parts = [...partsOf(FILES)];
    expect(parts.length).toBeGreaterThan(100);
    expect([...filtered, ...parts].toSorted()).toEqual(FILES.toSorted());
    // A line that the filter does not understand would have its file run twice.
    const lines = ROOMS.flatMap((file) => readFileSync(file, 'utf8').trimEnd().split('\n'));
    expect(lines).toHaveLength(parts.length);
  });

  it('does not keep a file from running by its own name', async () => {
    const file = join(SPEC, 'engine', 'timers.spec.ts');
    expect(partsOf(ROOMS).has(file)).toBe(true);
    expect(await withoutParts([file])).toEqual({ filtered: [file] });
  });

  it('imports no file with hooks outside of describe(), which would be called for those of other files', () => {
    const parts = [...partsOf(ROOMS)];
    expect(parts.filter((file) => hooksAtTheRoot(readFileSync(file, 'utf8')).length > 0)).toEqual([]);
  });

  it.each(['afterEach(() => {', 'beforeAll(start);', 'leakGuard();', 'const broker = sharedMosquitto();'])(
    'could not import a file with %s',
    (line) => {
      expect(hooksAtTheRoot(`import './a.ts';\n${line}\n`)).toHaveLength(1);
      expect(hooksAtTheRoot(`describe('a', () => {\n  ${line}\n`)).toEqual([]);
    },
  );
});
