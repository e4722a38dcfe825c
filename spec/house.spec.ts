import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { transformSync } from 'esbuild';
import { codeOf, importsOf } from './support/source.ts';

/*
 * Keeps the house standing: who may know whom, what is pure, how long a file may be, and that every file is
 * shown by a spec. Each rule is a function from source to complaints, and each has a planted example that it must complain of.
 */

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** What every floor stands on. */
const GROUND = ['errors.ts', 'bytes.ts'];

/** Which floors a floor may import besides itself. */
const FLOORS: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  'bytes.ts': [],
  'packages.ts': ['errors.ts'],
  topic: GROUND,
  codec: [...GROUND, 'topic'],
  session: [...GROUND, 'topic', 'codec', 'store'],
  connection: [...GROUND, 'topic', 'codec'],
  engine: [...GROUND, 'topic', 'codec', 'session', 'connection', 'store'],
  transport: [...GROUND, 'packages.ts'],
  store: [...GROUND, 'packages.ts'],
  client: [...GROUND, 'topic', 'codec', 'session', 'connection', 'engine', 'transport', 'store'],
  'index.ts': [
    ...GROUND,
    'topic',
    'codec',
    'session',
    'connection',
    'engine',
    'transport',
    'client',
    'store',
  ],
};

/** What rooms of `client/` may not import. `config/` takes types of the clock and of payloads, which a Will has too. */
const CLOSED: Readonly<Record<string, RegExp>> = {
  'client/config/': /^client\/(?:receive|request|publish\/(?!payload\.ts)|runtime\/(?!clock\.ts))/,
  'client/publish/': /^client\/(?:receive|request)\//,
  'client/receive/': /^client\/(?:publish|request)\//,
};

/** What a floor may import from outside: names or, with a colon at the end, how they begin. */
const OUTSIDE: Readonly<Record<string, readonly string[]>> = {
  transport: ['node:', 'ws', 'socks', 'proxy-from-env'],
  store: ['node:'],
  client: ['node:', 'p-queue'],
};

/** Packages that may be imported in these files only. */
const ONLY_IN: Readonly<Record<string, readonly string[]>> = {
  ws: ['transport/websocket.ts', 'transport/websocket-transport.ts'],
  socks: ['transport/socks-proxy.ts'],
  'proxy-from-env': ['transport/proxy.ts'],
};

/** What may not be installed: it is loaded by name where it is needed, so that bundlers leave it alone. */
const OPTIONAL = ['socks', 'proxy-from-env', 'classic-level'];

const PURE = [...GROUND, 'topic', 'codec', 'session', 'connection', 'engine'];

/** The one file that imports what it is told to. */
const LOADER = 'packages.ts';

const IMPURE =
  /(?<![.\w$])(?:Date|Math\s*(?:\?\.|\.)\s*random|Math\s*\[|Promise|PromiseLike|async|await|setTimeout|setInterval|setImmediate|queueMicrotask|performance|process|globalThis|Buffer)(?![\w$])/g;

/** Entry points of the package: they alone hand on what other files export. */
const ENTRIES = ['index.ts', 'codec/codec.ts', 'store/store.ts', 'store/conformance.ts'];

const RE_EXPORT = /\bexport\s+(?:type\s+)?(?:\*(?:\s*as\s+[\w$]+)?|\{[^}]*\})\s*from\s*""\s*;?/g;

/** Shown in spec/network/transports.spec.ts: it leads to each transport. */
const SHOWN_ON_THE_NETWORK = 'transport/open-transport.ts';

const LONGEST_FILE = 500;

/** Folders whose files are as short as those of lib. */
const SHORT_TOO = ['spec', 'bench', 'docs', 'tools'];

/** Every file below `directory`, as paths relative to it with forward slashes. */
function filesOf(directory: string): string[] {
  const path = join(ROOT, directory);
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.m?[jt]s$/.test(entry.name))
    .map((entry) => relative(path, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .toSorted();
}

const read = (file: string): string => readFileSync(join(ROOT, 'lib', file), 'utf8');
const floorOf = (file: string): string => file.split('/', 1)[0] as string;
const FILES = filesOf('lib');

/** What a specifier means: a file of lib, or a module from outside. */
function resolved(file: string, specifier: string): { inside?: string; outside?: string } {
  if (!specifier.startsWith('.')) return { outside: specifier };
  const lib = join(ROOT, 'lib');
  const path = relative(lib, resolve(lib, dirname(file), specifier))
    .split(sep)
    .join('/');
  return path.startsWith('..') ? { outside: path } : { inside: path };
}

function floorComplaints(file: string, source: string): string[] {
  const floor = floorOf(file);
  const below = FLOORS[floor];
  if (below === undefined) return [`${file} stands on no floor`];
  const complaints = importsOf(source).flatMap((specifier) => {
    const { inside, outside } = resolved(file, specifier);
    if (inside !== undefined) {
      if (!inside.endsWith('.ts')) return [`${file} imports ${specifier} without its .ts`];
      const known = floorOf(inside) === floor || below.includes(floorOf(inside));
      const room = Object.keys(CLOSED).find((one) => file.startsWith(one)) ?? '';
      return known && CLOSED[room]?.test(inside) !== true ? [] : [`${file} imports ${inside}`];
    }
    const module = outside as string;
    const allowed = (OUTSIDE[floor] ?? []).some(
      (name) => name === module || (name.endsWith(':') && module.startsWith(name)),
    );
    return allowed && (ONLY_IN[module]?.includes(file) ?? true) ? [] : [`${file} imports ${module}`];
  });
  for (const module of OPTIONAL)
    if (
      new RegExp(
        `\\b(?:import|export)\\s+(?!type\\s)[^;()]*?['"]${module}['"]|\\bimport\\s*\\(?\\s*['"]${module}['"]`,
      ).test(source)
    )
      complaints.push(`${file} imports ${module}, which a bundler would follow`);
  if (file !== LOADER && /(?<![.\w$])import\s*\((?!\s*"")/.test(codeOf(source)))
    complaints.push(`${file} imports what it computes`);
  return complaints;
}

function purityComplaints(file: string, source: string): string[] {
  return Array.from(codeOf(source).matchAll(IMPURE), ([word]) => `${file} uses ${word}`);
}

/**
 * `slice()` of a Buffer is a view, that of a Uint8Array a copy, and the types do not tell one from the other. So nothing
 * in lib has that name: bytes have `copyOf()` and `subarray()`, strings have `substring()`, arrays have the rest.
 */
function copyComplaints(file: string, source: string): string[] {
  const names = codeOf(source).match(/(?<![\w$])slice(?![\w$])/g) ?? [];
  const quoted = source.match(/(['"`])slice\1/g) ?? [];
  return [...names, ...quoted].map(() => `${file} has a slice() that may be a view`);
}

function lengthComplaints(file: string, source: string): string[] {
  // Split at line feeds: the last one ends the last line.
  const lines = source.split('\n').length - 1;
  return lines > LONGEST_FILE ? [`${file} has ${lines} lines`] : [];
}

function styleComplaints(file: string, source: string): string[] {
  const code = codeOf(source);
  const complaints: string[] = [];
  complaints.push(...lengthComplaints(file, source));
  if (/(?<![.\w$])any(?![\w$])/.test(code)) complaints.push(`${file} says any`);
  if (/^\s*(?:static\s+)?(?:private|protected)\s/m.test(code))
    complaints.push(`${file} has privates without #`);
  if (file !== 'index.ts' && /(?:^|\/)index\.ts$/.test(file)) complaints.push(`${file} is a hub`);
  const reExports = code.match(RE_EXPORT) ?? [];
  if (reExports.length > 0 && !ENTRIES.includes(file)) complaints.push(`${file} re-exports`);
  if (file === 'index.ts' && code.replaceAll(RE_EXPORT, '').trim() !== '')
    complaints.push(`${file} does not only re-export`);
  return complaints;
}

/** The first ring of imports, type-only ones included, that can be found; empty when there is none. */
function cycle(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] => {
    const at = path.indexOf(file);
    if (at !== -1) return [...path.slice(at), file];
    if (done.has(file)) return [];
    path.push(file);
    for (const next of imports.get(file) ?? []) {
      const ring = visit(next);
      if (ring.length > 0) return ring;
    }
    path.pop();
    done.add(file);
    return [];
  };
  for (const file of imports.keys()) {
    const ring = visit(file);
    if (ring.length > 0) return ring;
  }
  return [];
}

/** Whether nothing is left of a source when its types are taken out. */
function holdsTypesOnly(source: string): boolean {
  const tsconfigRaw = { compilerOptions: { verbatimModuleSyntax: true } };
  return transformSync(source, { loader: 'ts', tsconfigRaw }).code.trim() === '';
}

/**
 * Files of lib that no spec of their folder shows: none has their name or imports them, and no file of the folder that
 * is shown imports them. `imports` and `specs`: what files of lib, and specs, import of lib.
 */
function unshown(
  imports: ReadonlyMap<string, readonly string[]>,
  specs: ReadonlyMap<string, readonly string[]>,
): string[] {
  const shown = new Set<string>();
  const show = (file: string): void => {
    if (shown.has(file)) return;
    shown.add(file);
    for (const next of imports.get(file) ?? []) if (dirname(next) === dirname(file)) show(next);
  };
  for (const file of imports.keys()) {
    const isImported = [...specs].some(
      ([spec, files]) => dirname(spec) === dirname(file) && files.includes(file),
    );
    if (isImported || specs.has(file.replace(/\.ts$/, '.spec.ts'))) show(file);
  }
  return [...imports.keys()].filter((file) => !shown.has(file));
}

/** What the compiler has to say about a project. */
function compile(project: string): string {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const { stdout, stderr } = spawnSync(process.execPath, [tsc, '-p', project, '--pretty', 'false'], {
    encoding: 'utf8',
  });
  return stdout + stderr;
}

const PURE_PROJECT = join(ROOT, 'spec/support/pure.tsconfig.json');

describe('the floors', () => {
  it('know only what is below them', () => {
    expect(FILES.flatMap((file) => floorComplaints(file, read(file)))).toEqual([]);
  });

  it.each([
    ['topic/trie.ts', "import { encode } from '../codec/codec.ts';"],
    ['codec/reader.ts', "import type { Session } from '../session/session.ts';"],
    ['session/queue.ts', "export * from '../connection/outbox.ts';"],
    ['connection/outbox.ts', "const a = await import('../session/session.ts');"],
    ['engine/engine.ts', "let a: import('../transport/transport.ts').Transport;"],
    ['engine/engine.ts', "import { connect } from 'node:net';"],
    ['engine/engine.ts', "import PQueue from 'p-queue';"],
    ['transport/tcp.ts', "import { utf8Length } from '../topic/names.ts';"],
    ['transport/tcp.ts', "import WebSocket from 'ws';"],
    ['transport/tcp.ts', "import type { SocksClient } from 'socks';"],
    ['transport/socks-proxy.ts', "import { SocksClient } from 'socks';"],
    ['transport/socks-proxy.ts', "const a = await import('socks');"],
    ['transport/proxy.ts', "import 'proxy-from-env';"],
    ['store/level-directory.ts', "import type { ClassicLevel } from 'classic-level';"],
    ['client/config/network-options.ts', "import type { getProxyForUrl } from 'proxy-from-env';"],
    ['client/client.ts', "import WebSocket from 'ws';"],
    ['client/client.ts', "import { a } from '../index.ts';"],
    ['client/publish/publish-many.ts', "import type { Consumer } from '../receive/consumer.ts';"],
    ['client/receive/router.ts', "import { toPayload } from '../publish/payload.ts';"],
    ['client/receive/router.ts', "import type { Service } from '../request/service.ts';"],
    ['client/config/schema.ts', "import type { Driver } from '../runtime/driver.ts';"],
    ['client/client.ts', "import { a } from '../../spec/support/bytes.ts';"],
    ['client/client.ts', "import { a } from './driver';"],
    ['client/client.ts', 'const a = await import(name);'],
    ['errors.ts', "import type { QoS } from './codec/packets.ts';"],
    ['tools/tool.ts', ''],
  ])('would not hold with %s saying %s', (file, source) => {
    expect(floorComplaints(file, source)).toHaveLength(1);
  });

  it('stand on each other without rings', () => {
    const imports = new Map(
      FILES.map((file) => [
        file,
        importsOf(read(file)).flatMap((specifier) => resolved(file, specifier).inside ?? []),
      ]),
    );
    expect(cycle(imports)).toEqual([]);
  });

  it('would not hold with a ring', () => {
    const imports = { a: ['b', 'c'], b: ['d'], c: ['e'], d: [], e: ['b', 'f'], f: ['c'] };
    expect(cycle(new Map(Object.entries(imports)))).toEqual(['c', 'e', 'f', 'c']);
  });
});

describe('the pure floors', () => {
  it('compile where there is no platform', () => {
    expect(compile(PURE_PROJECT)).toBe('');
  });

  it.each([
    ['a timer', 'setTimeout(() => {}, 1);'],
    ['a socket', "import { connect } from 'node:net'; connect(1883);"],
    ['Buffer', 'export const bytes: Uint8Array = Buffer.alloc(1);'],
    ['the process', 'export const platform: string = process.platform;'],
  ])('would not compile with %s', (_, source) => {
    const directory = mkdtempSync(join(tmpdir(), 'mqtt-await-'));
    try {
      writeFileSync(join(directory, 'planted.ts'), `${source}\nexport {};\n`);
      const include = ['planted.ts', join(dirname(PURE_PROJECT), '.pure.d.ts')];
      writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ extends: PURE_PROJECT, include }));
      expect(compile(directory)).toMatch(
        /^planted\.ts\(1,\d+\): error TS2\d\d\d: Cannot find|planted\.ts\(1,/,
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('use no clock, no chance and no promise', () => {
    const files = FILES.filter((file) => PURE.includes(floorOf(file)));
    expect(files.flatMap((file) => purityComplaints(file, read(file)))).toEqual([]);
  });

  it.each([
    ['const now = Date.now();', 'Date'],
    ['const now: Date = then;', 'Date'],
    ['const delay = Math.random() * 2;', 'Math.random'],
    ["const delay = Math['random']();", 'Math['],
    ['function f(): Promise<void> {}', 'Promise'],
    ['const f = async () => {};', 'async'],
    ['setTimeout(f, 1);', 'setTimeout'],
    ['queueMicrotask(f);', 'queueMicrotask'],
    ['const now = performance.now();', 'performance'],
    ['const text = `${Date.now()}`;', 'Date'],
    ["globalThis['Date'];", 'globalThis'],
  ])('would not be pure with %s', (source, word) => {
    expect(purityComplaints('engine/engine.ts', source)).toEqual([`engine/engine.ts uses ${word}`]);
  });

  it('may speak of them', () => {
    const source =
      "/** A Promise. */ const a = 'Date'; // async\nconst b = `await ${c} performance`; d.async = expiryDate;";
    expect(purityComplaints('engine/engine.ts', source)).toEqual([]);
  });
});

describe('the files', () => {
  it.each(SHORT_TOO)('of %s are short, too', (directory) => {
    const complaints = filesOf(directory).flatMap((file) =>
      lengthComplaints(file, readFileSync(join(ROOT, directory, file), 'utf8')),
    );
    expect(complaints).toEqual([]);
  });

  it('are short, typed, and re-export nothing unless they are an entry of the package', () => {
    expect(FILES.flatMap((file) => styleComplaints(file, read(file)))).toEqual([]);
  });

  it.each([
    ['501 lines', 'topic/trie.ts', 'a;\n'.repeat(501)],
    ['any', 'topic/trie.ts', 'const a = b as any;'],
    ['a private without #', 'topic/trie.ts', 'class A {\n  private b = 1;\n}'],
    ['the name index.ts', 'topic/index.ts', ''],
    ['a re-export', 'topic/trie.ts', "export { a } from './names.ts';"],
    ['a re-export of all types', 'topic/trie.ts', "export type * from './names.ts';"],
    ['code of its own', 'index.ts', "export { a } from './errors.ts';\nexport const b = 1;"],
  ])('would be refused with %s', (_, file, source) => {
    expect(styleComplaints(file, source)).toHaveLength(1);
  });

  it('are taken where they keep to the rules', () => {
    expect(styleComplaints('topic/trie.ts', 'a;\n'.repeat(500))).toEqual([]);
    expect(styleComplaints('topic/trie.ts', 'const a = AbortSignal.any([]); // any\nexport { b };')).toEqual(
      [],
    );
    const index =
      "/** Names. */\nexport { a } from './errors.ts';\nexport type { B, C } from './client/client.ts';\n";
    expect(styleComplaints('index.ts', index)).toEqual([]);
  });

  it('copy bytes by copyOf() alone', () => {
    expect(FILES.flatMap((file) => copyComplaints(file, read(file)))).toEqual([]);
  });

  it.each([
    'const copy = bytes.slice();',
    'const copy = bytes?.slice(0, 4);',
    'const copy = bytes\n  .slice();',
    'const { slice } = bytes;',
    "const copy = bytes['slice']();",
    'const copy = `${bytes.slice()}`;',
    'const copy = Uint8Array.prototype.slice.call(bytes);',
    'const copy = Reflect.apply(bytes["slice"], bytes, []);',
  ])('would be refused with %s', (source) => {
    expect(copyComplaints('client/publish/payload.ts', source)).toHaveLength(1);
  });

  it('may speak of slices', () => {
    const source = "/** A slice. */ const SLICE = 1; slicesOf('a slice of bread'); // slice()";
    expect(copyComplaints('client/publish/payload.ts', source)).toEqual([]);
  });

  it('are each shown by a spec of their folder', () => {
    const insideOf = (file: string, source: string): string[] =>
      importsOf(source).flatMap((specifier) => resolved(file, specifier).inside ?? []);
    const specs = filesOf('spec').filter((file) => file.endsWith('.spec.ts'));
    const imports = new Map(FILES.map((file) => [file, insideOf(file, read(file))]));
    // `../../lib/a/b.ts` in a spec is `a/b.ts`.
    const shown = new Map(
      specs.map((file) => [
        file,
        importsOf(readFileSync(join(ROOT, 'spec', file), 'utf8')).flatMap(
          (specifier) => /(?:\.\.\/)+lib\/(.*)/.exec(specifier)?.[1] ?? [],
        ),
      ]),
    );
    // lib/*.ts itself: the errors are shown where they are thrown, index.ts by whoever uses the package.
    const missing = unshown(imports, shown).filter(
      (file) => file.includes('/') && !holdsTypesOnly(read(file)) && file !== SHOWN_ON_THE_NETWORK,
    );
    expect(missing).toEqual([]);
  });

  it('would be missed if no spec of their folder leads to them', () => {
    const imports = new Map([
      ['topic/a.ts', ['topic/b.ts', 'codec/c.ts']],
      ['topic/b.ts', []],
      ['codec/c.ts', []],
    ]);
    expect(unshown(imports, new Map([['topic/a.spec.ts', []]]))).toEqual(['codec/c.ts']);
    expect(unshown(imports, new Map([['topic/all.spec.ts', ['topic/b.ts']]]))).toEqual([
      'topic/a.ts',
      'codec/c.ts',
    ]);
    expect(unshown(imports, new Map([['codec/d.spec.ts', ['topic/a.ts']]]))).toHaveLength(3);
  });
});
