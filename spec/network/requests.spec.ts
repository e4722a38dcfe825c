import { describe, expect, it } from '@jest/globals';
import type { ClientOptions, Message, RequestOptions, ServeOptions } from '../../lib/index.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { actor, aedes, endActors, inTime, mosquitto, rejections, sharedMosquitto } from './actors.ts';
import { type Child, startProgram } from './children.ts';

/*
 * Request and response over real servers: with the properties of 5.0, and by the convention for topics.
 */

const COUNT = 200;
const LONG = 80_000;
const PATIENCE = 50_000;

interface Wire {
  readonly client: ClientOptions;
  readonly call: RequestOptions & ServeOptions;
}

const WIRES: Readonly<Record<string, Wire>> = {
  '5.0': { client: { protocolVersion: 5 }, call: {} },
  '3.1.1, by the convention': { client: { protocolVersion: 4 }, call: { convention: 'topic' } },
};

endActors();

const broker = sharedMosquitto();

const squares = Array.from({ length: COUNT }, (_, i) => String(i ** 2));

describeWithMosquitto('request and response', () => {
  describe.each(Object.entries(WIRES))('on %s', (_, { client: options, call }) => {
    it(
      '200 requests at once over two clients that serve each get their own reply, and both have work',
      async () => {
        const served = [0, 0];
        const services = await Promise.all(
          served.map(async (__, i) => {
            const { client } = await actor(broker().url, { ...options, clientId: `worker ${i}` });
            return client.serve('calc/+', { ...call, share: 'calc', qos: 1 });
          }),
        );
        const running = services.map((service, i) =>
          service.forEach(
            (request) => {
              served[i]!++;
              expect(request.topic).toBe('calc/square');
              return Number(request.text()) ** 2;
            },
            { concurrency: 8 },
          ),
        );
        const { client: asker } = await actor(broker().url, { ...options, clientId: 'asker' });
        const asking = Array.from({ length: COUNT }, (__, i) =>
          asker.request('calc/square', i, { ...call, qos: 1, timeout: PATIENCE }),
        );
        const settled = await Promise.allSettled(asking);
        expect(rejections(settled)).toEqual([]);
        expect((await Promise.all(asking)).map((one) => one.text())).toEqual(squares);
        expect(served[0]! + served[1]!).toBe(COUNT);
        expect(Math.min(...served)).toBeGreaterThan(COUNT / 10);
        expect(asker.stats().requests).toMatchObject({ pending: 0, unexpected: 0 });
        await Promise.all(services.map((service) => service.unsubscribe()));
        await Promise.all(running);
      },
      LONG,
    );

    it('a failure rejects the request with its code and message', async () => {
      const { client } = await actor(broker().url, options);
      await using service = await client.serve('calc/+', { ...call, qos: 1 });
      const running = service.forEach((request) => {
        if (request.text() === 'throw') throw new Error('even worse');
        return request.fail('out-of-range', 'b is above 100');
      });
      await expect(client.request('calc/a', '', { ...call, qos: 1 })).rejects.toMatchObject({
        code: 'out-of-range',
        message: 'b is above 100',
        remote: true,
      });
      await expect(client.request('calc/a', 'throw', { ...call, qos: 1 })).rejects.toMatchObject({
        code: 'ERR_MQTT_REQUEST',
        message: 'even worse',
      });
      await service.unsubscribe();
      await running;
    });

    it('requestMany() gets the reply of every client that serves', async () => {
      for (const name of ['a', 'b', 'c']) {
        const { client } = await actor(broker().url, options);
        const service = await client.serve('fleet/who', { ...call, qos: 1 });
        void service.forEach(() => name);
      }
      const { client } = await actor(broker().url, options);
      const names: string[] = [];
      const many = { ...call, qos: 1, until: { stall: 5_000, count: 3 } } as const;
      for await (const reply of client.requestMany('fleet/who', null, many)) names.push(reply.text());
      expect(names.toSorted()).toEqual(['a', 'b', 'c']);
    });
  });

  it(
    'a serving process that is killed in the middle loses no request: its next run, or another one, answers (5.0, and 3.1.1 by the convention)',
    async () => {
      const serving = (name: string): Child => startProgram('serves', broker().url, name);
      const [first, second] = [serving('first'), serving('second')];
      await Promise.all([first.printed('ready'), second.printed('ready')]);
      const asked = await Promise.all(
        Object.values(WIRES).map(async ({ client: options, call }) => {
          const { protocolVersion } = options;
          const { client } = await actor(broker().url, {
            ...options,
            clientId: `asker of ${protocolVersion}`,
          });
          const ask = (_: unknown, i: number): Promise<Message> =>
            client.request(`calc/${protocolVersion}`, i, { ...call, qos: 1, timeout: PATIENCE });
          return { client, asking: Array.from({ length: COUNT }, ask) };
        }),
      );
      const settling = Promise.all(asked.map(({ asking }) => Promise.allSettled(asking)));
      await first.printed('served');
      await first.kill();
      const again = serving('first');
      await again.printed('ready');
      const state = (): string => JSON.stringify(asked.map(({ client }) => client.stats().requests));
      const settled = await inTime(settling, PATIENCE, state);
      expect(settled.map((each) => rejections(each))).toEqual([[], []]);
      for (const { asking } of asked)
        expect((await Promise.all(asking)).map((one) => one.text())).toEqual(squares);
      const { lines } = await first.ended;
      expect(lines.length).toBeLessThan(COUNT);
      await Promise.all([again.kill(), second.kill()]);
    },
    LONG,
  );

  it('a request that nobody serves rejects at once on 5.0', async () => {
    const { client } = await actor(broker().url, { protocolVersion: 5 });
    await expect(client.request('calc/nobody', '', { qos: 1 })).rejects.toMatchObject({
      code: 'ERR_MQTT_NO_SUBSCRIBER',
      reasonCode: 0x10,
    });
  });

  it(
    'a request is answered over a broken connection of its client',
    async () => {
      const fragile = await mosquitto({ persistence: true });
      const options = { protocolVersion: 5, cleanStart: false, sessionExpiryInterval: 600 } as const;
      const { client: server } = await actor(fragile.url, { ...options, clientId: 'server' });
      const { client: asker } = await actor(fragile.url, { ...options, clientId: 'asker' });
      await using service = await server.serve('slow', { qos: 1 });
      let go: (text: string) => void = () => {};
      const arrived = new Promise<void>((resolve) => {
        void service.forEach(() => {
          resolve();
          return new Promise<string>((reply) => (go = reply));
        });
      });
      const asking = asker.request('slow', '', { qos: 1, timeout: PATIENCE });
      await arrived;
      await fragile.kill('SIGTERM');
      await fragile.start();
      go('after all');
      expect((await asking).text()).toBe('after all');
    },
    LONG,
  );
});

describe('request and response with Aedes, by the convention', () => {
  it('200 requests at once each get their own reply', async () => {
    const { url } = await aedes();
    const { client: server } = await actor(url, { clientId: 'server' });
    const { client: asker } = await actor(url, { clientId: 'asker' });
    await using service = await server.serve('calc/+', { convention: 'topic', qos: 1 });
    const running = service.forEach((request) => Number(request.text()) ** 2, { concurrency: 8 });
    const asking = Array.from({ length: COUNT }, (_, i) =>
      asker.request('calc/square', i, { convention: 'topic', qos: 1 }),
    );
    expect((await Promise.all(asking)).map((one) => one.text())).toEqual(squares);
    await service.unsubscribe();
    await running;
  });
});
