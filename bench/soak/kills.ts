/** Kills a program that publishes over a store again and again, and judges what a subscriber received. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../../lib/index.ts';
import { endPrograms } from '../../spec/network/children.ts';
import { Arrivals, runKillRounds } from '../../spec/network/kill-rounds.ts';
import { seeded } from '../../spec/network/random.ts';
import { FaultProxy } from '../../spec/support/fault-proxy.ts';
import type { Mosquitto } from '../../spec/support/mosquitto.ts';

export interface KillSoak {
  readonly broker: Mosquitto;
  readonly rounds: number;
  readonly seed: number;
  readonly complain: (what: string) => void;
  /** Is to be called at the end of the run. */
  readonly undoing: (() => Promise<unknown> | void)[];
}

/** Rounds until a line is printed. */
const REPORT = 10;
/** ms to wait for the subscriber at the end. */
const PATIENCE = 60_000;

/** Half of the rounds on 3.1.1, half on 5.0, each over a store of its own. */
export async function soakKills({ broker, rounds, seed, complain, undoing }: KillSoak): Promise<void> {
  undoing.push(endPrograms);
  for (const version of [4, 5] as const) {
    const directory = mkdtempSync(join(tmpdir(), 'mqtt-await-soak-'));
    undoing.push(() => rmSync(directory, { recursive: true, force: true }));
    const proxy = await FaultProxy.to(broker.port);
    undoing.push(() => proxy.close());
    const client = new Client(broker.url, {
      protocolVersion: 5,
      clientId: `subscriber-${version}`,
      cleanStart: false,
      sessionExpiryInterval: 3_600,
      reconnect: { minDelay: 5, maxDelay: 40 },
    });
    undoing.push(() => client.disconnect({ pending: 'discard' }));
    await client.connect();
    const subscription = await client.subscribe('numbers', { qos: 2 });
    const arrivals = new Arrivals();
    const reading = (async () => {
      for await (const message of subscription) if (!arrivals.take(message)) return 'end';
      return 'closed';
    })();
    const reported = await runKillRounds({
      rounds: Math.ceil(rounds / 2),
      restartEvery: 5,
      life: 600,
      version,
      directory,
      broker,
      proxy,
      random: seeded(seed * 10 + version),
      onRound: (round, stored) => {
        if (round % REPORT === 0)
          console.log(`MQTT ${version}, round ${round}: ${stored} reported as stored`);
      },
    });
    // Everything else comes before it.
    await client.publish('numbers', 'end', { qos: 2 });
    const late = new Promise<string>((resolve) => setTimeout(resolve, PATIENCE, 'late').unref());
    if ((await Promise.race([reading, late])) !== 'end') complain(`MQTT ${version}: the end has not arrived`);
    const missing = arrivals.missing(reported);
    for (const number of missing)
      complain(`MQTT ${version}: ${number} was reported as stored, and is missing`);
    for (const what of arrivals.wrong) complain(`MQTT ${version}: ${what}`);
    console.log(
      `MQTT ${version}: ${reported.length} reported as stored, ${missing.length} missing, ` +
        `${arrivals.repeatedByBroker} repeated by the broker after its restarts`,
    );
    await client.disconnect();
    // Its program has ended with its session.
    await clearSession(broker.url);
  }
}

/** Ends the session of the program, so that the next one begins with its store. */
async function clearSession(url: string): Promise<void> {
  const client = new Client(url, { clientId: 'outbox', cleanStart: true });
  await client.connect();
  await client.disconnect();
}
