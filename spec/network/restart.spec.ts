import { afterEach, expect, it } from '@jest/globals';
import { Client, ClosedError, type StatusEvent } from '../../lib/index.ts';
import { leakGuard } from '../support/leaks.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { WireTap } from './wire-tap.ts';

/*
 * A broker that crashes in the middle. What it had acknowledged on the wire is known from a tap, so that a promise can be
 * held to its word.
 */

const COUNT = 500;
/** The crash comes when so many have been acknowledged. */
const CRASH = 100;
const LONG = 30_000;

const ending: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0).toReversed()) await end();
});

leakGuard();

interface Setting {
  readonly broker: Mosquitto;
  readonly tap: WireTap;
  readonly client: Client;
  readonly events: readonly StatusEvent[];
  /** Resolves when the broker has crashed. */
  readonly crashed: Promise<void>;
}

async function crashing(): Promise<Setting> {
  const broker = await startMosquitto({ persistence: true, config: ['max_queued_messages 0'] });
  ending.push(() => broker.stop());
  const tap = await WireTap.to(broker.port);
  ending.push(() => tap.close());
  const client = new Client(tap.url, {
    clientId: 'publisher',
    cleanStart: false,
    reconnect: { minDelay: 5, maxDelay: 40 },
  });
  const events: StatusEvent[] = [];
  const reading = (async () => {
    for await (const event of client.status()) events.push(event);
  })();
  ending.push(async () => {
    await client.disconnect();
    await reading;
  });
  await client.connect();
  const crashed = new Promise<void>((resolve, reject) => {
    tap.onAcknowledged = () => {
      if (tap.acknowledged.size === CRASH) broker.kill('SIGKILL').then(resolve, reject);
    };
  });
  return { broker, tap, client, events, crashed };
}

/** Publishes all, and keeps the payloads of those that resolved although nothing on the wire said so. */
function publishAll({ client, tap }: Setting, qos: 1 | 2): { calls: Promise<unknown>[]; lies: string[] } {
  const lies: string[] = [];
  const calls = Array.from({ length: COUNT }, async (_, i) => {
    await client.publish('numbers', String(i), { qos });
    if (!tap.acknowledged.has(String(i))) lies.push(String(i));
  });
  return { calls, lies };
}

describeWithMosquitto('a broker that is killed in the middle', () => {
  it.each([1, 2] as const)(
    'gets all messages of QoS %d once it is back, and no promise says so before',
    async (qos) => {
      const setting = await crashing();
      const { broker, tap, client, events, crashed } = setting;
      const { calls, lies } = publishAll(setting, qos);
      await crashed;
      expect(tap.acknowledged.size).toBeLessThan(COUNT);
      await broker.start();
      await Promise.all(calls);
      expect(lies).toEqual([]);
      expect(tap.acknowledged.size).toBe(COUNT);
      const story = events.map(({ type }) => type);
      expect(story.slice(0, 3)).toEqual(['connecting', 'connected', 'disconnected']);
      expect(story.at(-1)).toBe('connected');
      expect(client.state).toBe('connected');
    },
    LONG,
  );

  it(
    'leaves no promise open when the client gives up on it, and each says what is known',
    async () => {
      const setting = await crashing();
      const { tap, client, crashed } = setting;
      const { calls, lies } = publishAll(setting, 1);
      const settling = Promise.allSettled(calls);
      await crashed;
      await client.disconnect({ pending: 'discard' });
      const settled = await settling;
      const rejected = settled.flatMap((one) =>
        one.status === 'rejected' ? [one.reason as ClosedError] : [],
      );
      expect(lies).toEqual([]);
      // An acknowledgement on its way when the client left was for nobody.
      expect(settled.length - rejected.length).toBeLessThanOrEqual(tap.acknowledged.size);
      expect(rejected.every((error) => error instanceof ClosedError && !error.kept)).toBe(true);
      expect(new Set(rejected.map(({ delivery }) => delivery))).toEqual(new Set(['unknown', 'not-sent']));
      expect(client.state).toBe('closed');
    },
    LONG,
  );

  it(
    'is told by status() as long as it is away, with what went wrong and when the next attempt follows',
    async () => {
      const { broker, client, events } = await crashing();
      await broker.kill('SIGKILL');
      const back = (async () => {
        let attempts = 0;
        for await (const event of client.status()) {
          if (event.type === 'disconnected' && ++attempts === 3) await broker.start();
          if (event.type === 'connected') return attempts;
        }
        return 0;
      })();
      expect(await back).toBeGreaterThanOrEqual(3);
      const lost = events.filter((event) => event.type === 'disconnected');
      expect(lost[0]?.reason).toMatchObject({ code: 'ERR_MQTT_CONNECTION_LOST' });
      expect(lost[1]?.reason).toMatchObject({ code: 'ERR_MQTT_CONNECT' });
      for (const { willRetryIn } of lost) expect(willRetryIn).toBeLessThanOrEqual(40 * 1.2);
    },
    LONG,
  );
});
