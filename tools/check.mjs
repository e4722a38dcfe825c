/**
 * What to run before each commit: types, lint, format and the house rules, all at once. Prints the output of those that
 * fail. On a console it shows what is still running.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** npm scripts, with their arguments. */
const CHECKS = [
  ['typecheck'],
  ['lint'],
  ['format:check'],
  ['test', 'spec/house.spec.ts', 'spec/words.spec.ts'],
];

async function run([script, ...rest]) {
  const start = performance.now();
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const child = spawn(npm, ['run', '--silent', script, '--', ...rest], { cwd: ROOT });
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => output.push(chunk));
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  const seconds = ((performance.now() - start) / 1_000).toFixed(1);
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${script} (${seconds} s)`);
  if (code === 0) return true;
  process.stdout.write(Buffer.concat(output));
  return false;
}

const results = await Promise.all(CHECKS.map(run));
if (results.includes(false)) process.exitCode = 1;
