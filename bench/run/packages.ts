/** Builds what the contenders need: the package of one or two checkouts, MQTT.js, and the program for libmosquitto. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { programPath } from '../../spec/support/program-path.ts';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const SOURCES = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'tools', 'lib'];
const execute = promisify(execFile);

export interface Packages {
  /** A directory with the programs of the bench in which `mqtt-await` is installed as published. */
  readonly ours: string;
  /** The same with the package of the other checkout. */
  readonly base: string | undefined;
  /** The program that uses libmosquitto; undefined if its development package is not installed. */
  readonly libmosquitto: string | undefined;
  /** For certificates and the like. */
  readonly scratch: string;
  remove(): void;
}

export async function buildPackages(base: string | undefined): Promise<Packages> {
  const scratch = mkdtempSync(join(tmpdir(), 'mqtt-await-bench-'));
  const remove = (): void => rmSync(scratch, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    const [ours, other, libmosquitto] = await Promise.all([
      install(ROOT, join(scratch, 'ours')),
      base === undefined ? undefined : install(base, join(scratch, 'base')),
      compile(join(scratch, 'libmosquitto')),
    ]);
    return { ours, base: other, libmosquitto, scratch, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** Builds the package of a checkout by its own script, and installs it beside the programs of the bench. */
async function install(root: string, directory: string): Promise<string> {
  const home = join(directory, 'node_modules/mqtt-await');
  mkdirSync(home, { recursive: true });
  for (const name of SOURCES) cpSync(join(root, name), join(home, name), { recursive: true });
  const modules = [join(root, 'node_modules'), join(ROOT, 'node_modules')].find((path) => existsSync(path))!;
  symlinkSync(modules, join(home, 'node_modules'), 'junction');
  try {
    await execute(process.execPath, ['tools/build.mjs'], { cwd: home });
  } catch (error) {
    throw new Error(`the build of ${root} failed: ${(error as { stdout?: string }).stdout ?? ''}`, {
      cause: error,
    });
  }
  for (const name of [...SOURCES.slice(1), 'node_modules']) rmSync(join(home, name), { recursive: true });
  for (const name of ['ws', 'p-queue', 'mqtt', 'classic-level'])
    symlinkSync(join(modules, name), join(directory, 'node_modules', name), 'junction');
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  await build({
    entryPoints: ['client/program', 'client/import', 'server/null-server'].map((name) =>
      join(ROOT, `bench/${name}.ts`),
    ),
    outdir: directory,
    entryNames: '[name]',
    bundle: true,
    splitting: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
  });
  return directory;
}

async function compile(program: string): Promise<string | undefined> {
  const compiler = programPath('cc');
  if (compiler === undefined || !existsSync('/usr/include/mosquitto.h')) return undefined;
  const source = join(ROOT, 'bench/client/libmosquitto.c');
  await execute(compiler, ['-O2', '-Wall', '-o', program, source, '-lmosquitto']);
  return program;
}
