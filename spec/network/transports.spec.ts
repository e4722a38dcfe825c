import { setInterval as every } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { expect, it } from '@jest/globals';
import type { Client, ClientOptions } from '../../lib/index.ts';
import { certificates } from '../support/certificates.ts';
import { atEnd } from '../support/endings.ts';
import type { FaultProxy } from '../support/fault-proxy.ts';
import { describeWithSecureMosquitto } from '../support/programs.ts';
import type { HttpProxy } from '../support/http-proxy.ts';
import type { SocksProxy } from '../support/socks-proxy.ts';
import { httpProxy, socksProxy } from '../support/tunnel-rig.ts';
import { actor, type Actor, endActors, faultProxy, inTime, mosquittoSub, rejections } from './actors.ts';
import {
  type Crossroads,
  serversOfEachTransport,
  optionsOf,
  type Scheme,
  SCHEMES,
} from './transport-table.ts';
import { seeded } from './random.ts';

/*
 * Delivery does not depend on the transport: the same table for each.
 */

endActors();

const LONG = 40_000;
/** Maximum ms for a test step. */
const PATIENCE = 15_000;

/** A client of one transport, and its network. */
async function clientOver(
  servers: Crossroads,
  scheme: Scheme,
  options: ClientOptions = {},
): Promise<Actor & { readonly proxy: FaultProxy }> {
  const proxy = await faultProxy(servers.ports[scheme]);
  const one = await actor(`${scheme}://127.0.0.1:${proxy.port}`, {
    ...optionsOf(servers, scheme),
    ...options,
  });
  return { ...one, proxy };
}

/** Reads `topicFilter` until this number of distinct texts has come. */
async function take(
  client: Client,
  topicFilter: string,
  count: number,
): Promise<{ done: Promise<string[]> }> {
  const subscription = await client.subscribe(topicFilter, { qos: 2 });
  const texts: string[] = [];
  const distinct = new Set<string>();
  const done = (async () => {
    for await (const message of subscription) {
      const text = message.text();
      texts.push(text);
      if (distinct.add(text).size < count) continue;
      message.ack();
      break;
    }
    return texts;
  })();
  done.catch(() => {});
  return { done: inTime(done, PATIENCE, () => `${distinct.size} of ${count} messages, ${client.state}`) };
}

const LARGE = Buffer.alloc(100_000, 'h');
/** So many of them are more than the kernels buffer for a peer that does not read. */
const MANY = 300;

const numbers = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => `${from + i}`);

/** Checks each transport at the same time. An error names its transport. */
async function overEach(check: (scheme: Scheme) => Promise<void>): Promise<void> {
  await Promise.all(
    SCHEMES.map((scheme) =>
      check(scheme).catch((error: unknown) => {
        throw new Error(`${scheme}: ${(error as Error).message}`, { cause: error });
      }),
    ),
  );
}

describeWithSecureMosquitto('over each transport', () => {
  const crossroads = serversOfEachTransport(certificates());

  it(
    'messages of each QoS arrive unchanged and in order, also large and empty ones',
    async () => {
      const servers = crossroads();
      await overEach(async (scheme) => {
        const { client } = await clientOver(servers, scheme, { protocolVersion: 5 });
        const witness = await mosquittoSub(servers.broker, {
          topicFilter: `${scheme}/sizes/#`,
          qos: 2,
          count: 12,
        });
        const texts = ['', 'x', 'y'.repeat(20_000), 'z'.repeat(200_000)];
        for (const qos of [0, 1, 2] as const)
          for (const text of texts) await client.publish(`${scheme}/sizes/${qos}`, text, { qos });
        const seen = await inTime(witness.done, PATIENCE, () => 'no end');
        expect(seen.map(({ text }) => text.length)).toEqual(
          [0, 1, 2].flatMap(() => texts.map((text) => text.length)),
        );
        const back = await take(client, `${scheme}/many`, 300);
        const calls = numbers(300).map((text) => client.publish(`${scheme}/many`, text));
        await Promise.all(calls);
        expect(await back.done).toEqual(numbers(300));
      });
    },
    LONG,
  );

  it(
    'nothing of QoS 1 is lost and nothing of QoS 2 is repeated while the network breaks',
    async () => {
      const servers = crossroads();
      await overEach(async (scheme) => {
        const random = seeded(7);
        const publisher = await clientOver(servers, scheme, {
          clientId: `${scheme} publisher`,
          cleanStart: false,
        });
        const consumer = await clientOver(servers, scheme, {
          clientId: `${scheme} consumer`,
          cleanStart: false,
        });
        const [once, least] = [
          await take(consumer.client, `${scheme}/once`, 100),
          await take(consumer.client, `${scheme}/least`, 200),
        ];
        let steps = 0;
        const calls = numbers(300).map((text, i) => {
          const [topic, qos] = i % 3 === 0 ? (['once', 2] as const) : (['least', 1] as const);
          return publisher.client.publish(`${scheme}/${topic}`, text, { qos });
        });
        // The consumer is not cut in QoS 2: Mosquitto 2.0.11 would repeat messages.
        const step = (): void => {
          if (++steps % 50 === 0) publisher.proxy[random() < 0.5 ? 'cut' : 'reset']();
        };
        for (const call of calls) call.then(step, () => {});
        const state = (): string => JSON.stringify(publisher.client.stats());
        expect(rejections(await inTime(Promise.allSettled(calls), PATIENCE, state))).toEqual([]);
        expect(await once.done).toEqual(numbers(300).filter((_, i) => i % 3 === 0));
        expect([...new Set(await least.done)]).toEqual(numbers(300).filter((_, i) => i % 3 !== 0));
        expect(publisher.count('disconnected')).toBeGreaterThan(2);
      });
    },
    LONG,
  );

  it(
    'messages for a disconnected session arrive after it reconnects, and drain() leaves nothing behind',
    async () => {
      const servers = crossroads();
      await overEach(async (scheme) => {
        const consumer = await clientOver(servers, scheme, { clientId: `${scheme} away`, cleanStart: false });
        const texts = await take(consumer.client, `${scheme}/kept`, 80);
        const other = await clientOver(servers, scheme, {
          will: { topic: `${scheme}/will`, payload: 'gone' },
        });
        const gone = await take(consumer.client, `${scheme}/will`, 1);
        consumer.proxy.freeze();
        consumer.proxy.cut();
        for (const text of numbers(40)) await other.client.publish(`${scheme}/kept`, text, { qos: 1 });
        consumer.proxy.thaw();
        for (const text of numbers(40, 40)) void other.client.publish(`${scheme}/kept`, text, { qos: 2 });
        expect(await other.client.drain()).toMatchObject({ undelivered: 0, unacknowledged: 0 });
        expect(await texts.done).toEqual(numbers(80));
        // A Will would have been published before this.
        await consumer.client.publish(`${scheme}/will`, 'none', { qos: 1 });
        expect(await gone.done).toEqual(['none']);
      });
    },
    LONG,
  );

  it(
    'output that the network does not accept is pending, awaited, and arrives once',
    async () => {
      const servers = crossroads();
      const { client: witness } = await actor(servers.broker.url);
      const outcomes = await Promise.all(
        SCHEMES.map(async (scheme) => {
          const { client, proxy, count } = await clientOver(servers, scheme);
          const seen = await witness.subscribe(`held/${scheme}`, { qos: 1 });
          proxy.freeze();
          let sent = 0;
          const full = new AbortController();
          const sending = (async () => {
            for (; !full.signal.aborted && sent < MANY; sent++) await client.publish(`held/${scheme}`, LARGE);
          })();
          // The network is full when nothing more is sent.
          let before = -1;
          for await (const _ of every(50)) {
            if (sent === before) break;
            before = sent;
          }
          full.abort();
          const held = sent;
          proxy.thaw();
          await inTime(sending, PATIENCE, () => `${sent} sent`);
          await client.publish(`held/${scheme}`, 'end', { qos: 1 });
          const lengths: number[] = [];
          for await (const message of seen) {
            lengths.push(message.payload.length);
            if (message.payload.length < LARGE.length) break;
          }
          const expected = [...Array.from({ length: sent }, () => LARGE.length), 3];
          const isWhole = isDeepStrictEqual(lengths, expected);
          return { scheme, pending: sent - held, isWhole, losses: count('disconnected') };
        }),
      );
      expect(outcomes).toEqual(SCHEMES.map((scheme) => ({ scheme, pending: 1, isWhole: true, losses: 0 })));
    },
    LONG,
  );

  it(
    'a dead link is noticed within 1.5 x Keep Alive, busy or idle, and replaced',
    async () => {
      const servers = crossroads();
      const keepAlive = 1;
      const noticed = await Promise.all(
        SCHEMES.flatMap((scheme) =>
          (['idle', 'busy'] as const).map(async (work) => {
            const { client, proxy, next } = await clientOver(servers, scheme, { keepAlive });
            const working = (async () => {
              for await (const _ of every(10)) {
                if (client.state !== 'connected' || work === 'idle') return;
                for (let i = 0; i < 5; i++) await client.publish('busy', 'x'.repeat(100));
              }
            })().catch(() => {});
            atEnd(async () => {
              await client.disconnect();
              await working;
            });
            const disconnected = next('disconnected');
            proxy.halfOpen();
            const begin = performance.now();
            const { reason } = await inTime(disconnected, PATIENCE, () => `${client.state} over ${scheme}`);
            const duration = performance.now() - begin;
            expect(reason.message).toContain('PINGREQ');
            await client.publish('up', 'again', { qos: 1 });
            return [`${scheme} ${work}`, duration] as const;
          }),
        ),
      );
      expect(noticed.filter(([, duration]) => duration > 1_500 * keepAlive + 400)).toEqual([]);
    },
    LONG,
  );

  it(
    'peers P29 works through HTTP CONNECT and SOCKS5 proxies, also after they have cut the connection',
    async () => {
      const servers = crossroads();
      await overEach(async (scheme) => {
        const through = async (proxy: HttpProxy | SocksProxy, name: string): Promise<void> => {
          const options = { ...optionsOf(servers, scheme), proxy: proxy.url };
          const one = await actor(`${scheme}://127.0.0.1:${servers.ports[scheme]}`, options);
          for (const round of ['before', 'after']) {
            const topic = `${scheme}/${name}/${round}`;
            const texts = await take(one.client, topic, 30);
            // All at once: over WebSocket, Mosquitto 2.0.11 answers two TLS records that come together 100 ms late.
            await Promise.all(numbers(30).map((text) => one.client.publish(topic, text, { qos: 1 })));
            expect(await texts.done).toEqual(numbers(30));
            if (round === 'after') break;
            const connected = one.next('connected');
            proxy.cut();
            await connected;
          }
          expect(proxy.asked).toHaveLength(2);
          await one.client.disconnect();
        };
        await Promise.all([through(await httpProxy(), 'http'), through(await socksProxy(), 'socks')]);
      });
    },
    LONG,
  );
});
