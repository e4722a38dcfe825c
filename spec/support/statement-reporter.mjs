import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { statements, statementsIn } from '../conformance/map/statements.mjs';
import { partsOf } from './all-specs.cjs';

/**
 * Jest reporter: after a run of the whole suite, every statement of the specifications has a spec that ran and passed.
 * After a run of a part it says nothing.
 */
export default class StatementReporter {
  #root;
  #isPart;
  #error;

  constructor({ rootDir, testNamePattern }) {
    this.#root = rootDir;
    this.#isPart = Boolean(testNamePattern);
  }

  onRunComplete(_contexts, { testResults, wasInterrupted }) {
    if (this.#isPart || wasInterrupted || !this.#isWhole(testResults)) return;
    const missing = unshown(testResults.flatMap((file) => file.testResults));
    if (missing.length === 0) return;
    this.#error = new Error(
      `no spec that ran and passed has these statements in its name: ${missing.join(', ')}`,
    );
    console.error(`\n${this.#error.message}`);
  }

  /** Jest fails the run if this is an error. */
  getLastError() {
    return this.#error;
  }

  #isWhole(testResults) {
    const files = testResults.map(({ testFilePath }) => testFilePath);
    const ran = new Set([...files, ...partsOf(files)]);
    const spec = join(this.#root, 'spec');
    return readdirSync(spec, { recursive: true, encoding: 'utf8' }).every(
      (file) => !file.endsWith('.spec.ts') || ran.has(join(spec, file)),
    );
  }
}

/**
 * The statements without a test that passed. One whose only tests were skipped, as they need a broker that is not there,
 * is not among them: where all brokers are, `.ci/run` allows no skipped test.
 */
export function unshown(tests) {
  const shown = new Set();
  for (const { fullName, status } of tests)
    if (status === 'passed' || status === 'pending')
      for (const name of statementsIn(fullName)) shown.add(name);
  return statements()
    .filter(({ name, reaction }) => reaction !== 'not ours' && !shown.has(name))
    .map(({ name }) => name);
}
