/**
 * Thousands of clients in one process, each with a Will and a subscription: they connect at once to Mosquitto, which then
 * restarts. Prints how long it takes, and memory and CPU per client.
 *
 *   npx tsx --expose-gc bench/many-clients.ts          5,000 clients
 *   npx tsx --expose-gc bench/many-clients.ts 1000     so many
 *
 * Each client takes a file descriptor here and one in the broker: see `ulimit -n`.
 */
import { ClientStorm } from '../spec/support/client-storm.ts';
import { startMosquitto } from '../spec/support/mosquitto.ts';

const count = Number(process.argv[2] ?? '5000');

function memory(): NodeJS.MemoryUsage {
  globalThis.gc?.();
  return process.memoryUsage();
}

const broker = await startMosquitto();
const start = memory();

async function phase(name: string, work: () => Promise<void>): Promise<void> {
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const { rss, heapUsed } = memory();
  const kib = (bytes: number): string => (bytes / 1_024 / count).toFixed(1);
  console.log(
    `${name.padEnd(28)} ${seconds.toFixed(1).padStart(6)} s  CPU ${Math.round((user + system) / count)} us each  ` +
      `RSS ${kib(rss - start.rss)} KiB  heap ${kib(heapUsed - start.heapUsed)} KiB  ${storm.timers.toFixed(2)} timers each`,
  );
}

const storm = new ClientStorm(count, broker.url);
try {
  await phase('connected and subscribed', () => storm.begin());
  await phase('a message for each', () => storm.reach(1));
  await phase('the broker restarted', async () => {
    await broker.restart();
    await storm.connected(2);
  });
  await phase('a message for each', () => storm.reach(2));
  await phase('disconnected', () => storm.end());
} finally {
  await broker.stop();
}
