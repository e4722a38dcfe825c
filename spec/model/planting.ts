import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import * as esbuild from 'esbuild';
import type { Client } from '../../lib/client/client.ts';
import type { Engine } from '../../lib/engine/engine.ts';
import { planted, type Fault } from '../support/faults.ts';
import { LIB, markersOfLib } from '../support/markers.ts';
import type { MakeClient } from './world.ts';

const MARKERS = markersOfLib();

/** The markers of `fault`, by the file of lib that contains them. */
function markersByFile({ name, changes }: Fault): Map<string, string[]> {
  const byFile = new Map<string, string[]>();
  for (const marker of Object.keys(changes)) {
    const file = MARKERS.get(marker);
    if (file === undefined) throw new Error(`${name}: the marker ${marker} is nowhere in lib`);
    byFile.set(file, [...(byFile.get(file) ?? []), marker]);
  }
  return byFile;
}

/** The client with a planted bug. The spec itself has none. */
export async function clientWith(fault: Fault): Promise<MakeClient> {
  const built = (await moduleWith(fault, 'client/client.ts')) as { Client: typeof Client };
  return (url, options, platform) => new built.Client(url, options, platform);
}

/** The same for the engine alone. */
export async function engineWith(fault: Fault): Promise<typeof Engine> {
  const built = (await moduleWith(fault, 'engine/engine.ts')) as { Engine: typeof Engine };
  return built.Engine;
}

/** A file of lib, translated to CommonJS and compiled. */
type Compiled = (
  exports: object,
  require: (specifier: string) => unknown,
  module: { exports: object },
) => void;

const TRANSLATION = {
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  logLevel: 'silent',
  // The world dials, so packages are never loaded.
  supported: { 'dynamic-import': false },
} as const satisfies esbuild.BuildOptions;

function compiled(code: string, file: string): Compiled {
  // A function of this realm, as those of the spec are: what `node:vm` makes is of another one.
  // oxlint-disable-next-line typescript/no-implied-eval
  return new Function('exports', 'require', 'module', `${code}\n//# sourceURL=${file}`) as Compiled;
}

/** All files of lib without bugs, by their names. They are translated and compiled once: most clients differ in one file. */
let sound: Promise<ReadonlyMap<string, Compiled>> | undefined;

async function compileLib(): Promise<ReadonlyMap<string, Compiled>> {
  const { outputFiles } = await esbuild.build({
    ...TRANSLATION,
    entryPoints: [join(LIB, '**/*.ts')],
    outdir: LIB,
    outExtension: { '.js': '.ts' },
    write: false,
  });
  return new Map(
    outputFiles.map(({ path, text }) => {
      const file = relative(LIB, path).split(sep).join('/');
      return [file, compiled(text, file)];
    }),
  );
}

/** The files that `fault` changes, with the bug. */
async function compileFault(fault: Fault): Promise<ReadonlyMap<string, Compiled>> {
  const changed = [...markersByFile(fault)].map(async ([file, markers]) => {
    const source = planted(fault, markers, readFileSync(join(LIB, file), 'utf8'));
    const { code } = await esbuild.transform(source, { ...TRANSLATION, loader: 'ts', sourcefile: file });
    return [file, compiled(code, file)] as const;
  });
  return new Map(await Promise.all(changed));
}

const requirePackage = createRequire(import.meta.url);

async function moduleWith(fault: Fault, entry: string): Promise<unknown> {
  sound ??= compileLib();
  const [lib, changed] = await Promise.all([sound, compileFault(fault)]);
  const modules = new Map<string, { exports: object }>();
  const load = (file: string): object => {
    const known = modules.get(file);
    if (known !== undefined) return known.exports;
    const run = changed.get(file) ?? lib.get(file);
    if (run === undefined) throw new Error(`${file} is nowhere in lib`);
    const module = { exports: {} };
    modules.set(file, module);
    const require = (specifier: string): unknown =>
      specifier.startsWith('.')
        ? load(join(dirname(file), specifier).split(sep).join('/'))
        : requirePackage(specifier);
    run(module.exports, require, module);
    return module.exports;
  };
  const built = load(entry);
  const left = [...changed.keys()].filter((file) => !modules.has(file));
  if (left.length > 0) throw new Error(`${fault.name}: ${entry} is not made of ${left.join(', ')}`);
  return built;
}
