import { describe, expect, it } from '@jest/globals';
import type { ConnackProperties } from '../../../lib/codec/packets.ts';
import { PublishError, RequestError, SubscribeError, TimeoutError } from '../../../lib/index.ts';
import { errorOf, Stage, watch } from '../../scenarios/stage.ts';
import { grant, reply, requested, textOf, V5 } from './request-rig.ts';

const OWN_TOPIC = /^clients\/me\/responses\/[0-9a-f]{32}$/;

describe('request()', () => {
  it('v5 R6 has the subscription to its Response Topic granted before the first request leaves', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const asking = client.request('calc/add', '[1,2]', { qos: 1 });
    const { packetId, subscriptions } = await broker.expect('subscribe');
    expect(subscriptions).toMatchObject([{ topicFilter: expect.stringMatching(OWN_TOPIC), qos: 1 }]);
    await stage.clock.advance(100);
    expect(broker.unread).toEqual([]);
    broker.send({ type: 'suback', packetId, reasonCodes: [1] });
    const publish = await broker.expect('publish', { topic: 'calc/add', qos: 1, retain: false });
    expect(publish.properties).toMatchObject({ responseTopic: subscriptions[0]?.topicFilter });
    expect(publish.properties?.correlationData).toHaveLength(16);
    reply(broker, publish, '3');
    expect((await stage.until(asking)).text()).toBe('3');
    await stage.end(client, broker);
  });

  it('subscribes once for all requests of a client', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const asking = [1, 2, 3].map((n) => client.request(`calc/${n}`, n));
    const filter = await grant(broker);
    for (let n = 1; n <= 3; n++) {
      const publish = await broker.expect('publish', { topic: `calc/${n}` });
      expect(publish.properties?.responseTopic).toBe(filter);
      reply(broker, publish, `reply ${n}`);
    }
    const replies = await stage.until(Promise.all(asking));
    expect(replies.map((one) => one.text())).toEqual(['reply 1', 'reply 2', 'reply 3']);
    const later = client.request('calc/4', 4);
    reply(broker, await broker.expect('publish'), 'reply 4');
    expect((await stage.until(later)).text()).toBe('reply 4');
    await stage.end(client, broker);
  });

  it('takes another random topic in another process', async () => {
    const stage = new Stage();
    const topics: string[] = [];
    for (let i = 0; i < 2; i++) {
      const { client, broker } = await stage.online(V5);
      client.request('a', '').catch(() => {});
      topics.push(await grant(broker));
      await stage.end(client, broker);
    }
    expect(new Set(topics).size).toBe(2);
  });

  it.each<[string, ConnackProperties, string | RegExp]>([
    ['the Response Information of the server', { responseInformation: 'replies/me' }, 'replies/me'],
    [
      'a topic below it, if it is a prefix that clients may share',
      { responseInformation: 'replies/' },
      /^replies\/me\/[0-9a-f]{32}$/,
    ],
    ['its own, if the server gives none', {}, OWN_TOPIC],
    ['its own, if that of the server is no Topic Name', { responseInformation: 'a/+' }, OWN_TOPIC],
    [
      'its own, if that of the server would be a Shared Subscription',
      { responseInformation: '$share/a/b' },
      OWN_TOPIC,
    ],
  ])(
    'v5 MQTT-3.1.2-28 asks for Response Information, and replies go to %s',
    async (_, properties, expected) => {
      const stage = new Stage();
      const client = stage.client(V5);
      const broker = await stage.connect(client, { properties });
      expect(broker.packets[0]).toMatchObject({ properties: { requestResponseInformation: true } });
      const { publish } = await requested(client, broker);
      if (typeof expected === 'string') expect(publish.properties?.responseTopic).toBe(expected);
      else expect(publish.properties?.responseTopic).toMatch(expected);
      await stage.end(client, broker);
    },
  );

  it('v5 MQTT-3.1.2-28 takes no Response Information if the application does not want it asked for', async () => {
    const stage = new Stage();
    const client = stage.client({ ...V5, properties: { requestResponseInformation: false } });
    const broker = await stage.connect(client, { properties: { responseInformation: 'replies/me' } });
    expect(broker.packets[0]).toMatchObject({ properties: { requestResponseInformation: false } });
    const { publish } = await requested(client, broker);
    expect(publish.properties?.responseTopic).toMatch(OWN_TOPIC);
    await stage.end(client, broker);
  });

  it('follows the Response Information of the next connection', async () => {
    const stage = new Stage();
    const client = stage.client(V5);
    const broker = await stage.connect(client, { properties: { responseInformation: 'r/1' } });
    expect((await requested(client, broker)).publish.properties?.responseTopic).toBe('r/1');
    const next = await stage.reconnect(broker, { properties: { responseInformation: 'r/2' } });
    expect(await grant(next)).toBe('r/1');
    const { publish } = await requested(client, next);
    expect(publish.properties?.responseTopic).toBe('r/2');
    await stage.end(client, next);
  });

  it('has wildcards of the Client Identifier written so that its topic has none', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...V5, clientId: 'a+b/#' });
    const { publish } = await requested(client, broker);
    expect(publish.properties?.responseTopic).toMatch(/^clients\/a%2Bb\/%23\/responses\/[0-9a-f]{32}$/);
    await stage.end(client, broker);
  });

  it('takes the responseTopic of the call instead', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const { publish, promise } = await requested(client, broker, { responseTopic: 'mine' });
    expect(publish.properties?.responseTopic).toBe('mine');
    reply(broker, publish, '3');
    expect((await stage.until(promise)).topic).toBe('mine');
    await stage.end(client, broker);
  });

  it('keeps no more than 64 subscriptions that no request needs', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    for (let i = 0; i < 66; i++) {
      const asking = client.request('a', '', { responseTopic: `r/${i}` });
      await grant(broker);
      reply(broker, await broker.expect('publish'), '');
      await stage.until(asking);
      await stage.clock.advance(0);
      broker.answer('unsubscribe');
    }
    const ended = broker.packets.flatMap((one) => (one.type === 'unsubscribe' ? one.topicFilters : []));
    expect(ended).toEqual(['r/0', 'r/1']);
    expect(client.stats().subscriptions).toHaveLength(64);
    await stage.end(client, broker);
  });
});

describe('a reply', () => {
  it('may arrive before the request is acknowledged', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const { publish, promise } = await requested(client, broker, { qos: 1 });
    reply(broker, publish, '3', { packetId: 9 });
    expect((await stage.until(promise)).text()).toBe('3');
    await broker.expect('puback', { packetId: 9 });
    broker.send({ type: 'puback', packetId: publish.packetId as number });
    await stage.clock.advance(0);
    expect(client.stats()).toMatchObject({ pending: 0, requests: { pending: 0, unexpected: 0 } });
    await stage.end(client, broker);
  });

  it('is compared by every byte of its Correlation Data: others are counted, and acknowledged', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const { publish, outcome } = await requested(client, broker);
    const correlationData = publish.properties?.correlationData as Uint8Array;
    const foreign = [
      correlationData.with(15, correlationData[15]! ^ 1),
      correlationData.subarray(0, 15),
      Uint8Array.of(...correlationData, 0),
      new TextEncoder().encode('me'),
      new Uint8Array(0),
    ];
    const { responseTopic } = publish.properties;
    for (const [i, one] of foreign.entries()) {
      reply(broker, { ...publish, properties: { responseTopic, correlationData: one } }, 'x', {
        packetId: i + 1,
      });
      await broker.expect('puback', { packetId: i + 1, reasonCode: 0 });
    }
    reply(broker, { ...publish, properties: { responseTopic } }, 'x');
    await stage.clock.advance(0);
    expect([outcome(), client.stats().requests]).toMatchObject(['pending', { pending: 1, unexpected: 6 }]);
    reply(broker, publish, '3');
    await stage.clock.advance(0);
    expect(textOf(outcome())).toBe('3');
    await stage.end(client, broker);
  });

  it('that comes a second time or too late is counted and changes nothing', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const { publish, promise } = await requested(client, broker);
    reply(broker, publish, 'first');
    reply(broker, publish, 'second');
    expect((await stage.until(promise)).text()).toBe('first');
    await stage.clock.advance(0);
    expect(client.stats().requests).toMatchObject({ pending: 0, unexpected: 1 });
    const late = watch(client.request('slow', '', { timeout: 10 }));
    const slow = await broker.expect('publish');
    await stage.clock.advance(10);
    expect(late()).toMatchObject({ error: expect.any(TimeoutError) });
    reply(broker, slow, 'late');
    await stage.clock.advance(0);
    expect(client.stats().requests).toMatchObject({ pending: 0, unexpected: 2 });
    await stage.end(client, broker);
  });

  it('that is a failure rejects with the code and the message of the service', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const { publish, promise } = await requested(client, broker);
    const userProperties = [
      ['mqtt-await-error-code', 'out-of-range'],
      ['mqtt-await-error-message', 'b is above 100'],
    ] as const;
    reply(broker, publish, '', { userProperties });
    const error = await stage.until(errorOf<RequestError>(promise));
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({ code: 'out-of-range', message: 'b is above 100', remote: true });
    await stage.end(client, broker);
  });

  it.each([
    ['ERR_MQTT_CLOSED', 'ERR_MQTT_REQUEST'],
    ['', 'ERR_MQTT_REQUEST'],
    ['a\nb', 'a?b'],
  ])('that is a failure cannot pass for an error of this client: code %j is %j', async (sent, code) => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const { publish, promise } = await requested(client, broker);
    reply(broker, publish, '', { userProperties: [['mqtt-await-error-code', sent]] });
    expect(await stage.until(errorOf(promise))).toMatchObject({ code, remote: true });
    await stage.end(client, broker);
  });
});

describe('a request that gets no reply', () => {
  it.each([
    [30_000, undefined, 30],
    [5_000, 5_000, 5],
    [5_001, 5_001, 6],
    [1, 1, 1],
  ])(
    'rejects after its timeout of %i ms, which travels as Message Expiry, rounded up',
    async (ms, timeout, expiry) => {
      const stage = new Stage();
      const { client, broker } = await stage.online(V5);
      const asking = client.request('calc/add', '', { timeout });
      const outcome = watch(asking);
      await grant(broker);
      const publish = await broker.expect('publish');
      expect(publish.properties?.messageExpiryInterval).toBe(expiry);
      await stage.clock.advance(ms - 1);
      expect(outcome()).toBe('pending');
      await stage.clock.advance(1);
      expect(outcome()).toMatchObject({ error: { code: 'ERR_MQTT_TIMEOUT' } });
      expect(client.stats().requests.pending).toBe(0);
      await stage.end(client, broker);
    },
  );

  it('sends only what is left of its time, and not more than the specification allows', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    client.request('a', '', { timeout: 10_000 }).catch(() => {});
    client.request('b', '', { timeout: Number.MAX_SAFE_INTEGER }).catch(() => {});
    client.request('c', '', { properties: { messageExpiryInterval: 7 } }).catch(() => {});
    const { packetId } = await broker.expect('subscribe');
    await stage.clock.advance(4_500);
    broker.send({ type: 'suback', packetId, reasonCodes: [1] });
    const expiries = [];
    for (let i = 0; i < 3; i++)
      expiries.push((await broker.expect('publish')).properties?.messageExpiryInterval);
    expect(expiries).toEqual([6, 0xffff_ffff, 7]);
    await stage.end(client, broker);
  });

  it('rejects at once if the server has no subscriber for it (0x10)', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const { publish, promise } = await requested(client, broker, { qos: 1 });
    broker.send({ type: 'puback', packetId: publish.packetId as number, reasonCode: 0x10 });
    expect(await stage.until(errorOf(promise))).toMatchObject({
      name: 'RequestError',
      code: 'ERR_MQTT_NO_SUBSCRIBER',
      reasonCode: 0x10,
      remote: false,
    });
    expect(client.stats().requests.pending).toBe(0);
    await stage.end(client, broker);
  });

  it('rejects with the refusal of its message', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const { publish, promise } = await requested(client, broker, { qos: 1 });
    broker.send({ type: 'puback', packetId: publish.packetId as number, reasonCode: 0x87 });
    expect(await stage.until(errorOf(promise))).toMatchObject({ name: 'PublishError', reasonCode: 0x87 });
    expect(await errorOf(promise)).toBeInstanceOf(PublishError);
    await stage.end(client, broker);
  });

  it('rejects with the refusal of its subscription, and the next one asks again', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const refused = [client.request('a', ''), client.request('b', '')].map(watch);
    const { packetId } = await broker.expect('subscribe');
    broker.send({ type: 'suback', packetId, reasonCodes: [0x87] });
    await stage.clock.advance(0);
    for (const one of refused) expect(one()).toMatchObject({ error: expect.any(SubscribeError) });
    expect([broker.unread, client.stats().subscriptions]).toEqual([[], []]);
    const { publish, promise } = await requested(client, broker);
    reply(broker, publish, '3');
    expect((await stage.until(promise)).text()).toBe('3');
    await stage.end(client, broker);
  });

  it('rejects with the reason of its signal, and is not sent if it still waits', async () => {
    const stage = new Stage();
    const client = stage.client(V5);
    const reason = new Error('changed my mind');
    const controller = new AbortController();
    const waiting = watch(client.request('early', '', { signal: controller.signal }));
    await stage.clock.advance(0);
    controller.abort(reason);
    await stage.clock.advance(0);
    expect(waiting()).toEqual({ error: reason });
    await expect(client.request('never', '', { signal: controller.signal })).rejects.toBe(reason);
    const broker = await stage.connect(client);
    const second = new AbortController();
    const { outcome } = await requested(client, broker, { signal: second.signal });
    second.abort(reason);
    await stage.clock.advance(0);
    expect([outcome(), client.stats().requests.pending]).toEqual([{ error: reason }, 0]);
    await stage.end(client, broker);
  });

  it('is taken out of the queue when its time is over, and says that it was not sent', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const first = await requested(client, broker);
    reply(broker, first.publish, '');
    await stage.until(first.promise);
    broker.reset();
    await stage.clock.advance(1);
    const queued = watch(client.request('late', '', { qos: 1, timeout: 100 }));
    await stage.clock.advance(0);
    expect(client.stats().queued.messages).toBe(1);
    await stage.clock.advance(100);
    expect(queued()).toMatchObject({
      error: { code: 'ERR_MQTT_TIMEOUT', delivery: 'not-sent', kept: false },
    });
    expect(client.stats().queued.messages).toBe(0);
    const next = await stage.network.next();
    await next.accept();
    next.answerAll();
    await stage.clock.advance(10);
    expect(next.packets.filter((one) => one.type === 'publish')).toEqual([]);
    await stage.end(client, next);
  });
});

describe('wrong arguments of request()', () => {
  it.each<[string, string, object, unknown?]>([
    ['topicName', 'a/+', {}],
    ['payload', 'a', {}, {}],
    ['qos', 'a', { qos: 3 }],
    ['request', 'a', { retain: true }],
    ['responseTopic', 'a', { responseTopic: 'a/#' }],
    ['responseTopic', 'a', { responseTopic: '$share/a/b' }],
    ['responseTopic', 'a', { responseTopic: 'b', convention: 'topic' }],
    ['convention', 'a', { convention: 'payload' }],
    ['properties.responseTopic', 'a', { properties: { responseTopic: 'b' } }],
    ['properties.correlationData', 'a', { properties: { correlationData: Uint8Array.of(1) } }],
    ['payloadFormatIndicator', 'a', { properties: { payloadFormatIndicator: 2 } }],
  ])('%s: a TypeError, and nothing is sent', async (name, topicName, options, payload = '') => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const error = await errorOf(client.request(topicName, payload as string, options as never));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(name);
    await stage.clock.advance(0);
    expect([broker.unread, client.stats().requests.pending]).toEqual([[], 0]);
    await stage.end(client, broker);
  });

  it('timeout: a RangeError', async () => {
    const client = new Stage().client(V5);
    await expect(client.request('a', '', { timeout: -1 })).rejects.toBeInstanceOf(RangeError);
  });

  it.each([3, 4] as const)(
    'without a convention on version %i: a TypeError that names it',
    async (protocolVersion) => {
      const client = new Stage().client({ protocolVersion });
      await expect(client.request('a', '')).rejects.toThrow('convention: expected "topic"');
    },
  );

  it('are given as undefined like not given', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const none = { qos: undefined, properties: undefined, responseTopic: undefined, convention: undefined };
    const { publish } = await requested(client, broker, { ...none, signal: undefined, timeout: undefined });
    expect(publish.properties).toMatchObject({ messageExpiryInterval: 30 });
    await stage.end(client, broker);
  });
});
