import { describe, expect, it } from '@jest/globals';
import { Stage, watch } from '../../scenarios/stage.ts';
import { grant, reply, requested, V5 } from './request-rig.ts';

describe('requests and a session that outlives the process', () => {
  const PERSISTENT = { ...V5, cleanStart: false, sessionExpiryInterval: 60 } as const;
  const leftover = `clients/me/responses/${'0'.repeat(32)}`;

  it('acknowledge replies to an earlier process, those that came before the first request too', async () => {
    const stage = new Stage();
    const client = stage.client(PERSISTENT);
    const broker = await stage.connect(client, { sessionPresent: true });
    const gone = { properties: { responseTopic: leftover } };
    reply(broker, gone, 'x', { packetId: 1 });
    await stage.clock.advance(0);
    expect(client.stats()).toMatchObject({ held: 1, requests: { unexpected: 0 } });
    client.request('a', '').catch(() => {});
    await broker.expect('puback', { packetId: 1, reasonCode: 0 });
    await grant(broker);
    await broker.expect('publish');
    reply(broker, gone, 'x', { packetId: 2 });
    await broker.expect('puback', { packetId: 2, reasonCode: 0 });
    expect(client.stats()).toMatchObject({ held: 0, requests: { unexpected: 2 } });
    await stage.end(client, broker);
  });

  it('leave such replies to a subscription of the application', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(PERSISTENT);
    const { publish, promise } = await requested(client, broker);
    reply(broker, publish, '');
    await stage.until(promise);
    const own = await stage.subscribe(client, broker, 'clients/me/responses/#', { qos: 1 });
    reply(broker, { properties: { responseTopic: leftover } }, 'mine');
    expect((await stage.until(own.receive())).text()).toBe('mine');
    await stage.end(client, broker);
  });

  it('end their subscription at the server when the client drains', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(PERSISTENT);
    const { publish, outcome } = await requested(client, broker);
    const draining = watch(client.drain());
    const { packetId, topicFilters } = await broker.expect('unsubscribe');
    expect(topicFilters).toEqual([publish.properties?.responseTopic]);
    expect(outcome()).toMatchObject({ error: { code: 'ERR_MQTT_CLOSED' } });
    broker.send({ type: 'unsuback', packetId, reasonCodes: [0] });
    await broker.expect('disconnect');
    broker.close();
    await stage.clock.advance(0);
    expect(draining()).toEqual({ value: { undelivered: 0, unacknowledged: 0 } });
  });

  it('do not hold up the end of a client whose server does not answer', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(PERSISTENT);
    await requested(client, broker);
    const draining = client.drain();
    await broker.expect('unsubscribe');
    await stage.clock.advance(1_000);
    await broker.expect('disconnect');
    broker.close();
    expect(await stage.until(draining)).toEqual({ undelivered: 0, unacknowledged: 0 });
  });
});

describe('while the client drains', () => {
  it('a loop that is waited for gets the reply that it awaits', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const jobs = await stage.subscribe(client, broker, 'jobs', { qos: 1 });
    const results: string[] = [];
    const looping = (async () => {
      for await (const _ of jobs) results.push((await client.request('calc/add', '')).text());
    })();
    broker.send({ type: 'publish', topic: 'jobs', payload: new Uint8Array(0), packetId: 5, qos: 1 });
    await grant(broker);
    const publish = await broker.expect('publish', { topic: 'calc/add' });
    const draining = watch(client.drain());
    await stage.clock.advance(100);
    expect([draining(), results]).toEqual(['pending', []]);
    reply(broker, publish, '3');
    await broker.expect('puback', { packetId: 5 });
    broker.answerAll();
    await stage.clock.advance(0);
    broker.close();
    await stage.clock.advance(0);
    await looping;
    expect([draining(), results]).toEqual([{ value: { undelivered: 0, unacknowledged: 0 } }, ['3']]);
  });
});
