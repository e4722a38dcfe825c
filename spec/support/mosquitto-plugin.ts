import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { programPath } from './program-path.ts';

/** A plugin that was compiled for Mosquitto. */
export interface MosquittoPlugin {
  /** The line of the configuration file that loads it. */
  readonly config: string;
  remove(): Promise<void>;
}

/** Compiles `mosquitto-auth-plugin.c`. */
export async function buildAuthPlugin(): Promise<MosquittoPlugin> {
  const directory = await mkdtemp(join(tmpdir(), `mqtt-await-plugin-${process.pid}-`));
  const library = join(directory, 'auth.so');
  const source = fileURLToPath(new URL('mosquitto-auth-plugin.c', import.meta.url));
  const flags = ['-std=c99', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC'];
  await promisify(execFile)(programPath('cc') ?? 'cc', [...flags, '-o', library, source]);
  return {
    config: `plugin ${library}`,
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
