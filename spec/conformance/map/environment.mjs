import Environment from '../../support/environment.mjs';
import { CHECKS, nameOf } from './checks.mjs';
import { statementsIn } from './statements.mjs';

/** Begins the name of a test that runs with a check taken out, or with none to show that nothing was left behind. */
export const TRIAL = /^⟦(.*?)⟧ /;

/** The statements to look at: all, or those that contain one of the words in the environment variable. */
export function chosen() {
  const wanted = (process.env['CONFORMANCE_ONLY'] ?? '').split(' ').filter((word) => word !== '');
  return [...CHECKS.keys()].filter(
    (name) => wanted.length === 0 || wanted.some((word) => name.includes(word)),
  );
}

const CHOSEN = new Set(chosen());

const fullName = (test) => {
  const names = [];
  for (let node = test; node.parent !== undefined; node = node.parent) names.unshift(node.name);
  return names.join(' ');
};

/** The names of the checks that a test is expected to miss when they are taken out. */
function checksFor(test) {
  const names = statementsIn(fullName(test)).flatMap((statement) =>
    CHOSEN.has(statement) ? CHECKS.get(statement).map(nameOf) : [],
  );
  return [...new Set(names)];
}

/**
 * Jest environment: after each test that names a statement, the same test runs once more for each check of that statement,
 * with the check taken out, and a last time with all checks in place. Tests without such a statement do not run.
 */
export default class CheckEnvironment extends Environment {
  #checkOf = new WeakMap();

  handleTestEvent(event, state) {
    if (event.name === 'run_start') this.#addTrials(state.rootDescribeBlock);
    else if (event.name === 'test_fn_start') this.global.withoutCheck = this.#checkOf.get(event.test);
    else if (event.name === 'test_fn_success' || event.name === 'test_fn_failure')
      this.global.withoutCheck = undefined;
  }

  #addTrials(block) {
    block.children = block.children.flatMap((child) => {
      if (child.type === 'describeBlock') {
        this.#addTrials(child);
        return [child];
      }
      const checks = checksFor(child);
      if (checks.length === 0) {
        child.mode = 'skip';
        return [child];
      }
      return [child, ...checks.map((name) => this.#trial(child, name)), this.#trial(child, '')];
    });
  }

  #trial(test, name) {
    const trial = {
      ...test,
      name: `⟦${name}⟧ ${test.name}`,
      errors: [],
      unhandledRejectionErrorByPromise: new Map(),
    };
    if (name !== '') this.#checkOf.set(trial, name);
    return trial;
  }
}
