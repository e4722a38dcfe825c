import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Everything that is needed to build and publish the package. */
const SOURCES = [
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'tools',
  'lib',
  'docs',
  'README.md',
  'bench/README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'LICENSE',
];

/** What an application installs with it: its dependencies. */
const DEPENDENCIES = ['ws', 'p-queue'];

/** A directory in which the built package is installed. */
export interface Installed {
  readonly directory: string;
  /** The directory of the package in it. */
  readonly home: string;
  /** The files of the package, as paths in it with forward slashes. */
  readonly files: readonly string[];
  /** Links a package of this repository's `node_modules` for the application. */
  link(...names: readonly string[]): void;
  remove(): void;
}

const run = promisify(execFile);

let installed: Promise<Installed> | undefined;

/** The package as an application has it; built on the first call. */
export function installedPackage(): Promise<Installed> {
  installed ??= install();
  return installed;
}

/**
 * Builds the package by its own script in a separate directory, and installs the files that npm packs. Types are checked
 * by `npm run check`, not here.
 */
async function install(): Promise<Installed> {
  const directory = mkdtempSync(join(tmpdir(), 'mqtt-await-built-'));
  const remove = (): void => rmSync(directory, { recursive: true });
  try {
    const work = join(directory, 'work');
    for (const name of SOURCES) cpSync(join(ROOT, name), join(work, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(work, 'node_modules'), 'junction');
    const { scripts } = JSON.parse(readFileSync(join(work, 'package.json'), 'utf8')) as {
      readonly scripts: { readonly build: string };
    };
    await run(`${scripts.build} --noCheck`, { cwd: work, shell: true, maxBuffer: 2 ** 24 });
    const files = await packedFiles(work, join(directory, 'names'));
    const home = join(directory, 'node_modules/mqtt-await');
    for (const file of files) {
      mkdirSync(dirname(join(home, file)), { recursive: true });
      renameSync(join(work, file), join(home, file));
    }
    rmSync(work, { recursive: true });
    const link = (...names: readonly string[]): void => {
      for (const name of names) {
        const path = join(directory, 'node_modules', name);
        if (existsSync(path)) continue;
        mkdirSync(dirname(path), { recursive: true });
        symlinkSync(join(ROOT, 'node_modules', name), path, 'junction');
      }
    };
    link(...DEPENDENCIES);
    return { directory, home, files, link, remove };
  } catch (error) {
    remove();
    // The compiler reports on stdout.
    throw new Error(`the build failed: ${(error as { stdout?: string }).stdout ?? ''}`, { cause: error });
  }
}

/** Files whose contents decide what npm packs. */
const DECIDING = ['package.json', '.npmignore', '.gitignore'];

/**
 * What npm packs of `work`, as `npm pack` reports it. It packs a copy in `names` whose files are empty: their contents
 * do not matter for the list, and npm would compress them for two seconds.
 */
async function packedFiles(work: string, names: string): Promise<readonly string[]> {
  for (const entry of readdirSync(work, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const copy = join(names, path.slice(work.length));
    mkdirSync(dirname(copy), { recursive: true });
    writeFileSync(copy, DECIDING.includes(basename(path)) ? readFileSync(path) : '');
  }
  const { stdout } = await run('npm', ['pack', '--json', '--dry-run', '--ignore-scripts'], {
    cwd: names,
    shell: process.platform === 'win32',
    maxBuffer: 2 ** 24,
  });
  rmSync(names, { recursive: true });
  const [packed] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  return packed.files.map(({ path }) => path);
}
