import { expect, it } from '@jest/globals';
import type { ProtocolVersion } from '../../lib/index.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { temporaryDirectories } from '../store/directories.ts';
import { actor, endActors, faultProxy, inTime, mosquitto, wireTap } from './actors.ts';
import { startProgram } from './children.ts';
import { Arrivals, reporting, runKillRounds } from './kill-rounds.ts';
import { seeded } from './random.ts';

/*
 * Programs with a store that are killed, again and again, between real brokers and a network that breaks.
 */

const ROUNDS = 10;
const LONG = 60_000;
const PATIENCE = 15_000;
const KEEP = { protocolVersion: 5, cleanStart: false, sessionExpiryInterval: 600 } as const;

const temporaryDirectory = temporaryDirectories();
endActors();

/** With a window for everything, Mosquitto sends in order. It saves its state when it ends, which is fast. */
const CONFIG = ['max_inflight_messages 0', 'autosave_on_changes false', 'autosave_interval 1800'];

describeWithMosquitto('a program with a store', () => {
  it.each([
    [4, 3],
    [5, 8],
  ] as const)(
    'loses nothing that was reported as stored in 10 rounds of kill -9, and keeps order and QoS 2 (MQTT %d, seed %d)',
    async (version: ProtocolVersion, seed) => {
      const server = await mosquitto({ persistence: true, config: CONFIG });
      const proxy = await faultProxy(server.port);
      const { client } = await actor(server.url, { ...KEEP, clientId: 'subscriber' });
      const subscription = await client.subscribe('numbers', { qos: 2 });
      const arrivals = new Arrivals();
      const reading = (async () => {
        for await (const message of subscription) if (!arrivals.take(message)) return;
      })();
      const reported = await runKillRounds({
        rounds: ROUNDS,
        restartEvery: 4,
        life: 150,
        version,
        directory: temporaryDirectory(),
        broker: server,
        proxy,
        random: seeded(seed),
      });
      const { client: last } = await actor(server.url);
      // Everything else comes before it.
      await last.publish('numbers', 'end', { qos: 2 });
      await inTime(reading, PATIENCE, () => `${arrivals.missing(reported).length} messages missing`);
      expect(arrivals.missing(reported)).toEqual([]);
      expect(arrivals.wrong).toEqual([]);
      // At least every other one, and the last, which is not killed.
      expect(reporting(reported)).toBeGreaterThan(ROUNDS / 2);
    },
    LONG,
  );

  it('keeps other processes out of its directory until it is killed', async () => {
    const server = await mosquitto();
    const directory = temporaryDirectory();
    const start = () => startProgram('outbox', server.url, directory, '5');
    const [first, second, third] = [start(), start(), start()];
    first.tell('0');
    await first.printed('0');
    second.tell('1000');
    await second.printed('ERR_MQTT_STORE_LOCKED');
    expect(await second.ended).toMatchObject({ code: 0, complaint: '' });
    await first.kill();
    third.tell('2000');
    await third.printed('2000');
    await third.kill();
  });

  it.each(['pubrec', 'pubrel'] as const)(
    'is not given a message of QoS 2 again after it was killed when its %s was on the way',
    async (type) => {
      const server = await mosquitto();
      const proxy = await faultProxy(server.port);
      const tap = await wireTap(proxy.port, 5);
      const directory = temporaryDirectory();
      const first = startProgram('inbox', tap.url, directory);
      await first.printed('ready');
      const killed = new Promise<void>((resolve, reject) => {
        tap.onPacket = (packet) => {
          if (packet.type !== type) return;
          tap.onPacket = () => {};
          // PUBREC does not reach the broker, and PUBREL does not reach the program.
          if (type === 'pubrec') proxy.reset();
          first.kill().then(resolve, reject);
        };
      });
      const { client } = await actor(server.url);
      await client.publish('inbox', 'one', { qos: 2 });
      await killed;
      const seen: string[] = [];
      tap.onPacket = (packet, from) => {
        if (from === 'server' && (packet.type === 'publish' || packet.type === 'pubrel'))
          seen.push(packet.type);
      };
      const second = startProgram('inbox', tap.url, directory);
      await second.printed('ready');
      await client.publish('inbox', 'two', { qos: 2 });
      await second.printed('two');
      await second.kill();
      // The broker goes on where it was.
      expect(seen[0]).toBe(type === 'pubrec' ? 'publish' : 'pubrel');
      expect([(await first.ended).lines, (await second.ended).lines]).toEqual([
        ['ready', 'one'],
        ['ready', 'two'],
      ]);
    },
  );
});
