/**
 * `process.nextTick` of Node.js itself. Test runners put their own in its place for a time (Jest's fake timers do by
 * default), and what was handed to that one is never called once it is gone: a client would wait for it for ever. Jest also
 * has a `process` of its own, so that the real one has to be asked for. For timers, `node:timers` is the real one.
 */
const real = process.getBuiltinModule('node:process');

export const nextTick: typeof process.nextTick = real.nextTick.bind(real);
