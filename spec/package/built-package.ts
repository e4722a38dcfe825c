import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A directory in which the built package is installed. */
export interface Installed {
  readonly directory: string;
  /** The directory of the package in it. */
  readonly home: string;
  remove(): void;
}

/** Builds the package as it is published, by its own script, in a directory of its own. */
export async function installBuilt(): Promise<Installed> {
  const directory = mkdtempSync(join(tmpdir(), 'mqtt-await-built-'));
  const remove = (): void => rmSync(directory, { recursive: true });
  try {
    const home = join(directory, 'node_modules/mqtt-await');
    mkdirSync(home, { recursive: true });
    for (const name of ['package.json', 'tsconfig.json', 'tsconfig.build.json'])
      copyFileSync(join(ROOT, name), join(home, name));
    cpSync(join(ROOT, 'lib'), join(home, 'lib'), { recursive: true });
    // What builds it, and what it depends on.
    symlinkSync(join(ROOT, 'node_modules'), join(home, 'node_modules'), 'junction');
    await promisify(execFile)('npm', ['run', '-s', 'build'], {
      cwd: home,
      shell: process.platform === 'win32',
    });
    return { directory, home, remove };
  } catch (error) {
    remove();
    // What the compiler has to say is on its stdout.
    throw new Error(`the build failed: ${(error as { stdout?: string }).stdout ?? ''}`, { cause: error });
  }
}
