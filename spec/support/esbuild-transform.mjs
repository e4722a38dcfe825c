import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { transformSync } from 'esbuild';

const self = readFileSync(new URL(import.meta.url));

/*
 * A Jest worker that has nothing left to wait for leaves at once. By itself Node.js would first free the modules of
 * every file that the worker has run, several hundred MB: longer than the 500 ms after which Jest kills a worker and
 * says that it "has failed to exit gracefully". What keeps the event loop going is still found out that way.
 */
if (process.send !== undefined) process.once('beforeExit', () => process.exit());

/** Jest transformer: TypeScript to ES modules by esbuild, types stripped and not checked (tsc does that). */
export default {
  canInstrument: false,
  getCacheKey: (source, file, options) =>
    createHash('sha1')
      .update(self)
      .update(source)
      .update('\0')
      .update(file)
      .update(options.configString ?? '')
      .digest('hex'),
  process(source, file) {
    // The map is a file of its own in Jest's cache: read only for a stack trace, not with every import.
    const { code, map } = transformSync(source, {
      loader: 'ts',
      format: 'esm',
      target: 'node20',
      sourcemap: 'external',
      sourcefile: file,
      tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true, useDefineForClassFields: true } },
    });
    return { code, map };
  },
};
