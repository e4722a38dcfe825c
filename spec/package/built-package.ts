import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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
  /** Bytes of the packed file. */
  readonly packedSize: number;
  /** The files of the package, as paths in it with forward slashes. */
  readonly files: readonly string[];
  /** Links a package of this repository's `node_modules` for the application. */
  link(...names: readonly string[]): void;
  remove(): void;
}

const run = promisify(execFile);
const npm = (args: readonly string[], cwd: string): Promise<{ stdout: string }> =>
  run('npm', args, { cwd, shell: process.platform === 'win32', maxBuffer: 2 ** 24 });

let installed: Promise<Installed> | undefined;

/** The package as an application has it; built on the first call. */
export function installedPackage(): Promise<Installed> {
  installed ??= install();
  return installed;
}

/** Builds the package by its own script in a separate directory, packs it with npm, and installs that. */
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
    await run(scripts.build, { cwd: work, shell: true, maxBuffer: 2 ** 24 });
    const { stdout } = await npm(['pack', '--json', '--ignore-scripts', '--pack-destination', '..'], work);
    const [packed] = JSON.parse(stdout) as [{ filename: string; size: number; files: { path: string }[] }];
    const home = join(directory, 'node_modules/mqtt-await');
    mkdirSync(home, { recursive: true });
    await run('tar', ['-xzf', join(directory, packed.filename), '-C', home, '--strip-components=1']);
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
    const { size, files } = packed;
    return { directory, home, packedSize: size, files: files.map(({ path }) => path), link, remove };
  } catch (error) {
    remove();
    // The compiler reports on stdout.
    throw new Error(`the build failed: ${(error as { stdout?: string }).stdout ?? ''}`, { cause: error });
  }
}
