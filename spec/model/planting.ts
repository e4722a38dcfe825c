import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';
import type { Client } from '../../lib/client/client.ts';
import { planted, type Fault } from '../support/faults.ts';
import type { MakeClient } from './world.ts';

const LIB = fileURLToPath(new URL('../../lib/', import.meta.url));

/** Builds the client with a bug in it. What looks at it is not built: it is as it always is. */
export async function clientWith(fault: Fault): Promise<MakeClient> {
  const directory = mkdtempSync(join(tmpdir(), 'mqtt-await-fault-'));
  const left = new Set(fault.changes.map(({ file }) => file));
  const outfile = join(directory, 'client.mjs');
  try {
    await esbuild.build({
      entryPoints: [join(LIB, 'client/client.ts')],
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      outfile,
      logLevel: 'silent',
      plugins: [
        {
          name: 'fault',
          setup(build) {
            const names = fault.changes.map(({ file }) => file.replace('/', '.').replace('.ts', '\\.ts$'));
            build.onLoad({ filter: new RegExp(names.join('|')) }, ({ path }) => {
              const file = relative(LIB, path).split(sep).join('/');
              left.delete(file);
              return { contents: planted(fault, file, readFileSync(path, 'utf8')), loader: 'ts' };
            });
          },
        },
      ],
    });
    if (left.size > 0) throw new Error(`${fault.name}: the client is not made of ${[...left].join(', ')}`);
    const built = (await import(pathToFileURL(outfile).href)) as { Client: typeof Client };
    return (url, options, platform) => new built.Client(url, options, platform);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
