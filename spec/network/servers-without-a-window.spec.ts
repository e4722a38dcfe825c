import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Client } from '../../lib/client/client.ts';
import { startAedes } from '../support/aedes.ts';
import { leakGuard } from '../support/leaks.ts';

/*
 * Aedes has no window for subscribers: with 3.1.1 it sends all messages at once.
 */

/** More than twice as many as the client has room for by default. */
const COUNT = 2_500;
const LONG = 60_000;
const EACH = Array.from({ length: COUNT }, (_, n) => String(n));
const KEEP = { cleanStart: false, clientId: 'consumer' } as const;

const ending: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0).toReversed()) await end();
});

leakGuard();

/** A broker, a client of it with `options`, and the number of messages that `status()` reported as dropped. */
async function rig(options: object) {
  const broker = await startAedes();
  ending.push(() => broker.close());
  const client = new Client(broker.url, options);
  ending.push(() => client.disconnect());
  let [dropped, connections] = [0, 0];
  void (async () => {
    for await (const event of client.status()) {
      if (event.type === 'overflow') dropped = event.dropped;
      if (event.type === 'connected') connections++;
    }
  })();
  await client.connect();
  const publish = (topic: string, payload: string, qos: 0 | 1): Promise<void> =>
    new Promise((resolve) => {
      const packet = { cmd: 'publish', topic, payload, qos, dup: false, retain: false } as const;
      broker.aedes.publish(packet, () => resolve());
    });
  return {
    client,
    publish,
    counts: () => ({ dropped, connections }),
  };
}

describe('with Aedes: 2,500 messages of QoS 1 at once', () => {
  it.each([
    ['a clean session', {}],
    ['a persistent session', KEEP],
  ])(
    'reach a reading loop once and in order, on one connection, and none is dropped (%s)',
    async (_, options) => {
      const { client, publish, counts } = await rig(options);
      const subscription = await client.subscribe('flood', { qos: 1 });
      for (const text of EACH) void publish('flood', text, 1);
      const texts: string[] = [];
      for await (const message of subscription) {
        texts.push(message.text());
        if (texts.length === COUNT) break;
      }
      expect(texts).toEqual(EACH);
      expect(counts()).toEqual({ dropped: 0, connections: 1 });
    },
    LONG,
  );

  it.each([
    ['a clean session', {}],
    ['a persistent session', KEEP],
  ])(
    'wait in the network for a consumer that starts late, and reach it once and in order (%s)',
    async (_, options) => {
      const { client, publish, counts } = await rig(options);
      const subscription = await client.subscribe('flood', { qos: 1 });
      for (const text of EACH) await publish('flood', text, 1);
      await until(() => client.stats().reading === 'stopped');
      expect(subscription.depth).toBe(1_024);
      const texts: string[] = [];
      for await (const message of subscription) {
        texts.push(message.text());
        if (texts.length === COUNT) break;
      }
      expect(texts).toEqual(EACH);
      expect(counts()).toEqual({ dropped: 0, connections: 1 });
    },
    LONG,
  );
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}
