import { afterEach, describe, expect, it } from '@jest/globals';
import { type ServiceRequest } from '../../../lib/index.ts';
import { errorOf, watch } from '../../scenarios/stage.ts';
import { ServiceRig, textIn, type RequestFields } from './service-rig.ts';

let rig: ServiceRig;
afterEach(async () => {
  if (rig.client.state !== 'closed') await rig.end();
});

/** Collects requests, and does `body` with each. */
function loop(body: (request: ServiceRequest) => unknown = () => {}): {
  readonly seen: ServiceRequest[];
  readonly done: Promise<void>;
} {
  const seen: ServiceRequest[] = [];
  const done = (async () => {
    for await (const request of rig.service) {
      seen.push(request);
      await body(request);
    }
  })();
  done.catch(() => {});
  return { seen, done };
}

const add = (request: ServiceRequest): number => request.json<number[]>().reduce((a, b) => a + b, 0);

describe('serve()', () => {
  it('subscribes, shared if asked to, and never gets retained messages', async () => {
    rig = await ServiceRig.make({ share: 'calc', qos: 1, properties: { userProperties: [['a', 'b']] } });
    expect(rig.broker.packets.findLast(({ type }) => type === 'subscribe')).toMatchObject({
      subscriptions: [{ topicFilter: '$share/calc/calc/+', qos: 1, retainHandling: 2 }],
      properties: { userProperties: [['a', 'b']] },
    });
    expect(rig.service.topicFilter).toBe('$share/calc/calc/+');
  });

  it('v5 MQTT-3.3.2-15 R6 publishes the reply to the Response Topic, with the Correlation Data, and without a Response Topic', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    const { seen } = loop((request) =>
      request.reply(add(request), { properties: { contentType: 'text/plain' } }),
    );
    await rig.request({ packetId: 1, messageExpiryInterval: 20 });
    const reply = await rig.reply();
    expect(reply).toMatchObject({ topic: 'replies', qos: 1, retain: false });
    expect(textIn(reply)).toBe('3');
    expect(reply.properties).toEqual({
      contentType: 'text/plain',
      correlationData: Uint8Array.of(1, 2),
      messageExpiryInterval: 20,
    });
    expect(seen[0]).toMatchObject({ topic: 'calc/add', responseTopic: 'replies', qos: 1, retain: false });
  });

  it('has the request acknowledged after its reply was', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    loop((request) => request.reply('ok'));
    await rig.request({ packetId: 1 });
    const reply = await rig.broker.expect('publish');
    await rig.stage.clock.advance(1_000);
    expect(rig.broker.unread).toEqual([]);
    rig.ack(reply);
    await rig.broker.expect('puback', { packetId: 1, reasonCode: 0 });
  });

  it('has it so for a loop that does not wait for its reply, too', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    const { seen } = loop((request) => void request.reply('ok'));
    await rig.request({ packetId: 1, correlationData: Uint8Array.of(1) });
    await rig.request({ packetId: 2, correlationData: Uint8Array.of(2) });
    const reply = await rig.broker.expect('publish');
    await rig.stage.clock.advance(1_000);
    expect([rig.broker.unread, seen.length]).toEqual([[], 1]);
    rig.ack(reply);
    await rig.broker.expect('puback', { packetId: 1 });
    await rig.reply();
    await rig.broker.expect('puback', { packetId: 2 });
  });

  it('replies with the QoS of the request, unless another is given', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    loop((request) => request.reply('', request.topic === 'calc/2' ? { qos: 2 } : {}));
    await rig.request();
    expect(await rig.broker.expect('publish')).toMatchObject({ qos: 0 });
    await rig.request({ topic: 'calc/2' });
    expect(await rig.broker.expect('publish')).toMatchObject({ qos: 2 });
  });

  it('acknowledges a request that its loop gives no reply to', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    loop();
    await rig.request({ packetId: 1 });
    await rig.broker.expect('puback', { packetId: 1, reasonCode: 0 });
    await rig.request({ packetId: 2 });
    await rig.broker.expect('puback', { packetId: 2 });
    expect(rig.client.stats().requests.repeated).toBe(1);
  });

  it('keeps what was answered if the loop is left then, and gives the next loop what was not', async () => {
    rig = await ServiceRig.make({ qos: 1 }, { cleanStart: false, sessionExpiryInterval: 60 });
    const texts: string[] = [];
    const once = async (body: (request: ServiceRequest) => unknown): Promise<void> => {
      for await (const request of rig.service) {
        texts.push(`${request.text()} ${request.duplicate}`);
        await body(request);
        return;
      }
    };
    const first = once((request) => request.reply('ok'));
    await rig.request({ packetId: 1, text: 'a' });
    await rig.reply();
    await rig.broker.expect('puback', { packetId: 1 });
    await first;
    const second = once(() => {});
    await rig.request({ packetId: 2, text: 'b' });
    await second;
    const third = once((request) => request.reply('ok'));
    await rig.reply();
    await rig.broker.expect('puback', { packetId: 2 });
    await third;
    expect(texts).toEqual(['a false', 'b false', 'b true']);
  });

  it('lets a request be refused to the server, or acknowledged, instead', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    loop((request) => (request.text() === 'bad' ? request.reject(0x99) : request.ack()));
    await rig.request({ packetId: 1, text: 'bad' });
    await rig.broker.expect('puback', { packetId: 1, reasonCode: 0x99 });
    await rig.request({ packetId: 2, text: 'one-way' });
    await rig.broker.expect('puback', { packetId: 2, reasonCode: 0 });
    expect(rig.broker.unread).toEqual([]);
  });

  it('takes one reply for each request', async () => {
    rig = await ServiceRig.make();
    const { seen } = loop((request) => request.reply('first'));
    await rig.request();
    await rig.reply();
    await expect(seen[0]?.reply('second')).rejects.toThrow('one reply for each request');
    await expect(seen[0]?.fail('second')).rejects.toBeInstanceOf(TypeError);
    await rig.settle();
    expect(rig.broker.unread).toEqual([]);
  });

  it('lets a reply be tried again that could not be sent', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    const errors: unknown[] = [];
    loop(async (request) => {
      await request.reply('too secret').catch((error: unknown) => errors.push(error));
      await request.fail('hidden', 'not for you');
    });
    await rig.request({ packetId: 1 });
    const { packetId } = await rig.broker.expect('publish');
    rig.broker.send({ type: 'puback', packetId: packetId as number, reasonCode: 0x87 });
    expect((await rig.reply()).properties?.userProperties).toHaveLength(2);
    await rig.broker.expect('puback', { packetId: 1 });
    expect(errors).toMatchObject([{ name: 'PublishError', reasonCode: 0x87 }]);
  });

  it.each<[string, unknown[]]>([
    ['payload', [{}]],
    ['payloadFormatIndicator', ['', { properties: { payloadFormatIndicator: 2 } }]],
    ['properties.correlationData', ['', { properties: { correlationData: Uint8Array.of(1) } }]],
    ['properties.messageExpiryInterval', ['', { properties: { messageExpiryInterval: 1 } }]],
    ['qos', ['', { qos: 3 }]],
    ['reply', ['', { retain: true }]],
  ])('rejects a reply with a wrong %s, and the request can still be answered', async (name, args) => {
    rig = await ServiceRig.make();
    const { seen } = loop(() => new Promise(() => {}));
    await rig.request();
    const error = await errorOf(seen[0]!.reply(...(args as [''])));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(name);
    await seen[0]!.reply('ok');
    expect(textIn(await rig.reply())).toBe('ok');
  });

  it.each(['', 'ERR_MQTT_CLOSED', 7])('rejects fail() with the code %j', async (code) => {
    rig = await ServiceRig.make();
    const { seen } = loop(() => new Promise(() => {}));
    await rig.request();
    await expect(seen[0]!.fail(code as string)).rejects.toBeInstanceOf(TypeError);
  });

  it('ends its loops with stop(), with `await using`, and with the client', async () => {
    rig = await ServiceRig.make();
    rig.broker.answerAll();
    const first = loop();
    await rig.stage.until(rig.service.stop());
    await first.done;
    const serving = rig.client.serve('other/+');
    await rig.settle();
    rig.service = await serving;
    const second = loop();
    await rig.stage.until(rig.service[Symbol.asyncDispose]());
    await second.done;
    const third = rig.client.serve('third/+');
    await rig.settle();
    rig.service = await third;
    const running = rig.service.forEach(() => '');
    const last = loop();
    await rig.end();
    await expect(Promise.all([running, last.done])).resolves.toEqual([undefined, undefined]);
  });

  it('throws the reason of its signal in its loops', async () => {
    const controller = new AbortController();
    rig = await ServiceRig.make({ signal: controller.signal });
    const { done } = loop();
    const reason = new Error('enough');
    controller.abort(reason);
    rig.broker.answerAll();
    expect(await rig.stage.until(errorOf(done))).toBe(reason);
  });

  it.each([
    ['share', 'a', { share: 'a/b' }],
    ['share', 'a', { share: '' }],
    ['share', '$share/x/a', { share: 'y' }],
    ['topicFilter', 'a/#/b', {}],
    ['duplicates', 'a', { duplicates: 'drop' }],
    ['replyTo', 'a', { replyTo: /x/ }],
    ['convention', 'a', { convention: 'payload' }],
    ['qos', 'a', { qos: 3 }],
    ['serve', 'a', { noLocal: true }],
  ])('refuses a wrong %s', async (name, topicFilter, options) => {
    rig = await ServiceRig.make();
    const error = await errorOf(rig.client.serve(topicFilter, options as never));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(name);
  });

  it('rejects if the server refuses the subscription, and takes undefined options like those not given', async () => {
    rig = await ServiceRig.make({
      share: undefined,
      qos: undefined,
      replyTo: undefined,
      duplicates: undefined,
    });
    const refused = watch(rig.client.serve('b'));
    const { packetId } = await rig.broker.expect('subscribe');
    rig.broker.send({ type: 'suback', packetId, reasonCodes: [0x87] });
    await rig.settle();
    expect(refused()).toMatchObject({ error: { code: 'ERR_MQTT_SUBSCRIBE' } });
  });
});

describe('a request that is not to be answered', () => {
  it.each<[string, RequestFields]>([
    ['has no Response Topic', { responseTopic: undefined }],
    ['has one under $', { responseTopic: '$SYS/broker/load' }],
    ['has one that replyTo refuses', { responseTopic: 'elsewhere/1' }],
    ['has one that makes replyTo throw', { responseTopic: 'broken' }],
    ['is a retained message', { retain: true }],
  ])('because it %s is not handed out, but acknowledged and counted', async (_, fields) => {
    rig = await ServiceRig.make({
      qos: 1,
      replyTo: (topic) => {
        if (topic === 'broken') throw new Error('broken');
        return topic.startsWith('replies');
      },
    });
    const { seen } = loop((request) => request.reply('ok'));
    await rig.request({ packetId: 1, ...fields });
    await rig.broker.expect('puback', { packetId: 1, reasonCode: 0 });
    expect([seen, rig.broker.unread, rig.client.stats().requests.refused]).toEqual([[], [], 1]);
    await rig.request({ packetId: 2, responseTopic: 'replies/1' });
    expect(await rig.reply()).toMatchObject({ topic: 'replies/1' });
  });

  it('v5 MQTT-3.3.2-14 because its Response Topic has a wildcard ends the connection', async () => {
    rig = await ServiceRig.make();
    const { seen } = loop();
    const topic = [0, 1, 0x61];
    rig.broker.sendBytes(Uint8Array.of(0x30, 10, ...topic, 6, 0x08, 0, 3, 0x61, 0x2f, 0x23));
    await rig.broker.expect('disconnect', { reasonCode: 0x82 });
    expect(seen).toEqual([]);
  });

  it('is not if replyTo answers with something else than true', async () => {
    rig = await ServiceRig.make({ replyTo: (() => Promise.resolve(true)) as never });
    const { seen } = loop();
    await rig.request();
    expect([seen, rig.client.stats().requests.refused]).toEqual([[], 1]);
  });
});

describe('the Message Expiry of a request', () => {
  it('counts from its arrival: what is left travels with the reply', async () => {
    rig = await ServiceRig.make();
    await rig.request({ messageExpiryInterval: 10 });
    // It waits for a loop meanwhile.
    await rig.stage.clock.advance(4_200);
    const { seen } = loop((request) => request.reply('ok'));
    await rig.settle();
    expect(seen[0]?.expired).toBe(false);
    expect((await rig.reply()).properties?.messageExpiryInterval).toBe(6);
  });

  it('is over: the request is expired, and a reply is not sent', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    await rig.request({ packetId: 1, messageExpiryInterval: 10 });
    await rig.stage.clock.advance(10_000);
    const expired: boolean[] = [];
    loop(async (request) => {
      expired.push(request.expired);
      await request.reply('too late');
    });
    await rig.broker.expect('puback', { packetId: 1, reasonCode: 0 });
    expect([expired, rig.broker.unread]).toEqual([[true], []]);
  });

  it('never is over without one', async () => {
    rig = await ServiceRig.make();
    await rig.request();
    await rig.stage.clock.advance(10_000_000);
    const { seen } = loop((request) => request.reply('ok'));
    await rig.settle();
    expect(seen[0]?.expired).toBe(false);
    expect((await rig.reply()).properties).not.toHaveProperty('messageExpiryInterval');
  });
});

describe('a request that comes again', () => {
  it('is answered from the kept reply, and not handled twice', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    const { seen } = loop((request) => request.reply(add(request), { properties: { contentType: 'a/b' } }));
    await rig.request({ packetId: 1 });
    const first = await rig.reply();
    await rig.broker.expect('puback', { packetId: 1 });
    await rig.request({ packetId: 2 });
    const again = await rig.broker.expect('publish');
    expect(again).toMatchObject({ topic: first.topic, payload: first.payload, properties: first.properties });
    // Again, the request is acknowledged after its reply was.
    expect(rig.broker.unread).toEqual([]);
    rig.ack(again);
    await rig.broker.expect('puback', { packetId: 2 });
    expect([seen.length, rig.client.stats().requests.repeated]).toEqual([1, 1]);
  });

  it('is answered with the bytes of the reply as they were', async () => {
    rig = await ServiceRig.make();
    const payload = Uint8Array.of(1, 2, 3);
    loop(async (request) => {
      await request.reply(payload);
      payload.fill(0);
    });
    await rig.request();
    await rig.reply();
    await rig.request();
    expect((await rig.reply()).payload).toEqual(new Uint8Array([1, 2, 3]));
  });

  it('is answered with the kept failure', async () => {
    rig = await ServiceRig.make();
    const { seen } = loop((request) => request.fail('busy', 'later'));
    await rig.request();
    const first = await rig.reply();
    await rig.request();
    expect((await rig.reply()).properties).toEqual(first.properties);
    expect(seen).toHaveLength(1);
  });

  it('while it is being handled is acknowledged, and gets that reply', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    let finish: (text: string) => void = () => {};
    let handled = 0;
    const running = rig.service.forEach(
      () => {
        handled++;
        return new Promise<string>((resolve) => (finish = resolve));
      },
      { concurrency: 4 },
    );
    await rig.request({ packetId: 1 });
    await rig.request({ packetId: 2, qos: 2 });
    await rig.broker.expect('pubrec', { packetId: 2 });
    finish('once');
    expect(textIn(await rig.reply())).toBe('once');
    await rig.broker.expect('puback', { packetId: 1 });
    expect([handled, rig.broker.unread]).toEqual([1, []]);
    await rig.end();
    await running;
  });

  it.each<[string, RequestFields, RequestFields]>([
    ['with other Correlation Data', {}, { correlationData: Uint8Array.of(1, 3) }],
    ['with another Response Topic', {}, { responseTopic: 'replies/2' }],
    ['with another payload', {}, { text: '[1,3]' }],
    ['to another topic', {}, { topic: 'calc/mul' }],
    ['without Correlation Data', { correlationData: undefined }, { correlationData: undefined }],
  ])('%s is another request', async (_, first, second) => {
    rig = await ServiceRig.make();
    const { seen } = loop((request) => request.reply('ok'));
    await rig.request(first);
    await rig.reply();
    await rig.request(second);
    await rig.reply();
    expect([seen.length, rig.client.stats().requests.repeated]).toEqual([2, 0]);
  });

  it('after the kept reply has expired is handled again', async () => {
    rig = await ServiceRig.make();
    const { seen } = loop((request) => request.reply('ok'));
    for (const messageExpiryInterval of [5, undefined]) {
      const fields = { ...(messageExpiryInterval !== undefined && { messageExpiryInterval }) };
      const before = seen.length;
      const keptFor = (messageExpiryInterval ?? 30) * 1_000;
      await rig.request(fields);
      await rig.reply();
      await rig.stage.clock.advance(keptFor - 1);
      await rig.request(fields);
      await rig.reply();
      expect(seen.length - before).toBe(1);
      await rig.stage.clock.advance(1);
      await rig.request(fields);
      await rig.reply();
      expect(seen.length - before).toBe(2);
      await rig.stage.clock.advance(60_000);
    }
  });

  it('with duplicates: "handle" is handed out like any other', async () => {
    rig = await ServiceRig.make({ duplicates: 'handle' });
    const { seen } = loop((request) => request.reply('ok'));
    for (let i = 0; i < 2; i++) {
      await rig.request();
      await rig.reply();
    }
    expect([seen.length, rig.client.stats().requests.repeated]).toEqual([2, 0]);
  });
});

describe('a client that asks itself', () => {
  it('gets its own reply', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    const running = rig.service.forEach(add);
    const asking = watch(rig.client.request('calc/add', '[1,2]'));
    const { packetId, subscriptions } = await rig.broker.expect('subscribe');
    rig.broker.send({ type: 'suback', packetId, reasonCodes: [subscriptions[0]!.qos] });
    const request = await rig.broker.expect('publish');
    rig.broker.send({ ...request, packetId: 3, qos: 1 });
    const reply = await rig.broker.expect('publish');
    rig.broker.send({ ...reply, qos: 0, packetId: undefined });
    await rig.settle();
    expect(Object(asking()).value.text()).toBe('3');
    await rig.end();
    await running;
  });
});
