import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A directory in which the built package is installed. */
export interface Installed {
  readonly directory: string;
  remove(): void;
}

/** Builds the package into a directory of its own, as it is published, with what it depends on beside it. */
export async function installBuilt(): Promise<Installed> {
  const directory = mkdtempSync(join(tmpdir(), 'mqtt-await-built-'));
  const remove = (): void => rmSync(directory, { recursive: true });
  try {
    const modules = join(directory, 'node_modules');
    const home = join(modules, 'mqtt-await');
    mkdirSync(home, { recursive: true });
    copyFileSync(join(ROOT, 'package.json'), join(home, 'package.json'));
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    for (const name of Object.keys(dependencies))
      symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
    const bundle = ['run', '-s', 'bundle', '--', `--outdir=${join(home, 'dist')}`];
    await promisify(execFile)('npm', bundle, { cwd: ROOT });
  } catch (error) {
    remove();
    throw new Error(`the build failed: ${(error as { stderr?: string }).stderr ?? ''}`, { cause: error });
  }
  return { directory, remove };
}
