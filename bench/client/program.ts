/**
 * One run of one contender, in its own process. The bench starts it with a `Task` as its only argument and reads
 * `Figures` from its stdout. It ends with the bench.
 */
import type { Figures, Job, Task } from './task.ts';

const JOBS: Readonly<Record<Exclude<Job, 'import'>, () => Promise<(task: Task) => Promise<Figures>>>> = {
  throughput: async () => (await import('./throughput.ts')).throughput,
  'end-to-end': async () => (await import('./broker.ts')).endToEnd,
  'ping-pong': async () => (await import('./broker.ts')).pingPong,
  pauses: async () => (await import('./throughput.ts')).throughput,
  queued: async () => (await import('./pending.ts')).queued,
  'in-flight': async () => (await import('./pending.ts')).inFlight,
  'latest-per-topic': async () => (await import('./retained.ts')).latestPerTopic,
  kept: async () => (await import('./retained.ts')).kept,
  'kept-copies': async () => (await import('./retained.ts')).keptCopies,
  'backlog-written': async () => (await import('./stored.ts')).backlogWritten,
  'backlog-sent': async () => (await import('./stored.ts')).backlogSent,
  idle: async () => (await import('./idle.ts')).idle,
};

process.on('disconnect', () => process.exit(1));
process.channel?.unref();
const task = JSON.parse(process.argv[2]!) as Task & { readonly job: keyof typeof JOBS };
const run = await JOBS[task.job]();
console.log(JSON.stringify(await run(task)));
// A library may keep timers after its end.
process.exit();
