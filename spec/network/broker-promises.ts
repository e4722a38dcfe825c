import { expect, it } from '@jest/globals';
import type { ProtocolVersion } from '../../lib/codec/packets.ts';
import {
  type Client,
  type ClientOptions,
  ConnectError,
  type Message,
  PoisonedMessageError,
  SubscribeError,
  type Subscription,
} from '../../lib/index.ts';
import { type Actor, actor, faultProxy, inTime, wireTap } from './actors.ts';
import { MAXIMUM_SIZE, type TestedBroker, valueOf } from './broker-table.ts';

/*
 * What a client promises at every broker, as far as the broker has it.
 */

const LONG = 60_000;
/** Maximum ms for a step. */
const PATIENCE = 30_000;

/** A broker that runs, and the version that clients speak. */
export interface Stand {
  readonly broker: TestedBroker;
  readonly version: ProtocolVersion;
  readonly port: () => number;
  readonly waits: Waits;
}

/**
 * Specs that mostly wait, such as for the time that a client takes to find out which message costs the connection. The
 * first one that is called runs all of them at the same time, and each tells how it went.
 */
export class Waits {
  readonly #bodies: (() => Promise<void>)[] = [];
  #outcomes: Promise<PromiseSettledResult<void>[]> | undefined;

  /** The body of such a spec. */
  together(body: () => Promise<void>): () => Promise<void> {
    const index = this.#bodies.push(body) - 1;
    return async () => {
      this.#outcomes ??= Promise.allSettled(this.#bodies.map((one) => one()));
      const outcome = (await this.#outcomes)[index];
      if (outcome?.status !== 'fulfilled') throw outcome?.reason;
    };
  }
}

let count = 0;
/** A level of Topic Names, and a Client Identifier, that no other spec has. */
const fresh = (): string => `p${++count}`;

const join = (
  { broker, version, port }: Omit<Stand, 'waits'>,
  options: ClientOptions = {},
  at = port(),
): Promise<Actor> =>
  actor(`mqtt://127.0.0.1:${at}`, { protocolVersion: version, ...broker.credentials, ...options });

/** Options of a session that outlives its connections. */
const session = ({ version }: Stand, clientId: string): ClientOptions => ({
  clientId,
  cleanStart: false,
  ...(version === 5 ? { sessionExpiryInterval: 600 } : {}),
});

/** Reads until a message has this text, and returns the texts before. */
async function until(subscription: AsyncIterable<Message>, last: string): Promise<Message[]> {
  const messages: Message[] = [];
  const reading = (async () => {
    for await (const message of subscription) {
      if (message.text() === last) break;
      messages.push(message);
    }
  })();
  await inTime(reading, PATIENCE, () => messages.map((message) => message.text()).join());
  return messages;
}

const texts = (messages: readonly Message[]): string[] => messages.map((message) => message.text());
const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `${from + i}`);
const publishAll = (client: Client, topic: string, payloads: readonly string[]): Promise<unknown> =>
  Promise.all(payloads.map((payload) => client.publish(topic, payload, { qos: 1 })));

export function messagesArrive(stand: Stand): void {
  const levels = ([0, 1, 2] as const).filter(
    (qos) => qos < 2 || valueOf(stand.broker, 'QoS 2', stand.version) !== 'closes the connection',
  );
  it.each(levels)('messages of QoS %d arrive, once and in order', async (qos) => {
    const topic = fresh();
    const { client: reader } = await join(stand);
    const subscription = await reader.subscribe(topic, { qos });
    const { client, log } = await join(stand);
    const all = numbers(0, 20);
    await Promise.all([...all, 'end'].map((payload) => client.publish(topic, payload, { qos })));
    const messages = await until(subscription, 'end');
    expect(texts(messages)).toEqual(all);
    expect(new Set(messages.map((message) => message.qos))).toEqual(new Set([subscription.granted[0]]));
    const isWarned = log.some((line) => line.startsWith('warn: the server answers QoS 2 with PUBACK'));
    expect(isWarned).toBe(qos === 2 && valueOf(stand.broker, 'QoS 2', stand.version) === 'answers PUBACK');
  });

  it('a retained message comes to a new subscription until it is cleared', async () => {
    const topic = fresh();
    const { client } = await join(stand);
    await client.publish(topic, 'kept', { qos: 1, retain: true });
    const first = await (await client.subscribe(topic, { qos: 1 })).receive({ timeout: PATIENCE });
    expect([first.text(), first.retain]).toEqual(['kept', true]);
    await client.publish(topic, null, { qos: 1, retain: true });
    const { client: later } = await join(stand);
    const subscription = await later.subscribe(topic, { qos: 1 });
    await client.publish(topic, 'live', { qos: 1 });
    const second = await subscription.receive({ timeout: PATIENCE });
    expect([second.text(), second.retain]).toEqual(['live', false]);
  });

  it('the Will is published when the network breaks, and not after disconnect()', async () => {
    const topic = fresh();
    const { client: watcher } = await join(stand);
    const wills = await watcher.subscribe(`${topic}/+`, { qos: 1 });
    const proxy = await faultProxy(stand.port());
    const dying = (name: string, at?: number): Promise<Actor> =>
      join(stand, { will: { topic: `${topic}/will`, payload: name, qos: 1 }, reconnect: false }, at);
    const { client: clean } = await dying('of a clean end');
    await clean.disconnect();
    const { client: lost } = await dying('of a lost connection', proxy.port);
    proxy.cut();
    await expect(lost.closed).rejects.toThrow('lost');
    expect((await wills.receive({ timeout: PATIENCE })).text()).toBe('of a lost connection');
  });

  it('unsubscribe() ends the messages of one filter only', async () => {
    const topic = fresh();
    const { client } = await join(stand);
    const [ended, kept] = [
      await client.subscribe(`${topic}/a`, { qos: 1 }),
      await client.subscribe(`${topic}/b`, { qos: 1 }),
    ];
    await client.publish(`${topic}/a`, 'before', { qos: 1 });
    expect((await ended.receive({ timeout: PATIENCE })).text()).toBe('before');
    await ended.unsubscribe();
    const received = client.stats().packets.received;
    await client.publish(`${topic}/a`, 'after', { qos: 1 });
    await client.publish(`${topic}/b`, 'end', { qos: 1 });
    expect((await kept.receive({ timeout: PATIENCE })).text()).toBe('end');
    // Two PUBACKs and one PUBLISH.
    expect(client.stats().packets.received - received).toBe(3);
  });
}

export function sessionsResume(stand: Stand): void {
  it(
    'the next process resumes a session, and gets what came meanwhile: everything, each once',
    async () => {
      const topic = fresh();
      const { client: before } = await join(stand, session(stand, topic));
      await (await before.subscribe(topic, { qos: 1 })).stop();
      await before.disconnect();
      const { client } = await join(stand);
      await publishAll(client, topic, [...numbers(0, 50), 'end']);
      const { client: after } = await join(stand, session(stand, topic));
      if (stand.version !== 3) expect(after.negotiated?.sessionPresent).toBe(true);
      const messages = await until(await after.subscribe(topic, { qos: 1 }), 'end');
      expect(texts(messages)).toEqual(numbers(0, 50));
      await forget(stand, topic, after);
    },
    LONG,
  );

  it(
    `QoS 1 loses nothing${stand.broker.keepsOrder ? ', and keeps its order,' : ''} when the network of both sides breaks again and again`,
    async () => {
      const topic = fresh();
      const proxies = [await faultProxy(stand.port()), await faultProxy(stand.port())] as const;
      const [sender, receiver] = proxies;
      const reader = await join(stand, session(stand, `${topic}r`), receiver.port);
      const subscription = await reader.client.subscribe(topic, { qos: 1 });
      const writer = await join(stand, session(stand, `${topic}w`), sender.port);
      const sent = numbers(0, 200);
      const sending = Promise.all(
        sent.map(async (payload) => {
          await writer.client.publish(topic, payload, { qos: 1 });
          if (payload === '60' || payload === '140') sender.cut();
        }),
      );
      const first = new Set<string>();
      for await (const message of subscription) {
        const isNew = !first.has(message.text());
        first.add(message.text());
        if (isNew && (first.size === 40 || first.size === 120)) receiver.reset();
        if (first.size === sent.length) {
          message.ack();
          break;
        }
      }
      await inTime(sending, PATIENCE, () => JSON.stringify(writer.client.stats()));
      const order = [...first];
      if (!stand.broker.keepsOrder) order.sort((a, b) => Number(a) - Number(b));
      expect(order).toEqual(sent);
      expect([reader.count('disconnected'), writer.count('disconnected')]).toEqual([2, 2]);
      await forget(stand, `${topic}r`, reader.client);
      await forget(stand, `${topic}w`, writer.client);
    },
    LONG,
  );
}

export function messagesComeAgain(stand: Stand): void {
  const { broker, version, waits } = stand;
  it('a subscription that nobody reads delays others for ackStallTimeout only, in a clean session', async () => {
    const topic = fresh();
    const { client: reader } = await join(stand, { ackStallTimeout: 100 });
    await reader.subscribe(`${topic}/unread`, { qos: 1 });
    const subscription = await reader.subscribe(`${topic}/read`, { qos: 1 });
    const { client } = await join(stand);
    await publishAll(client, `${topic}/unread`, numbers(0, 30));
    await publishAll(client, `${topic}/read`, ['0', 'end']);
    expect(texts(await until(subscription, 'end'))).toEqual(['0']);
  });

  if (valueOf(broker, 'resume', version)?.startsWith('4') === true)
    it(
      'a message that the broker sends again while the application has it is delivered once',
      waits.together(async () => {
        const topic = fresh();
        const tap = await wireTap(stand.port(), version);
        const again = new Promise<void>((resolve) => {
          tap.onPacket = (packet, from) => {
            if (packet.type === 'publish' && from === 'server' && packet.duplicate) resolve();
          };
        });
        const { client } = await join(stand, {}, tap.port);
        const subscription = await client.subscribe(topic, { qos: 1 });
        await client.publish(topic, 'slow', { qos: 1 });
        const got: string[] = [];
        for await (const message of subscription) {
          got.push(message.text());
          if (message.text() === 'end') break;
          await again;
          await client.publish(topic, 'end', { qos: 1 });
        }
        expect(got).toEqual(['slow', 'end']);
      }),
      LONG,
    );

  if (valueOf(broker, 'asterisk', version) === 'arrives invalid')
    it('a message with an invalid Topic Name ends the connection, and in a persistent session each later one', async () => {
      const topic = fresh();
      const reader = await join(stand, session(stand, topic));
      await reader.client.subscribe(`${topic}/#`, { qos: 1 });
      const { client } = await join(stand);
      await client.publish(`${topic}/*`, 'x', { qos: 1 });
      for (let i = 0; i < 3; i++) {
        const { reason } = await inTime(reader.next('disconnected'), PATIENCE, () => reader.client.state);
        expect(reason).toMatchObject({ code: 'ERR_MQTT_PROTOCOL', statement: 'MQTT-3.3.2-2' });
      }
      await forget(stand, topic, reader.client);
    });
}

/** Ends a session at the broker. */
async function forget(stand: Stand, clientId: string, client: Client): Promise<void> {
  await client.disconnect({ pending: 'discard' });
  const { client: last } = await join(stand, { clientId, cleanStart: true });
  await last.disconnect();
}

export function subscriptionsOverlap(stand: Stand): void {
  const { broker, version, waits } = stand;
  // With Subscription Identifiers, the client knows which copy is for which subscription.
  const isIdentified = version === 5 && valueOf(broker, 'Subscription Identifiers', version) === 'yes';
  const hasOneCopy = isIdentified || valueOf(broker, 'copies', version)?.startsWith('one') === true;
  const most = hasOneCopy ? 1 : 2;
  const often = most === 1 ? 'once' : 'at least once';
  it(`each of two overlapping subscriptions gets the message ${often}`, async () => {
    const topic = fresh();
    const { client } = await join(stand);
    const [wide, narrow] = [
      await client.subscribe(`${topic}/#`, { qos: 1 }),
      await client.subscribe(`${topic}/a`, { qos: 1 }),
    ];
    await client.publish(`${topic}/a`, 'x', { qos: 1 });
    await client.publish(`${topic}/a`, 'end', { qos: 1 });
    // At once: a broker with a window of 1 sends the second message when both are done with the first one.
    const all = await Promise.all([wide, narrow].map(async (one) => texts(await until(one, 'end'))));
    for (const copies of all) {
      expect(new Set(copies)).toEqual(new Set(['x']));
      expect(copies.length).toBeLessThanOrEqual(most);
    }
  });

  if (valueOf(broker, 'dollar', version) === 'yes')
    it('a subscription to # gets no message whose Topic Name begins with $, although the broker sends it', async () => {
      const topic = fresh();
      const { client } = await join(stand);
      const subscription = await client.subscribe('#');
      await client.publish(`$${topic}`, 'dollar', { qos: 1 });
      await client.publish(topic, `end of ${topic}`, { qos: 1 });
      expect(texts(await until(subscription, `end of ${topic}`))).not.toContain('dollar');
      expect(client.stats().discarded).toBeGreaterThan(0);
    });

  const shared = valueOf(broker, 'shared subscriptions', version) ?? '';
  if (shared === 'yes') {
    it('a shared subscription gives each message to one of its clients', async () => {
      const topic = fresh();
      const members = [await join(stand), await join(stand)];
      const subscriptions: Subscription[] = [];
      for (const { client } of members)
        subscriptions.push(await client.subscribe([`$share/g/${topic}`, `${topic}/end`], { qos: 1 }));
      const { client } = await join(stand);
      await publishAll(client, topic, numbers(0, 20));
      await client.publish(`${topic}/end`, 'end', { qos: 1 });
      const got = await Promise.all(subscriptions.map(async (one) => texts(await until(one, 'end'))));
      expect(got.flat().toSorted()).toEqual(numbers(0, 20).toSorted());
      for (const part of got) expect(part.length).toBeGreaterThan(0);
    });
  }
  if (shared.startsWith('closes')) {
    it(
      'a shared subscription is refused with an error, and the client goes on',
      waits.together(async () => {
        const { client } = await join(stand);
        await expect(client.subscribe(`$share/g/${fresh()}`)).rejects.toThrow(SubscribeError);
        await client.publish(fresh(), 'x', { qos: 1 });
      }),
      LONG,
    );
  }
}

/** ms after which an unanswered message closes the connection. */
const ACK_TIMEOUT = 200;

/** How the last of three attempts to send a message that is too large ended. */
const LAST_ATTEMPT: Readonly<Record<string, string>> = {
  'closes the connection': 'the last error: the ',
  'never answers': `an exchange was unanswered for ${ACK_TIMEOUT} ms (ackTimeout)`,
};

export function messagesAreRefused(stand: Stand): void {
  const { broker, version, waits } = stand;
  const tooLarge = valueOf(broker, 'too large', version) ?? '';
  it(
    `a message of nearly ${MAXIMUM_SIZE} bytes arrives intact; for a larger one the broker ${tooLarge}, and the client goes on`,
    waits.together(async () => {
      const topic = fresh();
      const { client } = await join(stand);
      const subscription = await client.subscribe(topic, { qos: 1 });
      const large = Uint8Array.from({ length: MAXIMUM_SIZE - 1_000 }, (_, i) => i * 7);
      await client.publish(topic, large, { qos: 1 });
      expect(Buffer.compare((await subscription.receive({ timeout: PATIENCE })).payload, large)).toBe(0);
      const tooMuch = new Uint8Array(MAXIMUM_SIZE + 100_000);
      if (tooLarge === 'passes') {
        await client.publish(topic, tooMuch, { qos: 1 });
        expect((await subscription.receive({ timeout: PATIENCE })).payload.length).toBe(tooMuch.length);
        return;
      }
      if (tooLarge === 'never answers') client.configure({ ackTimeout: ACK_TIMEOUT });
      const error: unknown = await client
        .publish(topic, tooMuch, { qos: 1 })
        .catch((reason: unknown) => reason);
      if (tooLarge === 'announces the limit')
        expect(error).toMatchObject({ reasonCode: 0x95, delivery: 'not-sent' });
      else {
        expect(error).toBeInstanceOf(PoisonedMessageError);
        expect((error as Error).message).toContain(LAST_ATTEMPT[tooLarge]);
      }
      client.configure({ ackTimeout: 0 });
      await client.publish(topic, 'next', { qos: 1 });
      expect((await subscription.receive({ timeout: PATIENCE })).text()).toBe('next');
    }),
    LONG,
  );

  if (valueOf(broker, 'QoS 2', version) === 'closes the connection')
    it(
      'a message of QoS 2 that the broker does not accept is given up, and the client goes on',
      waits.together(async () => {
        const { client } = await join(stand);
        await expect(client.publish(fresh(), 'x', { qos: 2 })).rejects.toThrow(PoisonedMessageError);
        await client.publish(fresh(), 'x', { qos: 1 });
      }),
      LONG,
    );

  if (valueOf(broker, 'space', version) === 'closes the connection')
    it(
      'a Topic Name that the broker does not accept: QoS 1 is given up, QoS 0 costs a connection',
      waits.together(async () => {
        const { client, next } = await join(stand);
        const topic = `${fresh()}/b c`;
        await expect(client.subscribe(topic)).rejects.toThrow(SubscribeError);
        await expect(client.publish(topic, 'x', { qos: 1 })).rejects.toThrow(PoisonedMessageError);
        await client.publish(fresh(), 'x', { qos: 1 });
        const lost = next('disconnected');
        await client.publish(topic, 'x');
        await inTime(lost, PATIENCE, () => client.state);
        await client.publish(fresh(), 'x', { qos: 1 });
      }),
      LONG,
    );
}

/** Versions that a broker does not have. */
export function versionsAreRefused(broker: TestedBroker, port: () => number): void {
  const missing = ([3, 4, 5] as const).filter((version) => !broker.versions.includes(version));
  if (missing.length === 0) return;
  it.each(missing)(
    'protocol version %d: connect() rejects with an error of phase "connack"',
    async (version) => {
      const error: unknown = await join({ broker, version, port }).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(ConnectError);
      expect((error as ConnectError).phase).toBe('connack');
    },
  );
}
