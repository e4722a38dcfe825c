// Run by `npm start` and `npm test` before anything else: on a fresh clone it installs what the lock file names.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const root = new URL('../../', import.meta.url);

/** The packages of the lock file that apply to this platform and are not in node_modules at that version. */
function missing() {
  const installed = new URL('node_modules/.package-lock.json', root);
  if (!existsSync(installed)) return ['node_modules'];
  const wanted = JSON.parse(readFileSync(new URL('package-lock.json', root), 'utf8')).packages;
  const have = JSON.parse(readFileSync(installed, 'utf8')).packages;
  return Object.entries(wanted)
    .filter(
      ([path, entry]) => path !== '' && entry.optional !== true && have[path]?.version !== entry.version,
    )
    .map(([path]) => path);
}

const lacking = missing();
if (lacking.length > 0) {
  console.log(
    `Installing dependencies (${lacking.length === 1 ? lacking[0] : `${lacking.length} packages`} missing) …`,
  );
  const { status } = spawnSync('npm', ['ci', '--no-fund', '--no-audit'], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status !== 0) process.exit(status ?? 1);
}
