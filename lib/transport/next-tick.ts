/**
 * `process.nextTick` of Node.js. Fake timers, such as those of Jest, replace it for a while and never run the callbacks
 * that are queued when they are removed; a client would wait for ever. Jest also replaces `process`, so the original is
 * requested by name. For timers, `node:timers` has the originals.
 */
const real = process.getBuiltinModule('node:process');

export const nextTick: typeof process.nextTick = real.nextTick.bind(real);
