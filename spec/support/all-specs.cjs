const { readFileSync } = require('node:fs');
const path = require('node:path');

const ALL = 'all.spec.ts';

/** The spec files that run as parts of those `all.spec.ts` which are among `files`. */
function partsOf(files) {
  return new Set(
    files
      .filter((file) => path.basename(file) === ALL)
      .flatMap((file) =>
        [...readFileSync(file, 'utf8').matchAll(/^import '(.*)';$/gm)].map(([, part]) =>
          path.join(file, '..', part),
        ),
      ),
  );
}

/**
 * Jest filter: a spec file does not run on its own if an `all.spec.ts` of the same run imports it. Jest spends 0.2 s on a
 * file before its first spec, with its own modules and those of lib; with `all.spec.ts` it does so once for a folder.
 */
module.exports = async (files) => {
  const parts = partsOf(files);
  return { filtered: files.filter((file) => !parts.has(file)) };
};
module.exports.partsOf = partsOf;
