import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { sep } from 'node:path';
import base from '../../support/esbuild-transform.mjs';
import { switchable } from './take-out.mjs';

const self = ['transform', 'take-out', 'checks'].map((name) =>
  readFileSync(new URL(`${name}.mjs`, import.meta.url)),
);

/** Jest transformer: as in `npm test`, but with the checks of lib behind a switch. */
export default {
  canInstrument: false,
  getCacheKey(source, file, options) {
    const hash = createHash('sha1').update(base.getCacheKey(source, file, options));
    for (const part of self) hash.update(part);
    return hash.digest('hex');
  },
  process(source, file, options) {
    const lib = `${options.config.rootDir}${sep}lib${sep}`;
    const code = file.startsWith(lib)
      ? switchable(file.substring(lib.length).replaceAll('\\', '/'), source)
      : source;
    return base.process(code, file);
  },
};
