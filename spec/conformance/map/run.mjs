/**
 * `npm run conformance`: takes each check out of lib that refuses a breach of a statement, and runs the specs of that
 * statement. Fails if they do not notice. Arguments are parts of statements: `npm run conformance -- MQTT-3.3.1`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCLI } from 'jest';
import { CHECKS, nameOf } from './checks.mjs';
import { chosen, TRIAL } from './environment.mjs';
import { statementsIn } from './statements.mjs';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CONFIG = fileURLToPath(new URL('jest.config.mjs', import.meta.url));
/** Specs that need a broker or a package, or that take long: statements have faster ones. */
const LEFT_OUT = /^(?:model|network|package|types)\b/;

/** For the workers, which inherit it. */
process.env['CONFORMANCE_ONLY'] = process.argv.slice(2).join(' ');
const statements = chosen();

/** The spec files in which a test may name one of `statements`. */
function specFiles() {
  const spec = join(ROOT, 'spec');
  return readdirSync(spec, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.spec.ts') && !LEFT_OUT.test(file))
    .map((file) => join(spec, file))
    .filter((file) => /MQTT-\d|V31-|\bU4?-\d|\bR\d/.test(readFileSync(file, 'utf8')));
}

/** For each statement and check, whether a test noticed that it was taken out. */
class Verdicts {
  #noticed = new Map();
  #broken = [];

  add({ title, fullName, status }) {
    if (status !== 'passed' && status !== 'failed') return;
    const [, check] = TRIAL.exec(title) ?? [];
    if (check === undefined || check === '') {
      if (status === 'failed') this.#broken.push(fullName);
      return;
    }
    for (const statement of statementsIn(fullName.replace(/⟦.*?⟧ /, ''))) {
      if (!CHECKS.get(statement)?.some((one) => nameOf(one) === check)) continue;
      const key = `${statement}: ${check}`;
      this.#noticed.set(key, this.#noticed.get(key) === true || status === 'failed');
    }
  }

  /** Tests that failed with all checks in place. */
  get broken() {
    return this.#broken;
  }

  /** What nobody noticed: `statement: check`. */
  unnoticed(names) {
    return names.flatMap((statement) =>
      CHECKS.get(statement)
        .map((check) => `${statement}: ${nameOf(check)}`)
        .filter((key) => this.#noticed.get(key) !== true)
        .map((key) => (this.#noticed.has(key) ? key : `${key} (no test has this statement in its name)`)),
    );
  }
}

const files = specFiles();
console.log(`${statements.length} statements, ${files.length} spec files`);
const { results } = await runCLI(
  {
    config: CONFIG,
    runTestsByPath: true,
    _: files,
    $0: 'conformance',
  },
  [CONFIG],
);

const verdicts = new Verdicts();
for (const { testResults } of results.testResults) for (const test of testResults) verdicts.add(test);
const stopped = results.testResults.filter(({ testExecError }) => testExecError !== undefined);
const unnoticed = verdicts.unnoticed(statements);
for (const { testFilePath, testExecError } of stopped)
  console.error(`could not run ${testFilePath}: ${testExecError.message}`);
for (const name of verdicts.broken) console.error(`failed with all checks in place: ${name}`);
for (const key of unnoticed) console.error(`unnoticed without ${key}`);
const count = statements.reduce((sum, name) => sum + CHECKS.get(name).length, 0);
console.log(`${count} checks of ${statements.length} statements taken out, ${unnoticed.length} unnoticed`);
process.exit(unnoticed.length + verdicts.broken.length + stopped.length === 0 ? 0 : 1);
