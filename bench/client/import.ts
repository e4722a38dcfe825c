/** Imports a package in a process that has loaded nothing else, and prints what that costs. */
import type { Figures } from './task.ts';

const [name, mode] = process.argv.slice(2) as [string, string?];

async function timed(): Promise<Figures> {
  const rss = process.memoryUsage.rss();
  const cpu = process.cpuUsage();
  const began = performance.now();
  await import(name);
  const ms = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  return {
    ms,
    cpu: user + system,
    rss: process.memoryUsage.rss() - rss,
    peak: process.resourceUsage().maxRSS / 1_024,
  };
}

/** Counts the modules of Node.js and of packages that an import loads. */
async function counted(): Promise<Figures> {
  const { Session } = await import('node:inspector');
  const session = new Session();
  session.connect();
  const urls = new Set<string>();
  session.on('Debugger.scriptParsed', ({ params }) => void urls.add(params.url));
  session.post('Debugger.enable');
  const before = urls.size;
  await import(name);
  const modules = urls.size - before;
  session.disconnect();
  return { modules };
}

console.log(JSON.stringify(mode === 'modules' ? await counted() : await timed()));
