import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
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

/** Builds the client with a planted bug. The spec itself is not built. */
export async function clientWith(fault: Fault): Promise<MakeClient> {
  const built = (await moduleWith(fault, 'client/client.ts')) as { Client: typeof Client };
  return (url, options, platform) => new built.Client(url, options, platform);
}

/** The same for the engine alone. */
export async function engineWith(fault: Fault): Promise<typeof Engine> {
  const built = (await moduleWith(fault, 'engine/engine.ts')) as { Engine: typeof Engine };
  return built.Engine;
}

async function moduleWith(fault: Fault, entry: string): Promise<unknown> {
  const directory = mkdtempSync(join(tmpdir(), 'mqtt-await-fault-'));
  const left = markersByFile(fault);
  const outfile = join(directory, 'client.mjs');
  try {
    await esbuild.build({
      entryPoints: [join(LIB, entry)],
      bundle: true,
      // The world dials, so these are never loaded.
      external: ['ws', 'socks', 'proxy-from-env'],
      platform: 'node',
      format: 'esm',
      target: 'node20',
      outfile,
      logLevel: 'silent',
      plugins: [
        {
          name: 'fault',
          setup(build) {
            build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
              const file = relative(LIB, path).split(sep).join('/');
              const markers = left.get(file);
              if (markers === undefined) return undefined;
              left.delete(file);
              return { contents: planted(fault, markers, readFileSync(path, 'utf8')), loader: 'ts' };
            });
          },
        },
      ],
    });
    if (left.size > 0)
      throw new Error(`${fault.name}: ${entry} is not made of ${[...left.keys()].join(', ')}`);
    return await import(pathToFileURL(outfile).href);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
