import { expect, it } from '@jest/globals';
import type { QoS } from '../../lib/codec/packets.ts';
import { ClosedError } from '../../lib/index.ts';
import type { Mosquitto } from '../support/mosquitto.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { actor, type Actor, endActors, inTime, mosquitto, wireTap } from './actors.ts';
import type { WireTap } from './wire-tap.ts';

/*
 * A broker that crashes under load. It keeps its state on disk but loses what it had not saved. A tap therefore records
 * what was acknowledged on the wire, and each promise is compared with that.
 */

const COUNT = 700;
/** Number of acknowledgements before the crash. */
const CRASH = 200;
const LONG = 30_000;
/** Maximum ms for a run. */
const PATIENCE = 20_000;

endActors();

interface Setting extends Actor {
  readonly broker: Mosquitto;
  readonly tap: WireTap;
  /** Resolves when the broker has crashed. */
  readonly crashed: Promise<void>;
}

async function crashing(): Promise<Setting> {
  const broker = await mosquitto({ persistence: true });
  const tap = await wireTap(broker.port);
  const publisher = await actor(tap.url, { clientId: 'publisher', cleanStart: false });
  const crashed = new Promise<void>((resolve, reject) => {
    tap.onAcknowledged = () => {
      if (tap.acknowledged.size === CRASH) broker.kill('SIGKILL').then(resolve, reject);
    };
  });
  return { ...publisher, broker, tap, crashed };
}

/** Messages of each QoS in turn, each with a different payload. */
function payloads(levels: readonly QoS[]): { readonly qos: QoS; readonly payload: string }[] {
  return Array.from({ length: COUNT }, (_, i) =>
    levels.map((qos) => ({ qos, payload: `${qos} ${i}` })),
  ).flat();
}

/** Publishes all at once, and keeps the payloads of promises that resolved without an acknowledgement on the wire. */
function publishAll(
  { client, tap }: Setting,
  levels: readonly QoS[],
): { readonly calls: Promise<void>[]; readonly lies: readonly string[] } {
  const lies: string[] = [];
  const calls = payloads(levels).map(async ({ qos, payload }) => {
    await client.publish('numbers', payload, { qos });
    if (!tap.acknowledged.has(payload)) lies.push(payload);
  });
  return { calls, lies };
}

describeWithMosquitto('a broker that is killed under load', () => {
  it.each([
    ['QoS 1', [1]],
    ['QoS 2', [2]],
    ['QoS 1 and as many of QoS 2', [1, 2]],
  ] as const)(
    'gets all of 700 messages of %s after its restart, first in call order, and no promise resolves too early',
    async (_, levels) => {
      const setting = await crashing();
      const { broker, tap, client, events, crashed } = setting;
      const sent = payloads(levels).map(({ payload }) => payload);
      const { calls, lies } = publishAll(setting, levels);
      await crashed;
      expect(tap.acknowledged.size).toBeLessThan(sent.length / 2);
      await broker.start();
      const state = (): string => `${tap.acknowledged.size} acknowledged, ${JSON.stringify(client.stats())}`;
      await inTime(Promise.all(calls), PATIENCE, state);
      expect(lies).toEqual([]);
      expect(tap.acknowledged).toEqual(new Set(sent));
      expect(tap.published).toEqual(sent);
      const story = events.map(({ type }) => type);
      expect(story.slice(0, 3)).toEqual(['connecting', 'connected', 'disconnected']);
      expect(story.at(-1)).toBe('connected');
      expect(client.state).toBe('connected');
    },
    LONG,
  );

  it(
    'leaves no promise pending when the client is closed, and each error tells what is known',
    async () => {
      const setting = await crashing();
      const { tap, client, crashed } = setting;
      const { calls, lies } = publishAll(setting, [1, 2]);
      const settling = Promise.allSettled(calls);
      await crashed;
      await client.disconnect({ pending: 'discard' });
      const settled = await settling;
      const rejected = settled.flatMap((one) =>
        one.status === 'rejected' ? [one.reason as ClosedError] : [],
      );
      expect(lies).toEqual([]);
      // An acknowledgement under way when the client closed was not received.
      expect(settled.length - rejected.length).toBeLessThanOrEqual(tap.acknowledged.size);
      expect(rejected.every((error) => error instanceof ClosedError && !error.kept)).toBe(true);
      expect(new Set(rejected.map(({ delivery }) => delivery))).toEqual(new Set(['unknown', 'not-sent']));
      expect(client.state).toBe('closed');
    },
    LONG,
  );

  it(
    'is reported by status() while it is down, with the error and the time of the next attempt',
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
