import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import type { ProtocolVersion } from '../../lib/codec/packets.ts';
import { type ClientOptions, ConnectionLostError, type StatusEvent } from '../../lib/index.ts';
import { atEnd } from '../support/endings.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { ScriptedBroker } from '../support/scripted-broker.ts';
import {
  type Actor,
  actor,
  endActors,
  faultProxy,
  inTime,
  mosquitto,
  sharedMosquitto,
  SOON,
  wireTap,
} from './actors.ts';
import { startProgram } from './children.ts';

/*
 * Sessions that change hands: from a crashed process to the next one, and between two clients that both claim it.
 */

const LONG = 30_000;
/** Maximum ms for a test step. */
const PATIENCE = 15_000;

endActors();

const shared = sharedMosquitto();

const several = (what: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${what} ${i}`);
const OLD = several('old', 5);
const NEW = several('new', 10);
const SAME = NEW.map(() => 'same');

/** The session of the program half-done. */
const SESSION = { clientId: 'half-done', cleanStart: false } as const;
const SESSION_5 = { ...SESSION, protocolVersion: 5, sessionExpiryInterval: 600 } as const;

/** Lets half-done publish these texts, and kills it when each has its PUBREC but no PUBREL was sent. */
async function crash(port: number, version: number, published: readonly string[]): Promise<void> {
  const tap = await wireTap(port, version as ProtocolVersion);
  const proxy = await faultProxy(tap.port);
  let [received, released] = [0, 0];
  const halfDone = new Promise<void>((resolve) => {
    tap.onPacket = ({ type }, from) => {
      if (type === 'pubrel' && from === 'client') released++;
      if (type !== 'pubrec') return;
      // After the first of them has reached the tap, none passes.
      proxy.freeze();
      if (++received === published.length) resolve();
    };
  });
  const child = startProgram('half-done', proxy.url, String(version), ...published);
  await Promise.race([halfDone, child.ended]);
  await child.kill();
  expect([received, released]).toEqual([published.length, 0]);
}

describeWithMosquitto('a process that crashes in the middle of QoS 2 exchanges', () => {
  // Its successor uses the same Packet Identifiers, for which the server still expects a PUBREL. Mosquitto distinguishes
  // the messages by their payloads only.
  it.each([
    ['with different payloads', 4, SESSION, OLD, NEW],
    ['with equal payloads, too', 5, SESSION_5, SAME.slice(0, 5), SAME],
  ] as const)(
    'has a successor whose messages of QoS 2 arrive exactly once: %s',
    async (_, version, session, before, after) => {
      const broker = await mosquitto();
      const { client: witness } = await actor(broker.url, { protocolVersion: version });
      const subscription = await witness.subscribe('+/it', { qos: 2 });
      await crash(broker.port, version, before);
      const { client } = await actor(broker.url, session);
      const properties = version === 5 ? { properties: { contentType: 'new' } } : {};
      const calls = after.map((text) => client.publish('from/it', text, { qos: 2, ...properties }));
      await inTime(Promise.all(calls), PATIENCE, () => JSON.stringify(client.stats()));
      await client.publish('end/it', '', { qos: 2 });
      const [old, fresh]: [string[], string[]] = [[], []];
      for await (const message of subscription) {
        if (message.topic === 'end/it') break;
        const isNew = version === 5 ? message.properties.contentType === 'new' : NEW.includes(message.text());
        (isNew ? fresh : old).push(message.text());
      }
      expect(fresh).toEqual(after);
      // No promise covers these, but none may arrive twice.
      expect(old.length).toBeLessThanOrEqual(before.length);
      expect(version === 5 || new Set(old).size === old.length).toBe(true);
    },
    LONG,
  );

  it(
    'has a successor that receives new messages exactly once, and not again what had come without PUBREL',
    async () => {
      const broker = await mosquitto();
      const tap = await wireTap(broker.port);
      const proxy = await faultProxy(tap.port);
      const child = startProgram('half-done', proxy.url, '4');
      await child.printed('ready');
      const { client: source } = await actor(broker.url);
      let answered = 0;
      const halfDone = new Promise<void>((resolve) => {
        tap.onPacket = ({ type }, from) => {
          if (from === 'client' && type === 'pubrec' && ++answered === OLD.length) resolve();
          if (from === 'server' && type === 'pubrel') proxy.freeze();
        };
      });
      await Promise.all(OLD.map((text) => source.publish('to/it', text, { qos: 2 })));
      await halfDone;
      await child.kill();
      const successor = await wireTap(broker.port);
      let pubrels = 0;
      successor.onPacket = ({ type }, from) => {
        if (from === 'server' && type === 'pubrel') pubrels++;
      };
      const { client } = await actor(successor.url, SESSION);
      const subscription = await client.subscribe('to/it', { qos: 2 });
      await Promise.all(NEW.map((text) => source.publish('to/it', text, { qos: 2 })));
      const texts: string[] = [];
      for await (const message of subscription) {
        texts.push(message.text());
        if (message.text() === NEW.at(-1)) break;
      }
      expect(texts).toEqual(NEW);
      expect(pubrels).toBeGreaterThanOrEqual(OLD.length);
    },
    LONG,
  );
});

/** The delays that a client reported until one of them was as long as this, or it closed. */
async function delaysUntil({ client, events }: Actor, least: number): Promise<number[]> {
  for await (const event of client.status())
    if (event.type === 'disconnected' && (event.willRetryIn ?? 0) >= least) break;
  return events.flatMap((event) =>
    event.type === 'disconnected' && event.willRetryIn !== undefined ? [event.willRetryIn] : [],
  );
}

describeWithMosquitto('two clients with one Client Identifier', () => {
  // A server of 5.0 should report this to the first client. Mosquitto 2.0.11 does not.
  it.each([3, 4, 5] as const)(
    'evict each other ever more slowly if the server gives no reason, and both report it (protocol version %d)',
    async (protocolVersion) => {
      const tap = await wireTap(shared().port, protocolVersion);
      const reconnect = { minDelay: 10, maxDelay: 10_000, jitter: 0 };
      const options = { clientId: 'both', protocolVersion, reconnect };
      const actors = [await actor(tap.url, options), await actor(tap.url, options)];
      const grown = Promise.race(actors.map((one) => delaysUntil(one, 160)));
      const delays = await inTime(grown, PATIENCE, () => `${tap.connections} connections`);
      const isTold = (event: StatusEvent): boolean =>
        event.type === 'closed' && (event.error as ConnectionLostError | undefined)?.reasonCode === 0x8e;
      if (actors.some(({ events }) => events.some(isTold))) return expect(protocolVersion).toBe(5);
      // From the third short connection on the delay doubles.
      expect(delays).toEqual([10, 10, 10, 20, 40, 80, 160].slice(-delays.length));
      for (const { events } of actors)
        expect(events.some((event) => event.type === 'disconnected' && event.flapping)).toBe(true);
      // As many as needed, and no more.
      expect(tap.connections).toBeLessThanOrEqual(2 * 8);
    },
    LONG,
  );
});

describe('two clients with one Client Identifier on a server that reports it (5.0)', () => {
  it('are told apart: the first one ends with Session taken over (0x8E), the second one stays connected', async () => {
    const brokers: ScriptedBroker[] = [];
    const server = createServer((socket) => {
      const broker = ScriptedBroker.on(socket);
      const evicted = brokers.at(-1);
      brokers.push(broker);
      void (async () => {
        await broker.accept();
        broker.answerAll();
        evicted?.send({ type: 'disconnect', reasonCode: 0x8e });
        evicted?.close();
      })();
    }).listen(0, '127.0.0.1');
    atEnd(() => new Promise((resolve) => server.close(resolve)));
    await once(server, 'listening');
    const url = `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const options = { clientId: 'both', protocolVersion: 5 } as const;
    const one = await actor(url, options);
    const other = await actor(url, options);
    const error: unknown = await one.client.closed.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConnectionLostError);
    expect(error).toMatchObject({ reasonCode: 0x8e });
    expect(one.client.state).toBe('closed');
    await other.client.publish('still', 'here', { qos: 1 });
    expect(other.events.map(({ type }) => type)).toEqual(['connecting', 'connected']);
    expect(brokers).toHaveLength(2);
  });
});

describeWithMosquitto('a client of 5.0 that leaves', () => {
  const session = (clientId: string) =>
    ({ clientId, protocolVersion: 5, cleanStart: false, sessionExpiryInterval: 600 }) as const;

  it.each([
    ['ends its session with a Session Expiry Interval of 0', 0, false],
    ['keeps its session without one', undefined, true],
  ] as const)('%s', async (_, sessionExpiryInterval, sessionPresent) => {
    const options = session(`leaves ${sessionPresent}`);
    const { client } = await actor(shared().url, options);
    await client.disconnect({ properties: { sessionExpiryInterval } });
    const next = await actor(shared().url, options);
    expect(next.events).toContainEqual(
      expect.objectContaining({ type: 'connected', connack: expect.objectContaining({ sessionPresent }) }),
    );
    await next.client.disconnect({ properties: { sessionExpiryInterval: 0 } });
  });

  it('has its Will sent after the Will Delay Interval, and not if it is back before', async () => {
    const { client: witness } = await actor(shared().url);
    const wills = await witness.subscribe('wills/+', { qos: 1 });
    const dying = async (clientId: string, reconnect: ClientOptions['reconnect']) => {
      const proxy = await faultProxy(shared().port);
      const properties = { willDelayInterval: 1 };
      const will = { topic: `wills/${clientId}`, payload: 'gone', qos: 1, properties } as const;
      return { ...(await actor(proxy.url, { ...session(clientId), will, reconnect })), proxy };
    };
    const [back, lost] = [await dying('back', SOON), await dying('lost', false)];
    const isBack = back.next('connected');
    for (const { proxy } of [back, lost]) proxy.reset();
    await isBack;
    await witness.publish('wills/none yet', '', { qos: 1 });
    const topics: string[] = [];
    for await (const { topic } of wills) {
      topics.push(topic);
      if (topic === 'wills/lost') await witness.publish('wills/no more', '', { qos: 1 });
      if (topic === 'wills/no more') break;
    }
    expect(topics).toEqual(['wills/none yet', 'wills/lost', 'wills/no more']);
    for (const clientId of ['back', 'lost'])
      await (
        await actor(shared().url, session(clientId))
      ).client.disconnect({ properties: { sessionExpiryInterval: 0 } });
  });
});
