import { describe, expect, it } from '@jest/globals';
import {
  clientLevel,
  parseRequestTopic,
  requestTopic,
  responseFilter,
} from '../../../lib/client/request/topic-convention.ts';
import { bytes, errorOf, Stage, watch } from '../../scenarios/stage.ts';
import { grant } from './request-rig.ts';
import { ServiceRig, textIn } from './service-rig.ts';

const ME = { clientId: 'me', keepAlive: 0 } as const;
const TOPIC = { convention: 'topic' } as const;
const N = '[0-9a-f]{32}';

describe.each([3, 4, 5] as const)(
  'request() with the convention for topics, on version %i',
  (protocolVersion) => {
    const V = { ...ME, protocolVersion };

    it('publishes below the topic of the request, and resolves with the reply at its side', async () => {
      const stage = new Stage();
      const { client, broker } = await stage.online(V);
      const asking = client.request('calc/add', '[1,2]', { ...TOPIC, qos: 1 });
      expect(await grant(broker)).toBe('calc/add/responses/me/#');
      const publish = await broker.expect('publish', { qos: 1, retain: false });
      expect(publish.topic).toMatch(new RegExp(`^calc/add/requests/me/${N}$`));
      expect(textIn(publish)).toBe('[1,2]');
      expect(publish.properties).toEqual(protocolVersion === 5 ? { messageExpiryInterval: 30 } : {});
      broker.send({
        type: 'publish',
        topic: publish.topic.replace('requests', 'responses'),
        payload: bytes('3'),
      });
      expect((await stage.until(asking)).text()).toBe('3');
      await stage.end(client, broker);
    });

    it('tells requests to one topic apart, and counts what is no reply to any', async () => {
      const stage = new Stage();
      const { client, broker } = await stage.online(V);
      const asking = [1, 2].map((n) => client.request('calc/add', n, TOPIC));
      await grant(broker);
      const topics = [(await broker.expect('publish')).topic, (await broker.expect('publish')).topic];
      const [first, second] = topics.map((topic) => topic.replace('requests', 'responses'));
      const sent: [string, string][] = [
        ['calc/add/responses/me/0', 'foreign'],
        ['calc/add/responses/me', 'foreign'],
        [`${first}/more`, 'foreign'],
        [`${first}/error/more`, 'foreign'],
        [second!, 'two'],
        [first!, 'one'],
        [first!, 'again'],
      ];
      for (const [topic, text] of sent) broker.send({ type: 'publish', topic, payload: bytes(text) });
      const replies = await stage.until(Promise.all(asking));
      await stage.clock.advance(0);
      expect(replies.map((one) => one.text())).toEqual(['one', 'two']);
      expect(client.stats().requests).toMatchObject({ pending: 0, unexpected: 5 });
      await stage.end(client, broker);
    });

    it.each([
      ['{"code":"out-of-range","message":"b is above 100"}', 'out-of-range', 'b is above 100'],
      ['{"code":"ERR_MQTT_CLOSED"}', 'ERR_MQTT_REQUEST', 'the service reported a failure'],
      ['no JSON', 'ERR_MQTT_REQUEST', 'the service reported a failure'],
      ['null', 'ERR_MQTT_REQUEST', 'the service reported a failure'],
    ])('rejects with a failure, which has a topic of its own: %s', async (text, code, message) => {
      const stage = new Stage();
      const { client, broker } = await stage.online(V);
      const asking = client.request('calc/add', '', TOPIC);
      await grant(broker);
      const topic = (await broker.expect('publish')).topic.replace('requests', 'responses');
      broker.send({ type: 'publish', topic: `${topic}/error`, payload: bytes(text) });
      expect(await stage.until(errorOf(asking))).toMatchObject({
        name: 'RequestError',
        code,
        message,
        remote: true,
      });
      await stage.end(client, broker);
    });

    it('is served at the same topic, by a service that is subscribed to the requests below it', async () => {
      const rig = await ServiceRig.make({ ...TOPIC, share: 'calc', qos: 1 }, V);
      expect(rig.service.topicFilter).toBe('$share/calc/calc/+/requests/+/+');
      const topics: string[] = [];
      const running = rig.service.forEach((request) => {
        topics.push(request.topic, request.responseTopic);
        if (request.text() === 'bad') return request.fail('bad', 'not good');
        if (request.text() === 'worse') throw new Error('even worse');
        return request.text();
      });
      await rig.request({ topic: 'calc/add/requests/asker/7', text: 'ok', packetId: 1 });
      const reply = await rig.broker.expect('publish', { topic: 'calc/add/responses/asker/7', qos: 1 });
      expect([textIn(reply), rig.broker.unread]).toEqual(['ok', []]);
      rig.ack(reply);
      await rig.broker.expect('puback', { packetId: 1 });
      expect(topics).toEqual(['calc/add', 'calc/add/responses/asker/7']);
      await rig.request({ topic: 'calc/add/requests/asker/8', text: 'bad' });
      const failure = await rig.reply();
      expect([failure.topic, textIn(failure)]).toEqual([
        'calc/add/responses/asker/8/error',
        '{"code":"bad","message":"not good"}',
      ]);
      await rig.request({ topic: 'calc/add/requests/asker/9', text: 'worse' });
      expect(textIn(await rig.reply())).toBe('{"code":"ERR_MQTT_REQUEST","message":"even worse"}');
      await rig.end();
      await running;
    });

    it('is answered again from the kept reply if it comes again', async () => {
      const rig = await ServiceRig.make(TOPIC, V);
      let handled = 0;
      const running = rig.service.forEach(() => ++handled);
      for (const n of [1, 1, 2]) {
        await rig.request({ topic: `calc/add/requests/asker/${n}` });
        const reply = await rig.reply();
        expect([reply.topic, textIn(reply)]).toEqual([`calc/add/responses/asker/${n}`, String(n)]);
      }
      expect([handled, rig.client.stats().requests.repeated]).toEqual([2, 1]);
      await rig.end();
      await running;
    });

    it('is not answered where it is no request, is under $, or replyTo refuses it', async () => {
      const rig = await ServiceRig.make(
        { ...TOPIC, replyTo: (topic) => !topic.includes('/evil/') },
        { ...V, topicFilter: '#' },
      );
      expect(rig.service.topicFilter).toBe('#');
      let handled = 0;
      const running = rig.service.forEach(() => ++handled);
      for (const topic of ['calc/add', 'requests/a/1', 'calc/add/requests/a/', 'calc/add/requests/evil/1'])
        await rig.request({ topic });
      await rig.request({ topic: 'calc/add/requests/a/1', retain: true });
      await rig.settle();
      expect([handled, rig.broker.unread, rig.client.stats().requests.refused]).toEqual([0, [], 5]);
      await rig.end();
      await running;
    });
  },
);

it('a request under $ is not answered', async () => {
  const rig = await ServiceRig.make(TOPIC, { ...ME, protocolVersion: 4, topicFilter: '$a/+' });
  const running = rig.service.forEach(() => 'ok');
  await rig.request({ topic: '$a/b/requests/c/1' });
  expect([rig.broker.unread, rig.client.stats().requests.refused]).toEqual([[], 1]);
  await rig.end();
  await running;
});

describe('requestMany() with the convention', () => {
  it('gets every reply to its request', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(ME);
    const texts: string[] = [];
    const done = (async () => {
      const until = { count: 2 };
      for await (const one of client.requestMany('fleet/who', null, { ...TOPIC, until }))
        texts.push(one.text());
    })();
    await grant(broker);
    const topic = (await broker.expect('publish')).topic.replace('requests', 'responses');
    for (const text of ['a', 'b']) broker.send({ type: 'publish', topic, payload: bytes(text) });
    await stage.until(done);
    expect(texts).toEqual(['a', 'b']);
    await stage.end(client, broker);
  });
});

describe('the convention', () => {
  it('waits for the Client Identifier that a function returns', async () => {
    const stage = new Stage();
    const client = stage.client({ clientId: () => 'late', keepAlive: 0 });
    client.request('a', '', TOPIC).catch(() => {});
    const broker = await stage.connect(client);
    expect(await grant(broker)).toBe('a/responses/late/#');
    await stage.end(client, broker);
  });

  it('lets a reply through while the client drains', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(ME);
    const asking = watch(client.request('a', '', TOPIC));
    await grant(broker);
    const topic = (await broker.expect('publish')).topic.replace('requests', 'responses');
    const jobs = await stage.subscribe(client, broker, 'jobs');
    const looping = (async () => {
      for await (const _ of jobs)
        while (asking() === 'pending') await new Promise((done) => setImmediate(done));
    })();
    broker.send({ type: 'publish', topic: 'jobs', payload: bytes('') });
    await stage.clock.advance(0);
    const draining = client.drain();
    broker.send({ type: 'publish', topic, payload: bytes('yes') });
    broker.answerAll();
    await stage.clock.advance(0);
    broker.close();
    await stage.until(draining);
    await looping;
    expect(asking()).toMatchObject({ value: { topic } });
  });

  it('has a Client Identifier as one level, and no two alike', () => {
    const ids = ['a', 'a/b', 'a%2Fb', 'a+b', 'a#b', 'a%b', '%', '/', 'ä'];
    const levels = ids.map(clientLevel);
    expect(levels).toEqual(['a', 'a%2Fb', 'a%252Fb', 'a%2Bb', 'a%23b', 'a%25b', '%25', '%2F', 'ä']);
    expect(new Set(levels).size).toBe(ids.length);
    for (const id of ids) {
      const parsed = parseRequestTopic(requestTopic('x/y', id, '7'));
      expect(parsed?.topic).toBe('x/y');
      expect(parsed?.responseTopic.startsWith(responseFilter('x/y', id).replace('#', ''))).toBe(true);
    }
  });

  it('takes the last levels for its own: a topic of the application may have the same words', () => {
    expect(parseRequestTopic('a/requests/b/c/requests/me/1')).toEqual({
      topic: 'a/requests/b/c',
      responseTopic: 'a/requests/b/c/responses/me/1',
    });
  });
});
