/*
 * Builds `dist/`: an ES module and a CommonJS module for each entry, each with its declarations.
 *
 *   index.js   codec/codec.js …   ES modules with shared chunks; dependencies are not bundled
 *   index.cjs  codec/codec.cjs …  the same as CommonJS; p-queue is bundled, as it is an ES module only
 *   *.d.ts  *.d.cts               only the declarations that the entries refer to
 *
 * Source maps and declaration maps refer to `lib/`, which is published with `dist/`. They contain no sources. Arguments go
 * to the compiler: with `--noCheck`, it does not check types.
 */

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

process.chdir(fileURLToPath(new URL('../', import.meta.url)));

const ENTRIES = ['index', 'codec/codec', 'store/store', 'store/conformance'];
/** Start of an `import()` with a computed name: see lib/packages.ts. */
const COMPUTED_IMPORT = /await import\((?=(?:\s*\/\*[^*]*\*\/)+\s*name\s*\))/g;
const RELATIVE_IMPORT = /\b(?:from|import\()\s*['"](\.[^'"]+)['"]/g;
const OPTIONS = { bundle: true, platform: 'node', target: 'node20', sourcemap: true, logLevel: 'warning' };

rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', ...process.argv.slice(2)],
  { stdio: 'inherit' },
);
if (status !== 0) process.exit(1);
await build({
  ...OPTIONS,
  entryPoints: ENTRIES.map((entry) => `lib/${entry}.ts`),
  outdir: 'dist',
  format: 'esm',
  splitting: true,
  packages: 'external',
  sourcesContent: false,
});
await buildCommonJs();
writeDeclarations();

/** Translates each file of the ES module, so that the CommonJS module has the same chunks. */
async function buildCommonJs() {
  let loaders = 0;
  const translate = ({ onResolve, onLoad }) => {
    onResolve({ filter: /^\.\.?\/.*\.js$/ }, ({ path, importer, kind }) =>
      kind === 'entry-point' || importer.includes('node_modules')
        ? undefined
        : { path: path.replace(/\.js$/, '.cjs'), external: true },
    );
    // With a plain `require(name)`, bundlers would try to resolve the computed name, and fail.
    onLoad({ filter: /\.js$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      const contents = source.replace(COMPUTED_IMPORT, () => {
        loaders++;
        return "(await import('node:module')).createRequire(__filename)(";
      });
      return { contents, loader: 'js' };
    });
  };
  await build({
    ...OPTIONS,
    entryPoints: filesOf('dist', '.js'),
    outdir: 'dist',
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    external: ['ws'],
    // Jest runs CommonJS without support for `import()`.
    supported: { 'dynamic-import': false },
    plugins: [{ name: 'translate', setup: translate }],
  });
  const bundled = filesOf('dist', '.cjs.map').flatMap((file) => leaveOutSources(file));
  writeFileSync('dist/third-party-licenses.txt', licensesOf(new Set(bundled)));
  if (loaders !== 1) throw new Error(`expected one import() of a computed name, found ${loaders}`);
}

/**
 * Removes sources from a map that are published with `dist/`. Sources of bundled packages stay in the map. Returns the
 * names of these packages.
 */
function leaveOutSources(file) {
  const map = JSON.parse(readFileSync(file, 'utf8'));
  const packages = map.sources.map((source) => /node_modules\/([^/]+)/.exec(source)?.[1]);
  map.sourcesContent = map.sourcesContent.map((source, i) => (packages[i] === undefined ? null : source));
  writeFileSync(file, JSON.stringify(map));
  return packages.filter((name) => name !== undefined);
}

function licensesOf(packages) {
  return [...packages]
    .map((name) => {
      const directory = join('node_modules', name);
      const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
      const license = readdirSync(directory).find((file) => /^licen[cs]e/i.test(file));
      return `${name} ${version}\n\n${readFileSync(join(directory, license), 'utf8').trim()}\n`;
    })
    .join('\n');
}

/** Keeps the declarations that the entries refer to, and writes those of the CommonJS module next to them. */
function writeDeclarations() {
  const reached = new Set();
  const follow = (file) => {
    if (reached.has(file)) return;
    reached.add(file);
    for (const [, specifier] of readFileSync(file, 'utf8').matchAll(RELATIVE_IMPORT))
      follow(join(dirname(file), specifier.replace(/\.ts$/, '.d.ts')));
  };
  for (const entry of ENTRIES) follow(join('dist', `${entry}.d.ts`));
  for (const file of filesOf('dist', '.d.ts')) {
    if (reached.has(file)) {
      const declarations = readFileSync(file, 'utf8').replace(RELATIVE_IMPORT, (found, specifier) =>
        found.replace(specifier, specifier.replace(/\.ts$/, '.cjs')),
      );
      // The lines are the same, so both use one map.
      writeFileSync(file.replace(/\.d\.ts$/, '.d.cts'), declarations);
    } else {
      rmSync(file);
      rmSync(`${file}.map`);
      if (readdirSync(dirname(file)).length === 0) rmdirSync(dirname(file));
    }
  }
}

function filesOf(directory, extension) {
  return readdirSync(directory, { recursive: true })
    .filter((file) => file.endsWith(extension))
    .map((file) => join(directory, file));
}
