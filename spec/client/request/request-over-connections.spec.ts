import { describe, expect, it } from '@jest/globals';
import { ClosedError, SubscribeError } from '../../../lib/index.ts';
import { Stage, watch } from '../../scenarios/stage.ts';
import { grant, reply, requested, textOf, V5 } from './request-rig.ts';

describe('a request and the connection', () => {
  it('waits for the first connection, with its time running', async () => {
    const stage = new Stage();
    const client = stage.client(V5);
    const late = watch(client.request('a', '', { timeout: 50 }));
    const asking = client.request('b', '', { timeout: 5_000 });
    await stage.clock.advance(50);
    expect(late()).toMatchObject({ error: { code: 'ERR_MQTT_TIMEOUT', delivery: 'not-sent' } });
    const broker = await stage.connect(client, { properties: { responseInformation: 'r' } });
    expect(await grant(broker)).toBe('r');
    const publish = await broker.expect('publish', { topic: 'b' });
    reply(broker, publish, 'yes');
    expect((await stage.until(asking)).text()).toBe('yes');
    expect(broker.unread).toEqual([]);
    await stage.end(client, broker);
  });

  it('takes the Client Identifier that the server assigns', async () => {
    const stage = new Stage();
    const client = stage.client({ protocolVersion: 5, clientId: '' });
    client.request('a', '').catch(() => {});
    const broker = await stage.connect(client, { properties: { assignedClientIdentifier: 'auto-7' } });
    expect(await grant(broker)).toMatch(/^clients\/auto-7\/responses\//);
    await stage.end(client, broker);
  });

  it('stays pending over a lost connection: a resumed session brings the reply', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...V5, cleanStart: false, sessionExpiryInterval: 60 });
    const { publish, promise } = await requested(client, broker, { qos: 1 });
    broker.send({ type: 'puback', packetId: publish.packetId as number });
    const next = await stage.reconnect(broker, { sessionPresent: true });
    reply(next, publish, '3');
    expect((await stage.until(promise)).text()).toBe('3');
    await stage.end(client, next);
  });

  it.each([true, false])(
    'has its subscription renewed if the session is lost, with resubscribe: %p, and stays pending',
    async (resubscribe) => {
      const stage = new Stage();
      const { client, broker } = await stage.online({ ...V5, resubscribe });
      const { publish, promise } = await requested(client, broker, { qos: 1 });
      broker.send({ type: 'puback', packetId: publish.packetId as number });
      const later = watch(promise);
      await stage.clock.advance(0);
      const next = await stage.reconnect(broker);
      expect(await grant(next)).toBe(publish.properties?.responseTopic);
      await stage.clock.advance(0);
      expect([later(), next.unread]).toEqual(['pending', []]);
      reply(next, publish, '3');
      reply(next, publish, 'again');
      await stage.clock.advance(0);
      expect(textOf(later())).toBe('3');
      expect(client.stats().requests).toMatchObject({ pending: 0, unexpected: 1 });
      await stage.end(client, next);
    },
  );

  it('rejects if the server refuses to renew its subscription', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const { outcome } = await requested(client, broker);
    const next = await stage.reconnect(broker);
    const { packetId } = await next.expect('subscribe');
    next.send({ type: 'suback', packetId, reasonCodes: [0x87] });
    await stage.clock.advance(0);
    expect(outcome()).toMatchObject({ error: expect.any(SubscribeError) });
    const { publish, promise } = await requested(client, next);
    reply(next, publish, '3');
    expect((await stage.until(promise)).text()).toBe('3');
    await stage.end(client, next);
  });

  it('settles with disconnect(), in every phase', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const awaitsReply = await requested(client, broker, { qos: 1 });
    broker.send({ type: 'puback', packetId: awaitsReply.publish.packetId as number });
    const awaitsPuback = watch(client.request('a', '', { qos: 1 }));
    await broker.expect('publish');
    const awaitsSuback = watch(client.request('a', '', { responseTopic: 'other' }));
    await broker.expect('subscribe');
    await stage.end(client, broker);
    for (const one of [awaitsReply.outcome, awaitsPuback, awaitsSuback])
      expect(one()).toMatchObject({ error: expect.any(ClosedError) });
    await expect(client.request('a', '')).rejects.toBeInstanceOf(ClosedError);
    expect([client.stats().requests.pending, stage.clock.armed]).toEqual([0, 0]);
  });

  it('settles with disconnect() of a client that was never connected', async () => {
    const stage = new Stage();
    const client = stage.client(V5);
    const waiting = watch(client.request('a', ''));
    const connecting = watch(client.connect());
    await stage.network.next();
    await stage.end(client);
    expect([waiting(), connecting()]).toMatchObject([
      { error: { code: 'ERR_MQTT_CLOSED' } },
      { error: { code: 'ERR_MQTT_CLOSED' } },
    ]);
  });

  it('rejects with the error that ends the client as its cause', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...V5, reconnect: false });
    const { outcome } = await requested(client, broker);
    broker.reset();
    await stage.clock.advance(0);
    expect(outcome()).toMatchObject({
      error: { code: 'ERR_MQTT_CLOSED', cause: { code: 'ERR_MQTT_CONNECTION_LOST' } },
    });
    await client.closed.catch(() => {});
  });

  it('works again after the next connect()', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    await requested(client, broker);
    await stage.end(client, broker);
    const next = await stage.connect(client);
    const { publish, promise } = await requested(client, next);
    reply(next, publish, '3');
    expect((await stage.until(promise)).text()).toBe('3');
    await stage.end(client, next);
  });
});
