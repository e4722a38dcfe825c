import { expect, it } from '@jest/globals';
import type { ClientOptions } from '../../lib/index.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { actor, endActors, inTime, mosquitto } from './actors.ts';

/*
 * Shared Subscriptions at a real broker: Mosquitto has them on 5.0 and on 3.1.1.
 */

endActors();

const PATIENCE = 15_000;
const WORKERS = 4;
const COUNT = 400;

describeWithMosquitto('a Shared Subscription of several clients', () => {
  it.each<[string, ClientOptions]>([
    ['5.0', { protocolVersion: 5 }],
    ['3.1.1', {}],
  ])('gives each message to one of them, and each its share (%s)', async (_, options) => {
    const broker = await mosquitto();
    const taken: number[][] = Array.from({ length: WORKERS }, () => []);
    let count = 0;
    let all = (): void => {};
    const done = new Promise<void>((resolve) => {
      all = () => {
        if (++count === COUNT) resolve();
      };
    });
    for (const own of taken) {
      const { client } = await actor(broker.url, options);
      const subscription = await client.subscribe('jobs/+', { share: 'workers', qos: 1 });
      void subscription.forEach((message) => {
        own.push(Number(message.text()));
        all();
      });
    }
    const { client: publisher } = await actor(broker.url, options);
    await Promise.all(
      Array.from({ length: COUNT }, (_x, n) => publisher.publish(`jobs/${n}`, n, { qos: 1 })),
    );
    await inTime(done, PATIENCE, () => JSON.stringify(taken.map((own) => own.length)));
    // What is sent twice would still be on its way.
    await publisher.publish('jobs/last', COUNT, { qos: 1 });
    expect(new Set(taken.flat()).size).toBeGreaterThanOrEqual(COUNT);
    expect(taken.flat().filter((n) => n < COUNT)).toHaveLength(COUNT);
    // Mosquitto takes turns.
    for (const own of taken) expect(own.length).toBeGreaterThanOrEqual((COUNT / WORKERS) * 0.8);
  });
});
