import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { build } from 'esbuild';
import type * as codec from '../../lib/codec/codec.ts';
import StatementReporter, { unshown } from '../support/statement-reporter.mjs';
import { tokens } from '../support/source.ts';
import { CHECKS, nameOf } from './map/checks.mjs';
import { statements, statementsIn, type Statement } from './map/statements.mjs';
import { missingPlaces, switchable } from './map/take-out.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PAGE = `${ROOT}docs/conformance.md`;
const STATEMENTS = statements();
const NAMES = new Set(STATEMENTS.map(({ name }) => name));
const OURS = STATEMENTS.filter(({ reaction }) => reaction !== 'not ours');

/** A statement without its version, in a name that is put together: `v${version} MQTT-4.4.0-1`, or of a table of rows. */
const WITHOUT_VERSION = /(?:^|[^v\d] )(?=(?:MQTT-\d|U4?-\d|R\d))/;

/** For each statement, the specs that have it in a name. Others of the whole suite are found by statement-reporter.mjs. */
function specsByStatement(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, Set<string>>();
  const add = (name: string, file: string): void => {
    found.set(name, (found.get(name) ?? new Set()).add(file));
  };
  for (const file of specFiles())
    for (const text of strings(file)) {
      for (const name of statementsIn(text)) add(name, file);
      const [before, ...rest] = text.split(WITHOUT_VERSION);
      if (rest.length === 0 && before === text && !/^(?:MQTT|U4?|R)-?\d/.test(text)) continue;
      for (const part of [before, ...rest])
        for (const version of ['v3', 'v4', 'v5'])
          for (const name of statementsIn(`${version} ${part}`)) if (NAMES.has(name)) add(name, file);
    }
  return new Map(
    Array.from(found, ([name, files]) => [name, [...files].toSorted((a, b) => rank(a) - rank(b))]),
  );
}

/** Which spec the page names: one that needs neither a broker nor much reading. */
const ROOMS = [
  'conformance',
  'codec',
  'topic',
  'session',
  'connection',
  'engine',
  'transport',
  'client',
  'scenarios',
];
function rank(file: string): number {
  const at = ROOMS.indexOf(file.split('/')[0] ?? '');
  return at < 0 ? ROOMS.length : at;
}

function specFiles(): string[] {
  return readdirSync(`${ROOT}spec`, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.ts') && file !== 'conformance/map.spec.ts')
    .toSorted();
}

/** The strings in a spec, quotes aside. */
function strings(file: string): string[] {
  return tokens(readFileSync(`${ROOT}spec/${file}`, 'utf8'))
    .filter(({ kind }) => kind === 'string')
    .map(({ text }) => text.replace(/^['"`]|['"`]$/g, ''));
}

const SPECS = specsByStatement();

function reactionOf({ reaction }: Statement): string {
  if (reaction === 'does') return '';
  return reaction
    .split(', ')
    .map((word) => (word === 'x' ? 'refused' : word === 'close' ? 'closed' : word))
    .join(', ');
}

function printed(): string {
  const lines: string[] = [];
  let heading = '';
  for (const statement of STATEMENTS) {
    const { name, version, part, id, text, reaction } = statement;
    if (heading !== `${version} ${part}`) {
      heading = `${version} ${part}`;
      const title = { v3: 'MQTT 3.1', v4: 'MQTT 3.1.1', v5: 'MQTT 5.0' }[version];
      lines.push('', `### ${title}: ${part}`, '', '| statement | what it asks for | breach | spec |');
      lines.push('| --- | --- | --- | --- |');
    }
    const spec = SPECS.get(name)?.[0];
    const shown = reaction === 'not ours' ? 'not ours' : spec === undefined ? '' : `\`${spec}\``;
    lines.push(
      `| \`${id}\` | ${text} | ${reaction === 'not ours' ? '' : reactionOf(statement)} | ${shown} |`,
    );
  }
  return `${lines.join('\n').trim()}\n`;
}

const BEGIN = '<!-- printed by spec/conformance/map.spec.ts -->\n';
const END = '<!-- end of what is printed -->';

describe('the statements', () => {
  it('are each there once, and say what follows from a breach', () => {
    expect(NAMES.size).toBe(STATEMENTS.length);
    expect(STATEMENTS.filter(({ reaction }) => !/^(?:does|not ours|(?:(?:x|close|0x[0-9a-f]{2})(?:, |$))+)$/.test(reaction))).toEqual([]); // prettier-ignore
  });

  it('have each a spec with their name in its own', () => {
    expect(OURS.filter(({ name }) => !SPECS.has(name)).map(({ name }) => name)).toEqual([]);
  });

  it('are known that specs have in their names', () => {
    // What 3.1 does not say otherwise is as in 3.1.1.
    const isKnown = (name: string): boolean => NAMES.has(name) || NAMES.has(name.replace('v3', 'v4'));
    const unknown = specFiles().flatMap((file) =>
      strings(file)
        .flatMap(statementsIn)
        .filter((name) => !isKnown(name))
        .map((name) => `${file}: ${name}`),
    );
    expect(unknown).toEqual([]);
  });

  it('are found in names by their notation', () => {
    expect(
      statementsIn('v5 a v5 MQTT-3.1.2-9 to -11, -13, U-2.4-a, peers P4, v4 MQTT-3-8.3-4 and on'),
    ).toEqual([
      'v5 MQTT-3.1.2-9',
      'v5 MQTT-3.1.2-10',
      'v5 MQTT-3.1.2-11',
      'v5 MQTT-3.1.2-13',
      'v5 U-2.4-a',
      'v4 MQTT-3-8.3-4',
    ]);
    expect(statementsIn('v4 R6 order v4 R6, MQTT-4.6.0-2, -3 of 3 -4')).toEqual([
      'v4 R6',
      'v4 MQTT-4.6.0-2',
      'v4 MQTT-4.6.0-3',
    ]);
    expect(statementsIn('5 MQTT-3.1.2-9, v5 is MQTT-3.1.2-9')).toEqual([]);
  });
});

describe('docs/conformance.md', () => {
  it('is what the statements and the names of specs print: UPDATE_DOCS=1 npm test -- spec/conformance/map', () => {
    const page = readFileSync(PAGE, 'utf8');
    const [before, rest] = page.split(BEGIN) as [string, string];
    const after = rest.substring(rest.indexOf(END));
    const wanted = `${before}${BEGIN}\n${printed()}\n${after}`;
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(PAGE, wanted);
    expect(readFileSync(PAGE, 'utf8')).toBe(wanted);
  });
});

describe('the reporter of statements', () => {
  const all = OURS.map(({ name }) => ({ fullName: `it ${name} is so`, status: 'passed' }));
  const run = (tests: unknown[], files: readonly string[], options = {}): Error | undefined => {
    const reporter = new StatementReporter({ rootDir: ROOT, ...options });
    const testResults = files.map((file) => ({ testFilePath: `${ROOT}spec/${file}`, testResults: tests }));
    reporter.onRunComplete(undefined, { testResults, wasInterrupted: false });
    return reporter.getLastError();
  };
  const suite = [...specFiles(), 'conformance/map.spec.ts'].filter((file) => file.endsWith('.spec.ts'));

  it('fails a run of the whole suite in which a statement had no test that passed', () => {
    expect(unshown(all)).toEqual([]);
    const [first, ...others] = all as [(typeof all)[0], ...typeof all];
    expect(unshown([...others, { ...first, status: 'failed' }])).toEqual([OURS[0]?.name]);
    expect(run(all, suite)).toBeUndefined();
  });

  it('says nothing after a run of a part', () => {
    const [one] = all;
    expect(run([one], suite.slice(1))).toBeUndefined();
    expect(run([one], suite, { testNamePattern: 'MQTT' })).toBeUndefined();
  });
});

describe('the checks of lib', () => {
  it('are named for every statement whose breach is refused, and for no other', () => {
    const refused = OURS.filter(({ reaction }) => reaction !== 'does').map(({ name }) => name);
    expect([...CHECKS.keys()].toSorted()).toEqual(refused.toSorted());
  });

  it('are where the map says', () => {
    const files = readdirSync(`${ROOT}lib`, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => ({
        file: file.replaceAll('\\', '/'),
        code: readFileSync(`${ROOT}lib/${file}`, 'utf8'),
      }));
    expect(missingPlaces(files)).toEqual([]);
    expect(missingPlaces([]).length).toBeGreaterThan(50);
  });
});

/** The codec with its checks behind the switch. */
async function switchableCodec(): Promise<typeof codec> {
  const lib = `${ROOT}lib/`;
  const { outputFiles } = await build({
    entryPoints: [`${lib}codec/codec.ts`],
    bundle: true,
    format: 'esm',
    write: false,
    plugins: [
      {
        name: 'checks',
        setup: (bundling) =>
          bundling.onLoad({ filter: /[\\/]lib[\\/].*\.ts$/ }, ({ path }) => ({
            loader: 'ts',
            contents: switchable(
              path.substring(lib.length).replaceAll('\\', '/'),
              readFileSync(path, 'utf8'),
            ),
          })),
      },
    ],
  });
  const text = Buffer.from(outputFiles[0]!.contents).toString('base64');
  return (await import(`data:text/javascript;base64,${text}`)) as typeof codec;
}

const CASES: readonly [statement: string, check: number, bytes: readonly number[]][] = [
  ['v5 MQTT-3.3.1-2', 0, [0x38, 4, 0, 1, 0x61, 0]],
  ['v5 MQTT-3.3.1-4', 0, [0x36, 6, 0, 1, 0x61, 0, 1, 0]],
  ['v5 MQTT-1.5.5-1', 0, [0xd0, 0x80, 0]],
  ['v5 MQTT-1.5.4-1', 0, [0x30, 4, 0, 1, 0xff, 0]],
  ['v5 MQTT-3.2.2-1', 0, [0x20, 3, 2, 0, 0]],
  ['v5 MQTT-2.2.1-4', 0, [0x32, 6, 0, 1, 0x61, 0, 0, 0]],
  ['v5 MQTT-3.9.3-2', 0, [0x90, 4, 0, 1, 0, 5]],
];

describe('a check that is taken out', () => {
  const place = globalThis as { withoutCheck?: string };
  afterEach(() => {
    delete place.withoutCheck;
  });

  it('lets the packet pass that it refuses, and no other', async () => {
    const { Decoder } = await switchableCodec();
    const passes = (bytes: readonly number[]): boolean => {
      const decoder = new Decoder({ protocolVersion: 5, receiver: 'client' });
      decoder.push(Uint8Array.from(bytes));
      try {
        return decoder.next() !== undefined;
      } catch (error) {
        expect(error).toMatchObject({ name: 'ProtocolError' });
        return false;
      }
    };
    for (const [statement, check, bytes] of CASES) {
      place.withoutCheck = nameOf(CHECKS.get(statement)![check]!);
      expect([statement, CASES.filter((one) => passes(one[2])).map(([name]) => name)]).toEqual([
        statement,
        [statement],
      ]);
      delete place.withoutCheck;
      expect([statement, passes(bytes)]).toEqual([statement, false]);
    }
  });
});
