import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { transformSync } from 'esbuild';

const self = readFileSync(new URL(import.meta.url));

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
