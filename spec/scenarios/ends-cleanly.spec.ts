import { describe, expect, it } from '@jest/globals';
import { bytes, collect, message, Stage, statusOf, watch } from './stage.ts';

const KEEP = { cleanStart: false, clientId: 'me', maxInflight: 1, messageRetry: 0 } as const;

describe('disconnect()', () => {
  it('settles every promise, and each error tells what is known of the message and whether it is kept', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const events = statusOf(client);
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const looping = collect(subscription);
    const receiving = watch((await stage.subscribe(client, broker, 'b')).receive());
    const written = watch(client.publish('t', '1', { qos: 1 }));
    const queued = watch(client.publish('t', '2', { qos: 1 }));
    await broker.expect('publish');
    const asked = [client.subscribe('c'), client.unsubscribe('d'), client.connect()].map(watch);
    await stage.end(client, broker);
    await looping.done;
    expect(written()).toMatchObject({ error: { code: 'ERR_MQTT_CLOSED', delivery: 'unknown', kept: true } });
    expect(queued()).toMatchObject({ error: { code: 'ERR_MQTT_CLOSED', delivery: 'not-sent', kept: true } });
    expect(asked.slice(0, 2).map((one) => one())).toMatchObject([
      { error: { code: 'ERR_MQTT_CLOSED' } },
      { error: { code: 'ERR_MQTT_CLOSED' } },
    ]);
    expect([asked[2]!() === 'pending', receiving()]).toMatchObject([
      false,
      { error: { code: 'ERR_MQTT_CLOSED' } },
    ]);
    expect([events, stage.clock.armed, client.state]).toEqual([['closed'], 0, 'closed']);
    await expect(client.closed).resolves.toBeUndefined();
  });

  it('keeps messages with QoS > 0 and sends them after the next connect, in order', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const payload = bytes('2');
    client.publish('t', '1', { qos: 1 }).catch(() => {});
    client.publish('t', payload, { qos: 1 }).catch(() => {});
    await broker.expect('publish');
    await stage.end(client, broker);
    // The caller owns the payload again.
    payload.fill(0);
    const next = await stage.connect(client, { sessionPresent: true });
    next.ackPublishes();
    await stage.clock.advance(0);
    const sent = next.packets.filter((packet) => packet.type === 'publish');
    expect(sent.map((one) => [new TextDecoder().decode(one.payload), one.duplicate])).toEqual([
      ['1', true],
      ['2', false],
    ]);
    await stage.end(client, next);
  });

  it('forgets messages on request, and QoS 0 always', async () => {
    const stage = new Stage();
    const client = stage.client(KEEP);
    const outcomes = [1, 0].map((qos) => watch(client.publish('t', qos, { qos: qos as 0 | 1 })));
    await client.disconnect({ pending: 'discard' });
    expect(outcomes.map((outcome) => outcome())).toMatchObject([
      { error: { delivery: 'not-sent', kept: false } },
      { error: { delivery: 'not-sent', kept: false } },
    ]);
    const broker = await stage.connect(client);
    await stage.end(client, broker);
    expect(broker.packets.map((packet) => packet.type)).toEqual(['connect', 'disconnect']);
  });

  it('ends at once while the client waits to reconnect, and dials no more', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    broker.reset();
    await stage.clock.advance(0);
    expect(client.state).toBe('waiting');
    await client.disconnect();
    await stage.clock.advance(1_000_000);
    expect([client.state, stage.targets.length, stage.clock.armed]).toEqual(['closed', 1, 0]);
  });

  it('sends DISCONNECT after the bytes that are pending in the socket', async () => {
    const stage = new Stage({ room: 1_000, latency: 20 });
    const { client, broker } = await stage.online();
    for (let n = 0; n < 10; n++) void client.publish('t', 'x'.repeat(5_000));
    const ending = client.disconnect();
    await stage.until(ending);
    expect(broker.packets.map((packet) => packet.type)).toEqual([
      'connect',
      ...Array.from({ length: 10 }, () => 'publish'),
      'disconnect',
    ]);
  });
});

describe('a client that has closed', () => {
  it('delivers nothing more: waiting messages are counted, and loops finish', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a');
    broker.send(message('a', 'waits'));
    await stage.clock.advance(0);
    expect(subscription.depth).toBe(1);
    await stage.end(client, broker);
    const later = collect(subscription);
    await later.done;
    expect([later.texts, subscription.depth]).toEqual([[], 0]);
    expect(stage.log).toContain('debug: 1 messages were discarded with their subscription');
  });

  it('does not restore its subscriptions with the next connect', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    await stage.subscribe(client, broker, 'a');
    await stage.end(client, broker);
    const next = await stage.connect(client);
    const again = await stage.reconnect(next);
    await stage.end(client, again);
    expect([...next.packets, ...again.packets].map((packet) => packet.type)).not.toContain('subscribe');
  });
});
