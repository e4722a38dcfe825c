import { describe, expect, it } from '@jest/globals';
import type { Message } from '../../lib/client/receive/message.ts';
import { collect, message, Stage, statusOf, watch } from './stage.ts';

const KEEP = { cleanStart: false, clientId: 'me', messageRetry: 0 } as const;
const found = { sessionPresent: true };
const again = <Packet>(packet: Packet) => ({ ...packet, duplicate: true });
const MIB = 1_048_576;

describe('peers: acknowledging by hand', () => {
  it('peers P11: a redelivered message is neither lost nor delivered twice, and is acknowledged once', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const taken: Message[] = [];
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 2, ack: 'manual' });
    collect(subscription, (one) => void taken.push(one));
    const sent = [message('a', '1', 1), message('a', '2', 2), { ...message('a', '3', 3), qos: 2 as const }];
    broker.send(...sent);
    await stage.clock.advance(0);
    // The first is acknowledged while disconnected, the others on the next two connections.
    broker.reset();
    await stage.clock.advance(0);
    taken[0]!.ack();
    const second = await stage.network.next();
    await second.accept(found);
    second.send(...sent.map(again));
    await second.expect('puback', { packetId: 1 });
    taken[1]!.ack();
    await second.expect('puback', { packetId: 2 });
    expect(second.unread).toEqual([]);
    const third = await stage.reconnect(second, found);
    third.send(again(sent[2]!));
    await stage.clock.advance(0);
    taken[2]!.ack();
    taken[2]!.ack();
    await third.expect('pubrec', { packetId: 3 });
    third.send({ type: 'pubrel', packetId: 3 });
    await third.expect('pubcomp', { packetId: 3 });
    await stage.clock.advance(100_000);
    expect(taken.map((one) => one.text())).toEqual(['1', '2', '3']);
    expect(third.packets.filter(({ type }) => type === 'puback' || type === 'pubrec')).toHaveLength(1);
    await stage.end(client, third);
  });

  it('peers P11: a message is new if the server has lost the session, and the old token is void', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const taken: Message[] = [];
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1, ack: 'manual' });
    collect(subscription, (one) => void taken.push(one));
    broker.send(message('a', 'old', 1));
    await stage.clock.advance(0);
    const next = await stage.reconnect(broker);
    next.answer('subscribe');
    next.send(message('a', 'new', 1));
    await stage.clock.advance(0);
    taken[0]!.ack();
    await stage.clock.advance(0);
    expect(next.unread).toEqual([]);
    taken[1]!.ack();
    await next.expect('puback', { packetId: 1 });
    expect(taken.map((one) => one.text())).toEqual(['old', 'new']);
    await stage.end(client, next);
  });
});

describe('peers: a slow consumer', () => {
  it.each([
    ['a persistent session', KEEP],
    ['a clean session', {}],
  ])('peers P13: has at most 64 MiB of QoS 1 kept for it (%s)', async (_, options) => {
    const stage = new Stage();
    const { client, broker } = await stage.online(options);
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const payload = new Uint8Array(4 * MIB);
    for (let n = 1; n <= 20; n++) broker.send({ ...message('a', '', n), payload });
    await stage.clock.advance(0);
    // Topics count as well.
    expect([subscription.depth, client.stats().reading]).toEqual([15, 'stopped']);
    await stage.end(client, broker);
  });

  it('peers P13: has QoS 0 kept up to its limits, and the rest is counted', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a', { buffer: { messages: 10 } });
    broker.send(...Array.from({ length: 1_000 }, (_, n) => message('a', String(n))));
    await stage.clock.advance(0);
    expect([subscription.depth, subscription.dropped]).toEqual([10, 990]);
    expect((await stage.until(subscription.receive())).text()).toBe('990');
    await stage.end(client, broker);
  });

  it('peers P13: has one message kept for it, however large', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const payload = new Uint8Array(65 * MIB);
    broker.send({ ...message('a', '', 1), payload }, message('a', 'small', 2));
    await stage.clock.advance(0);
    expect(subscription.depth).toBe(1);
    expect((await stage.until(subscription.receive())).payload).toHaveLength(payload.length);
    await stage.end(client, broker);
  });
});

describe('peers: no storms', () => {
  it('peers P16: a server that accepts and drops at once is not dialled too often', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    let last = broker;
    const began = stage.clock.now();
    for (let n = 0; n < 8; n++) last = await stage.reconnect(last);
    expect(stage.clock.now() - began).toBeGreaterThanOrEqual(120_000);
    await stage.end(client, last);
  });

  it('peers P17: two clients of one identifier on 3.1.1 are reported, and a policy can end it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({
      clientId: 'me',
      reconnect: ({ flapping }) => (flapping ? false : 1_000),
    });
    const [events, closed] = [statusOf(client), watch(client.closed)];
    let last = broker;
    for (let n = 0; n < 2; n++) last = await stage.reconnect(last);
    last.reset();
    await stage.clock.advance(1_000_000);
    expect([events.at(-1), stage.targets.length, client.state]).toEqual(['closed', 3, 'closed']);
    expect(closed()).toMatchObject({ error: expect.any(Error) });
    expect(stage.clock.armed).toBe(0);
  });
});

describe('peers: a session that is resumed', () => {
  it('peers P23: messages that come with CONNACK, before any subscribe(), are all delivered', async () => {
    const stage = new Stage();
    const client = stage.client(KEEP);
    const connecting = client.connect();
    const broker = await stage.network.next();
    await broker.expect('connect');
    const sent = Array.from({ length: 100 }, (_, n) => message('a', String(n), n + 1));
    // In one chunk with CONNACK.
    broker.send({ type: 'connack', ...found }, ...sent);
    await stage.until(connecting);
    await stage.clock.advance(2_000);
    const looping = collect(await stage.subscribe(client, broker, 'a', { qos: 1 }));
    await broker.until(() => broker.unread.length === sent.length);
    expect(looping.texts).toEqual(sent.map((_, n) => String(n)));
    expect(broker.unread).toMatchObject(sent.map(({ packetId }) => ({ type: 'puback', packetId })));
    await stage.end(client, broker);
  });
});
