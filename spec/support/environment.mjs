import { AsyncLocalStorage } from 'node:async_hooks';
import { TestEnvironment } from 'jest-environment-node';

/*
 * Jest follows its specs with an AsyncLocalStorage, one per spec file, and never disables it. Each promise then carries
 * the values of all files that the worker has run: after a hundred of them the specs of the client took a quarter more
 * time. A file's storage is of no use after its last spec, and is disabled here.
 */

/** The storages that the present file has run something with. */
const used = new Set();
// oxlint-disable-next-line typescript/unbound-method -- it is called with a storage
const { run } = AsyncLocalStorage.prototype;
AsyncLocalStorage.prototype.run = function (...args) {
  used.add(this);
  return run.apply(this, args);
};

/** Jest environment: that of Node.js, which leaves nothing enabled behind a spec file. */
export default class Environment extends TestEnvironment {
  constructor(...args) {
    super(...args);
    // As Node.js has it. Jest asks for 100 frames, and formats those of each error that a spec expects to be thrown.
    this.global.Error.stackTraceLimit = 10;
  }

  async teardown() {
    for (const storage of used) storage.disable();
    used.clear();
    await super.teardown();
  }
}
